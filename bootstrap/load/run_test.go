//go:build linux

package load

import (
	"context"
	"errors"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/clustertest"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/load/measure"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/load/uring"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

func TestMain(m *testing.M) {
	redis.SetLogger(&logging.VoidLogger{}) // as main does
	os.Exit(m.Run())
}

// request is a load of the cluster, or server, at the addresses.
func request(addrs []string, w spec.Workload) spec.LoadRun {
	return spec.LoadRun{Versioned: spec.V(), Endpoints: addrs[:1], Workload: w}
}

func run(t *testing.T, r spec.LoadRun, hooks Hooks) spec.LoadResult {
	t.Helper()
	res, err := Run(t.Context(), r, hooks)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func seconds(s float64) spec.Duration { return spec.Duration(s * float64(time.Second)) }

func TestALoadDoesExactlyWhatWasAsked(t *testing.T) {
	c := clustertest.Start(t, 3, clustertest.Password("sesame"))
	c.Form(0)
	for name, w := range map[string]spec.Workload{
		"one by one": {Requests: 4001, Clients: 7, Threads: 2, Sequence: spec.SequenceCycle, Keys: spec.Keys{Minimum: 1, Maximum: 100}},
		"pipelined":  {Requests: 10_003, Clients: 5, Threads: 2, Pipeline: 16, Sequence: spec.SequenceCycle, Keys: spec.Keys{Length: 8}, DataSize: 16},
		"paced":      {Requests: 1000, Clients: 5, Threads: 2, Rate: 5000, Arrival: spec.ArrivalPoisson, Sequence: spec.SequenceCycle, Keys: spec.Keys{Length: 8}},
		"large":      {Requests: 600, Clients: 40, Threads: 1, Pipeline: 2, Sequence: spec.SequenceCycle, Keys: spec.Keys{Maximum: 20}, DataSizes: []spec.DataSize{{Minimum: 20_000, Maximum: 300_000, Weight: 1}}},
	} {
		t.Run(name, eachIO(func(t *testing.T, io string) {
			r := request(c.Addrs(), w)
			r.Auth.Password, r.IO = "sesame", io
			res := run(t, r, Hooks{})
			if res.Generator.IO != io {
				t.Errorf("the load went by %s", res.Generator.IO)
			}
			if res.Operations != w.Requests || res.FailedOperations != 0 || len(res.Errors) != 0 {
				t.Errorf("%d operations of %d, %d failed, errors %v", res.Operations, w.Requests, res.FailedOperations, res.Errors)
			}
			byCommand, byShard, bySecond := int64(0), int64(0), int64(0)
			for _, k := range res.ByCommand {
				byCommand += k.Operations
			}
			for _, iv := range res.Timeline {
				bySecond += iv.Operations
				for _, n := range iv.ByShard {
					byShard += n
				}
			}
			if byCommand != w.Requests || byShard != w.Requests || bySecond != w.Requests {
				t.Errorf("%d by command, %d by shard, %d by second", byCommand, byShard, bySecond)
			}
			if len(res.Server.Shards) != 3 || res.Server.Version == "" {
				t.Errorf("server: %+v", res.Server)
			}
		}))
	}
}

// eachIO tests every way to speak with the kernel that this one offers.
func eachIO(test func(t *testing.T, io string)) func(*testing.T) {
	return func(t *testing.T) {
		for _, io := range []string{spec.IOUring, spec.IOEpoll} {
			t.Run(io, func(t *testing.T) {
				if io == spec.IOUring {
					needUring(t)
				}
				test(t, io)
			})
		}
	}
}

func needUring(t *testing.T) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	ring, err := uring.New(1, 1, 1)
	if err != nil {
		t.Skipf("this kernel offers no io_uring that will do: %v", err)
	}
	if err := ring.Close(); err != nil {
		t.Error(err)
	}
}

func TestEveryGetFindsWhatItsSetWrote(t *testing.T) {
	c := clustertest.Start(t, 3)
	c.Form(0)
	res := run(t, request(c.Addrs(), spec.Workload{Requests: 2000, Clients: 4, Sequence: spec.SequenceCycle, Keys: spec.Keys{Pattern: spec.PatternUnique}}), Hooks{})
	for _, k := range res.ByCommand {
		if k.Misses > 0 || k.Operations != 1000 {
			t.Errorf("%s: %d operations, %d misses", k.Command, k.Operations, k.Misses)
		}
	}
}

func TestALoadLastsAsLongAsItShould(t *testing.T) {
	c := clustertest.Start(t, 1, clustertest.Directive("cluster-enabled", "no"))
	var seen []Progress
	res := run(t, request(c.Addrs(), spec.Workload{Duration: seconds(2), Warmup: seconds(0.5), Clients: 3}), Hooks{Progress: func(p Progress) { seen = append(seen, p) }})
	if res.ElapsedSeconds < 1.99 || res.ElapsedSeconds >= 2.5 || len(res.Timeline) != 2 {
		t.Errorf("it took %.3f s and has %d seconds", res.ElapsedSeconds, len(res.Timeline))
	}
	if len(seen) != 2 || seen[1].Operations != res.Operations {
		t.Errorf("progress: %+v, of %d operations", seen, res.Operations)
	}
}

func TestInterruptedLoadReportsWhatItMeasured(t *testing.T) {
	c := clustertest.Start(t, 1, clustertest.Directive("cluster-enabled", "no"))
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	res, err := Run(ctx, request(c.Addrs(), spec.Workload{Duration: seconds(60), Clients: 3}), Hooks{})
	if err != nil || !res.Interrupted || res.Operations == 0 || res.ElapsedSeconds > 2 {
		t.Errorf("%v: interrupted %t, %d operations in %.1f s", err, res.Interrupted, res.Operations, res.ElapsedSeconds)
	}
}

func TestRefusedBeforeTheFirstRequest(t *testing.T) {
	c := clustertest.Start(t, 1, clustertest.Directive("cluster-enabled", "no"), clustertest.Directive("proto-max-bulk-len", "1mb"), clustertest.Password("sesame"))
	command := func(line string) spec.Workload {
		return spec.Workload{Requests: 1, Commands: []spec.Command{{Command: line, Weight: 1}}}
	}
	for name, k := range map[string]struct {
		change func(*spec.LoadRun)
		want   string
	}{
		"unknown command":    {func(r *spec.LoadRun) { r.Workload = command("FROB __key__") }, "does not know it"},
		"wrong key position": {func(r *spec.LoadRun) { r.Workload = command("SET a __key__") }, "does not stand where"},
		"no placeholder":     {func(r *spec.LoadRun) { r.Workload = command("GET a") }, "no __key__"},
		"wrong arity":        {func(r *spec.LoadRun) { r.Workload = command("GET") }, "wrong number of arguments"},
		"keys apart":         {func(r *spec.LoadRun) { r.Workload = command("MGET __key__ b:__key__") }, "different slots"},
		"too big":            {func(r *spec.LoadRun) { r.Workload = spec.Workload{Requests: 1, DataSize: 2 << 20} }, "proto-max-bulk-len"},
		"too many clients":   {func(r *spec.LoadRun) { r.Workload.Clients = 10_001 }, "maxclients is 10000"},
		"wrong password":     {func(r *spec.LoadRun) { r.Auth.Password = "open" }, "WRONGPASS"},
		"no such node":       {func(r *spec.LoadRun) { r.Faults = []spec.Fault{{Kind: spec.FaultKill, Target: "node:x"}} }, `no node "x"`},
		"no such shard":      {func(r *spec.LoadRun) { r.Faults = []spec.Fault{{Kind: spec.FaultKill, Target: "primary:5"}} }, "no shard 5"},
		"zero weights":       {func(r *spec.LoadRun) { r.Workload.Operations = map[string]float64{"set": 0} }, "sum to zero"},
		"no such transport":  {func(r *spec.LoadRun) { r.IO = "kqueue" }, `io must be io_uring or epoll, not "kqueue"`},
		"unverifiable":       {func(r *spec.LoadRun) { r.Verify, r.Workload.DataSize = true, 3 }, "verify needs 11 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			r := request(c.Addrs(), spec.Workload{Requests: 1})
			r.Auth.Password = "sesame"
			k.change(&r)
			_, err := Run(t.Context(), r, Hooks{})
			var failure *spec.Failure
			if !errors.As(err, &failure) || !strings.Contains(err.Error(), k.want) {
				t.Errorf("got %v, want %q", err, k.want)
			}
		})
	}
}

