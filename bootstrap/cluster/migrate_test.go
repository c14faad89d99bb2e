//go:build linux

package cluster_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/redis/go-redis/v9"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/cluster"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/clustertest"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// servers are the servers to migrate with: redis-server, and those that are
// named in REDIS_TEST_SERVERS, separated by colons.
func servers(t *testing.T) []string {
	all := []string{"redis-server"}
	if more := os.Getenv("REDIS_TEST_SERVERS"); more != "" {
		all = append(all, strings.Split(more, ":")...)
	}
	if _, err := exec.LookPath("valkey-server"); err == nil {
		all = append(all, "valkey-server")
	}
	t.Logf("servers: %s", all)
	return all
}

// clientOf is a client that finds the cluster through these nodes.
func clientOf(t *testing.T, addrs []string) *redis.ClusterClient {
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: addrs, MaxRedirects: 10})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

const bigFields = 200_000

// fillAllSorts writes keys of all sorts and sizes.
func fillAllSorts(t *testing.T, client *redis.ClusterClient) {
	t.Helper()
	ctx := t.Context()
	fill(t, client, 5000)
	pipe := client.Pipeline()
	for i := range 60 {
		pipe.Set(ctx, fmt.Sprintf("medium:%d", i), strings.Repeat("x", 300_000), 0)
		pipe.RPush(ctx, fmt.Sprintf("list:%d", i), "a", "b", "c")
		pipe.SAdd(ctx, fmt.Sprintf("set:%d", i), "a", "b", "c")
		pipe.Set(ctx, fmt.Sprintf("ttl:%d", i), i, time.Hour)
		pipe.ZAdd(ctx, fmt.Sprintf("{one slot}:%d", i), redis.Z{Score: float64(i), Member: "m"})
	}
	const atOnce = 1000
	for from := 0; from < bigFields; from += atOnce {
		var fields []any
		for i := range atOnce {
			fields = append(fields, fmt.Sprintf("field:%d", from+i), "0123456789abcdef")
		}
		for i := range 4 {
			pipe.HSet(ctx, fmt.Sprintf("big:%d", i), fields...)
		}
	}
	if _, err := pipe.Exec(ctx); err != nil {
		t.Fatal(err)
	}
}

func checkAllSorts(t *testing.T, client *redis.ClusterClient) {
	t.Helper()
	ctx := t.Context()
	checkFilled(t, client, 5000)
	for i := range 60 {
		if n := client.StrLen(ctx, fmt.Sprintf("medium:%d", i)).Val(); n != 300_000 {
			t.Errorf("medium:%d has %d bytes", i, n)
		}
		if got := client.LRange(ctx, fmt.Sprintf("list:%d", i), 0, -1).Val(); strings.Join(got, "") != "abc" {
			t.Errorf("list:%d is %v", i, got)
		}
		if n := client.SCard(ctx, fmt.Sprintf("set:%d", i)).Val(); n != 3 {
			t.Errorf("set:%d has %d members", i, n)
		}
		if ttl := client.TTL(ctx, fmt.Sprintf("ttl:%d", i)).Val(); ttl < 50*time.Minute || ttl > time.Hour {
			t.Errorf("ttl:%d ends in %s", i, ttl)
		}
		if score := client.ZScore(ctx, fmt.Sprintf("{one slot}:%d", i), "m").Val(); score != float64(i) {
			t.Errorf("{one slot}:%d has score %g", i, score)
		}
	}
	for i := range 4 {
		if n := client.HLen(ctx, fmt.Sprintf("big:%d", i)).Val(); n != bigFields {
			t.Errorf("big:%d has %d fields", i, n)
		}
	}
}

