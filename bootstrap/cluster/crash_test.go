//go:build linux

package cluster_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/redis/go-redis/v9"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/cluster"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/clustertest"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// doomedApply in the environment makes this test program one that applies the
// request on stdin, and may be killed while it does.
const doomedApply = "REDIS_DOOMED_APPLY"

func TestMain(m *testing.M) {
	redis.SetLogger(silent{}) // of nodes that are down on purpose
	if os.Getenv(doomedApply) != "" {
		os.Exit(runDoomed())
	}
	os.Exit(m.Run())
}

type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

// doom is a request to apply Desired, and to die while doing so.
type doom struct {
	Desired cluster.Desired
	// At counts commands that change something, from 1: at this one the program
	// kills itself; 0 lets it live.
	At int
	// Sent is how much of a pipeline still goes out, from 0 (nothing) to 1 (all).
	Sent float64
}

func runDoomed() int {
	var d doom
	if err := json.NewDecoder(os.Stdin).Decode(&d); err != nil {
		fmt.Println(err)
		return 1
	}
	fleet, err := cluster.NewFleet(append(d.Desired.Nodes[:len(d.Desired.Nodes):len(d.Desired.Nodes)], d.Desired.Former...), spec.Auth{}, nil)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	r := &reaper{doom: d}
	fleet.AddHook(r)
	if _, err := cluster.Apply(context.Background(), hclog.NewNullLogger(), fleet, d.Desired); err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println(r.changes.Load())
	return 0
}

// reaper counts the commands that change something and kills the program at one of them.
type reaper struct {
	doom
	changes atomic.Int64
}

// DialHook implements redis.Hook.
func (r *reaper) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook implements redis.Hook.
func (r *reaper) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if changes(cmd) && int(r.changes.Add(1)) == r.At {
			if r.Sent >= 0.5 {
				_ = next(ctx, cmd)
			}
			die()
		}
		return next(ctx, cmd)
	}
}

// ProcessPipelineHook implements redis.Hook.
func (r *reaper) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if changes(cmds[len(cmds)-1]) && int(r.changes.Add(1)) == r.At {
			n := int(r.Sent * float64(len(cmds)))
			if n < len(cmds) && cmds[0].Name() == "multi" {
				n = 0 // a part of a transaction does nothing
			}
			if n > 0 {
				_ = next(ctx, cmds[:n])
			}
			die()
		}
		return next(ctx, cmds)
	}
}

func die() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

// changes says whether a command changes something.
func changes(cmd redis.Cmder) bool {
	line := strings.ToLower(fmt.Sprint(cmd.Args()...))
	for _, reads := range []string{
		"clusternodes", "clusterinfo", "clustergetkeysinslot", "clustergetslotmigrations", "clustermyid",
		"info", "dbsize", "configget", "memoryusage", "functiondump", "get", "ping", "hello", "client",
	} {
		if strings.HasPrefix(strings.ReplaceAll(line, " ", ""), reads) {
			return false
		}
	}
	return true
}

// run applies in a process of its own, which is killed after at most limit, and
// returns how many commands changed something if it lived, 0 if it was killed.
func (d doom) run(t *testing.T, limit time.Duration) int {
	t.Helper()
	request, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0]) // killed with SIGKILL
	cmd.Env = append(os.Environ(), doomedApply+"=1")
	cmd.Stdin = bytes.NewReader(request)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		if status := cmd.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() {
			t.Fatalf("apply failed: %v\n%s%s", err, out, &stderr)
		}
		return 0
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// crashes draws ways to die: at a command, or at a moment.
type crashes struct {
	random *rand.Rand
	// commands and took are what the change takes undisturbed.
	commands int
	took     time.Duration
}

// suffer begins the change a few times, and dies each time.
func (c *crashes) suffer(t *testing.T, d cluster.Desired) {
	t.Helper()
	for range 1 + c.random.IntN(2) {
		way := doom{Desired: d}
		limit := time.Minute
		if c.random.IntN(3) > 0 {
			way.At, way.Sent = 1+c.random.IntN(max(1, c.commands)), float64(c.random.IntN(5))/4
		} else {
			limit = time.Duration(c.random.Int64N(int64(c.took) + 1))
		}
		n := way.run(t, limit)
		t.Logf("die at command %d of %d (%.2f of it sent) or after %s: %s", way.At, c.commands, way.Sent, limit,
			map[bool]string{true: "died", false: "lived"}[n == 0])
	}
}

