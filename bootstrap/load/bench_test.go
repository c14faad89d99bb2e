//go:build linux

package load

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/clustertest"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// The benchmarks run whole programs against the same cluster in turn, and compare
// what their processes cost. Servers and generators share this machine, so
// processor time per operation says more than operations per second.
const (
	benchClients = 48
	benchKeys    = 1_000_000
	benchRounds  = 3
	// costTurns is how many turns the programs take when their costs are compared.
	costTurns = 7
	// ours is the name of our program.
	ours = "ours"
)

// cost is processor time, in µs per operation. Where the kernel has no finer
// accounting, user is the exact whole times the part of its clock's ticks that met
// user code. That takes next to nothing of the kernel's work for ours: a loop that
// sent ready pipelines of 16 by the same system calls had 0.01 µs of user time.
type cost struct{ user, system float64 }

func (c cost) total() float64 { return c.user + c.system }

// process runs a program to its end and returns its processor time in µs.
func process(b *testing.B, program string, args ...string) cost {
	b.Helper()
	cmd := exec.CommandContext(b.Context(), program, args...)
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%s: %v\n%s", program, err, out)
	}
	return cost{float64(cmd.ProcessState.UserTime().Microseconds()), float64(cmd.ProcessState.SystemTime().Microseconds())}
}

// generator is a load generator: its arguments for a number of operations.
type generator func(operations int) []string

func (g generator) run(b *testing.B, operations int) cost {
	b.Helper()
	args := g(operations)
	return process(b, args[0], args[1:]...)
}

// shortRun is the part of the operations that a short run has.
const shortRun = 0.2

