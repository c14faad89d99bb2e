//go:build linux

package load

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/load/measure"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// Merge makes one result of those of the runners of one test. Histograms and
// timelines are added exactly; nothing is averaged that can be added.
func Merge(m spec.LoadMerge) (spec.LoadResult, error) {
	if len(m.Results) == 0 {
		return spec.LoadResult{}, &spec.Failure{Step: "merge the runners' results", Cause: "there are none", Advice: "Look at the runners' errors."}
	}
	g := merging{out: m.Results[0]}
	g.counts(m.Results)
	g.histograms(m.Results)
	g.commands(m.Results)
	g.timeline(m.Results)
	g.stages(m.Results)
	g.outages(m.Results)
	g.generators(m.Results)
	if g.err != nil {
		return spec.LoadResult{}, &spec.Failure{Step: "merge the runners' results", Cause: g.err.Error()}
	}
	res := g.out
	if missing := m.Run.Runners - len(m.Results); missing > 0 {
		res.Warnings = append(res.Warnings, fmt.Sprintf("%d of %d runners gave no result; their share of the load is missing", missing, m.Run.Runners))
	}
	res.ReportHTML = ""
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
	out.LostKeys, out.Warnings, out.Faults = nil, nil, nil
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
		for _, w := range r.Warnings {
			if !slices.Contains(out.Warnings, w) {
				out.Warnings = append(out.Warnings, w)
			}
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
		iv := spec.Interval{Second: float64(i)}
		all := measure.NewHistogram()
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
			if h, err := decode(t.Histogram); err != nil {
				g.err = cmp.Or(g.err, fmt.Errorf("second %d: histogram: %w", i, err))
			} else {
				all.Merge(h)
			}
		}
		iv.P50, iv.P99, iv.Max = milliseconds(all.ValueAtQuantile(50)), milliseconds(all.ValueAtQuantile(99)), milliseconds(all.Max())
		g.out.Timeline = append(g.out.Timeline, iv)
	}
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
// for it: a runner that saw no outage then either got answers or sent nothing,
// which its operations by shard tell.
func (g *merging) outages(results []spec.LoadResult) {
	g.out.Outages, g.out.UnavailableMS = nil, 0
	for i, r := range results {
		for _, o := range r.Outages {
			if i == 0 || !slices.ContainsFunc(g.out.Outages, func(k spec.Outage) bool { return covers(k, o) }) {
				g.out.Outages = append(g.out.Outages, o)
			}
		}
	}
	slices.SortStableFunc(g.out.Outages, func(a, b spec.Outage) int { return cmp.Compare(a.AtSeconds, b.AtSeconds) })
	for _, o := range g.out.Outages {
		g.out.UnavailableMS = max(g.out.UnavailableMS, o.DurationMS)
	}
}

// covers says whether a and b are of one shard and overlap, so that they are the same outage.
func covers(a, b spec.Outage) bool {
	end := func(o spec.Outage) float64 { return o.AtSeconds + o.DurationMS/float64(time.Second/time.Millisecond) }
	return a.Shard == b.Shard && a.Access == b.Access && a.AtSeconds < end(b) && b.AtSeconds < end(a)
}

// generators sums the runners' own figures up: the worst, where they can't be added.
func (g *merging) generators(results []spec.LoadResult) {
	sum := spec.Generator{}
	cpu := 0.0
	for _, r := range results {
		n := r.Generator
		sum.CPU = max(sum.CPU, n.CPU)
		cpu += n.CPUMicrosPerOperation * float64(r.Operations)
		sum.Saturated = sum.Saturated || n.Saturated
		sum.ScheduleSlipMS = max(sum.ScheduleSlipMS, n.ScheduleSlipMS)
		sum.Unsent += n.Unsent
		sum.GCPauseMS = max(sum.GCPauseMS, n.GCPauseMS)
		sum.Hosts = append(sum.Hosts, n.Hosts...)
	}
	sum.CPUMicrosPerOperation = ratio(cpu, float64(g.out.Operations))
	slices.Sort(sum.Hosts)
	g.out.Generator = sum
	g.out.Errors = maps.Clone(g.out.Errors)
}
