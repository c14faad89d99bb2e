//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/clustertest"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// buildBinary builds redis-bootstrap as it is pushed to hosts.
func buildBinary(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "redis-bootstrap")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", path, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

// invoke runs the binary and returns what it printed and its exit code.
func invoke(t *testing.T, binary, stdin string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errOut bytes.Buffer
	cmd := exec.CommandContext(t.Context(), binary, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errOut
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return out.String(), errOut.String(), cmd.ProcessState.ExitCode()
}

func TestClusterCommands(t *testing.T) {
	t.Parallel()
	binary := buildBinary(t)
	c := clustertest.Start(t, 6, clustertest.Password("s3cret"))
	create := append([]string{"cluster", "create", "--replicas", "1", "--password-file", "-"}, c.Addrs()...)

	if _, stderr, code := invoke(t, binary, "", "cluster", "check", c.Addrs()[0]); code != 1 || !strings.Contains(stderr, "password") {
		// Without a password nothing is known; that is a failed check too.
		stdout, _, _ := invoke(t, binary, "", "cluster", "check", c.Addrs()[0])
		if code != 1 || !strings.Contains(stdout, "password") {
			t.Errorf("check without a password: code %d\n%s%s", code, stdout, stderr)
		}
	}
	if stdout, _, code := invoke(t, binary, "s3cret\n", append(create, "--dry-run")...); code != 0 || !strings.Contains(stdout, "assign 16384 slots to") || !strings.Contains(stdout, "introduce 6 nodes to each other") {
		t.Errorf("dry run: code %d\n%s", code, stdout)
	}
	if stdout, _, code := invoke(t, binary, "s3cret\n", "cluster", "check", "--password-file", "-", c.Addrs()[0]); code != 1 || !strings.Contains(stdout, "down: 0 of 16384") {
		t.Errorf("check before: code %d\n%s", code, stdout)
	}
	if stdout, stderr, code := invoke(t, binary, "s3cret\n", create...); code != 0 || !strings.Contains(stdout, "ok: 3 shards, 16384 of 16384") {
		t.Fatalf("create: code %d\n%s%s", code, stdout, stderr)
	}
	if stdout, _, code := invoke(t, binary, "s3cret\n", "cluster", "check", "--password-file", "-", c.Addrs()[5]); code != 0 {
		t.Errorf("check after: code %d\n%s", code, stdout)
	}
	stdout, _, code := invoke(t, binary, "s3cret\n", "cluster", "status", "--json", "--password-file", "-", c.Addrs()[5])
	var status spec.ClusterStatus
	if err := json.Unmarshal([]byte(stdout), &status); err != nil || code != 0 {
		t.Fatalf("status --json: code %d: %v\n%s", code, err, stdout)
	}
	if status.Health != spec.HealthOK || len(status.Nodes) != 6 || len(status.Shards) != 3 {
		t.Errorf("status: %+v", status)
	}

	victim := c.NodeAt(status.Nodes[5].Name)
	victim.Pause()
	defer victim.Resume()
	if stdout, _, code := invoke(t, binary, "s3cret\n", "cluster", "check", "--password-file", "-", status.Nodes[0].Name); code != 1 || !strings.Contains(stdout, victim.Addr()) {
		t.Errorf("check with a frozen node: code %d\n%s", code, stdout)
	}
}

func TestClusterCreateSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	binary := buildBinary(t)
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"no nodes":         {nil, "create host:port"},
		"too few nodes":    {[]string{"127.0.0.1:1", "127.0.0.1:2"}, "at least 3, or 3 nodes"},
		"too few shards":   {[]string{"--replicas", "1", "127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3", "127.0.0.1:4"}, "at least 3, or 6 nodes"},
		"not a multiple":   {[]string{"--replicas", "1", "127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"}, "cannot be shared out evenly"},
		"no port":          {[]string{"127.0.0.1", "127.0.0.1:2", "127.0.0.1:3"}, "is not host:port"},
		"nobody there":     {[]string{"127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"}, "3 of 3 nodes do not answer"},
		"the same twice":   {[]string{"127.0.0.1:1", "127.0.0.1:1", "127.0.0.1:3"}, "named twice"},
		"password in file": {[]string{"--password-file", "/nonexistent", "127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"}, "--password-file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, stderr, code := invoke(t, binary, "", append([]string{"cluster", "create"}, c.args...)...)
			if code != 1 || !strings.Contains(stderr, c.want) {
				t.Errorf("code %d, stderr %q; want %q in it", code, stderr, c.want)
			}
		})
	}
}

// TestKilledCreateIsFinished kills a create at random moments, so that nothing
// of it can clean up: the next one goes on, and what forming had set is put back.
func TestKilledCreateIsFinished(t *testing.T) {
	t.Parallel()
	binary := buildBinary(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for range 5 {
		c := clustertest.Start(t, 6)
		args := append([]string{"cluster", "create", "--replicas", "1"}, c.Addrs()...)
		for range 2 {
			cmd := exec.CommandContext(t.Context(), binary, args...)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			kill := time.AfterFunc(time.Duration(random.IntN(700))*time.Millisecond, func() { _ = cmd.Process.Kill() })
			_ = cmd.Wait() // killed on purpose
			kill.Stop()
		}
		if stdout, stderr, code := invoke(t, binary, "", args...); code != 0 {
			t.Fatalf("the create after the kill: code %d\n%s%s", code, stdout, stderr)
		}
		for i, addr := range c.Addrs() {
			got, err := c.Node(i).Client().ConfigGet(t.Context(), "cluster-*").Result()
			if err != nil {
				t.Fatal(err)
			}
			// A killed create leaves no note of the 1000 ms that the node had.
			if timeout := got["cluster-node-timeout"]; timeout != "1000" && timeout != "15000" || got["cluster-replica-no-failover"] != "no" {
				t.Errorf("%s was left with %s", addr, fmt.Sprint(got))
			}
		}
	}
}
