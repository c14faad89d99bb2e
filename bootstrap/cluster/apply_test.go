//go:build linux

package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/redis/go-redis/v9"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/cluster"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/clustertest"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

func specNodes(t testing.TB, addrs []string) []spec.Node {
	t.Helper()
	nodes := make([]spec.Node, len(addrs))
	for i, addr := range addrs {
		host, portText, err := net.SplitHostPort(addr)
		if err != nil {
			t.Fatal(err)
		}
		port, err := strconv.Atoi(portText)
		if err != nil {
			t.Fatal(err)
		}
		nodes[i] = spec.Node{Name: fmt.Sprintf("n%d", i), Address: host, Port: port, Host: fmt.Sprintf("h%d", i)}
	}
	return nodes
}

func apply(ctx context.Context, t testing.TB, d cluster.Desired, auth spec.Auth) (cluster.Result, error) {
	t.Helper()
	fleet, err := cluster.NewFleet(append(d.Nodes[:len(d.Nodes):len(d.Nodes)], d.Former...), auth, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = fleet.Close() }()
	return cluster.Apply(ctx, hclog.NewNullLogger(), fleet, d)
}

// mustApply applies d, checks that the cluster is whole, and that doing it again does nothing.
func mustApply(t testing.TB, d cluster.Desired, auth spec.Auth) {
	t.Helper()
	res, err := apply(t.Context(), t, d, auth)
	if err != nil {
		t.Fatal(err)
	}
	if s := res.Status; s.Health != spec.HealthOK || len(s.Shards) != d.Shards() || s.SlotsOK != spec.Slots || len(s.Problems) > 0 {
		t.Fatalf("status after %v: %+v", res.Steps, s)
	}
	again, err := apply(t.Context(), t, d, auth)
	if err != nil || len(again.Steps) > 0 {
		t.Fatalf("a second apply did %v (%v)", again.Steps, err)
	}
}

func TestCreate(t *testing.T) {
	t.Parallel()
	c := clustertest.Start(t, 6, clustertest.Password("s3cret"))
	nodes := specNodes(t, c.Addrs())
	d := cluster.Desired{Nodes: nodes, ReplicasPerShard: 1, Create: true}
	if _, err := apply(t.Context(), t, d, spec.Auth{Password: "wrong"}); err == nil {
		t.Error("a wrong password was accepted")
	}
	mustApply(t, d, spec.Auth{Password: "s3cret"})
	for i := range nodes {
		timeout, err := c.Node(i).Client().ConfigGet(t.Context(), "cluster-*").Result()
		if err != nil {
			t.Fatal(err)
		}
		if timeout["cluster-node-timeout"] != "1000" || timeout["cluster-replica-no-failover"] != "no" {
			t.Errorf("forming parameters were left on %s: %v", nodes[i].Name, timeout)
		}
	}
}

func TestCreateRefusesKeysAndLeavesThem(t *testing.T) {
	t.Parallel()
	c := clustertest.Start(t, 3)
	if err := c.Node(1).Client().ClusterAddSlotsRange(t.Context(), 0, spec.Slots-1).Err(); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(30 * time.Second)
	for c.Node(1).Client().Set(t.Context(), "mine", "precious", 0).Err() != nil {
		if time.Now().After(deadline) {
			t.Fatal("the node never served its slots")
		}
	}
	_, err := apply(t.Context(), t, cluster.Desired{Nodes: specNodes(t, c.Addrs()), Create: true}, spec.Auth{})
	var f *spec.Failure
	if !errors.As(err, &f) || f.Host != "n1" {
		t.Fatalf("got %v, want a refusal for n1", err)
	}
	if got := c.Node(1).Client().Get(t.Context(), "mine").Val(); got != "precious" {
		t.Errorf("the key is now %q", got)
	}
	if nodes := c.Node(0).Client().ClusterNodes(t.Context()).Val(); len(nodes) > 150 {
		t.Errorf("the blank node was touched: %s", nodes)
	}
}

