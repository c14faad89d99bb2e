//go:build linux

package cluster_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/cluster"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/clustertest"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// BenchmarkCreate times blank running nodes to a cluster that is verified on
// every node, and, in the same run and on nodes of the same kind, redis-cli's
// create to the moment when each node says that the cluster is ok. The ratio of
// the medians is what counts; it is reported as ours/redis-cli.
func BenchmarkCreate(b *testing.B) {
	for _, n := range []int{6, 60} {
		b.Run(fmt.Sprintf("nodes=%d", n), func(b *testing.B) {
			var ours, theirs []time.Duration
			for b.Loop() {
				ours = append(ours, timeOurs(b, n))
				theirs = append(theirs, timeRedisCLI(b, n))
			}
			reportRatio(b, ours, theirs)
		})
	}
}

func timeOurs(b *testing.B, n int) time.Duration {
	c := startBlank(b, n)
	defer c.Close()
	d := cluster.Desired{Nodes: specNodes(b, c.Addrs()), ReplicasPerShard: 1, Create: true}
	start := time.Now()
	if _, err := apply(b.Context(), b, d, spec.Auth{}); err != nil {
		b.Fatal(err)
	}
	return time.Since(start)
}

func timeRedisCLI(b *testing.B, n int) time.Duration {
	c := startBlank(b, n)
	defer c.Close()
	args := append([]string{"--cluster", "create", "--cluster-replicas", "1", "--cluster-yes"}, c.Addrs()...)
	start := time.Now()
	if out, err := exec.CommandContext(b.Context(), "redis-cli", args...).CombinedOutput(); err != nil {
		b.Fatalf("redis-cli: %v\n%s", err, out)
	}
	for i := range n {
		awaitOK(b, c.Node(i))
	}
	return time.Since(start)
}

// benchKeys is how many keys the cluster holds whose slots are moved.
const benchKeys = 1_000_000

// BenchmarkMigrate times 3 → 4 primaries with small keys, up to the moment when
// every node agrees: ours, and on clusters of the same kind in the same run
// redis-cli's add-node and rebalance, by default and with --cluster-pipeline 100.
func BenchmarkMigrate(b *testing.B) {
	keys := benchKeys
	if text := os.Getenv("BENCH_KEYS"); text != "" {
		var err error
		if keys, err = strconv.Atoi(text); err != nil {
			b.Fatal(err)
		}
	}
	ways := []struct {
		name string
		grow func(*testing.B, *clustertest.Cluster)
	}{
		{"ours", growOurs},
		{"redis-cli", func(b *testing.B, c *clustertest.Cluster) { growRedisCLI(b, c) }},
		{"redis-cli-100", func(b *testing.B, c *clustertest.Cluster) { growRedisCLI(b, c, "--cluster-pipeline", "100") }},
	}
	times := map[string][]time.Duration{}
	for b.Loop() {
		for _, way := range ways {
			c := startFilled(b, keys)
			start := time.Now()
			way.grow(b, c)
			times[way.name] = append(times[way.name], time.Since(start))
			checkMoved(b, c, keys)
			c.Close()
		}
	}
	ours := median(times["ours"])
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(ours.Seconds()*1000, "ours-ms")
	for _, way := range ways[1:] {
		theirs := median(times[way.name])
		b.ReportMetric(theirs.Seconds()*1000, way.name+"-ms")
		b.ReportMetric(ours.Seconds()/theirs.Seconds(), "ours/"+way.name)
	}
}

// startFilled runs a cluster of three primaries that hold so many keys, and a blank node.
func startFilled(b *testing.B, keys int) *clustertest.Cluster {
	c := startBlank(b, 4)
	if _, err := apply(b.Context(), b, cluster.Desired{Nodes: specNodes(b, c.Addrs())[:3], Create: true}, spec.Auth{}); err != nil {
		b.Fatal(err)
	}
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: c.Addrs()[:3]})
	defer func() { _ = client.Close() }()
	const batch = 10_000
	for from := 0; from < keys; from += batch {
		pipe := client.Pipeline()
		for i := from; i < min(from+batch, keys); i++ {
			pipe.Set(b.Context(), fmt.Sprintf("key:%d", i), "0123456789abcdef", 0)
		}
		if _, err := pipe.Exec(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	return c
}

func growOurs(b *testing.B, c *clustertest.Cluster) {
	if _, err := apply(b.Context(), b, cluster.Desired{Nodes: specNodes(b, c.Addrs())}, spec.Auth{}); err != nil {
		b.Fatal(err)
	}
}

func growRedisCLI(b *testing.B, c *clustertest.Cluster, flags ...string) {
	addrs := c.Addrs()
	run := func(args ...string) ([]byte, error) {
		return exec.CommandContext(b.Context(), "redis-cli", append([]string{"--cluster"}, args...)...).CombinedOutput()
	}
	if out, err := run("add-node", addrs[3], addrs[0]); err != nil {
		b.Fatalf("redis-cli: %v\n%s", err, out)
	}
	for i := range addrs {
		awaitOK(b, c.Node(i)) // or the new node refuses keys
	}
	if out, err := run(append([]string{"rebalance", addrs[0], "--cluster-use-empty-masters"}, flags...)...); err != nil {
		b.Fatalf("redis-cli: %v\n%s", err, out)
	}
	for i := range addrs {
		awaitOK(b, c.Node(i))
	}
}

// checkMoved checks that the new node has its share and that no key is missing.
func checkMoved(b *testing.B, c *clustertest.Cluster, keys int) {
	total, moved := int64(0), int64(0)
	for i := range c.Addrs() {
		moved = c.Node(i).Client().DBSize(b.Context()).Val()
		total += moved
	}
	if total != int64(keys) || moved < total/5 {
		b.Fatalf("%d of %d keys are left, %d of them on the new node", total, keys, moved)
	}
}

func awaitOK(b *testing.B, n *clustertest.Node) {
	ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
	defer cancel()
	for !strings.Contains(n.Client().ClusterInfo(ctx).Val(), "cluster_state:ok") {
		select {
		case <-ctx.Done():
			b.Fatalf("%s: %v", n.Addr(), ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// startBlank starts nodes with the server's default node timeout, as a user's
// are, and waits until they may serve: a primary does so 2 s after its start at the soonest.
func startBlank(b *testing.B, n int) *clustertest.Cluster {
	c := clustertest.Start(b, n, clustertest.Directive("cluster-node-timeout", "15000"))
	ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
	defer cancel()
	for i := range n {
		for {
			info := c.Node(i).Client().InfoMap(ctx, "server").Val()["Server"]["uptime_in_seconds"]
			if info != "" && info != "0" && info != "1" && info != "2" {
				break
			}
			if ctx.Err() != nil {
				b.Fatal(ctx.Err())
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	return c
}

func reportRatio(b *testing.B, ours, theirs []time.Duration) {
	o, t := median(ours), median(theirs)
	b.ReportMetric(0, "ns/op") // the loop's time means nothing
	b.ReportMetric(o.Seconds()*1000, "ours-ms")
	b.ReportMetric(t.Seconds()*1000, "redis-cli-ms")
	b.ReportMetric(o.Seconds()/t.Seconds(), "ours/redis-cli")
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}