func TestStagesHaveResultsOfTheirOwn(t *testing.T) {
	c := clustertest.Start(t, 1, clustertest.Directive("cluster-enabled", "no"))
	res := run(t, request(c.Addrs(), spec.Workload{Clients: 2, Stages: []spec.Stage{
		{Name: "slow", Duration: seconds(1), Rate: 500}, {Name: "ramp", Duration: seconds(1), Rate: 1500, Ramp: true}, {Name: "fast", Duration: seconds(1), DataSize: 1000},
	}}), Hooks{})
	for i, want := range []int64{500, 1000, 1500} {
		if n := res.Stages[i].Operations; n < want*98/100 || n > want*102/100 {
			t.Errorf("stage %s: %d operations, want %d", res.Stages[i].Name, n, want)
		}
	}
}

// together runs loads that await each other, and gives their results. If due is
// given, it makes what injects the faults that the loads say are due.
func together(t *testing.T, requests []spec.LoadRun, due func(chan<- spec.LoadControl) func(int, string)) []spec.LoadResult {
	t.Helper()
	results := make([]spec.LoadResult, len(requests))
	starts := make([]chan spec.LoadControl, len(requests))
	var ready, done sync.WaitGroup
	ready.Add(len(requests))
	for i, r := range requests {
		r.Runner, r.Runners, r.Await = i, len(requests), true
		starts[i] = make(chan spec.LoadControl)
		done.Go(func() {
			hooks := Hooks{Controls: starts[i], Ready: ready.Done}
			if due != nil {
				hooks.FaultDue = due(starts[i])
			}
			var err error
			if results[i], err = Run(t.Context(), r, hooks); err != nil {
				t.Error(err)
			}
		})
	}
	ready.Wait()
	for _, start := range starts {
		start <- spec.LoadControl{Start: true}
	}
	done.Wait()
	return results
}

