package report

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// noise is the difference, as a ratio, below which two runs are not called
// different: repeated runs on quiet machines differ by that much.
const noise = 0.03

// sense says which way of a figure is the good one.
type sense int

const (
	higher sense = iota
	lower
	neither
)

// delta is a figure's change from the baseline.
func delta(from, to float64, good sense) cell {
	c := cell{Text: change(from, to)}
	if from == 0 && to > 0 {
		c.Text = "up"
	}
	differs := from != to && (from == 0 || math.Abs(to/from-1) >= noise)
	switch {
	case good == neither || !differs:
	case (to > from) == (good == higher):
		c.Class = "good"
	default:
		c.Class = "bad"
	}
	return c
}

// compare lays the figures of a run beside those of an earlier one.
func compare(base, res spec.LoadResult) table {
	t := table{Head: append(words("Figure"), numbers("Baseline", "This run", "Change")...)}
	add := func(name string, from, to float64, good sense, format func(float64) string) {
		cells := append(figures(name, format(from), format(to)), delta(from, to, good))
		t.Rows = append(t.Rows, row{Cells: cells})
	}
	ops := func(v float64) string { return rate(v) + nbsp + "ops/s" }
	whole := func(v float64) string { return count(int64(v)) }
	add("Throughput", base.ThroughputOPS, res.ThroughputOPS, higher, ops)
	if base.Operations > 0 && res.Operations > 0 {
		for _, l := range []struct {
			name     string
			from, to float64
		}{
			{"Latency, mean", base.Latency.Mean, res.Latency.Mean},
			{"Latency, p50", base.Latency.P50, res.Latency.P50},
			{"Latency, p99", base.Latency.P99, res.Latency.P99},
			{"Latency, p99.9", base.Latency.P999, res.Latency.P999},
			{"Latency, max", base.Latency.Max, res.Latency.Max},
		} {
			add(l.name, l.from, l.to, lower, latency)
		}
	}
	add("Failed operations", float64(base.FailedOperations), float64(res.FailedOperations), lower, whole)
	add("Longest unavailability", base.UnavailableMS, res.UnavailableMS, lower, latency)
	if base.VerifiedWrites > 0 && res.VerifiedWrites > 0 {
		add("Lost writes", float64(base.LostWrites), float64(res.LostWrites), lower, whole)
	}
	add("Generator's processor time per operation", base.Generator.CPUMicrosPerOperation, res.Generator.CPUMicrosPerOperation, neither,
		func(us float64) string { return latency(us / 1000) })
	for _, c := range res.ByCommand {
		for _, b := range base.ByCommand {
			if b.Command == c.Command {
				add(plain(c.Command)+", throughput", b.ThroughputOPS, c.ThroughputOPS, higher, ops)
				add(plain(c.Command)+", p99", b.Latency.P99, c.Latency.P99, lower, latency)
				break
			}
		}
	}
	return t
}

// differences lays what ran beside what ran in the baseline, where they differ.
// A result of before workloads were kept has none.
func differences(run spec.LoadRun, base, res spec.LoadResult) table {
	t := table{Head: words("", "Baseline", "This run")}
	if base.Workload == nil {
		return t
	}
	now := run
	if res.Workload != nil {
		now.Workload = *res.Workload
	}
	before := now
	before.Workload = *base.Workload
	was := map[string]string{}
	for _, f := range describe(before, base, nil) {
		was[f.Name] = f.Text
	}
	is := describe(now, res, nil)
	for _, f := range is {
		if before := was[f.Name]; f.Name != "When" && f.Name != "Seed" && before != f.Text {
			t.Rows = append(t.Rows, row{Cells: figures(f.Name, cmp.Or(before, none), f.Text)})
		}
		delete(was, f.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(was)) { // what only the baseline had
		if name != "Seed" {
			t.Rows = append(t.Rows, row{Cells: figures(name, was[name], none)})
		}
	}
	return t
}

// baselineName is the baseline's server and time.
func baselineName(base spec.LoadResult) string {
	return strings.TrimPrefix(serverName(base.Server)+", "+when(base), ", ")
}

// baselineInWords says what a run is compared with, and where the two can't be compared.
func baselineInWords(base, res spec.LoadResult) string {
	s := "Compared with an earlier run: " + baselineName(base) + ". A difference below " + percent(noise) + " is not coloured: runs differ by that much by themselves."
	if a, b := len(base.Server.Shards), len(res.Server.Shards); a != b {
		s += fmt.Sprintf(" It had %s, this one has %d.", plural(int64(a), "shard"), b)
	}
	if base.Generator.Saturated {
		s += " Its load generator was saturated."
	}
	return s
}
