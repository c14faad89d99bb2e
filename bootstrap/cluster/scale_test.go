//go:build linux

package cluster_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/redis/go-redis/v9"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/cluster"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/clustertest"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// TestAFourthNodeBecomesAReplica adds a node to three primaries without
// replicas, and takes it away again: no slot moves.
func TestAFourthNodeBecomesAReplica(t *testing.T) {
	t.Parallel()
	const keys = 2000
	c := clustertest.Start(t, 4)
	nodes := specNodes(t, c.Addrs())
	three := cluster.Desired{Nodes: nodes[:3]}
	mustApply(t, three, spec.Auth{})
	client := c.NewClientOf(3)
	fill(t, client, keys)

	four := cluster.Desired{Nodes: nodes, SpareReplicas: 1}
	res, err := apply(t.Context(), t, four, spec.Auth{})
	if err != nil {
		t.Fatal(err)
	}
	if w := cluster.Sum(res.Steps); w.Slots != 0 || len(res.Status.Shards) != 3 || len(replicasOf(res.Status)) != 1 {
		t.Errorf("%d slots moved, shards are %+v", w.Slots, res.Status.Shards)
	}
	mustApply(t, four, spec.Auth{})
	three.Former = nodes[3:]
	mustApply(t, three, spec.Auth{})
	checkFilled(t, client, keys)
}

// A node may hear of one that leaves from a message that was on its way while it
// was told to forget it. The one that leaves lives, so it never counts as failed.
func TestALeaverThatIsHeardOfAgainIsForgotten(t *testing.T) {
	t.Parallel()
	c := clustertest.Start(t, 4)
	nodes := specNodes(t, c.Addrs())
	mustApply(t, cluster.Desired{Nodes: nodes}, spec.Auth{})
	fleet, err := cluster.NewFleet(nodes, spec.Auth{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = fleet.Close() }()
	var reminded atomic.Int64
	fleet.AddHooks(func(node string) redis.Hook { return reminder{node, nodes[3], &reminded} })
	three := cluster.Desired{Nodes: nodes[:3], Former: nodes[3:]}
	if _, err := cluster.Apply(t.Context(), hclog.NewNullLogger(), fleet, three); err != nil {
		t.Fatal(err)
	}
	if reminded.Load() == 0 {
		t.Error("no node was told to forget the one that leaves")
	}
	mustApply(t, three, spec.Auth{})
}

// reminder has a node meet another one again, once, when it has been told to forget it.
type reminder struct {
	node     string
	of       spec.Node
	reminded *atomic.Int64
}

// DialHook implements redis.Hook.
func (r reminder) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessPipelineHook implements redis.Hook.
func (r reminder) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// ProcessHook implements redis.Hook.
func (r reminder) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if r.node == "n0" && strings.EqualFold(cmd.FullName(), "cluster forget") && r.reminded.Add(1) == 1 {
			err = errors.Join(err, next(ctx, redis.NewStatusCmd(ctx, "cluster", "meet", r.of.Address, r.of.Port)))
		}
		return err
	}
}

// replicasOf names all replicas of a cluster.
func replicasOf(s spec.ClusterStatus) (names []string) {
	for _, shard := range s.Shards {
		names = append(names, shard.Replicas...)
	}
	return names
}

// TestScaleInAfterTheMachinesAreGone shrinks a cluster whose leaving nodes were
// deleted before it was told, as Terraform does unless it is stopped from it: the
// primary of one shard and the replica of another. Where the whole of a shard is
// among them, nothing is done.
func TestScaleInAfterTheMachinesAreGone(t *testing.T) {
	t.Parallel()
	p := newPatient(t)
	more := clustertest.Start(t, 2)
	p.t = t
	nodes := append(slices.Clone(p.d.Nodes), specNodes(t, more.Addrs())...)
	for i := range nodes {
		nodes[i].Name, nodes[i].Host = string(rune('a'+i)), string(rune('a'+i))
	}
	all := cluster.Desired{Nodes: nodes, ReplicasPerShard: 1}
	res, err := apply(t.Context(), t, all, spec.Auth{})
	if err != nil {
		t.Fatal(err)
	}
	shards := res.Status.Shards
	leave := func(names ...string) cluster.Desired {
		d := cluster.Desired{ReplicasPerShard: 1}
		for _, n := range nodes {
			if slices.Contains(names, n.Name) {
				d.Former = append(d.Former, n)
			} else {
				d.Nodes = append(d.Nodes, n)
			}
		}
		return d
	}
	kill := func(d cluster.Desired) {
		for _, n := range d.Former {
			if i := slices.Index(p.Addrs(), n.Addr()); i >= 0 {
				p.Node(i).Kill()
			} else {
				more.NodeAt(n.Addr()).Kill()
			}
		}
	}
	d := leave(shards[0].Primary, shards[1].Replicas[0])
	kill(d)
	mustApply(t, d, spec.Auth{})
	p.client.ReloadState(t.Context())
	checkFilled(t, p.client, patientKeys)

	res, err = apply(t.Context(), t, cluster.Desired{Nodes: d.Nodes, ReplicasPerShard: 1}, spec.Auth{})
	if err != nil {
		t.Fatal(err)
	}
	last := res.Status.Shards[2]
	d = leave(append([]string{shards[0].Primary, shards[1].Replicas[0], last.Primary}, last.Replicas...)...)
	kill(cluster.Desired{Former: slices.DeleteFunc(slices.Clone(d.Former), func(n spec.Node) bool {
		return n.Name != last.Primary && n.Name != last.Replicas[0]
	})})
	d.ReplicasPerShard = 0
	d.SpareReplicas = 1
	_, err = apply(t.Context(), t, d, spec.Auth{})
	var f *spec.Failure
	if !errors.As(err, &f) || !strings.Contains(f.Cause, last.Slots) || !strings.Contains(f.Cause, "lost") {
		t.Errorf("got %v, want a refusal that names %s", err, last.Slots)
	}
}

// TestSpreadAnew tells a cluster of zones in which every primary is with its
// replica: replicas change places, and no slot moves.
func TestSpreadAnew(t *testing.T) {
	t.Parallel()
	const keys = 2000
	c := clustertest.Start(t, 6)
	d := cluster.Desired{Nodes: specNodes(t, c.Addrs()), ReplicasPerShard: 1}
	res, err := apply(t.Context(), t, d, spec.Auth{})
	if err != nil {
		t.Fatal(err)
	}
	client := c.NewClient()
	fill(t, client, keys)
	zones := map[string]string{}
	for i, s := range res.Status.Shards {
		zone := string(rune('a' + i))
		zones[s.Primary], zones[s.Replicas[0]] = zone, zone
	}
	for i, n := range d.Nodes {
		d.Nodes[i].Zone = zones[n.Name]
	}
	res, err = apply(t.Context(), t, d, spec.Auth{})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range res.Status.Shards {
		if zones[s.Primary] == zones[s.Replicas[0]] {
			t.Errorf("%s and its replica %s are both in %s", s.Primary, s.Replicas[0], zones[s.Primary])
		}
	}
	if w := cluster.Sum(res.Steps); w.Slots != 0 {
		t.Errorf("%d slots moved", w.Slots)
	}
	mustApply(t, d, spec.Auth{})
	checkFilled(t, client, keys)
}
