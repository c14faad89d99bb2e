package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// page is all that the document shows, in words. What a user may have named has
// gone through plain.
type page struct {
	Title    string
	Subtitle string
	Verdict  verdict
	Alerts   []alert
	Setup    []fact
	Tiles    []tile
	Time     timeCharts

	Percentiles  chart
	Distribution table
	Latencies    table
	Commands     table

	Errors       table
	Redirections string
	// Tales tell the faults, a sentence each.
	Tales  []string
	Faults table
	// ManyFaults has them told below the charts, which they would push away.
	ManyFaults bool

	Stages         table
	Outages        table
	OmittedOutages string
	Runners        table

	Shards       table
	Verification verification
	Generator    generator

	Comparison     table
	ComparisonText string
	// Differences are what ran otherwise than in the baseline.
	Differences table
}

// tile is a headline figure.
type tile struct {
	Name, Value, Sub string
	// Class is "bad" for a figure that should be 0 and is more than is permitted.
	Class string
	// Delta is the change from the baseline; nil without one.
	Delta *since
}

// since is the change of a figure from the baseline's.
type since struct {
	cell
	From string
}

// verification says what reading the writes back has shown.
type verification struct {
	Text   string
	Table  table
	Keys   []string
	Hidden string
}

// generator is how the load generator did.
type generator struct {
	Class, Text string
	Facts       []fact
}

func newPage(run spec.LoadRun, res spec.LoadResult, baseline *spec.LoadResult) page {
	p := page{
		Title:        plain(run.Title),
		Subtitle:     subtitle(res),
		Verdict:      judge(run, res),
		Alerts:       alerts(run, res),
		Setup:        describe(run, res, baseline),
		Time:         plotTime(res, baseline),
		Latencies:    latencyTable(run, res, baseline),
		Commands:     commandTable(res),
		Stages:       stageTable(res.Stages),
		Runners:      runnerTable(res.Runners),
		Shards:       shardTable(res),
		Verification: verify(run, res),
		Generator:    watch(run, res),
	}
	if p.Title == "" {
		p.Title = "Load test"
	}
	p.Percentiles, p.Distribution = plotPercentiles(res, baseline)
	p.Outages, p.OmittedOutages = outageTable(res)
	var redirections int64
	p.Errors, redirections = errorTable(res)
	if redirections > 0 {
		p.Redirections = plural(redirections, "redirection") + " followed"
	}
	p.Tiles = tiles(run, res, baseline, p.Redirections)
	if len(res.Faults) > 0 {
		for _, f := range res.Faults {
			p.Tales = append(p.Tales, tell(f, res.Server))
		}
		p.Faults, p.ManyFaults = faultTable(res.Faults), len(res.Faults) > maxTales
	}
	if baseline != nil {
		p.Comparison, p.ComparisonText = compare(*baseline, res), baselineInWords(*baseline, res)
		p.Differences = differences(run, *baseline, res)
	}
	return p
}

// maxTales is the number of faults that are told above the charts.
const maxTales = 4

// subtitle says in a line which server was tested, and when.
func subtitle(res spec.LoadResult) string {
	parts := []string{serverName(res.Server)}
	if n := len(res.Server.Shards); n > 0 {
		parts[0] += ", " + plural(int64(n), "shard")
	}
	parts = append(parts, when(res))
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), " · ")
}