// TestCreateGoesOnAfterCancel cancels a create at random moments: however far it
// came, the next one finishes it.
func TestCreateGoesOnAfterCancel(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for range 4 {
		c := clustertest.Start(t, 6)
		d := cluster.Desired{Nodes: specNodes(t, c.Addrs()), ReplicasPerShard: 1, Create: true}
		for range 3 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(random.IntN(500))*time.Millisecond)
			_, _ = apply(ctx, t, d, spec.Auth{}) // cut off on purpose
			cancel()
		}
		mustApply(t, d, spec.Auth{})
	}
}

func fill(t testing.TB, client *redis.ClusterClient, n int) {
	t.Helper()
	pipe := client.Pipeline()
	for i := range n {
		pipe.Set(t.Context(), fmt.Sprintf("key:%d", i), i, time.Hour)
	}
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func checkFilled(t testing.TB, client *redis.ClusterClient, n int) {
	t.Helper()
	pipe := client.Pipeline()
	for i := range n {
		pipe.Get(t.Context(), fmt.Sprintf("key:%d", i))
	}
	replies, err := pipe.Exec(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i, reply := range replies {
		if got := reply.(*redis.StringCmd).Val(); got != strconv.Itoa(i) {
			t.Fatalf("key:%d is %q", i, got)
		}
	}
}

func TestScaleOutAndIn(t *testing.T) {
	t.Parallel()
	const keys = 20_000
	c := clustertest.Start(t, 8)
	nodes := specNodes(t, c.Addrs())
	six := cluster.Desired{Nodes: nodes[:6], ReplicasPerShard: 1}
	mustApply(t, six, spec.Auth{})
	client := c.NewClientOf(6)
	fill(t, client, keys)

	mustApply(t, cluster.Desired{Nodes: nodes, ReplicasPerShard: 1}, spec.Auth{})
	checkFilled(t, client, keys)

	six.Former = nodes[6:]
	mustApply(t, six, spec.Auth{})
	checkFilled(t, client, keys)
	for i := 6; i < 8; i++ {
		if view := c.Node(0).Client().ClusterNodes(t.Context()).Val(); strings.Contains(view, c.Node(i).Addr()) {
			t.Errorf("n%d has left and is still known:\n%s", i, view)
		}
	}

	// They come back while the others still refuse who they were told to forget.
	before := c.Node(6).Client().ClusterMyID(t.Context()).Val()
	mustApply(t, cluster.Desired{Nodes: nodes, ReplicasPerShard: 1}, spec.Auth{})
	if after := c.Node(6).Client().ClusterMyID(t.Context()).Val(); after == before {
		t.Errorf("n6 came back as %s, which the others had forgotten", before)
	}
	checkFilled(t, client, keys)
}

func TestALostNodeIsReplaced(t *testing.T) {
	t.Parallel()
	const keys = 2_000
	c := clustertest.Start(t, 7)
	nodes := specNodes(t, c.Addrs())
	mustApply(t, cluster.Desired{Nodes: nodes[:6], ReplicasPerShard: 1}, spec.Auth{})
	client := c.NewClientOf(6)
	fill(t, client, keys)
	c.Node(0).Kill()
	d := cluster.Desired{Nodes: append(nodes[1:6:6], nodes[6]), Former: nodes[:1], ReplicasPerShard: 1}
	mustApply(t, d, spec.Auth{})
	if err := client.ForEachShard(t.Context(), func(ctx context.Context, c *redis.Client) error { return c.Ping(ctx).Err() }); err != nil {
		client.ReloadState(t.Context())
	}
	checkFilled(t, client, keys)
}

// TestRestartKeepsTheOnlyCopy restarts primaries that have no replicas and write nothing to disk.
func TestRestartKeepsTheOnlyCopy(t *testing.T) {
	t.Parallel()
	const keys = 2_000
	c := clustertest.Start(t, 3, clustertest.Restart())
	d := cluster.Desired{Nodes: specNodes(t, c.Addrs())}
	mustApply(t, d, spec.Auth{})
	client := c.NewClient()
	fill(t, client, keys)
	d.Restart = []string{"n0", "n1", "n2"}
	if _, err := apply(t.Context(), t, d, spec.Auth{}); err != nil {
		t.Fatal(err)
	}
	checkFilled(t, client, keys)
}
