package report

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// sampleRun is what `make demo` runs: SET then GET for 20 s, with a primary
// stopped at 8 s and started again at 14 s.
func sampleRun() spec.LoadRun {
	p99, ops, unavailable, lost := 5.0, 50_000.0, 2_000.0, int64(0)
	return spec.LoadRun{
		Versioned: spec.V(),
		Title:     "Failover under load",
		Endpoints: []string{"127.0.0.1:7100"},
		Auth:      spec.Auth{Password: "s3cret-password"},
		Workload: spec.Workload{
			Duration: spec.Duration(20 * time.Second), Warmup: spec.Duration(2 * time.Second),
			Clients: 48, Pipeline: 1, Threads: 2,
			Operations: map[string]float64{"set": 1, "get": 1}, Sequence: "cycle",
			Keys: spec.Keys{Prefix: "key:", Minimum: 1, Maximum: 10_000, Pattern: "uniform"}, DataSize: 16, Seed: 42,
		},
		Verify:     true,
		Faults:     []spec.Fault{{At: spec.Duration(8 * time.Second), Kind: spec.FaultStop, Target: "primary:0", RecoverAfter: spec.Duration(6 * time.Second)}},
		Objectives: spec.Objectives{P99MS: &p99, ThroughputOPS: &ops, UnavailableMS: &unavailable, LostWrites: &lost},
		Runners:    1,
	}
}

func ptr[T any](v T) *T { return &v }

// sampleServer is three shards of a primary and a replica.
func sampleServer() spec.LoadServer {
	return spec.LoadServer{Version: "7.0.15", Flavor: "redis", Nodes: 6, Shards: []spec.Shard{
		{Slots: "0-5460", SlotCount: 5461, Primary: "node-0", Replicas: []string{"node-3"}, Keys: 3331},
		{Slots: "5461-10922", SlotCount: 5462, Primary: "node-1", Replicas: []string{"node-4"}, Keys: 3340},
		{Slots: "10923-16383", SlotCount: 5461, Primary: "node-2", Replicas: []string{"node-5"}, Keys: 3329},
	}}
}

// sampleResult is a result of sampleRun as it comes out on two cores: while
// shard 0 is down the clients of a closed loop end up waiting for it, so that
// the others get little to do either.
func sampleResult() spec.LoadResult {
	r := rand.New(rand.NewPCG(1, 2))
	res := spec.LoadResult{
		StartedAt: time.Date(2026, 11, 20, 13, 40, 0, 0, time.UTC), ElapsedSeconds: 20.004,
		Latency:        spec.Latency{Min: 0.061, Mean: 0.553, P50: 0.487, P90: 0.741, P95: 0.893, P99: 1.62, P999: 4.87, Max: 1347},
		Errors:         map[string]int64{"moved": 48, "connection": 31, "refused": 212, "clusterdown": 17},
		UnavailableMS:  1304,
		VerifiedWrites: 10_000,
		Passed:         true,
		Generator:      spec.Generator{CPU: 0.61, CPUMicrosPerOperation: 6.9, GCPauseMS: 1.2, IO: spec.IOUring, Hosts: []string{"localhost"}},
		Server:         sampleServer(),
		Percentiles:    samplePercentiles(1347),
	}
	res.IndeterminateWrites = 9
	res.Faults = []spec.FaultResult{{
		Kind: spec.FaultStop, Target: "primary:0", Node: "node-0", AtSeconds: 8.002, RecoveredAtSeconds: ptr(14.011),
		DetectedMS: ptr(1041.0), Promoted: "node-3", PromotedMS: ptr(1262.0), UnavailableMS: 1304,
		RejoinedAs: "replica", RejoinedMS: ptr(6620.0),
	}}
	res.Outages = []spec.Outage{
		{Shard: 0, Access: "write", AtSeconds: 8.002, DurationMS: 1304}, {Shard: 0, Access: "read", AtSeconds: 8.004, DurationMS: 1290},
	}
	workload := sampleRun().Workload
	res.Workload = &workload
	for s := range 20 {
		full := 90_000 + 3_000*r.NormFloat64()
		in := spec.Interval{Second: float64(s), P50: 0.48 + 0.02*r.Float64(), P99: 1.4 + 0.3*r.Float64(), Max: 4 + 6*r.Float64()}
		down := 0.0 // of the second
		switch s {
		case 8:
			down, in.Max, in.Errors = 0.96, 31, 243
		case 9:
			down, in.Max, in.P99, in.Errors = 0.31, 1347, 2.9, 65
		case 14:
			in.Max, full = 38, full*0.93
		}
		for shard := range 3 {
			part := full / 3 * (1 + 0.01*r.NormFloat64())
			if shard == 0 && s == 8 {
				part *= 0.002 / (1 - down)
			}
			in.ByShard = append(in.ByShard, int64(part*(1-down)))
		}
		for _, n := range in.ByShard {
			in.Operations += n
		}
		res.Timeline = append(res.Timeline, in)
		res.Operations += in.Operations
	}
	res.ThroughputOPS = float64(res.Operations) / res.ElapsedSeconds
	res.ThroughputMBPerSecond = res.ThroughputOPS * 50 / 1e6
	half := res.Operations / 2
	res.ByCommand = []spec.CommandResult{
		{Command: "SET", Operations: half, ThroughputOPS: float64(half) / res.ElapsedSeconds, Latency: spec.Latency{Min: 0.063, Mean: 0.561, P50: 0.491, P90: 0.75, P95: 0.91, P99: 1.66, P999: 4.9, Max: 1347}},
		{Command: "GET", Operations: half, ThroughputOPS: float64(half) / res.ElapsedSeconds, Misses: 12, Latency: spec.Latency{Min: 0.061, Mean: 0.545, P50: 0.483, P90: 0.73, P95: 0.88, P99: 1.58, P999: 4.81, Max: 1331}},
	}
	return res
}