// cost is what an operation costs, without what the program needs to start and to
// end: a long run less a short one. A run that does next to nothing would not do as
// the short one: redis-benchmark takes 60 to 280 ms of processor time for 48 commands.
func (g generator) cost(b *testing.B, operations int) cost {
	b.Helper()
	few := int(shortRun * float64(operations))
	less, all, per := g.run(b, few), g.run(b, operations), float64(operations-few)
	return cost{(all.user - less.user) / per, (all.system - less.system) / per}
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

// buildOurs builds redis-bootstrap as it is shipped.
func buildOurs(b *testing.B) string {
	b.Helper()
	path := filepath.Join(b.TempDir(), "redis-bootstrap")
	if out, err := exec.CommandContext(b.Context(), "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, "../").CombinedOutput(); err != nil {
		b.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

// generators are the programs to compare.
func generators(b *testing.B, port string, pipeline int) map[string]generator {
	program, depth, clients, keys := buildOurs(b), strconv.Itoa(pipeline), strconv.Itoa(benchClients), strconv.Itoa(benchKeys)
	all := map[string]generator{
		ours: func(n int) []string {
			return []string{program, "load", "-p", port, "-c", clients, "-P", depth, "-t", "1", "-d", "16", "-n", strconv.Itoa(n), "--key-maximum", keys, "--json"}
		},
		"redis-benchmark": func(n int) []string { // it does SETs and then GETs
			return []string{"redis-benchmark", "-p", port, "--cluster", "-t", "set,get", "-n", strconv.Itoa(n / 2), "-c", clients, "-P", depth, "-d", "16", "-r", keys, "-q"}
		},
	}
	if memtier, err := exec.LookPath("memtier_benchmark"); err == nil {
		const shards = 3 // it opens so many connections to each
		all["memtier_benchmark"] = func(n int) []string {
			return []string{memtier, "--cluster-mode", "-p", port, "-c", strconv.Itoa(benchClients / shards), "-t", "1", "--pipeline", depth, "-d", "16", "--ratio", "1:1", "--key-maximum", keys, "-n", strconv.Itoa(n * shards / benchClients), "--hide-histogram"}
		}
	}
	return all
}

// BenchmarkCost compares one thread with one thread, with the same number of
// clients, pipeline, value size and key range. The programs take turns, in both
// orders, because a machine is not equally fast all the time; a ratio is the median
// of those within a turn.
func BenchmarkCost(b *testing.B) {
	c := clustertest.Start(b, 6)
	c.Form(1)
	for _, k := range []struct{ pipeline, operations int }{{1, 300_000}, {16, 1_500_000}} {
		b.Run(fmt.Sprintf("pipeline=%d", k.pipeline), func(b *testing.B) {
			all := generators(b, strconv.Itoa(c.Node(0).Port()), k.pipeline)
			names := slices.Sorted(maps.Keys(all))
			for _, name := range names {
				all[name].run(b, k.operations) // has the keys there for all that follow
			}
			var user, total []float64
			ratios := map[string][]float64{}
			for b.Loop() {
				for range costTurns {
					turn := map[string]cost{}
					for _, name := range names {
						turn[name] = all[name].cost(b, k.operations)
					}
					slices.Reverse(names)
					own := turn[ours]
					user, total = append(user, own.user), append(total, own.total())
					for name, other := range turn {
						if name != ours {
							ratios[name] = append(ratios[name], other.total()/own.total())
						}
					}
				}
			}
			b.ReportMetric(median(user), "µs-user/op")
			b.ReportMetric(median(total), "µs/op")
			for name, r := range ratios {
				b.ReportMetric(median(r), name+"/ours")
				b.ReportMetric(r[0], name+"/ours-lowest") // median has sorted them
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// inProcess runs our load in this process.
func inProcess(b *testing.B, r spec.LoadRun) spec.LoadResult {
	b.Helper()
	res, err := Run(b.Context(), r, Hooks{})
	if err != nil {
		b.Fatal(err)
	}
	return res
}

// BenchmarkBillionAnHour measures SETs of uuid-counter keys, the key twice over
// as the value, against the rate of a billion of them an hour.
func BenchmarkBillionAnHour(b *testing.B) {
	const billion = 1e9 / 3600
	c := clustertest.Start(b, 3)
	c.Form(0)
	for _, k := range []struct{ clients, pipeline int }{{64, 128}, {2000, 16}} {
		b.Run(fmt.Sprintf("clients=%d/pipeline=%d", k.clients, k.pipeline), func(b *testing.B) {
			best, own := 0.0, []float64(nil)
			for b.Loop() {
				for range benchRounds {
					res := inProcess(b, request(c.Addrs(), spec.Workload{
						Duration: seconds(3), Clients: k.clients, Pipeline: k.pipeline, Threads: 1, Keys: spec.Keys{ClientUUID: true},
						Commands: []spec.Command{{Command: "SET __key__ __key____key__", Weight: 1}},
					}))
					best, own = max(best, res.ThroughputOPS), append(own, res.Generator.CPUMicrosPerOperation)
					for i := range 3 {
						if err := c.Node(i).Client().FlushAll(b.Context()).Err(); err != nil {
							b.Fatal(err)
						}
					}
				}
			}
			b.ReportMetric(best, "SETs/s")
			b.ReportMetric(median(own), "µs/op")
			b.ReportMetric(best/billion, "ours/billion-an-hour")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkVerify measures what verification takes off the throughput.
func BenchmarkVerify(b *testing.B) {
	c := clustertest.Start(b, 3)
	c.Form(0)
	for _, pipeline := range []int{1, 16} {
		b.Run(fmt.Sprintf("pipeline=%d", pipeline), func(b *testing.B) {
			r := request(c.Addrs(), spec.Workload{Duration: seconds(2), Clients: benchClients, Pipeline: pipeline, Threads: 1, DataSize: 16, Keys: spec.Keys{Maximum: benchKeys}})
			var lost []float64
			for b.Loop() {
				for range benchRounds {
					r.Verify = false
					before := inProcess(b, r)
					r.Verify = true
					with := inProcess(b, r)
					r.Verify = false // what the machine does meanwhile shows on both sides
					after := inProcess(b, r)
					lost = append(lost, 1-2*with.ThroughputOPS/(before.ThroughputOPS+after.ThroughputOPS))
				}
			}
			b.ReportMetric(100*median(lost), "%-of-throughput")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkManyConnections holds 10,000 connections from one process, for a time
// in which its memory would be seen to grow.
func BenchmarkManyConnections(b *testing.B) {
	program := buildOurs(b)
	c := clustertest.Start(b, 3, clustertest.Directive("maxclients", "15000"))
	c.Form(0)
	for b.Loop() {
		cmd := exec.CommandContext(b.Context(), program, "load", "-p", strconv.Itoa(c.Node(0).Port()), "-c", "3334", "--duration", "60s", "--json")
		var out bytes.Buffer
		cmd.Stdout = &out
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		var memory []float64
		ended := make(chan error)
		go func() { ended <- cmd.Wait() }()
		for tick, err := time.NewTicker(time.Second), error(nil); tick != nil; {
			select {
			case <-tick.C:
				if size := resident(b, cmd.Process.Pid); size > 0 {
					memory = append(memory, size)
				}
			case err = <-ended:
				tick.Stop()
				tick = nil
				if err != nil {
					b.Fatal(err)
				}
			}
		}
		var res spec.LoadResult
		if err := json.Unmarshal(out.Bytes(), &res); err != nil {
			b.Fatal(err)
		}
		if res.FailedOperations > 0 || len(res.Errors) > 0 {
			b.Fatalf("%d failed, errors %v", res.FailedOperations, res.Errors)
		}
		b.ReportMetric(res.ThroughputOPS, "ops/s")
		b.ReportMetric(memory[len(memory)/6], "MB-after-10s")
		b.ReportMetric(memory[len(memory)-2], "MB-after-60s")
	}
	b.ReportMetric(0, "ns/op")
}

// resident is the memory of a process in MB; 0 if it has ended.
func resident(b *testing.B, pid int) float64 {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	var size, pages int
	if _, err := fmt.Sscan(string(text), &size, &pages); err != nil {
		return 0
	}
	return float64(pages*os.Getpagesize()) / 1e6
}
