//go:build linux

package load

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/clustertest"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// prober asks for a key of one shard again and again, at each node of the
// cluster by itself, and finds the longest time without an answer. It shares
// nothing with the engine.
type prober struct {
	cancel context.CancelFunc
	done   sync.WaitGroup
	mu     sync.Mutex
	last   time.Time
	gap    time.Duration
	// stall is how much longer than it should a round of probing took at worst:
	// what this machine, when it is crowded, takes from everybody's precision.
	stall time.Duration
}

// probeRound is what a probe may take: to connect, to wait for a reply, to pause.
const probeRound = 45 * time.Millisecond

func probe(t *testing.T, c *clustertest.Cluster, key string) *prober {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	p := &prober{cancel: cancel, last: time.Now()}
	for _, addr := range c.Addrs() {
		p.done.Go(func() {
			client := redis.NewClient(&redis.Options{Addr: addr, DialTimeout: 20 * time.Millisecond, ReadTimeout: 20 * time.Millisecond, MaxRetries: -1, DialerRetries: 1, Protocol: 2, DisableIdentity: true})
			defer func() { _ = client.Close() }()
			for ctx.Err() == nil {
				begin := time.Now()
				if err := client.Set(ctx, key, "", 0).Err(); err == nil {
					p.answered(time.Now())
				}
				time.Sleep(2 * time.Millisecond) // the rate of the probes
				p.took(time.Since(begin))
			}
		})
	}
	return p
}

func (p *prober) answered(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gap = max(p.gap, now.Sub(p.last))
	p.last = now
}

func (p *prober) took(round time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stall = max(p.stall, round-probeRound)
}

// stop gives the longest time without an answer, in ms, and how exactly an outage
// has to be measured: to 50 ms, as much again for the prober, which shares the
// machine with the load and the servers, and what the machine stalled both of them.
func (p *prober) stop() (gap, precision float64) {
	p.cancel()
	p.done.Wait()
	return milliseconds(p.gap.Microseconds()), 2 * milliseconds((50*time.Millisecond + p.stall).Microseconds())
}

// keyIn is a key that the node at addr serves.
func keyIn(t *testing.T, c *clustertest.Cluster, addr string) string {
	t.Helper()
	for i := range 1000 {
		key := fmt.Sprintf("probe:%d", i)
		if c.NodeAt(addr).Client().Set(t.Context(), key, "", 0).Err() == nil {
			return key
		}
	}
	t.Fatalf("%s serves no key", addr)
	return ""
}

// breakNode does what the caller of a load with a fault does. It keeps mend for
// after the given time.
func breakNode(t *testing.T, controls chan<- spec.LoadControl, inflict, mend func(addr string), lasting time.Duration) func(int, string) {
	return func(fault int, addr string) {
		go func() {
			inflict(addr)
			controls <- spec.LoadControl{Fault: fault, FaultInjected: true}
			select {
			case <-time.After(lasting):
			case <-t.Context().Done():
			}
			mend(addr)
			controls <- spec.LoadControl{Fault: fault, FaultRecovered: true}
		}()
	}
}

// probedLoad runs a load with a fault, until the outage that it reports is the
// one that a prober met: on a busy machine either may be late now and then.
func probedLoad(t *testing.T, c *clustertest.Cluster, r spec.LoadRun, inflict, mend func(addr string), lasting time.Duration) (res spec.LoadResult) {
	t.Helper()
	attempt(t, func() (wrong []string) {
		controls := make(chan spec.LoadControl)
		var p *prober
		due := breakNode(t, controls, func(addr string) {
			p = probe(t, c, keyIn(t, c, addr))
			inflict(addr)
		}, mend, lasting)
		res = run(t, r, Hooks{Controls: controls, FaultDue: due})
		probed, precision := p.stop()
		c.WaitOK()
		text := fmt.Sprintf("unavailable for %.1f ms, by the prober %.1f ± %.1f", res.Faults[0].UnavailableMS, probed, precision)
		if math.Abs(res.Faults[0].UnavailableMS-probed) > precision {
			return []string{text}
		}
		t.Log(text)
		return nil
	})
	return res
}