func tiles(run spec.LoadRun, res spec.LoadResult, baseline *spec.LoadResult, redirections string) []tile {
	answered := res.Operations > 0
	from := func(figure func(spec.LoadResult) float64, good sense, format func(float64) string) *since {
		if baseline == nil {
			return nil
		}
		before, now := figure(*baseline), figure(res)
		if before == 0 && now == 0 {
			return nil
		}
		return &since{delta(before, now, good), format(before)}
	}
	whole := func(v float64) string { return count(int64(v)) }
	ts := []tile{{
		Name: "Throughput, ops/s", Value: rate(res.ThroughputOPS),
		Sub:   fmt.Sprintf("%s operations in %s, %s%sMB/s", count(res.Operations), seconds(res.ElapsedSeconds), trim(res.ThroughputMBPerSecond, 1), nbsp),
		Delta: from(func(r spec.LoadResult) float64 { return r.ThroughputOPS }, higher, rate),
	}}
	for _, l := range []struct {
		name, sub string
		of        func(spec.LoadResult) float64
	}{
		{"Latency, p50", "mean " + latency(res.Latency.Mean), func(r spec.LoadResult) float64 { return r.Latency.P50 }},
		{"Latency, p99", "p95 " + latency(res.Latency.P95), func(r spec.LoadResult) float64 { return r.Latency.P99 }},
		{"Latency, p99.9", "max " + latency(res.Latency.Max), func(r spec.LoadResult) float64 { return r.Latency.P999 }},
	} {
		t := tile{Name: l.name, Value: none}
		if answered {
			t.Value, t.Sub, t.Delta = latency(l.of(res)), l.sub, from(l.of, lower, latency)
		}
		ts = append(ts, t)
	}
	failed := tile{Name: "Failed", Value: count(res.FailedOperations), Sub: cmp.Or(redirections, "operations"), Class: badIf(res.FailedOperations > 0 && res.ErrorRatio() > permitted(run.Objectives.ErrorRatio)),
		Delta: from(func(r spec.LoadResult) float64 { return float64(r.FailedOperations) }, lower, whole)}
	if res.FailedOperations > 0 {
		failed.Sub = percent(res.ErrorRatio()) + " of operations"
	}
	unavailable := tile{Name: "Unavailable", Value: latency(res.UnavailableMS), Sub: "longest, of any shard", Class: badIf(res.UnavailableMS > permitted(run.Objectives.UnavailableMS)),
		Delta: from(func(r spec.LoadResult) float64 { return r.UnavailableMS }, lower, latency)}
	if res.UnavailableMS == 0 {
		unavailable.Value, unavailable.Sub = "never", ""
	}
	ts = append(ts, failed, unavailable)
	if run.Verify || res.VerifiedWrites > 0 {
		ts = append(ts, tile{Name: "Lost writes", Value: count(res.LostWrites), Sub: "of " + count(res.VerifiedWrites) + " verified", Class: badIf(res.LostWrites > 0)})
	}
	return ts
}

// permitted is how much of something unwanted an objective leaves room for.
func permitted(limit *float64) float64 {
	if limit == nil {
		return 0
	}
	return *limit
}

func badIf(bad bool) string {
	if bad {
		return "bad"
	}
	return ""
}

// latencyTable lays the distributions side by side. Service time differs from
// latency in open loop only.
func latencyTable(run spec.LoadRun, res spec.LoadResult, baseline *spec.LoadResult) table {
	t := table{Head: append(words("Latency"), numbers("Min", "Mean", "p50", "p90", "p95", "p99", "p99.9", "Max")...)}
	if res.Operations == 0 {
		return t
	}
	name := "From send to reply"
	if run.Workload.Rate > 0 {
		name = "From the time it was due"
	}
	t.Rows = append(t.Rows, row{Cells: append(figures(name), latencies(res.Latency)...)})
	if run.Workload.Rate > 0 {
		t.Rows = append(t.Rows, row{Cells: append(figures("From the time it was sent (service time)"), latencies(res.ServiceTime)...)})
	}
	if baseline != nil && baseline.Operations > 0 {
		t.Rows = append(t.Rows, row{Cells: append(figures("Baseline"), latencies(baseline.Latency)...)})
	}
	return t
}

func latencies(l spec.Latency) []cell {
	return figures(latency(l.Min), latency(l.Mean), latency(l.P50), latency(l.P90), latency(l.P95), latency(l.P99), latency(l.P999), latency(l.Max))
}

func commandTable(res spec.LoadResult) table {
	t := table{Head: append(words("Command"), numbers("Operations", "ops/s", "Errors", "Misses", "Mean", "p50", "p90", "p99", "p99.9", "Max")...)}
	for _, c := range res.ByCommand {
		cells := []cell{
			{Text: plain(c.Command), Class: "code"},
			{Text: count(c.Operations)},
			{Text: rate(c.ThroughputOPS)},
			{Text: count(c.Errors), Class: badIf(c.Errors > 0)},
			{Text: count(c.Misses)},
		}
		if c.Operations == 0 {
			cells = append(cells, figures(none, none, none, none, none, none)...)
		} else {
			l := c.Latency
			cells = append(cells, figures(latency(l.Mean), latency(l.P50), latency(l.P90), latency(l.P99), latency(l.P999), latency(l.Max))...)
		}
		t.Rows = append(t.Rows, row{Cells: cells})
	}
	return t
}

