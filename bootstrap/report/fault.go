package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// laneRows bounds the rows of labels above a chart. Where faults come thicker
// than that, their lines stay and the table tells the rest.
const laneRows = 6

// moment is something that happened at a second of the load.
type moment struct {
	// Kind is "injected", "detected", "promoted", "recovered", "rejoined", "stage" or "lost".
	Kind   string
	Second float64
	Label  string
}

// mark is a moment's label above a chart. X is in per cent.
type mark struct {
	Kind, Symbol, Label string
	X                   float64
	// Row counts from the top.
	Row int
	// Flip puts the label to the left of the line.
	Flip bool
}

// How each kind of fault is told: what happened to the node, and how it was mended.
func verbs(kind spec.FaultKind) (done, mended string) {
	switch kind {
	case spec.FaultStop:
		return "was stopped", "started again"
	case spec.FaultKill:
		return "was killed", "started again"
	case spec.FaultPause:
		return "was frozen", "thawed"
	case spec.FaultIsolate:
		return "was cut off from the network", "connected again"
	case spec.FaultVMStop:
		return "had its VM stopped", "started again"
	case spec.FaultVMReset:
		return "had its VM reset", "up again"
	default:
		return "was hit by the fault " + plain(string(kind)), "mended"
	}
}

// happened says whether the fault was injected at all.
func happened(f spec.FaultResult) bool {
	return f.Error == "" || f.RecoveredAtSeconds != nil || f.DetectedMS != nil || f.UnavailableMS > 0
}

// moments are what faults consist of, in the order of time.
func moments(faults []spec.FaultResult) []moment {
	var ms []moment
	for i, f := range faults {
		if !happened(f) {
			continue
		}
		number := ""
		if len(faults) > 1 {
			number = fmt.Sprintf("%d: ", i+1)
		}
		node := cut(f.Node, 24)
		done, mended := verbs(f.Kind)
		after := func(kind string, ms *float64, label string) []moment {
			if ms == nil {
				return nil
			}
			return []moment{{Kind: kind, Second: f.AtSeconds + *ms/1000, Label: number + label}}
		}
		ms = append(ms, moment{Kind: "injected", Second: f.AtSeconds, Label: number + node + " " + strings.TrimPrefix(done, "was ")})
		ms = append(ms, after("detected", f.DetectedMS, "failure detected")...)
		ms = append(ms, after("promoted", f.PromotedMS, cut(f.Promoted, 24)+" promoted")...)
		if f.RecoveredAtSeconds != nil {
			ms = append(ms, moment{Kind: "recovered", Second: *f.RecoveredAtSeconds, Label: number + node + " " + mended})
		}
		ms = append(ms, after("rejoined", f.RejoinedMS, "rejoined"+as(f.RejoinedAs))...)
	}
	slices.SortStableFunc(ms, func(a, b moment) int { return cmp.Compare(a.Second, b.Second) })
	return ms
}

func as(role string) string {
	if role == "" {
		return ""
	}
	return " as a " + plain(role)
}

// symbols lead a label, and stand for it where there is no room for words.
func symbol(kind string) string {
	switch kind {
	case "injected":
		return "✕"
	case "detected":
		return "!"
	case "promoted":
		return "▲"
	case "recovered":
		return "○"
	case "stage":
		return "▸"
	case "lost":
		return "✕"
	default:
		return "●"
	}
}

// lane labels moments above a chart of t, each in the first row in which it
// covers no other. It returns the number of rows that they take.
func lane(ms []moment, t timeline) ([]mark, int) {
	marks := make([]mark, 0, len(ms))
	var ends [laneRows]float64
	for i := range ends {
		ends[i] = -100
	}
	rows := 0
	for _, m := range ms {
		x := t.x(m.Second) * 100 / plotWidth
		k := mark{Kind: m.Kind, Symbol: symbol(m.Kind), Label: m.Label, X: tenths(x)}
		// A label of 12 px letters on a plot of some 800 px, the narrowest that
		// has labels, in per cent.
		width := 0.8*float64(len([]rune(m.Label))) + 3
		from, to := x, x+width
		if to > 100 {
			k.Flip = true
			from, to = x-width, x
		}
		for row := range ends {
			if ends[row] <= from {
				ends[row], k.Row = to, row
				rows = max(rows, row+1)
				marks = append(marks, k)
				break
			}
		}
	}
	return marks, rows
}

// lines are the moments as vertical lines in a plot of t, a series for each kind.
func lines(ms []moment, t timeline, height int) []series {
	var out []series
	for _, kind := range []string{"stage", "detected", "rejoined", "recovered", "promoted", "lost", "injected"} {
		var p path
		for _, m := range ms {
			if m.Kind == kind {
				p.move(t.x(m.Second), 0)
				p.vertical(float64(height))
			}
		}
		if d := p.String(); d != "" {
			out = append(out, series{Class: "line " + kind, Path: d})
		}
	}
	return out
}