func TestALoadGoesThroughAFailover(t *testing.T) {
	c := clustertest.Start(t, 6)
	c.Form(1)
	for name, r := range map[string]spec.LoadRun{
		"closed loop":         {Workload: spec.Workload{Clients: 10}},
		"pipelined, by epoll": {Workload: spec.Workload{Clients: 10, Pipeline: 8}, IO: spec.IOEpoll},
		"open loop":           {Workload: spec.Workload{Clients: 50, Rate: 4000}},
	} {
		t.Run(name, func(t *testing.T) {
			r.Versioned, r.Endpoints = spec.V(), c.Addrs()[:1]
			r.Workload.Duration, r.Workload.Keys.Maximum = seconds(8), 20_000
			r.Verify = true
			r.Faults = []spec.Fault{{At: seconds(2), Kind: spec.FaultKill, Target: "primary:1", RecoverAfter: seconds(3)}}
			res := probedLoad(t, c, r, func(addr string) { c.NodeAt(addr).Kill() }, func(addr string) { c.NodeAt(addr).Start() }, 3*time.Second)
			f := res.Faults[0]
			if f.Error != "" || f.Promoted == "" || f.PromotedMS == nil || f.DetectedMS == nil || f.RejoinedAs != "replica" || f.RejoinedMS == nil {
				t.Fatalf("fault: %+v", f)
			}
			if *f.DetectedMS > *f.PromotedMS {
				t.Errorf("detected after %.0f ms, promoted after %.0f ms", *f.DetectedMS, *f.PromotedMS)
			}
			if res.FailedOperations > 0 || res.LostWrites > 0 || res.CorruptWrites > 0 || res.VerifiedWrites == 0 {
				t.Errorf("%d failed; %d lost, %d stale, %d corrupt of %d verified", res.FailedOperations, res.LostWrites, res.StaleWrites, res.CorruptWrites, res.VerifiedWrites)
			}
			// Nothing may have been under way to the node when it was killed.
			if res.Errors["connection"]+res.Errors["refused"] == 0 {
				t.Errorf("errors: %v", res.Errors)
			}
			before, after := res.Timeline[1].Operations, res.Timeline[7].Operations
			if after < before/10 {
				t.Errorf("%d operations a second before, %d after", before, after)
			}
		})
	}
}

func TestAFrozenPrimaryIsNoticed(t *testing.T) {
	c := clustertest.Start(t, 3, clustertest.Directive("cluster-node-timeout", "15000"))
	c.Form(0)
	const frozen = 700 * time.Millisecond
	for name, w := range map[string]spec.Workload{
		"shorter than the timeout": {Clients: 10},
		"longer than the timeout":  {Clients: 10, RequestTimeout: seconds(0.25)},
		"open loop":                {Clients: 20, Rate: 3000, RequestTimeout: seconds(0.25)},
	} {
		t.Run(name, func(t *testing.T) {
			w.Duration = seconds(3)
			r := request(c.Addrs(), w)
			r.Faults = []spec.Fault{{At: seconds(1), Kind: spec.FaultPause, Target: "primary", RecoverAfter: spec.Duration(frozen)}}
			res := probedLoad(t, c, r, func(addr string) { c.NodeAt(addr).Pause() }, func(addr string) { c.NodeAt(addr).Resume() }, frozen)
			if f := res.Faults[0]; f.UnavailableMS < milliseconds(frozen.Microseconds())/2 || f.RejoinedAs != "primary" {
				t.Errorf("fault %+v", f)
			}
			if res.FailedOperations > 0 {
				t.Errorf("%d failed", res.FailedOperations)
			}
			if timeouts := res.Errors["timeout"]; (timeouts > 0) != (w.RequestTimeout > 0) {
				t.Errorf("%d timeouts", timeouts)
			}
			if w.Rate > 0 && res.Operations+res.Generator.Unsent != int64(w.Rate*3) {
				t.Errorf("%d operations and %d unsent of %g", res.Operations, res.Generator.Unsent, w.Rate*3)
			}
		})
	}
}

