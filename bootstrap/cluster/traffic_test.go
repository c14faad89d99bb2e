//go:build linux

package cluster_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/clustertest"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/load"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// traffic is a load that retries, follows the cluster, and reads every
// acknowledged write back at its end.
type traffic struct {
	t      testing.TB
	cancel context.CancelFunc
	done   chan figures
}

// figures are what the clients of a cluster saw.
type figures struct {
	operations, failed, lost int64
	// stall is the longest that an operation took from when it was due, retries and
	// redirections included.
	stall time.Duration
	keys  []string
}

func (f figures) String() string {
	return fmt.Sprintf("%d operations, %d failed, %d acknowledged writes lost, longest stall %d ms", f.operations, f.failed, f.lost, f.stall.Milliseconds())
}

// startTraffic returns when the load has begun.
func startTraffic(t testing.TB, c *clustertest.Cluster, addrs []string) *traffic {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	tr := &traffic{t: t, cancel: cancel, done: make(chan figures, 1)}
	started := make(chan struct{})
	run := spec.LoadRun{
		Versioned: spec.V(), Endpoints: addrs, Auth: spec.Auth{Password: spec.Secret(c.Password())}, Verify: true,
		Workload: spec.Workload{Duration: spec.Duration(time.Hour), Rate: 2000, Clients: 6, Pipeline: 1, Threads: 1, Keys: spec.Keys{Prefix: "load:", Maximum: 20_000}, DataSize: 32},
	}
	go func() {
		res, err := load.Run(ctx, run, load.Hooks{Started: func() { close(started) }})
		if err != nil {
			t.Errorf("the load: %v", err)
		}
		tr.done <- figures{
			operations: res.Operations, failed: res.FailedOperations, lost: res.LostWrites + res.StaleWrites + res.CorruptWrites,
			stall: time.Duration(res.Latency.Max * float64(time.Millisecond)), keys: res.LostKeys,
		}
	}()
	select {
	case <-started:
	case f := <-tr.done:
		t.Fatalf("the load ended at once: %s", f)
	}
	return tr
}

// stop ends the load, which then reads everything back, and returns what was seen.
func (tr *traffic) stop() figures {
	tr.cancel()
	return <-tr.done
}
