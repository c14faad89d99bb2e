//go:build linux

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

func TestAttendedAsLongAsSomethingComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stdin, caller := io.Pipe()
		ctx, leave := attended(t.Context(), stdin, 15*time.Second)
		defer leave()
		for range 10 {
			time.Sleep(14 * time.Second)
			if _, err := caller.Write([]byte("\n")); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(14 * time.Second)
		if err := context.Cause(ctx); err != nil {
			t.Errorf("ended by %v, with a caller that speaks", err)
		}
		time.Sleep(2 * time.Second)
		if err := context.Cause(ctx); !errors.Is(err, errAbandoned) {
			t.Errorf("ended by %v, 16 s after the last word", err)
		}
		_ = caller.Close()
	})
	synctest.Test(t, func(t *testing.T) {
		stdin, caller := io.Pipe()
		ctx, leave := attended(t.Context(), stdin, 15*time.Second)
		defer leave()
		_ = caller.Close()
		synctest.Wait()
		if err := context.Cause(ctx); !errors.Is(err, errAbandoned) {
			t.Errorf("ended by %v, after the end of stdin", err)
		}
	})
}

// Two changes of one cluster from one host go one after the other, and one whose
// caller is gone does not wait for its turn any more.
func TestClusterChangesTakeTurns(t *testing.T) {
	t.Parallel()
	binary := buildBinary(t)
	place := spec.Place{BaseDir: t.TempDir(), Cluster: "c"}
	if err := os.Mkdir(place.ClusterDir(), 0o755); err != nil {
		t.Fatal(err)
	}
	// Nobody answers at this port: who has the turn says so.
	request, err := json.Marshal(spec.ClusterApply{Versioned: spec.V(), Place: &place, Nodes: []spec.Node{
		{Name: "a", Address: "127.0.0.1", Port: 1}, {Name: "b", Address: "127.0.0.1", Port: 2}, {Name: "c", Address: "127.0.0.1", Port: 3},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		verb   string
		within string
		then   func(turn *os.File, stdin io.Closer) error
		want   string
	}{
		"the turn comes":     {"apply", "1h", func(turn *os.File, _ io.Closer) error { return turn.Close() }, "connection refused"},
		"stdin ends":         {"relieve", "1h", func(_ *os.File, stdin io.Closer) error { return stdin.Close() }, errAbandoned.Error()},
		"the caller is mute": {"apply", "1s", func(*os.File, io.Closer) error { return nil }, errAbandoned.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			turn, err := os.Open(place.ClusterDir())
			if err == nil {
				err = unix.Flock(int(turn.Fd()), unix.LOCK_EX)
			}
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = turn.Close() }()
			cmd := exec.CommandContext(t.Context(), binary, "cluster", c.verb, "--attended", c.within)
			var out strings.Builder
			cmd.Stdout = &out
			stdin, err1 := cmd.StdinPipe()
			stderr, err2 := cmd.StderrPipe()
			if err := errors.Join(err1, err2, cmd.Start()); err != nil {
				t.Fatal(err)
			}
			if _, err := stdin.Write(append(request, '\n')); err != nil {
				t.Fatal(err)
			}
			said := bufio.NewScanner(stderr)
			for said.Scan() && !strings.Contains(said.Text(), "waiting for it") {
			}
			if err := c.then(turn, stdin); err != nil {
				t.Fatal(err)
			}
			for said.Scan() {
			}
			_ = cmd.Wait() // it fails either way
			if !strings.Contains(out.String(), c.want) {
				t.Errorf("it ended with %s; want %q", &out, c.want)
			}
		})
	}
}
