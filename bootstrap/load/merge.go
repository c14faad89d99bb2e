//go:build linux

package load

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/load/measure"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// Merge makes one result of those of the runners of one test. Histograms and
// timelines are added exactly; nothing is averaged that can be added.
func Merge(m spec.LoadMerge) (spec.LoadResult, error) {
	var results []spec.LoadResult
	for _, r := range m.Runners {
		if r.Result != nil {
			results = append(results, *r.Result)
		}
	}
	if len(results) == 0 {
		return spec.LoadResult{}, &spec.Failure{Step: "merge the runners' results", Cause: "there are none", Advice: "Look at the runners' errors."}
	}
	g := merging{out: results[0]}
	g.counts(results)
	g.histograms(results)
	g.commands(results)
	g.timeline(results)
	g.stages(results)
	g.outages(results)
	g.generators(results)
	if g.err != nil {
		return spec.LoadResult{}, &spec.Failure{Step: "merge the runners' results", Cause: g.err.Error()}
	}
	res := g.out
	res.Warnings = warnings(m.Runners)
	whole := m.Run.Workload.WithDefaults()
	res.Workload = &whole
	account(&res, m)
	res.ReportHTML, res.Files, res.Silences = "", nil, nil
	res.Breaches = m.Run.Objectives.Breaches(res)
	res.Passed = len(res.Breaches) == 0
	return res, nil
}

// merging is a merge under way. The first error stays.
type merging struct {
	out spec.LoadResult
	err error
}

// add adds encoded histograms up.
func (g *merging) add(results []spec.LoadResult, pick func(spec.LoadResult) string) *hdrhistogram.Histogram {
	sum := measure.NewHistogram()
	for i, r := range results {
		h, err := decode(pick(r))
		if err != nil {
			g.err = cmp.Or(g.err, fmt.Errorf("runner %d: histogram: %w", i, err))
			continue
		}
		if dropped := sum.Merge(h); dropped > 0 {
			g.err = cmp.Or(g.err, fmt.Errorf("runner %d: %d values of its histogram are out of range", i, dropped))
		}
	}
	return sum
}

// counts adds what is counted.
func (g *merging) counts(results []spec.LoadResult) {
	out := &g.out
	out.Errors, out.ElapsedSeconds = map[string]int64{}, 0
	out.FailedOperations, out.ThroughputMBPerSecond = 0, 0
	out.LostWrites, out.StaleWrites, out.CorruptWrites, out.IndeterminateWrites, out.VerifiedWrites = 0, 0, 0, 0, 0
	out.LostKeys, out.Faults = nil, nil
	bytes := 0.0
	for _, r := range results {
		if r.StartedAt.Before(out.StartedAt) {
			out.StartedAt = r.StartedAt
		}
		out.ElapsedSeconds = max(out.ElapsedSeconds, r.ElapsedSeconds)
		bytes += r.ThroughputMBPerSecond * r.ElapsedSeconds
		out.FailedOperations += r.FailedOperations
		out.LostWrites += r.LostWrites
		out.StaleWrites += r.StaleWrites
		out.CorruptWrites += r.CorruptWrites
		out.IndeterminateWrites += r.IndeterminateWrites
		out.VerifiedWrites += r.VerifiedWrites
		out.LostKeys = append(out.LostKeys, r.LostKeys...)
		for kind, n := range r.Errors {
			out.Errors[kind] += n
		}
		// One runner conducts the faults.
		out.Faults = append(out.Faults, r.Faults...)
		out.Interrupted = out.Interrupted || r.Interrupted
	}
	out.ThroughputMBPerSecond = ratio(bytes, out.ElapsedSeconds)
}

func (g *merging) histograms(results []spec.LoadResult) {
	all := g.add(results, func(r spec.LoadResult) string { return r.Histogram })
	g.out.Histogram, g.out.Percentiles = encode(all), percentiles(all)
	g.out.Latency, g.out.ServiceTime = latency(all), latency(all)
	g.out.Operations = all.TotalCount()
	g.out.ThroughputOPS = ratio(float64(all.TotalCount()), g.out.ElapsedSeconds)
	if service := g.add(results, func(r spec.LoadResult) string { return r.ServiceHistogram }); service.TotalCount() > 0 {
		g.out.ServiceHistogram, g.out.ServiceTime = encode(service), latency(service)
	}
}

func (g *merging) commands(results []spec.LoadResult) {
	lists := make([][]spec.CommandResult, len(results))
	for i, r := range results {
		lists[i] = r.ByCommand
	}
	g.out.ByCommand = g.mergeCommands(lists, g.out.ElapsedSeconds)
}

// mergeCommands adds the same commands of several lists.
func (g *merging) mergeCommands(lists [][]spec.CommandResult, elapsed float64) []spec.CommandResult {
	var out []spec.CommandResult
	histograms := map[string]*hdrhistogram.Histogram{}
	for _, list := range lists {
		for _, c := range list {
			i := slices.IndexFunc(out, func(o spec.CommandResult) bool { return o.Command == c.Command })
			if i < 0 {
				i = len(out)
				out = append(out, spec.CommandResult{Command: c.Command})
				histograms[c.Command] = measure.NewHistogram()
			}
			h, err := decode(c.Histogram)
			if err != nil {
				g.err = cmp.Or(g.err, fmt.Errorf("%s: histogram: %w", c.Command, err))
				continue
			}
			histograms[c.Command].Merge(h)
			out[i].Errors += c.Errors
			out[i].Misses += c.Misses
		}
	}
	for i := range out {
		h := histograms[out[i].Command]
		out[i].Operations, out[i].Latency, out[i].Histogram = h.TotalCount(), latency(h), encode(h)
		out[i].ThroughputOPS = ratio(float64(h.TotalCount()), elapsed)
	}
	return out
}

