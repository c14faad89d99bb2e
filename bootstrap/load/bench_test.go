//go:build linux

package load

import (
	"encoding/json"
	"fmt"
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
)

// cost is processor time per operation, in µs.
type cost struct{ user, system float64 }

func (c cost) total() float64 { return c.user + c.system }

// generatorCost runs a load generator that does so many operations.
func generatorCost(b *testing.B, operations int, program string, args ...string) (cost, []byte) {
	b.Helper()
	cmd := exec.CommandContext(b.Context(), program, args...)
	out, err := cmd.Output()
	if err != nil {
		b.Fatalf("%s: %v\n%s", program, err, out)
	}
	per := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 / float64(operations) }
	return cost{per(cmd.ProcessState.UserTime()), per(cmd.ProcessState.SystemTime())}, out
}

func median(costs []cost) cost {
	slices.SortFunc(costs, func(a, b cost) int { return int(1e6 * (a.total() - b.total())) })
	return costs[len(costs)/2]
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

// BenchmarkCost compares one thread with one thread, with the same number of
// commands under way, value size and key range.
func BenchmarkCost(b *testing.B) {
	ours := buildOurs(b)
	c := clustertest.Start(b, 6)
	c.Form(1)
	port := strconv.Itoa(c.Node(0).Port())
	for pipeline, operations := range map[int]int{1: 400_000, 16: 4_000_000} {
		b.Run(fmt.Sprintf("pipeline=%d", pipeline), func(b *testing.B) {
			costs := map[string][]cost{}
			for b.Loop() {
				for range benchRounds {
					n, depth, clients := strconv.Itoa(operations), strconv.Itoa(pipeline), strconv.Itoa(benchClients)
					own, _ := generatorCost(b, operations, ours, "load", "-p", port, "-c", clients, "-P", depth, "-t", "1", "-d", "16", "-n", n, "--key-maximum", strconv.Itoa(benchKeys), "--json")
					costs["ours"] = append(costs["ours"], own)
					half := strconv.Itoa(operations / 2) // it does SETs and then GETs
					bench, _ := generatorCost(b, operations, "redis-benchmark", "-p", port, "--cluster", "-t", "set,get", "-n", half, "-c", clients, "-P", depth, "-d", "16", "-r", strconv.Itoa(benchKeys), "-q")
					costs["redis-benchmark"] = append(costs["redis-benchmark"], bench)
					if memtier, err := exec.LookPath("memtier_benchmark"); err == nil {
						per := operations / (benchClients / 3)
						m, _ := generatorCost(b, operations, memtier, "--cluster-mode", "-p", port, "-c", strconv.Itoa(benchClients/3), "-t", "1", "--pipeline", depth, "-d", "16", "--ratio", "1:1", "--key-maximum", strconv.Itoa(benchKeys), "-n", strconv.Itoa(per), "--hide-histogram")
						costs["memtier_benchmark"] = append(costs["memtier_benchmark"], m)
					}
				}
			}
			own := median(costs["ours"])
			b.ReportMetric(own.user, "µs-user/op")
			b.ReportMetric(own.total(), "µs/op")
			for _, other := range []string{"redis-benchmark", "memtier_benchmark"} {
				if len(costs[other]) > 0 {
					b.ReportMetric(median(costs[other]).total()/own.total(), other+"/ours")
				}
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// throughput runs our load for a few seconds and returns its operations per second.
func throughput(b *testing.B, r spec.LoadRun) float64 {
	b.Helper()
	res, err := Run(b.Context(), r, Hooks{})
	if err != nil {
		b.Fatal(err)
	}
	return res.ThroughputOPS
}

// BenchmarkBillionAnHour measures SETs of uuid-counter keys, the key twice over
// as the value, against the rate of a billion of them an hour.
func BenchmarkBillionAnHour(b *testing.B) {
	const billion = 1e9 / 3600
	c := clustertest.Start(b, 3)
	c.Form(0)
	best := 0.0
	for b.Loop() {
		best = max(best, throughput(b, request(c.Addrs(), spec.Workload{
			Duration: seconds(5), Clients: 64, Pipeline: 64, Keys: spec.Keys{ClientUUID: true},
			Commands: []spec.Command{{Command: "SET __key__ __key____key__", Weight: 1}},
		})))
	}
	b.ReportMetric(best, "SETs/s")
	b.ReportMetric(best/billion, "ours/billion-an-hour")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkVerify measures what verification takes off the throughput.
func BenchmarkVerify(b *testing.B) {
	c := clustertest.Start(b, 3)
	c.Form(0)
	r := request(c.Addrs(), spec.Workload{Duration: seconds(3), Clients: benchClients, Threads: 1, DataSize: 16, Keys: spec.Keys{Maximum: benchKeys}})
	var without, with []float64
	for b.Loop() {
		for range benchRounds {
			r.Verify = false
			without = append(without, throughput(b, r))
			r.Verify = true
			with = append(with, throughput(b, r))
		}
	}
	slices.Sort(without)
	slices.Sort(with)
	b.ReportMetric(1-with[len(with)/2]/without[len(without)/2], "of-throughput")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkManyConnections holds 10,000 connections from one process.
func BenchmarkManyConnections(b *testing.B) {
	ours := buildOurs(b)
	c := clustertest.Start(b, 3, clustertest.Directive("maxclients", "20000"))
	c.Form(0)
	for b.Loop() {
		_, out := generatorCost(b, 1, ours, "load", "-p", strconv.Itoa(c.Node(0).Port()), "-c", "3334", "--duration", "5s", "--json")
		var res spec.LoadResult
		if err := json.Unmarshal(out, &res); err != nil {
			b.Fatal(err)
		}
		if res.FailedOperations > 0 || len(res.Errors) > 0 {
			b.Fatalf("%d failed, errors %v", res.FailedOperations, res.Errors)
		}
		b.ReportMetric(res.ThroughputOPS, "ops/s")
	}
	b.ReportMetric(0, "ns/op")
}
