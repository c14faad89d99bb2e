package report

import "github.com/redisfleet/terraform-provider-redis/bootstrap/spec"

// lostMoments are when runners were lost.
func lostMoments(runners []spec.RunnerResult) []moment {
	var ms []moment
	for _, r := range runners {
		if r.LostAtSeconds != nil {
			ms = append(ms, moment{Kind: "lost", Second: *r.LostAtSeconds, Label: "runner " + cut(r.Name, 24) + " lost"})
		}
	}
	return ms
}

// runnerTable has a row for each of several runners.
func runnerTable(runners []spec.RunnerResult) table {
	t := table{Head: append(words("Runner"), numbers("Share of the load", "Operations", "ops/s", "Processor")...)}
	t.Head = append(t.Head, words("Outcome")...)
	for _, r := range runners {
		cells := figures(plain(r.Name), percent(r.Share), count(r.Operations), rate(r.ThroughputOPS), percent(r.CPU))
		outcome := cell{Text: "finished"}
		switch {
		case r.LostAtSeconds != nil:
			outcome = cell{Text: "lost after " + seconds(*r.LostAtSeconds) + ": " + plain(r.Error), Class: "bad"}
			copy(cells[2:], figures(none, none, none))
		case r.Saturated:
			outcome = cell{Text: "saturated", Class: "bad"}
		}
		t.Rows = append(t.Rows, row{Cells: append(cells, outcome)})
	}
	return t
}