// timeline adds the same seconds. Runners start together, so their seconds agree.
func (g *merging) timeline(results []spec.LoadResult) {
	g.out.Timeline = nil
	longest := 0
	for _, r := range results {
		longest = max(longest, len(r.Timeline))
	}
	for i := range longest {
		g.out.Timeline = append(g.out.Timeline, g.interval(i, results))
	}
}

// interval adds second i up. The commands are in the order of the merged list.
func (g *merging) interval(i int, results []spec.LoadResult) spec.Interval {
	iv := spec.Interval{Second: float64(i)}
	all := measure.NewHistogram()
	byCommand := make([]*hdrhistogram.Histogram, len(g.out.ByCommand))
	for _, r := range results {
		if i >= len(r.Timeline) {
			continue
		}
		t := r.Timeline[i]
		iv.Operations += t.Operations
		iv.Errors += t.Errors
		for len(iv.ByShard) < len(t.ByShard) {
			iv.ByShard = append(iv.ByShard, 0)
		}
		for shard, n := range t.ByShard {
			iv.ByShard[shard] += n
		}
		for j, text := range t.Histograms {
			h, err := decode(text)
			if err != nil || j >= len(r.ByCommand) {
				g.err = cmp.Or(g.err, fmt.Errorf("second %d: histogram %d of %d: %w", i, j, len(r.ByCommand), err))
				continue
			}
			all.Merge(h)
			at := slices.IndexFunc(g.out.ByCommand, func(c spec.CommandResult) bool { return c.Command == r.ByCommand[j].Command })
			if byCommand[at] == nil {
				byCommand[at] = measure.NewHistogram()
			}
			byCommand[at].Merge(h)
		}
	}
	for _, h := range byCommand {
		text := ""
		if h != nil {
			text = measure.Encode(h)
		}
		iv.Histograms = append(iv.Histograms, text)
	}
	iv.P50, iv.P99, iv.Max = milliseconds(all.ValueAtQuantile(50)), milliseconds(all.ValueAtQuantile(99)), milliseconds(all.Max())
	return iv
}

func (g *merging) stages(results []spec.LoadResult) {
	g.out.Stages = slices.Clone(g.out.Stages)
	for i := range g.out.Stages {
		var lists [][]spec.CommandResult
		st := &g.out.Stages[i]
		st.Operations = 0
		for _, r := range results {
			if i < len(r.Stages) {
				lists = append(lists, r.Stages[i].ByCommand)
				st.Operations += r.Stages[i].Operations
				st.ElapsedSeconds = max(st.ElapsedSeconds, r.Stages[i].ElapsedSeconds)
			}
		}
		st.ThroughputOPS = ratio(float64(st.Operations), st.ElapsedSeconds)
		st.ByCommand = g.mergeCommands(lists, st.ElapsedSeconds)
		all := measure.NewHistogram()
		for _, c := range st.ByCommand {
			if h, err := decode(c.Histogram); err == nil { // it was encoded just now
				all.Merge(h)
			}
		}
		st.Latency = latency(all)
	}
}

// outages keeps the times in which a shard was out for every runner that waited
// for it, and judges the faults by them.
func (g *merging) outages(results []spec.LoadResult) {
	var seen, quiet [][]measure.Outage
	for _, r := range results {
		seen, quiet = append(seen, measured(r.Outages)), append(quiet, measured(r.Silences))
	}
	merged := measure.Merge(seen, quiet)
	g.out.Outages, g.out.UnavailableMS = nil, 0
	for _, o := range merged {
		g.out.Outages = append(g.out.Outages, outage(o, 0))
		g.out.UnavailableMS = max(g.out.UnavailableMS, float64(o.To-o.From)/1e6)
	}
	for i := range g.out.Faults {
		f := &g.out.Faults[i]
		next := time.Duration(math.MaxInt64)
		for _, other := range g.out.Faults {
			if common(other.Shards, f.Shards) && other.AtSeconds > f.AtSeconds {
				next = min(next, inSeconds(other.AtSeconds))
			}
		}
		f.UnavailableMS = longestOutage(merged, f.Shards, inSeconds(f.AtSeconds), next)
	}
}

// measured is the reverse of outage.
func measured(list []spec.Outage) []measure.Outage {
	var out []measure.Outage
	for _, o := range list {
		from := inSeconds(o.AtSeconds)
		to := from + time.Duration(o.DurationMS*float64(time.Millisecond))
		out = append(out, measure.Outage{Access: measure.AccessTo(o.Shard, o.Access == accessWrite), From: from.Nanoseconds(), To: to.Nanoseconds()})
	}
	return out
}

func inSeconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// generators sums the runners' own figures up: the worst, where they can't be added.
func (g *merging) generators(results []spec.LoadResult) {
	sum := spec.Generator{}
	cpu, ios := 0.0, []string(nil)
	for _, r := range results {
		n := r.Generator
		sum.CPU = max(sum.CPU, n.CPU)
		cpu += n.CPUMicrosPerOperation * float64(r.Operations)
		sum.Saturated = sum.Saturated || n.Saturated
		sum.ScheduleSlipMS = max(sum.ScheduleSlipMS, n.ScheduleSlipMS)
		sum.Unsent += n.Unsent
		sum.GCPauseMS = max(sum.GCPauseMS, n.GCPauseMS)
		sum.Hosts = append(sum.Hosts, n.Hosts...)
		ios = append(ios, n.IO)
	}
	sum.CPUMicrosPerOperation = ratio(cpu, float64(g.out.Operations))
	slices.Sort(sum.Hosts)
	slices.Sort(ios)
	sum.IO = strings.Join(slices.Compact(ios), ",")
	g.out.Generator = sum
	g.out.Errors = maps.Clone(g.out.Errors)
}