func TestMergingIsExact(t *testing.T) {
	c := clustertest.Start(t, 1, clustertest.Directive("cluster-enabled", "no"))
	r := request(c.Addrs(), spec.Workload{Duration: seconds(1.5), Clients: 2, Rate: 1000})
	results := together(t, []spec.LoadRun{r, r}, nil)
	a, b := results[0], results[1]
	m := spec.LoadMerge{Run: r, Runners: []spec.RunnerReport{
		{Name: "a", Result: &a}, {Name: "b", Result: &b}, {Name: "c", Error: "killed", LostAtSeconds: 0.5},
	}}
	res, err := Merge(m)
	if err != nil {
		t.Fatal(err)
	}
	if res.Operations+res.Generator.Unsent != 1500 || res.Operations != a.Operations+b.Operations || len(res.Timeline) != 2 {
		t.Fatalf("%d operations, %d + %d; timeline %+v", res.Operations, a.Operations, b.Operations, res.Timeline)
	}
	if res.Latency.Max != max(a.Latency.Max, b.Latency.Max) {
		t.Errorf("latency %+v", res.Latency)
	}
	all := measure.NewHistogram()
	for i, second := range res.Timeline {
		if want := a.Timeline[i].Operations + b.Timeline[i].Operations; second.Operations != want || second.Max != max(a.Timeline[i].Max, b.Timeline[i].Max) {
			t.Errorf("second %d: %+v", i, second)
		}
		for _, text := range second.Histograms {
			h, err := decode(text)
			if err != nil {
				t.Fatal(err)
			}
			all.Merge(h)
		}
	}
	if whole, err := decode(res.Histogram); err != nil || !whole.Equals(all) {
		t.Errorf("the seconds' histograms do not add up to the whole (%v)", err)
	}
	if lost := res.Runners[2]; lost.LostAtSeconds == nil || *lost.LostAtSeconds != 0.5 || lost.Share < 0.33 || lost.Share > 0.34 || res.Runners[1].Operations != b.Operations {
		t.Errorf("runners: %+v", res.Runners)
	}
	if len(res.Warnings) == 0 || !strings.Contains(res.Warnings[len(res.Warnings)-1], "runner c was lost 0.5 s after the start (killed): its share, 1 of 3") {
		t.Errorf("warnings: %q", res.Warnings)
	}
}

func TestReadsFromReplicas(t *testing.T) {
	c := clustertest.Start(t, 6)
	c.Form(1)
	res := run(t, request(c.Addrs(), spec.Workload{Requests: 6000, Clients: 4, ReadFrom: spec.FromReplica}), Hooks{})
	if res.Operations != 6000 || len(res.Errors) > 0 {
		t.Errorf("%d operations, errors %v", res.Operations, res.Errors)
	}
	reads := 0
	for i := range 6 {
		info, err := c.Node(i).Client().Info(t.Context(), "replication", "stats").Result()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(info, "role:slave") && !strings.Contains(info, "keyspace_misses:0\r\n") {
			reads++
		}
	}
	if reads != 3 {
		t.Errorf("%d of 3 replicas were read from", reads)
	}
}
