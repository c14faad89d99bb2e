//go:build linux

package provider_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redisfleet/terraform-provider-redis/internal/provider/acctest"
)

func TestMain(m *testing.M) { os.Exit(acctest.Main(m)) }

// workspace is a directory with a configuration, and a CLI that uses this
// build of the provider as a process of its own, so that it can be killed.
type workspace struct {
	dir string
	env []string
}

func newWorkspace(t *testing.T, config string) workspace {
	t.Helper()
	if os.Getenv("TF_ACC") == "" {
		t.Skip("acceptance tests run with TF_ACC=1")
	}
	dir := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(dir, "terraform-provider-redis"), "github.com/redisfleet/terraform-provider-redis")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("cli.tfrc", fmt.Sprintf("provider_installation {\n  dev_overrides { \"redisfleet/redis\" = %q }\n  direct {}\n}\n", dir))
	write("main.tf", "terraform {\n  required_providers {\n    redis = { source = \"redisfleet/redis\" }\n  }\n}\n"+config)
	return workspace{dir: dir, env: append(os.Environ(), "TF_CLI_CONFIG_FILE="+filepath.Join(dir, "cli.tfrc"), "CHECKPOINT_DISABLE=1", "TF_LOG=")}
}

// command is a run of the CLI in a process group of its own, its provider included.
func (w workspace) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Getenv("TF_ACC_TERRAFORM_PATH"), append(args, "-no-color")...) //nolint:gosec // G204: it is the CLI that the tests found.
	cmd.Dir, cmd.Env = w.dir, w.env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

func (w workspace) run(t *testing.T, args ...string) string {
	t.Helper()
	out, err := w.command(t.Context(), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("terraform %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// signalled runs an apply and sends its whole process group sig after a while.
func (w workspace) signalled(t *testing.T, sig syscall.Signal, after time.Duration) (output string) {
	t.Helper()
	var out strings.Builder
	cmd := w.command(t.Context(), "apply", "-auto-approve")
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(after, func() { _ = syscall.Kill(-cmd.Process.Pid, sig) })
	defer timer.Stop()
	_ = cmd.Wait() // It was killed, or was done before; what counts is what comes after.
	return out.String()
}

// converges checks that one more apply finishes the work, that nothing is left
// to do then, and that a destroy removes everything.
func (w workspace) converges(t *testing.T) {
	t.Helper()
	w.run(t, "apply", "-auto-approve")
	if status := strings.TrimSpace(w.run(t, "output", "-raw", "status")); status != "ok" {
		t.Errorf("status %q", status)
	}
	if out, err := w.command(t.Context(), "plan", "-detailed-exitcode").CombinedOutput(); err != nil {
		t.Errorf("the plan afterwards: %v\n%s", err, out)
	}
	w.run(t, "destroy", "-auto-approve")
}

const status = `
output "status" {
  value = redis_cluster.test.status
}
`

func TestAccKilledAppliesAreFinished(t *testing.T) {
	place := acctest.NewPlace(t, 6)
	w := newWorkspace(t, place.Cluster("")+status)
	for range 3 {
		for range 3 {
			after := time.Duration(rand.IntN(2500)) * time.Millisecond
			t.Logf("SIGKILL after %s", after)
			w.signalled(t, syscall.SIGKILL, after)
		}
		w.converges(t)
	}
}

func TestAccInterruptedApplyIsFinished(t *testing.T) {
	place := acctest.NewPlace(t, 6)
	w := newWorkspace(t, place.Cluster("")+status)
	for _, after := range []time.Duration{900 * time.Millisecond, 1300 * time.Millisecond, 1700 * time.Millisecond} {
		t.Logf("SIGINT after %s: %s", after, w.signalled(t, syscall.SIGINT, after))
		if out := w.run(t, "show"); strings.Contains(out, "tainted") {
			t.Errorf("the interrupted cluster is to be replaced rather than finished:\n%s", out)
		}
	}
	w.converges(t)
}