// TestMigrateKeepsEverything grows and shrinks a cluster: every type of key,
// times to live, large keys and functions must come along.
func TestMigrateKeepsEverything(t *testing.T) {
	t.Parallel()
	for _, server := range servers(t) {
		t.Run(server[strings.LastIndexByte(server, '/')+1:], func(t *testing.T) {
			c := clustertest.Start(t, 5, clustertest.Server(server), clustertest.Directive("cluster-node-timeout", "5000"))
			nodes := specNodes(t, c.Addrs())
			mustApply(t, cluster.Desired{Nodes: nodes[:3]}, spec.Auth{})
			client := clientOf(t, c.Addrs()[:3])
			fillAllSorts(t, client)
			library := "#!lua name=lib\nredis.register_function('answer', function() return 42 end)"
			for i := range 3 {
				if err := c.Node(i).Client().FunctionLoad(t.Context(), library).Err(); err != nil {
					t.Fatal(err)
				}
			}
			fleet, err := cluster.NewFleet(nodes, spec.Auth{}, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = fleet.Close() }()
			var said bytes.Buffer
			log := hclog.New(&hclog.LoggerOptions{Output: &said})
			start := time.Now()
			if _, err := cluster.Apply(t.Context(), log, fleet, cluster.Desired{Nodes: nodes}); err != nil {
				t.Fatalf("%v\n%s", err, &said)
			}
			t.Logf("3 to 5 primaries in %s", time.Since(start).Round(time.Millisecond))
			if !strings.Contains(said.String(), "total=6553 unit=slots") {
				t.Errorf("no progress of 6553 slots in\n%s", &said)
			}
			if !regexp.MustCompile(`moved 6553 of 6553 slots \([\d,]+ keys, [\d.]+ MB\)`).MatchString(said.String()) && !strings.Contains(server, "valkey") {
				t.Errorf("no keys and bytes in\n%s", &said)
			}
			checkAllSorts(t, client)
			for i := range 5 {
				if n, err := c.Node(i).Client().FCall(t.Context(), "answer", nil).Int(); err != nil || n != 42 {
					t.Errorf("the function on n%d says %d (%v)", i, n, err)
				}
			}
			mustApply(t, cluster.Desired{Nodes: nodes[2:], Former: nodes[:2]}, spec.Auth{})
			for i := range 2 {
				if info := c.Node(i).Client().Info(t.Context(), "replication").Val(); !strings.Contains(info, "role:master") {
					t.Errorf("n%d has left and copies another's data: %s", i, info)
				}
			}
			client.ReloadState(t.Context())
			checkAllSorts(t, client)
		})
	}
}

// TestMigrateRefusesAKeyTooLarge checks that a key which would block its node
// for longer than the others wait is left where it is, and named.
func TestMigrateRefusesAKeyTooLarge(t *testing.T) {
	t.Parallel()
	c := clustertest.Start(t, 4, clustertest.Directive("cluster-node-timeout", "1000"))
	nodes := specNodes(t, c.Addrs())
	mustApply(t, cluster.Desired{Nodes: nodes[:3]}, spec.Auth{})
	client := clientOf(t, c.Addrs()[:3])
	fill(t, client, 100)
	huge := ""
	for i := 0; spec.Slot(huge) < 4096 || spec.Slot(huge) > 5461; i++ { // those slots move
		huge = fmt.Sprintf("huge:%d", i)
	}
	for range 8 {
		if err := client.Append(t.Context(), huge, strings.Repeat("x", 8<<20)).Err(); err != nil {
			t.Fatal(err)
		}
	}
	_, err := apply(t.Context(), t, cluster.Desired{Nodes: nodes}, spec.Auth{})
	if err == nil || !strings.Contains(err.Error(), huge) {
		t.Fatalf("got %v, want a refusal that names %s", err, huge)
	}
	// Given more time, the nodes move it.
	for i := range nodes {
		c.Node(i).Client().ConfigSet(t.Context(), "cluster-node-timeout", "15000")
	}
	mustApply(t, cluster.Desired{Nodes: nodes}, spec.Auth{})
	if n := client.StrLen(t.Context(), huge).Val(); n != 8*8<<20 {
		t.Errorf("%s has %d bytes", huge, n)
	}
	checkFilled(t, client, 100)
}