// Two runners see a primary freeze, one of which asks it for nothing but reads:
// writes were out by the word of the other alone, reads by that of both. What they
// saw together may begin earlier than what each of them saw, since one may have waited
// before the other did, but not while one of them had answers.
func TestTwoRunnersAgreeOnAnOutage(t *testing.T) {
	c := clustertest.Start(t, 3, clustertest.Directive("cluster-node-timeout", "15000"))
	c.Form(0)
	const frozen = 700 * time.Millisecond
	both := request(c.Addrs(), spec.Workload{Clients: 10, Duration: seconds(3)})
	reads := both
	reads.Workload.Operations = map[string]float64{"get": 1}
	both.Faults = []spec.Fault{{At: seconds(1), Kind: spec.FaultPause, Target: "primary", RecoverAfter: spec.Duration(frozen)}}
	freeze := func(controls chan<- spec.LoadControl) func(int, string) {
		return breakNode(t, controls, func(addr string) { c.NodeAt(addr).Pause() }, func(addr string) { c.NodeAt(addr).Resume() }, frozen)
	}
	results := together(t, []spec.LoadRun{both, reads}, freeze)
	res, err := Merge(spec.LoadMerge{Run: both, Runners: []spec.RunnerReport{{Name: "a", Result: &results[0]}, {Name: "b", Result: &results[1]}}})
	if err != nil {
		t.Fatal(err)
	}
	f := res.Faults[0]
	quiet := 0.0
	for _, s := range results[0].Silences {
		if slices.Contains(f.Shards, s.Shard) {
			quiet = max(quiet, s.DurationMS)
		}
	}
	const rounding = 0.001 // ms, in a report
	if f.Error != "" || f.UnavailableMS < milliseconds(frozen.Microseconds())/2 || f.UnavailableMS > quiet+rounding {
		t.Errorf("fault %+v; the first runner had no answer for %.3f ms", f, quiet)
	}
	seen := map[string]bool{}
	for _, o := range res.Outages {
		if slices.Contains(f.Shards, o.Shard) {
			seen[o.Access] = true
		}
	}
	if !seen["read"] || !seen["write"] || len(res.Silences) > 0 {
		t.Errorf("outages %+v", res.Outages)
	}
}

// A fault on a zone is due for each of its nodes, and as bad as for the worst of them.
func TestAFaultOnAZone(t *testing.T) {
	c := clustertest.Start(t, 3, clustertest.Directive("cluster-node-timeout", "15000"))
	c.Form(0)
	r := request(c.Addrs(), spec.Workload{Clients: 10, Duration: seconds(3)})
	r.Zones = map[string]string{c.Addrs()[0]: "a", c.Addrs()[1]: "b", c.Addrs()[2]: "b"}
	r.Faults = []spec.Fault{{At: seconds(0.5), Kind: spec.FaultPause, Target: "zone:b", RecoverAfter: seconds(0.5)}}
	controls := make(chan spec.LoadControl)
	hit := make(chan string, 3)
	due := breakNode(t, controls, func(addr string) { hit <- addr; c.NodeAt(addr).Pause() }, func(addr string) { c.NodeAt(addr).Resume() }, 500*time.Millisecond)
	res := run(t, r, Hooks{Controls: controls, FaultDue: due})
	close(hit)
	nodes := map[string]bool{}
	for addr := range hit {
		nodes[addr] = true
	}
	if len(nodes) != 2 || nodes[c.Addrs()[0]] {
		t.Errorf("hit %v", nodes)
	}
	f := res.Faults[0]
	if f.Error != "" || len(f.Shards) != 2 || f.UnavailableMS < 250 {
		t.Errorf("fault %+v", f)
	}
	for _, o := range res.Outages {
		if r.Zones[res.Server.Shards[o.Shard].Primary] != "b" && o.DurationMS > f.UnavailableMS {
			t.Errorf("outage %+v of the other zone", o)
		}
	}
}

