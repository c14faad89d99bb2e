//go:build linux

package cluster_test

import (
	"slices"
	"testing"
	"time"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/cluster"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/clustertest"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// mostStall is what a client may wait for one operation while a planned change is made.
const mostStall = 500 * time.Millisecond

// TestLifeUnderTraffic makes one planned change after the other to a cluster
// whose clients must not notice: no failed operation, no lost write, no long stall.
func TestLifeUnderTraffic(t *testing.T) {
	t.Parallel()
	c := clustertest.Start(t, 10, clustertest.Restart(), clustertest.Password("s3cret"), clustertest.Directive("cluster-node-timeout", "5000"))
	nodes := specNodes(t, c.Addrs())
	auth := spec.Auth{Password: "s3cret"}
	mustApply(t, cluster.Desired{Nodes: nodes[:6], ReplicasPerShard: 1}, auth)
	names := func(nodes []spec.Node) (names []string) {
		for _, n := range nodes {
			names = append(names, n.Name)
		}
		return names
	}
	for _, change := range []struct {
		name   string
		before func()
		d      cluster.Desired
	}{
		{name: "scale out, 3 to 4 shards", d: cluster.Desired{Nodes: nodes[:8], ReplicasPerShard: 1}},
		{name: "scale in, 4 to 3 shards", d: cluster.Desired{Nodes: nodes[:6], Former: nodes[6:8], ReplicasPerShard: 1}},
		{name: "rolling restart of 6", d: cluster.Desired{Nodes: nodes[:6], ReplicasPerShard: 1, Restart: names(nodes[:6])}},
		{name: "1 to 2 replicas", d: cluster.Desired{Nodes: append(slices.Clone(nodes[:6]), nodes[6:9]...), ReplicasPerShard: 2}},
		{name: "2 to 1 replicas, 3 to 4 shards", d: cluster.Desired{Nodes: nodes[:8], Former: nodes[8:9], ReplicasPerShard: 1}},
		{name: "a primary leaves for another node", d: cluster.Desired{Nodes: nodes[1:9], Former: nodes[:1], ReplicasPerShard: 1}},
		{
			name: "a node that lost its machine", before: func() { recreate(t, c, 1, 8) },
			d: cluster.Desired{Nodes: nodes[1:9], ReplicasPerShard: 1},
		},
	} {
		t.Run(change.name, func(t *testing.T) {
			if change.before != nil {
				change.before()
			}
			tr := startTraffic(t, c, c.Addrs()[2:6])
			start := time.Now()
			res, err := apply(t.Context(), t, change.d, auth)
			took := time.Since(start)
			time.Sleep(200 * time.Millisecond)
			f := tr.stop()
			t.Logf("%-36s %6.1f s, %d steps; %s", change.name, took.Seconds(), len(res.Steps), f)
			if err != nil {
				t.Fatalf("%v\nafter %v", err, res.Steps)
			}
			if f.failed > 0 || f.lost > 0 {
				t.Errorf("%s; first: %s", f, f.first)
			}
			if f.stall-f.slip > mostStall {
				t.Errorf("an operation took %s", f.stall)
			}
		})
	}
}