// shades are the spans in which a node was down, and those in which a shard gave
// no answer. A result that knows no outages has those of its faults.
func shades(faults []spec.FaultResult, outages []spec.Outage, t timeline, height int) []series {
	var down, unavailable path
	for _, f := range faults {
		if !happened(f) {
			continue
		}
		mended := t.end
		if f.RecoveredAtSeconds != nil {
			mended = *f.RecoveredAtSeconds
		}
		down.rectangle(t.x(f.AtSeconds), t.x(mended), height)
		if len(outages) == 0 {
			unavailable.rectangle(t.x(f.AtSeconds), t.x(f.AtSeconds+f.UnavailableMS/1000), height)
		}
	}
	for _, o := range joined(outages) {
		unavailable.rectangle(t.x(o.AtSeconds), t.x(end(o)), height)
	}
	var out []series
	if d := down.String(); d != "" {
		out = append(out, series{Class: "down", Path: d})
	}
	if d := unavailable.String(); d != "" {
		out = append(out, series{Class: "unavailable", Path: d})
	}
	return out
}

// tell says in a sentence what came of a fault.
func tell(f spec.FaultResult, server spec.LoadServer) string {
	node := plain(f.Node)
	if node == "" {
		node = plain(f.Target)
	}
	if !happened(f) {
		return fmt.Sprintf("The fault “%s” on %s, due at %s, could not be done: %s.", plain(string(f.Kind)), node, seconds(f.AtSeconds), period(f.Error))
	}
	done, mended := verbs(f.Kind)
	parts := []string{fmt.Sprintf("%s %s at %s", node, done, seconds(f.AtSeconds))}
	if f.DetectedMS != nil {
		parts = append(parts, fmt.Sprintf("the cluster marked it as failed after %s", latency(*f.DetectedMS)))
	}
	switch {
	case f.PromotedMS != nil:
		parts = append(parts, fmt.Sprintf("%s was promoted after %s", plain(f.Promoted), latency(*f.PromotedMS)))
	case isPrimary(server, f.Node):
		parts = append(parts, "no other node was promoted")
	}
	if f.UnavailableMS > 0 {
		parts = append(parts, fmt.Sprintf("its shard did not answer for %s", latency(f.UnavailableMS)))
	} else {
		parts = append(parts, "its shard answered all the time")
	}
	if f.RecoveredAtSeconds == nil {
		parts = append(parts, "it had not been mended when the load ended")
	} else {
		back := fmt.Sprintf("it was %s at %s", mended, seconds(*f.RecoveredAtSeconds))
		if f.RejoinedMS != nil {
			later := f.AtSeconds + *f.RejoinedMS/1000 - *f.RecoveredAtSeconds
			back += fmt.Sprintf(" and had rejoined%s %s later", as(f.RejoinedAs), latency(max(later, 0)*1000))
		} else {
			back += " and had not rejoined when the load ended"
		}
		parts = append(parts, back)
	}
	s := strings.Join(parts, "; ") + "."
	if f.Error != "" {
		s += " Error: " + period(f.Error) + "."
	}
	return s
}

// period cuts the full stop off an error that goes into a sentence.
func period(s string) string { return strings.TrimRight(plain(s), ". ") }

// shardOf is the shard of a node, as the cluster stood at the start; −1 if it is in none.
func shardOf(server spec.LoadServer, node string) int {
	return slices.IndexFunc(server.Shards, func(s spec.Shard) bool {
		return s.Primary == node || slices.Contains(s.Replicas, node)
	})
}

func isPrimary(server spec.LoadServer, node string) bool {
	return slices.ContainsFunc(server.Shards, func(s spec.Shard) bool { return s.Primary == node })
}

// faultTable lists the faults. Times after the injection are given as such.
func faultTable(faults []spec.FaultResult) table {
	t := table{Head: words("Fault", "Node", "Target")}
	t.Head = append(t.Head, numbers("At", "Detected", "Promoted", "Unavailable", "Recovered at", "Rejoined")...)
	for i, f := range faults {
		optional := func(v *float64, prefix string) cell {
			if v == nil {
				return cell{Text: none}
			}
			return cell{Text: prefix + latency(*v)}
		}
		recovered := cell{Text: none}
		if f.RecoveredAtSeconds != nil {
			recovered.Text = seconds(*f.RecoveredAtSeconds)
		}
		promoted := optional(f.PromotedMS, "+")
		if f.Promoted != "" {
			promoted.Text = plain(f.Promoted) + " " + promoted.Text
		}
		rejoined := optional(f.RejoinedMS, "+")
		if f.RejoinedAs != "" {
			rejoined.Text = plain(f.RejoinedAs) + " " + rejoined.Text
		}
		unavailable := cell{Text: latency(f.UnavailableMS)}
		if f.UnavailableMS > 0 {
			unavailable.Class = "bad"
		}
		t.Rows = append(t.Rows, row{Cells: []cell{
			{Text: fmt.Sprintf("%d. %s", i+1, plain(string(f.Kind)))}, {Text: plain(f.Node)}, {Text: plain(f.Target)},
			{Text: seconds(f.AtSeconds)}, optional(f.DetectedMS, "+"), promoted, unavailable, recovered, rejoined,
		}})
	}
	return t
}