// crashRuns is how often each change is made with crashes: CRASH_RUNS, or a few.
func crashRuns(t *testing.T) int {
	runs := 1
	if text := os.Getenv("CRASH_RUNS"); text != "" {
		var err error
		if runs, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	return runs
}

// crashSeed is CRASH_SEED, or a new one; it is said either way.
func crashSeed(t *testing.T) uint64 {
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("CRASH_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("CRASH_SEED=%d", seed)
	return seed
}

// TestCrashWhileCreating kills creates, and creates again.
func TestCrashWhileCreating(t *testing.T) {
	t.Parallel()
	crash := crashes{random: rand.New(rand.NewPCG(crashSeed(t), 1))}
	for run := range crashRuns(t) + 1 {
		c := clustertest.Start(t, 6)
		d := cluster.Desired{Nodes: specNodes(t, c.Addrs()), ReplicasPerShard: 1, Create: true}
		if run == 0 { // undisturbed
			start := time.Now()
			crash.commands = doom{Desired: d}.run(t, time.Minute)
			crash.took = time.Since(start)
		} else {
			crash.suffer(t, d)
		}
		mustApply(t, d, spec.Auth{})
		c.Close()
	}
}

// TestCrashWhileChanging kills changes of a cluster in use, and applies again:
// what was wanted comes about, no key is lost, and nothing is left to do.
func TestCrashWhileChanging(t *testing.T) {
	t.Parallel()
	const keys = 8000
	c := clustertest.Start(t, 8, clustertest.Restart())
	nodes := specNodes(t, c.Addrs())
	six := cluster.Desired{Nodes: nodes[:6], ReplicasPerShard: 1}
	mustApply(t, six, spec.Auth{})
	client := clientOf(t, c.Addrs()[:6])
	fill(t, client, keys)
	random := rand.New(rand.NewPCG(crashSeed(t), 2))
	changes := []struct {
		name   string
		before func()
		d      cluster.Desired
	}{
		{name: "scale out", d: cluster.Desired{Nodes: nodes, ReplicasPerShard: 1}},
		{name: "scale in", d: cluster.Desired{Nodes: nodes[:6], Former: nodes[6:], ReplicasPerShard: 1}},
		{name: "more replicas", d: cluster.Desired{Nodes: nodes[:8], ReplicasPerShard: 1}},
		{name: "fewer shards", d: cluster.Desired{Nodes: nodes[:6], Former: nodes[6:], ReplicasPerShard: 1}},
		{name: "rolling restart", d: cluster.Desired{Nodes: nodes[:6], ReplicasPerShard: 1, Restart: []string{"n0", "n1", "n2", "n3", "n4", "n5"}}},
		{name: "replacement", before: func() { recreate(t, c, random.IntN(6), 6) }, d: six},
	}
	known := map[string]*crashes{}
	for run := range crashRuns(t) + 1 {
		for _, change := range changes {
			t.Run(fmt.Sprintf("%s %d", change.name, run), func(t *testing.T) {
				if change.before != nil {
					change.before()
				}
				if run == 0 {
					start := time.Now()
					n := doom{Desired: change.d}.run(t, time.Minute)
					known[change.name] = &crashes{random: random, commands: n, took: time.Since(start)}
				} else {
					known[change.name].suffer(t, change.d)
				}
				if _, err := apply(t.Context(), t, change.d, spec.Auth{}); err != nil {
					t.Fatal(err)
				}
				change.d.Restart = nil
				mustApply(t, change.d, spec.Auth{})
				client.ReloadState(t.Context())
				checkFilled(t, client, keys)
				resetTimeouts(t, c)
			})
			if t.Failed() {
				return
			}
		}
	}
}

// recreate takes node i away and, when the others have taken over, brings it
// back at its address without its data, as a machine that was made anew.
func recreate(t *testing.T, c *clustertest.Cluster, i, size int) {
	t.Helper()
	n := c.Node(i)
	n.Kill()
	awaitSuccessor(t, c, i, size)
	n.Wipe()
	n.Start()
}

// awaitSuccessor waits until node i, which is down, is known to have failed and
// owns nothing any more.
func awaitSuccessor(t *testing.T, c *clustertest.Cluster, i, size int) {
	t.Helper()
	n := c.Node(i)
	other := c.Node((i + 1) % size).Client()
	deadline := time.Now().Add(30 * time.Second)
	for {
		text := other.ClusterNodes(t.Context()).Val()
		peers, err := cluster.ParseNodes(text)
		settled := err == nil && strings.Contains(other.ClusterInfo(t.Context()).Val(), "cluster_state:ok")
		for _, peer := range peers {
			if peer.Addr == n.Addr() {
				settled = settled && peer.Has("fail") && len(peer.Slots) == 0
			}
		}
		if settled {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("nobody took over from %s:\n%s", n.Addr(), text)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// resetTimeouts gives nodes whose change was killed their short timeout back,
// which they had from their redis.conf.
func resetTimeouts(t *testing.T, c *clustertest.Cluster) {
	t.Helper()
	for i := range c.Addrs() {
		if err := c.Node(i).Client().ConfigSet(t.Context(), "cluster-node-timeout", "1000").Err(); err != nil {
			t.Fatal(err)
		}
	}
}