func TestReshardingFailsNothing(t *testing.T) {
	c := clustertest.Start(t, 3)
	c.Form(0)
	id := func(node int) string {
		text, err := c.Node(node).Client().Do(t.Context(), "CLUSTER", "MYID").Text()
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	// All keys are in one slot of node 0, the first that is moved.
	tag := ""
	for i := 0; tag == ""; i++ {
		if text := fmt.Sprintf("{%d}", i); spec.Slot(text) < 3 {
			tag = text
		}
	}
	keys := spec.Keys{Prefix: tag, Minimum: 1, Maximum: 20_000}
	fill := keys
	fill.Pattern = spec.PatternSequential
	run(t, request(c.Addrs(), spec.Workload{Requests: keys.Maximum, Operations: map[string]float64{"set": 1}, Keys: fill, Pipeline: 32}), Hooks{})
	moved := make(chan struct{})
	r := request(c.Addrs(), spec.Workload{
		Duration: seconds(60), Clients: 10, Pipeline: 4, Keys: keys,
		Operations: map[string]float64{"set": 1, "get": 1}, Commands: []spec.Command{{Command: "MSET __key__ 1 __key__b 2", Weight: 1}},
	})
	controls := make(chan spec.LoadControl)
	started := func() {
		go func() {
			defer close(moved)
			c.CLI("--cluster", "reshard", c.Node(0).Addr(), "--cluster-from", id(0), "--cluster-to", id(1), "--cluster-slots", "3", "--cluster-pipeline", "1", "--cluster-yes")
			controls <- spec.LoadControl{Stop: true}
		}()
	}
	res := run(t, r, Hooks{Controls: controls, Started: started})
	<-moved
	if res.FailedOperations > 0 || res.Errors["ask"] == 0 || res.Errors["moved"] == 0 {
		t.Errorf("%d failed, errors %v", res.FailedOperations, res.Errors)
	}
	if res.ErrorRatio() != 0 {
		t.Errorf("redirections count as errors: %g", res.ErrorRatio())
	}
}

func TestConnectionsThatAreCutAreOpenedAgain(t *testing.T) {
	c := clustertest.Start(t, 1, clustertest.Directive("cluster-enabled", "no"))
	r := request(c.Addrs(), spec.Workload{Duration: seconds(1.5), Clients: 5})
	killed := int64(0)
	p := probe(t, c, "probe")
	res := run(t, r, Hooks{Started: func() {
		go func() {
			for range 3 {
				time.Sleep(200 * time.Millisecond) // in the middle of the load
				n, err := c.Node(0).Client().ClientKillByFilter(t.Context(), "TYPE", "normal", "SKIPME", "yes").Result()
				if err != nil {
					t.Error(err)
				}
				killed += n
			}
		}()
	}})
	// The server was up all the time. Less than 50 ms is no outage at all.
	if _, precision := p.stop(); res.UnavailableMS > precision {
		t.Errorf("unavailable for %.0f ms; this machine allows %.0f", res.UnavailableMS, precision)
	}
	if res.FailedOperations > 0 || res.Errors["connection"] == 0 || res.Timeline[1].Operations == 0 {
		t.Errorf("%d failed, errors %v of %d killed", res.FailedOperations, res.Errors, killed)
	}
}

func TestVerifyFindsWhatIsLost(t *testing.T) {
	c := clustertest.Start(t, 3)
	c.Form(0)
	limit := int64(0)
	r := request(c.Addrs(), spec.Workload{Duration: seconds(1.5), Clients: 5, Operations: map[string]float64{"set": 1}, Keys: spec.Keys{Pattern: spec.PatternUnique}})
	r.Verify, r.Objectives.LostWrites = true, &limit
	res := run(t, r, Hooks{Started: func() {
		time.AfterFunc(time.Second, func() {
			if err := c.Node(0).Client().FlushAll(context.WithoutCancel(t.Context())).Err(); err != nil {
				t.Error(err)
			}
		})
	}})
	if res.LostWrites == 0 || res.LostWrites > res.VerifiedWrites/2 || len(res.LostKeys) == 0 || res.Passed || len(res.Breaches) != 1 {
		t.Errorf("%d lost of %d, such as %q; breaches %q", res.LostWrites, res.VerifiedWrites, res.LostKeys, res.Breaches)
	}
}
