//go:build linux

package topology

import (
	"context"
	"testing"
	"time"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/cluster"
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

// A node that was made anew is asked too, since the others remember its address.
func TestWatcherHearsNothingFromABlankNode(t *testing.T) {
	w := NewWatcher(Options{Endpoints: []string{"127.0.0.1:1"}})
	defer func() { _ = w.Close() }()
	owner := cluster.Peer{ID: "a", Addr: "127.0.0.1:1", Slots: cluster.AllSlots(), ConfigEpoch: 1}
	was := cluster.Peer{ID: "b", Addr: "127.0.0.1:2", PrimaryID: "a", Flags: []string{"fail"}}
	w.absorb(Sighting{From: owner.Addr, Peers: []cluster.Peer{owner, was}})
	w.absorb(Sighting{From: was.Addr, Peers: []cluster.Peer{{ID: "c", Addr: was.Addr}}})
	if v := w.View(); v.Unserved() > 0 || len(v.Nodes) != 2 {
		t.Errorf("%d slots are served by nobody, %d nodes", v.Unserved(), len(v.Nodes))
	}
}
