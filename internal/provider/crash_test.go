//go:build linux

package provider_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

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
	w := workspace{dir: dir, env: append(os.Environ(), "TF_CLI_CONFIG_FILE="+filepath.Join(dir, "cli.tfrc"), "CHECKPOINT_DISABLE=1", "TF_LOG=")}
	w.configure(t, config)
	return w
}

// configure replaces the configuration.
func (w workspace) configure(t *testing.T, config string) {
	t.Helper()
	text := "terraform {\n  required_providers {\n    redis = { source = \"redisfleet/redis\" }\n  }\n}\n" + config
	if err := os.WriteFile(filepath.Join(w.dir, "main.tf"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
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
	w.plansNothing(t)
	w.run(t, "destroy", "-auto-approve")
}

func (w workspace) plansNothing(t *testing.T) {
	t.Helper()
	if out, err := w.command(t.Context(), "plan", "-detailed-exitcode").CombinedOutput(); err != nil {
		t.Errorf("the plan afterwards: %v\n%s", err, out)
	}
}

const status = `
output "status" {
  value = redis_cluster.test.status
}
`

func TestAccKilledAppliesAreFinished(t *testing.T) {
	t.Parallel()
	place := acctest.NewPlace(t, 6)
	w := newWorkspace(t, place.Cluster("")+status)
	random := crashRandom(t)
	for range crashRuns(t) {
		for range 2 {
			after := time.Duration(random.IntN(2500)) * time.Millisecond
			t.Logf("SIGKILL after %s", after)
			w.signalled(t, syscall.SIGKILL, after)
		}
		w.cutSomewhere(t, place, random, "create", 23)
		w.converges(t)
	}
}

// TestAccKilledChangesLoseNothing kills Terraform and its provider while they
// change a cluster that is in use: the next apply ends the change. They are killed
// at random moments and when a step begins, with CRASH_SWEEP at each step in turn.
func TestAccKilledChangesLoseNothing(t *testing.T) {
	t.Parallel()
	place := acctest.NewPlace(t, 8)
	w := newWorkspace(t, "")
	random := crashRandom(t)
	six, eight := place.Nodes(0, 6), place.Nodes(0, 8)
	if os.Getenv("CRASH_SWEEP") != "" {
		w.sweep(t, place, random)
		return
	}
	w.configure(t, place.ClusterOf(six, "")+status)
	w.run(t, "apply", "-auto-approve")
	c := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{fmt.Sprintf("127.0.0.1:%d", place.Ports[0])}})
	defer func() { _ = c.Close() }()
	fill(t, c)
	for run := range crashRuns(t) {
		backlog := fmt.Sprintf("config = { \"tcp-backlog\" = \"%d\" }", 200+run)
		for _, change := range []struct {
			name, nodes, more string
			before            func()
			// steps it has, or about as many
			steps int
		}{
			{name: "scale out", nodes: eight, steps: 12},
			{name: "scale in, with a rolling restart", nodes: six, more: backlog, steps: 22},
			{name: "replacement", nodes: six, more: backlog, before: func() { vanish(t, place, random.IntN(6)) }, steps: 8},
		} {
			if change.before != nil {
				change.before()
			}
			w.configure(t, place.ClusterOf(change.nodes, change.more)+status)
			w.cutSomewhere(t, place, random, change.name, change.steps)
			for range random.IntN(2) {
				// Terraform alone takes about a second before it begins.
				after := time.Second + time.Duration(random.IntN(3000))*time.Millisecond
				t.Logf("%s: SIGKILL after %s", change.name, after)
				w.signalled(t, syscall.SIGKILL, after)
			}
			w.run(t, "apply", "-auto-approve")
			checkFilled(t, c, change.name)
		}
	}
	w.converges(t)
}

// vanish takes process number i away with its data and its service, as when its
// machine was made anew.
func vanish(t *testing.T, place acctest.Place, i int) {
	t.Helper()
	own := filepath.Join(place.BaseDir, "test", strconv.Itoa(place.Ports[i]))
	port := ":" + strconv.Itoa(place.Ports[i])
	for left := true; left; {
		left = false
		for pid, line := range place.Processes(t) {
			if strings.Contains(line, own) || strings.Contains(line, "redis-server") && strings.Contains(line, port) {
				left = true
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
	}
	if err := os.RemoveAll(own); err != nil {
		t.Fatal(err)
	}
}

// crashRuns is CRASH_RUNS, or once.
func crashRuns(t *testing.T) int {
	t.Helper()
	return int(fromEnv(t, "CRASH_RUNS", 1))
}

// crashRandom is seeded by CRASH_SEED, or anew; it is said either way.
func crashRandom(t *testing.T) *rand.Rand {
	t.Helper()
	seed := fromEnv(t, "CRASH_SEED", uint64(time.Now().UnixNano()))
	t.Logf("CRASH_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 1))
}

func fromEnv(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

func TestAccInterruptedApplyIsFinished(t *testing.T) {
	t.Parallel()
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