// maxShardRows bounds the shards that are listed.
const maxShardRows = 64

func shardTable(res spec.LoadResult) table {
	t := table{Head: append(words("Shard", "Slots", "Primary", "Replicas"), numbers("Keys", "Operations", "Share")...)}
	sums := make([]int64, len(res.Server.Shards))
	var total int64
	for _, in := range res.Timeline {
		for i, n := range in.ByShard[:min(len(in.ByShard), len(sums))] {
			sums[i] += n
			total += n
		}
	}
	for i, s := range res.Server.Shards[:min(len(sums), maxShardRows)] {
		replicas := make([]string, len(s.Replicas))
		for k, r := range s.Replicas {
			replicas[k] = cut(r, 40)
		}
		share := none
		if total > 0 {
			share = percent(float64(sums[i]) / float64(total))
		}
		operations := none
		if total > 0 {
			operations = count(sums[i])
		}
		t.Rows = append(t.Rows, row{Cells: figures(fmt.Sprint(i), plain(s.Slots), cut(s.Primary, 40), list(replicas), count(s.Keys), operations, share)})
	}
	return t
}

// maxKeys bounds the lost keys that are named.
const maxKeys = 20

func verify(run spec.LoadRun, res spec.LoadResult) verification {
	if !run.Verify && res.VerifiedWrites == 0 {
		return verification{Text: "Writes were not verified in this run."}
	}
	v := verification{Text: fmt.Sprintf("%s were read back at the end, and all of them held what was written.", plural(res.VerifiedWrites, "acknowledged write"))}
	if res.LostWrites+res.StaleWrites+res.CorruptWrites > 0 {
		v.Text = fmt.Sprintf("%s were read back at the end.", plural(res.VerifiedWrites, "acknowledged write"))
	}
	v.Table.Head = append(words("Writes"), numbers("Count")...)
	v.Table.Head = append(v.Table.Head, words("What it means")...)
	for _, r := range []struct {
		name string
		n    int64
		bad  bool
		text string
	}{
		{"Lost", res.LostWrites, true, "Acknowledged, and the key is not there."},
		{"Stale", res.StaleWrites, true, "The key holds an older value than the last that was acknowledged."},
		{"Corrupt", res.CorruptWrites, true, "The key holds something that was never written to it."},
		{"Indeterminate", res.IndeterminateWrites, false, "Under way when a connection broke: done or not, either is right."},
	} {
		v.Table.Rows = append(v.Table.Rows, row{Cells: []cell{{Text: r.name}, {Text: count(r.n), Class: badIf(r.bad && r.n > 0)}, {Text: r.text}}})
	}
	for _, k := range res.LostKeys[:min(len(res.LostKeys), maxKeys)] {
		v.Keys = append(v.Keys, plain(k))
	}
	if more := res.LostWrites - int64(len(v.Keys)); len(v.Keys) > 0 && more > 0 {
		v.Hidden = "and " + count(more) + " more"
	}
	return v
}

func watch(run spec.LoadRun, res spec.LoadResult) generator {
	g := res.Generator
	out := generator{Text: "The generator had room to spare: the figures are the cluster's."}
	switch {
	case res.Operations == 0:
		out.Text = "Nothing that it sent was answered."
	case g.Saturated:
		out.Class, out.Text = "bad", "The generator was saturated: the figures are its limit, and the cluster may be faster."
	}
	out.Facts = []fact{
		{"Processor", percent(g.CPU) + " of its cores"},
		{"Processor time per operation", latency(g.CPUMicrosPerOperation / 1000)},
		{"Input and output", g.IO},
		{"Garbage collection", latency(g.GCPauseMS) + " of pauses in all"},
	}
	if run.Workload.Rate > 0 || g.ScheduleSlipMS > 0 || g.Unsent > 0 {
		out.Facts = append(out.Facts,
			fact{"Schedule slip, p99", latency(g.ScheduleSlipMS)},
			fact{"Never sent", plural(g.Unsent, "command")})
	}
	return generator{out.Class, out.Text, slices.Clip(out.Facts)}
}
