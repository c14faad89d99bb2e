package report

import (
	"fmt"
	"strings"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// verdict is the first thing that a reader sees.
type verdict struct {
	// Class is "passed", "breached", "interrupted" or "measured".
	Class, Word, Text string
	// Breaches are the result's own words.
	Breaches []string
	// Objectives compares each objective with what came of it.
	Objectives table
}

// objective is a limit that a result has to keep to.
type objective struct {
	name          string
	limit, actual string
	kept          bool
}

// judge sums a result up. The result's own Passed decides; the objectives are
// laid beside the figures for the reader.
func judge(run spec.LoadRun, res spec.LoadResult) verdict {
	os := objectives(run.Objectives, res)
	v := verdict{Objectives: table{Head: append(words("Objective", "Outcome"), numbers("Wanted", "Measured")...)}}
	broken := 0
	for _, o := range os {
		outcome := cell{Text: "✓ kept", Class: "good"}
		if !o.kept {
			broken++
			outcome = cell{Text: "✕ breached", Class: "bad"}
		}
		v.Objectives.Rows = append(v.Objectives.Rows, row{Cells: []cell{{Text: o.name}, outcome, {Text: o.limit}, {Text: o.actual}}})
	}
	for _, b := range res.Breaches {
		v.Breaches = append(v.Breaches, plain(b))
	}
	stopped := "The load was stopped after " + seconds(res.ElapsedSeconds)
	if d := run.Workload.Duration; d > 0 {
		stopped += " of " + spaced(d)
	}
	checked := !res.Passed && len(os) > 0 || len(res.Breaches) > 0
	switch {
	case checked:
		v.Class, v.Word = "breached", "Breached"
		v.Text = breachText(len(os), broken)
		if res.Interrupted {
			v.Text += " " + stopped + "."
		}
	case res.Interrupted:
		v.Class, v.Word, v.Text = "interrupted", "Interrupted", stopped+"; the figures are of this part."
	case res.Operations == 0:
		v.Class, v.Word, v.Text = "breached", "No answers", "Not one operation succeeded."
	case len(os) == 0:
		v.Class, v.Word, v.Text = "measured", "Measured", "No objectives were set."
	default:
		v.Class, v.Word, v.Text = "passed", "Passed", "The objective was kept."
		if len(os) > 1 {
			v.Text = fmt.Sprintf("All %d objectives were kept.", len(os))
		}
	}
	return v
}

func breachText(objectives, broken int) string {
	switch {
	case objectives == 1:
		return "The objective was not kept."
	case broken == 1:
		return fmt.Sprintf("1 of %d objectives was not kept.", objectives)
	case broken > 0:
		return fmt.Sprintf("%d of %d objectives were not kept.", broken, objectives)
	default:
		return "Not all objectives were kept."
	}
}

func objectives(o spec.Objectives, res spec.LoadResult) []objective {
	var os []objective
	atMost := func(name string, limit *float64, actual float64, format func(float64) string) {
		if limit != nil {
			os = append(os, objective{name, "≤ " + format(*limit), format(actual), actual <= *limit})
		}
	}
	if o.ThroughputOPS != nil {
		os = append(os, objective{"Throughput, ops/s", "≥ " + rate(*o.ThroughputOPS), rate(res.ThroughputOPS), res.ThroughputOPS >= *o.ThroughputOPS})
	}
	atMost("Latency, p99", o.P99MS, res.Latency.P99, latency)
	atMost("Error ratio", o.ErrorRatio, res.ErrorRatio(), percent)
	atMost("Unavailable", o.UnavailableMS, res.UnavailableMS, latency)
	if o.LostWrites != nil {
		os = append(os, objective{"Lost writes", "≤ " + count(*o.LostWrites), count(res.LostWrites), res.LostWrites <= *o.LostWrites})
	}
	return os
}

// maxWarnings bounds the result's own warnings that are shown.
const maxWarnings = 8

// alert is something that a reader must not miss.
type alert struct {
	// Class is "bad" or "warn".
	Class, Title, Text string
}

func alerts(run spec.LoadRun, res spec.LoadResult) []alert {
	var as []alert
	if g := res.Generator; g.Saturated {
		as = append(as, alert{"bad", "The load generator was saturated.",
			fmt.Sprintf("These figures are its limit, not the cluster's: it was using %s of its processors. Measure again with more runners or threads, or with a lower rate.", percent(g.CPU))})
	}
	if res.LostWrites > 0 || res.CorruptWrites > 0 || res.StaleWrites > 0 {
		as = append(as, alert{"bad", "Acknowledged writes did not survive.",
			fmt.Sprintf("%s lost, %s stale, %s corrupt; see “Verification of writes”.", count(res.LostWrites), count(res.StaleWrites), count(res.CorruptWrites))})
	}
	if res.Generator.Unsent > 0 {
		as = append(as, alert{"warn", "Part of the schedule was never sent.",
			fmt.Sprintf("%s were due and not sent before the load ended, so the cluster was not given the whole load.", plural(res.Generator.Unsent, "command"))})
	}
	for _, f := range res.Faults {
		if f.Error != "" {
			as = append(as, alert{"warn", "A fault did not go as it should.", tell(f, res.Server)})
		}
	}
	if n, want := len(res.Generator.Hosts), run.Runners; n > 0 && want > n && len(res.Runners) == 0 {
		as = append(as, alert{"warn", "Runners are missing.", fmt.Sprintf("%d of %d runners delivered a result; the figures are theirs alone.", n, want)})
	}
	for i, w := range res.Warnings {
		if i == maxWarnings {
			as = append(as, alert{"warn", "Note:", count(int64(len(res.Warnings)-i)) + " more; the result has them all."})
			break
		}
		if !strings.Contains(w, "generator was busy") { // it is above already
			as = append(as, alert{"warn", "Note:", period(w) + "."})
		}
	}
	return as
}
