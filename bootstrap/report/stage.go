package report

import (
	"fmt"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// stageName is what a stage is called.
func stageName(i int, s spec.StageResult) string {
	if s.Name == "" {
		return fmt.Sprintf("stage %d", i+1)
	}
	return cut(s.Name, 24)
}

// stageMoments are the beginnings of the stages.
func stageMoments(stages []spec.StageResult) []moment {
	var ms []moment
	for i, s := range stages {
		if s.ElapsedSeconds > 0 {
			ms = append(ms, moment{Kind: "stage", Second: s.AtSeconds, Label: stageName(i, s)})
		}
	}
	return ms
}

// stageTable has a row for each stage and, below it, one for each of its
// commands, if there are several.
func stageTable(stages []spec.StageResult) table {
	t := table{Head: append(words("Stage", "Command"), numbers("From", "Length", "Operations", "ops/s", "Errors", "Mean", "p50", "p99", "p99.9", "Max")...)}
	for i, s := range stages {
		all := spec.CommandResult{Command: "all", Operations: s.Operations, ThroughputOPS: s.ThroughputOPS, Latency: s.Latency}
		for _, c := range s.ByCommand {
			all.Errors += c.Errors
		}
		rows := []spec.CommandResult{all}
		if len(s.ByCommand) > 1 {
			rows = append(rows, s.ByCommand...)
		}
		for k, c := range rows {
			cells := figures("", plain(c.Command), "", "", count(c.Operations), rate(c.ThroughputOPS), count(c.Errors), none, none, none, none, none)
			if k == 0 {
				cells[0].Text, cells[2].Text, cells[3].Text = stageName(i, s), seconds(s.AtSeconds), seconds(s.ElapsedSeconds)
			}
			if l := c.Latency; c.Operations > 0 {
				copy(cells[7:], figures(latency(l.Mean), latency(l.P50), latency(l.P99), latency(l.P999), latency(l.Max)))
			}
			t.Rows = append(t.Rows, row{Cells: cells})
		}
	}
	return t
}
