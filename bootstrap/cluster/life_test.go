//go:build linux

package cluster_test

import (
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/cluster"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/clustertest"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// life is a cluster to which one planned change after the other is made.
type life struct {
	*clustertest.Cluster
	auth  spec.Auth
	nodes []spec.Node
}

func newLife(t testing.TB) *life {
	t.Helper()
	c := clustertest.Start(t, 10, clustertest.Restart(), clustertest.Password("s3cret"), clustertest.Directive("cluster-node-timeout", "5000"))
	l := &life{Cluster: c, auth: spec.Auth{Password: "s3cret"}, nodes: specNodes(t, c.Addrs())}
	for i := range l.nodes { // three zones
		l.nodes[i].Zone = string(rune('a' + i%3))
	}
	mustApply(t, cluster.Desired{Nodes: l.nodes[:6], ReplicasPerShard: 1}, l.auth)
	fill(t, c.NewClientOf(6), lifeKeys)
	return l
}

// lifeKeys are there besides those of the load, so that slots are not empty.
const lifeKeys = 50_000

// lifeChange is one change of a life; before prepares it.
type lifeChange struct {
	name   string
	before func(t testing.TB)
	d      cluster.Desired
}

// changes are all that can be planned, each from where the one before it ended.
func (l *life) changes() []lifeChange {
	nodes := l.nodes
	var names []string
	for _, n := range nodes[:6] {
		names = append(names, n.Name)
	}
	return []lifeChange{
		{name: "scale out 3 to 4 shards", d: cluster.Desired{Nodes: nodes[:8], ReplicasPerShard: 1}},
		{name: "scale in 4 to 3 shards", d: cluster.Desired{Nodes: nodes[:6], Former: nodes[6:8], ReplicasPerShard: 1}},
		{name: "rolling restart of 6 nodes", d: cluster.Desired{Nodes: nodes[:6], ReplicasPerShard: 1, Restart: names}},
		{name: "1 to 2 replicas", d: cluster.Desired{Nodes: append(slices.Clone(nodes[:6]), nodes[6:9]...), ReplicasPerShard: 2}},
		{name: "2 to 1 replicas, 3 to 4 shards", d: cluster.Desired{Nodes: nodes[:8], Former: nodes[8:9], ReplicasPerShard: 1}},
		{name: "primary leaves for another node", d: cluster.Desired{Nodes: nodes[1:9], Former: nodes[:1], ReplicasPerShard: 1}},
		{
			name: "recreated node comes back", before: func(t testing.TB) { recreate(t, l.Cluster, 1, 8) },
			d: cluster.Desired{Nodes: nodes[1:9], ReplicasPerShard: 1},
		},
		{name: "1 to 0 replicas", d: cluster.Desired{Nodes: nodes[1:5], Former: nodes[5:9], ReplicasPerShard: 0}},
		{name: "0 to 1 replicas", d: cluster.Desired{Nodes: nodes[1:9], ReplicasPerShard: 1}},
	}
}

// make makes the change while clients use the cluster.
func (l *life) make(t testing.TB, change lifeChange) (figures, time.Duration) {
	t.Helper()
	if change.before != nil {
		change.before(t)
	}
	tr := startTraffic(t, l.Cluster, l.Addrs()[2:5])
	start := time.Now()
	res, err := apply(t.Context(), t, change.d, l.auth)
	took := time.Since(start)
	f := tr.stop()
	if err != nil {
		t.Fatalf("%v\nafter %v", err, res.Steps)
	}
	t.Logf("%-32s %5.1f s, %d steps; %s", change.name, took.Seconds(), len(res.Steps), f)
	if f.failed > 0 || f.lost > 0 || f.operations == 0 {
		t.Errorf("%s: %s %q", change.name, f, f.keys)
	}
	return f, took
}

// TestLifeUnderTraffic makes one planned change after the other to a cluster
// whose clients must not notice: no failed operation, no lost write. How long
// the longest operation took depends on the machine too: `make bench` says it.
func TestLifeUnderTraffic(t *testing.T) {
	t.Parallel()
	l := newLife(t)
	for _, change := range l.changes() {
		t.Run(change.name, func(t *testing.T) { l.make(t, change) })
		if t.Failed() {
			return
		}
	}
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: l.Addrs()[1:5], Password: l.Password()}) // others may have left
	t.Cleanup(func() { _ = client.Close() })
	checkFilled(t, client, lifeKeys)
}

// BenchmarkLife says for each change what a client saw of it.
func BenchmarkLife(b *testing.B) {
	l := newLife(b)
	for _, change := range l.changes() {
		b.Run(change.name, func(b *testing.B) {
			f, took := l.make(b, change)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(took.Seconds(), "s")
			b.ReportMetric(float64(f.failed), "failed-ops")
			b.ReportMetric(float64(f.lost), "lost-writes")
			b.ReportMetric(float64(f.stall.Milliseconds()), "longest-stall-ms")
		})
	}
}
