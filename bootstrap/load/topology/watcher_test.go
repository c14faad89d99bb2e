//go:build linux

package topology

import (
	"context"
	"testing"
	"time"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/clustertest"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

func TestWatcherSeesAFailover(t *testing.T) {
	c := clustertest.Start(t, 6)
	c.Form(1)
	w := NewWatcher(Options{Endpoints: c.Addrs()[:1]})
	defer func() { _ = w.Close() }()
	v, err := w.Discover(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(v.Nodes) != 6 || len(v.Primaries()) != 3 {
		t.Fatalf("%d nodes, %d primaries", len(v.Nodes), len(v.Primaries()))
	}
	slot := spec.Slot("key")
	old := v.Nodes[v.Owner[slot]].Addr
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { w.Run(ctx); close(done) }()
	defer func() { cancel(); <-done }()
	c.NodeAt(old).Kill()
	w.Focus([]string{old})
	for start := time.Now(); time.Since(start) < 20*time.Second; time.Sleep(5 * time.Millisecond) {
		v := w.View()
		if now := v.Nodes[v.Owner[slot]].Addr; now != old {
			return
		}
	}
	t.Error("no new owner was seen")
}

func TestWatcherTakesAServerWithoutClusterMode(t *testing.T) {
	c := clustertest.Start(t, 1, clustertest.Directive("cluster-enabled", "no"))
	w := NewWatcher(Options{Endpoints: c.Addrs()})
	defer func() { _ = w.Close() }()
	v, err := w.Discover(t.Context())
	if err != nil || !v.Standalone || v.Nodes[v.Owner[77]].Addr != c.Node(0).Addr() {
		t.Errorf("got %v, %v", v, err)
	}
}
