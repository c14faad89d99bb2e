//go:build linux

package cluster_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
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
	flag.Parse()
	// Each property of the planner is tried with so many cases: PLAN_CASES, or as
	// many as the library finds right.
	if cases := os.Getenv("PLAN_CASES"); cases != "" {
		if err := flag.Set("rapid.checks", cases); err != nil {
			fmt.Fprintln(os.Stderr, "PLAN_CASES:", err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

// doom is a request to apply Desired, or with absent nodes to relieve them, and
// to come to grief while doing so.
type doom struct {
	Desired cluster.Desired
	// At counts commands that change something, from 1: at this one it happens;
	// 0 lets the program live.
	At int
	// Cut is what happens: the program loses the connections to the node that the
	// command is for, or to all. Without it the program is killed.
	Cut cut
	// Sent is how much of a pipeline still goes out, from 0 (nothing) to 1 (all).
	Sent float64
}

// cut says which connections are lost.
type cut int

const (
	cutNone cut = iota
	cutNode
	cutAll
)

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
	f := &fate{doom: d}
	fleet.AddHooks(func(node string) redis.Hook { return &reaper{fate: f, node: node} })
	if len(d.Desired.Absent) > 0 {
		_, err = cluster.Relieve(context.Background(), hclog.NewNullLogger(), fleet, d.Desired)
	} else {
		_, err = cluster.Apply(context.Background(), hclog.NewNullLogger(), fleet, d.Desired)
	}
	if err != nil {
		fmt.Println(err)
		if f.cut.Load() != nil {
			return cutOff
		}
		return 1
	}
	fmt.Println(f.changes.Load())
	return 0
}

// cutOff is the exit code of an apply that failed when it lost its connections.
const cutOff = 3

// fate counts the commands that change something, to all nodes.
type fate struct {
	doom
	changes atomic.Int64
	// cut is the node that is cut off, or "" for all.
	cut atomic.Pointer[string]
}

// strike does what is to happen at a command to node.
func (f *fate) strike(node string) {
	switch f.Cut {
	case cutNode:
		f.cut.Store(&node)
	case cutAll:
		f.cut.Store(new(string))
	case cutNone:
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
}

// lost is the error of commands to node if it is cut off.
func (f *fate) lost(node string) error {
	if c := f.cut.Load(); c != nil && (*c == "" || *c == node) {
		return &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
	}
	return nil
}

// reaper has one node's commands meet their fate.
type reaper struct {
	*fate
	node string
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
			r.strike(r.node)
		}
		if err := r.lost(r.node); err != nil {
			cmd.SetErr(err)
			return err
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
			r.strike(r.node)
		}
		if err := r.lost(r.node); err != nil {
			for _, cmd := range cmds {
				cmd.SetErr(err)
			}
			return err
		}
		return next(ctx, cmds)
	}
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
	if err != nil && !cmd.ProcessState.Success() { // the limit may pass just when it has ended
		if status := cmd.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() && status.ExitStatus() != cutOff {
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

// crashes draws ways to come to grief: at a command, or at a moment.
type crashes struct {
	random *rand.Rand
	// commands and took are what the change takes undisturbed.
	commands int
	took     time.Duration
	// next is the command at which the next change is cut off first, so that
	// after as many runs as there are commands each of them had its turn.
	next int
}

// suffer begins the change a few times, and never comes to its end but by luck.
func (c *crashes) suffer(t *testing.T, d cluster.Desired) {
	t.Helper()
	for life := range 1 + c.random.IntN(2) {
		way := doom{Desired: d, Sent: float64(c.random.IntN(5)) / 4}
		limit := time.Minute
		switch {
		case life == 0:
			way.At = 1 + c.next%max(1, c.commands)
			c.next++
		case c.random.IntN(2) == 0:
			way.At = 1 + c.random.IntN(max(1, c.commands))
		default:
			limit = time.Duration(c.random.Int64N(int64(c.took) + 1))
		}
		if way.At > 0 && c.random.IntN(3) == 0 {
			way.Cut = cut(1 + c.random.IntN(2))
		}
		n := way.run(t, limit)
		t.Logf("%s at command %d of %d (%.2f of it sent) or killed after %s: %s", [...]string{"killed", "node lost", "all nodes lost"}[way.Cut],
			way.At, c.commands, way.Sent, limit, map[bool]string{true: "it ended there", false: "it came to its end"}[n == 0])
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
			crash.next = crash.random.IntN(max(1, crash.commands))
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
	c := clustertest.Start(t, 9, clustertest.Restart())
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
		{name: "scale out", d: cluster.Desired{Nodes: nodes[:8], Former: nodes[8:], ReplicasPerShard: 1}},
		{name: "scale in", d: cluster.Desired{Nodes: nodes[:6], Former: nodes[6:], ReplicasPerShard: 1}},
		{name: "more replicas", d: cluster.Desired{Nodes: nodes, ReplicasPerShard: 2}},
		{name: "fewer replicas", d: cluster.Desired{Nodes: nodes[:6], Former: nodes[6:], ReplicasPerShard: 1}},
		{name: "rolling restart", d: cluster.Desired{Nodes: nodes[:6], ReplicasPerShard: 1, Restart: []string{"n0", "n1", "n2", "n3", "n4", "n5"}}},
		{name: "replacement", before: func() { recreate(t, c, random.IntN(6), 6) }, d: six},
		{name: "replacement of two that nobody missed", before: func() { relieveWithCrashes(t, c, random, six) }, d: six},
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
					known[change.name] = &crashes{random: random, commands: n, took: time.Since(start), next: random.IntN(max(1, n))}
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

// relieveWithCrashes takes two nodes of different shards away before the others
// notice, relieves them, which is cut off at first, and starts them without their data.
func relieveWithCrashes(t *testing.T, c *clustertest.Cluster, random *rand.Rand, d cluster.Desired) {
	t.Helper()
	p := patient{Cluster: c, t: t, d: d}
	p.timeout("600000")
	primary := p.primaries()[random.IntN(3)]
	lost := []int{primary, p.replicaNot(primary)}
	relief := p.lose(lost)
	for range random.IntN(3) {
		doom{Desired: relief, At: 1, Sent: float64(random.IntN(2)), Cut: cut(random.IntN(3))}.run(t, time.Minute)
	}
	if _, err := p.relieve(relief); err != nil {
		t.Fatal(err)
	}
	p.restart(lost)
}

// recreate takes node i away and, when the others have taken over, brings it
// back at its address without its data, as a machine that was made anew.
func recreate(t testing.TB, c *clustertest.Cluster, i, size int) {
	t.Helper()
	n := c.Node(i)
	n.Kill()
	awaitSuccessor(t, c, i, size)
	n.Wipe()
	n.Start()
}

// awaitSuccessor waits until node i, which is down, is known to have failed and
// owns nothing any more.
func awaitSuccessor(t testing.TB, c *clustertest.Cluster, i, size int) {
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
