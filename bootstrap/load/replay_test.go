//go:build linux

package load

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/clustertest"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/load/trace"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

func TestARecordedLoadIsReplayedAsItWas(t *testing.T) {
	c := clustertest.Start(t, 3)
	c.Form(0)
	path := filepath.Join(t.TempDir(), "load.trace")
	var file bytes.Buffer
	ctx, cancel := context.WithCancel(t.Context())
	recorded, written := make(chan Recorded), make(chan int64, 100)
	go func() {
		r, err := Record(ctx, Recording{Endpoints: c.Addrs()[:1]}, &file, func(now trace.Captured) { written <- now.Commands })
		if err != nil {
			t.Error(err)
		}
		close(written)
		recorded <- r
	}()
	for i := range 3 {
		c.Node(i).Await("recorded", func() error {
			list, err := c.Node(i).Client().ClientList(t.Context()).Result()
			if err == nil && !strings.Contains(list, "cmd=monitor") {
				err = errors.New("nobody monitors it")
			}
			return err
		})
	}
	original := run(t, request(c.Addrs(), spec.Workload{Duration: seconds(2), Clients: 6, Rate: 1000, DataSize: 200, Keys: spec.Keys{Maximum: 300}}), Hooks{})
	before := int64(-1)
	for now := range written { // until nothing comes any more
		if now == before && now > original.Operations/2 {
			break
		}
		before = now
	}
	cancel()
	got := <-recorded
	// The load asks the server a few things before it begins.
	if n := got.Commands - original.Operations; n < 0 || n > 50 || got.Primaries != 3 {
		t.Fatalf("%d commands were recorded, %d sent", got.Commands, original.Operations)
	}
	keys := dbsize(t, c)
	for i := range 3 {
		if err := c.Node(i).Client().FlushAll(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(path, file.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	replay := run(t, request(c.Addrs(), spec.Workload{Clients: 20, Trace: &spec.Trace{Path: path, Speed: 2}}), Hooks{})
	if replay.Operations != got.Commands || replay.ElapsedSeconds < 0.7 || replay.ElapsedSeconds > 1.8 || len(replay.Errors) > 0 {
		t.Errorf("%d operations in %.2f s, errors %v; recorded were %d", replay.Operations, replay.ElapsedSeconds, replay.Errors, original.Operations)
	}
	if now := dbsize(t, c); now != keys {
		t.Errorf("%d keys after the replay, %d when it was recorded", now, keys)
	}
	for _, k := range original.ByCommand {
		if n := operations(replay, k.Command); n != k.Operations {
			t.Errorf("%s: %d operations, recorded were %d", k.Command, n, k.Operations)
		}
	}
}

func operations(res spec.LoadResult, command string) int64 {
	for _, k := range res.ByCommand {
		if k.Command == command {
			return k.Operations
		}
	}
	return 0
}

func dbsize(t *testing.T, c *clustertest.Cluster) (sum int64) {
	t.Helper()
	for i := range c.Addrs() {
		n, err := c.Node(i).Client().DBSize(t.Context()).Result()
		if err != nil {
			t.Fatal(err)
		}
		sum += n
	}
	return sum
}

func TestPlainCommandsAreReplayedInOrder(t *testing.T) {
	c := clustertest.Start(t, 1, clustertest.Directive("cluster-enabled", "no"))
	path := filepath.Join(t.TempDir(), "commands")
	if err := os.WriteFile(path, []byte(strings.Repeat("INCR a\nAPPEND b x\n", 500)), 0o600); err != nil {
		t.Fatal(err)
	}
	r := request(c.Addrs(), spec.Workload{Clients: 3, Requests: 2500, Trace: &spec.Trace{Path: path, Format: spec.TraceCommands, Loop: true}})
	if res := run(t, r, Hooks{}); res.Operations != 2500 || res.FailedOperations > 0 {
		t.Errorf("%d operations, %d failed", res.Operations, res.FailedOperations)
	}
	if a := c.Node(0).Client().Get(t.Context(), "a").Val(); a != "1250" {
		t.Errorf("INCR was done %s times", a)
	}
}

func TestABrokenRecordingIsRefused(t *testing.T) {
	c := clustertest.Start(t, 1, clustertest.Directive("cluster-enabled", "no"))
	path := filepath.Join(t.TempDir(), "commands")
	for name, text := range map[string]string{"missing": "", "empty": " ", "of another kind": "GET a\n"} {
		if text != "" {
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		_, err := Run(t.Context(), request(c.Addrs(), spec.Workload{Trace: &spec.Trace{Path: path, Format: spec.TraceMonitor}}), Hooks{})
		if err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