// samplePercentiles is a distribution with a long tail that ends at most ms.
func samplePercentiles(most float64) []spec.Percentile {
	ps := []spec.Percentile{{Percentile: 0, MS: 0.061}}
	for n := 0.05; n < 6.2; n += 0.05 {
		ms := 0.40 + 0.16*n*n
		if n > 4.5 {
			ms += (most - ms) * min((n-4.5)/0.5, 1)
		}
		ps = append(ps, spec.Percentile{Percentile: 100 * (1 - math.Pow(10, -n)), MS: ms})
	}
	return append(ps, spec.Percentile{Percentile: 100, MS: most})
}

// sampleBaseline is a quieter run of the day before.
func sampleBaseline() spec.LoadResult {
	res := sampleResult()
	res.StartedAt = res.StartedAt.AddDate(0, 0, -1)
	res.Faults, res.UnavailableMS, res.Errors, res.Outages = nil, 0, nil, nil
	workload := sampleRun().Workload
	workload.DataSize = 1024
	res.Workload = &workload
	r := rand.New(rand.NewPCG(3, 4))
	res.Operations = 0
	for i := range res.Timeline {
		in := &res.Timeline[i]
		in.Operations = int64(84_000 + 2_000*r.NormFloat64())
		in.Errors, in.P50, in.P99, in.Max = 0, 0.52, 1.9+0.2*r.Float64(), 6+2*r.Float64()
		res.Operations += in.Operations
	}
	res.ThroughputOPS = float64(res.Operations) / res.ElapsedSeconds
	res.Latency = spec.Latency{Min: 0.06, Mean: 0.571, P50: 0.52, P90: 0.8, P95: 0.95, P99: 1.98, P999: 4.9, Max: 8.4}
	res.Percentiles = samplePercentiles(8.4)
	return res
}

// sampleStages is a load in two stages on two runners, one of which was lost.
func sampleStages() (spec.LoadRun, spec.LoadResult) {
	run, res := sampleRun(), sampleResult()
	run.Runners = 2
	run.Workload.Stages = []spec.Stage{{Name: "small", Duration: spec.Duration(10 * time.Second), DataSize: 16}, {Duration: spec.Duration(10 * time.Second), DataSize: 1024}}
	for i, s := range run.Workload.Stages {
		res.Stages = append(res.Stages, spec.StageResult{
			Name: s.Name, AtSeconds: 10 * float64(i), ElapsedSeconds: 10, Operations: res.Operations / 2, ThroughputOPS: 90_000, Latency: res.Latency, ByCommand: res.ByCommand,
		})
	}
	res.Runners = []spec.RunnerResult{
		{Name: "east", Share: 0.5, Operations: res.Operations, ThroughputOPS: res.ThroughputOPS, CPU: 0.6},
		{Name: "west", Share: 0.5, LostAtSeconds: ptr(12.5), Error: "signal: killed"},
	}
	res.Generator.Hosts = []string{"east"}
	res.Warnings = []string{"the runner west was lost 12.5 s after the start (signal: killed): its share, 1 of 2 or 50 % of the load, was not sent from then on"}
	return run, res
}

// longResult is an hour on that many shards, with one slow second and one
// short dip that must survive folding.
func longResult(shards int) spec.LoadResult {
	r := rand.New(rand.NewPCG(5, 6))
	res := sampleResult()
	res.ElapsedSeconds, res.Timeline, res.Faults = 3600, nil, nil
	res.Server.Shards = nil
	for range shards {
		res.Server.Shards = append(res.Server.Shards, spec.Shard{Slots: "0-15", Primary: "node", Replicas: []string{"other"}})
	}
	for s := range 3600 {
		in := spec.Interval{Second: float64(s), P50: 0.45 + 0.1*r.Float64(), P99: 1 + r.Float64(), Max: 3 + 5*r.Float64()}
		if s == 1801 {
			in.Max, in.Errors = 2750, 7
		}
		for i := range shards {
			n := int64(90_000.0 / float64(shards) * (1 + 0.05*r.NormFloat64()))
			if s == 2500 && i == shards-1 {
				n = 1
			}
			in.ByShard = append(in.ByShard, n)
			in.Operations += n
		}
		res.Timeline = append(res.Timeline, in)
	}
	return res
}
