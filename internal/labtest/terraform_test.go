//go:build linux

package labtest_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redisfleet/terraform-provider-redis/internal/lab"
	"github.com/redisfleet/terraform-provider-redis/internal/lab/gceapi"
)

// registry is where Terraform thinks that providers come from.
const registry = "registry.terraform.io"

// googleMirror is a directory laid out as Terraform's filesystem mirrors that has
// hashicorp/google: the one that GOOGLE_PROVIDER_MIRROR names, or one of the
// CLI's own plugin directories. Empty if there is none.
func googleMirror() string {
	home, _ := os.UserHomeDir()
	for _, dir := range []string{
		os.Getenv("GOOGLE_PROVIDER_MIRROR"), filepath.Join(home, ".terraform.d/plugins"),
		filepath.Join(home, ".local/share/terraform/plugins"), "/usr/local/share/terraform/plugins", "/usr/share/terraform/plugins",
	} {
		if found, err := filepath.Glob(filepath.Join(dir, registry, "hashicorp/google/*")); dir != "" && err == nil && len(found) > 0 {
			return dir
		}
	}
	return ""
}

// provider builds this tree's provider, with the redis-bootstrap of this tree in it, once.
var provider = sync.OnceValues(func() ([]byte, error) {
	bootstrap, err := packed()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "labtest-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	root, err := filepath.Abs("../..")
	if err != nil {
		return nil, err
	}
	name := "redis-bootstrap-linux-" + runtime.GOARCH + ".gz"
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{
		filepath.Join(root, "internal/embedded/builds", name): filepath.Join(dir, name),
	}})
	if err != nil {
		return nil, err
	}
	for file, content := range map[string][]byte{name: bootstrap, "overlay.json": overlay} {
		if err := os.WriteFile(filepath.Join(dir, file), content, 0o600); err != nil {
			return nil, err
		}
	}
	build := exec.Command("go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", filepath.Join(dir, "provider"), root)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return nil, err
	}
	return os.ReadFile(filepath.Join(dir, "provider"))
})

// workspace is a directory with a configuration, and a Terraform in the lab's network.
type workspace struct {
	t   testing.TB
	ctx context.Context
	lab *lab.Lab
	dir string
	env []string
	log bytes.Buffer
	// cpu is the processor time that the last terraform used, its provider's included.
	cpu time.Duration
}

// password is this run's own: hosts of other runs on this machine show theirs.
var password = "correct horse " + rand.Text()

func newWorkspace(t testing.TB, ctx context.Context, l *lab.Lab) *workspace { //nolint:revive // t comes first in tests.
	t.Helper()
	if _, err := exec.LookPath("terraform"); err != nil {
		t.Skip("no terraform on this machine")
	}
	binary, err := provider()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	mirror := filepath.Join(dir, "mirror")
	platform := runtime.GOOS + "_" + runtime.GOARCH
	ours := filepath.Join(mirror, registry, "redisfleet/redis/0.0.1", platform)
	if err := os.MkdirAll(ours, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(ours, "terraform-provider-redis_v0.0.1"), binary, 0o755); err != nil { //nolint:gosec // G306: it is a program.
		t.Fatal(err)
	}
	installation := fmt.Sprintf("filesystem_mirror {\n path = %q\n include = [\"redisfleet/redis\"]\n}\n", mirror)
	if google := googleMirror(); google != "" {
		installation += fmt.Sprintf("filesystem_mirror {\n path = %q\n include = [\"hashicorp/*\"]\n}\n", google)
	}
	config := filepath.Join(dir, "cli.tfrc")
	write(t, config, "provider_installation {\n"+installation+"}\n")
	write(t, filepath.Join(dir, "key"), l.Key.Private)
	write(t, filepath.Join(dir, "key.pub"), l.Key.Public+"\n")
	return &workspace{t: t, ctx: ctx, lab: l, dir: filepath.Join(dir, "work"), env: append(os.Environ(),
		"TF_CLI_CONFIG_FILE="+config, "CHECKPOINT_DISABLE=1", "TF_IN_AUTOMATION=1", "TF_INPUT=0", "HOME="+dir,
		"GOOGLE_OAUTH_ACCESS_TOKEN="+gceapi.Token, "GOOGLE_COMPUTE_CUSTOM_ENDPOINT="+gceapi.Endpoint, "GOOGLE_PROJECT="+gceapi.Project,
		"TF_VAR_project="+gceapi.Project, "TF_VAR_redis_password="+password,
		"TF_VAR_ssh_private_key_file="+filepath.Join(dir, "key"), `TF_VAR_ssh_source_ranges=["`+lab.Bridge+`/32"]`,
	)}
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// subtest is t.Run of a test that uses w: what fails then is the subtest.
func (w *workspace) subtest(t *testing.T, name string, test func(*testing.T)) {
	t.Helper()
	t.Run(name, func(sub *testing.T) {
		w.t = sub
		defer func() { w.t = t }()
		test(sub)
	})
}

// try runs terraform, and returns what it said.
func (w *workspace) try(args ...string) (string, error) {
	w.t.Helper()
	cmd := w.lab.Command(w.ctx, "terraform", args...)
	cmd.Dir, cmd.Env = w.dir, w.env
	out, err := cmd.CombinedOutput()
	w.log.Write(out)
	if end := cmd.ProcessState; end != nil {
		w.cpu = end.UserTime() + end.SystemTime()
	}
	return string(out), err
}

func (w *workspace) run(args ...string) string {
	w.t.Helper()
	out, err := w.try(args...)
	if err != nil {
		w.t.Fatalf("terraform %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func (w *workspace) apply(args ...string) {
	w.t.Helper()
	w.run(append([]string{"apply", "-auto-approve", "-no-color"}, args...)...)
}

// plansNothing checks that a second apply would do nothing.
func (w *workspace) plansNothing() {
	w.t.Helper()
	if out, err := w.try("plan", "-detailed-exitcode", "-no-color"); err != nil {
		w.t.Errorf("a second plan: %v\n%s", err, out)
	}
}

// output reads an output of the configuration.
func output[T any](w *workspace, name string) T {
	w.t.Helper()
	var value T
	out := w.run("output", "-json", name)
	if err := json.Unmarshal([]byte(out), &value); err != nil {
		w.t.Fatalf("output %s: %v: %s", name, err, out)
	}
	return value
}

// keepsSecrets looks for the password and the key in everything that stays.
func (w *workspace) keepsSecrets() {
	w.t.Helper()
	secrets := []string{password, strings.Split(w.lab.Key.Private, "\n")[1]}
	err := filepath.WalkDir(w.dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() || strings.Contains(path, ".terraform/providers") {
			return err
		}
		b, err := os.ReadFile(path)
		for _, s := range secrets {
			if bytes.Contains(b, []byte(s)) {
				w.t.Errorf("%s holds a secret", path)
			}
		}
		return err
	})
	if err != nil {
		w.t.Error(err)
	}
	for _, s := range secrets {
		if strings.Contains(w.log.String(), s) {
			w.t.Error("what Terraform said holds a secret")
		}
	}
}
