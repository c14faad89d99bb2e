package report

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// fact is a line of what ran against what.
type fact struct{ Name, Text string }

// weighted is an operation and its share.
type weighted struct {
	name   string
	weight float64
}

// describe says in words what ran against what. Nothing of run.Auth is used.
func describe(run spec.LoadRun, res spec.LoadResult, baseline *spec.LoadResult) []fact {
	w := run.Workload
	facts := []fact{
		{"Workload", operations(w)},
		{"Keys", keys(w.Keys)},
		{"Values", values(w)},
		{"Load", pressure(w)},
		{"Length", length(w)},
		{"Cluster", clusterInWords(run, res.Server)},
		{"Runners", runners(run, res)},
		{"When", when(res)},
	}
	if len(w.Stages) > 0 {
		facts = append(facts, fact{"Stages", stages(w.Stages)})
	}
	if w.Seed != 0 {
		facts = append(facts, fact{"Seed", fmt.Sprint(w.Seed)})
	}
	if baseline != nil {
		facts = append(facts, fact{"Baseline", baselineName(*baseline)})
	}
	return slices.DeleteFunc(facts, func(f fact) bool { return f.Text == "" })
}

func operations(w spec.Workload) string {
	if t := w.Trace; t != nil {
		s := "Replay of " + plain(t.Path)
		if t.Format != "" {
			s += " (" + plain(t.Format) + ")"
		}
		if t.Speed != 0 && t.Speed != 1 {
			s += " at " + trim(t.Speed, 2) + " times its speed"
		}
		if t.Loop {
			s += ", again and again"
		}
		return s
	}
	ops := mix(w)
	names := make([]string, len(ops))
	total, even := 0.0, true
	for i, o := range ops {
		names[i] = o.name
		total += o.weight
		even = even && o.weight == ops[0].weight
	}
	s := list(names)
	switch {
	case len(ops) > 1 && even:
		s += ", " + strings.Repeat("1:", len(ops)-1) + "1"
	case len(ops) > 1 && total > 0:
		for i, o := range ops {
			names[i] = percent(o.weight/total) + " " + o.name
		}
		s = list(names)
	}
	if len(ops) > 1 {
		switch w.Sequence {
		case "cycle":
			s += ", in turn on the same key"
		case "random":
			s += ", drawn at random"
		}
	}
	if w.ReadFrom == "replica" {
		s += "; reads from replicas"
	}
	return s
}

// mix are the operations of a workload, the heaviest first.
func mix(w spec.Workload) []weighted {
	var ops []weighted
	for _, name := range slices.Sorted(maps.Keys(w.Operations)) {
		if w.Operations[name] > 0 {
			ops = append(ops, weighted{plain(strings.ToUpper(name)), w.Operations[name]})
		}
	}
	// SET before GET where they weigh the same: that is the order in which they run.
	slices.SortStableFunc(ops, func(a, b weighted) int { return cmp.Compare(rank(a.name), rank(b.name)) })
	for _, c := range w.Commands {
		ops = append(ops, weighted{"“" + plain(c.Command) + "”", c.Weight})
	}
	if len(ops) == 0 {
		ops = []weighted{{"SET", 1}, {"GET", 1}}
	}
	slices.SortStableFunc(ops, func(a, b weighted) int { return cmp.Compare(b.weight, a.weight) })
	return ops
}

func rank(operation string) int {
	if operation == "SET" {
		return 0
	}
	return 1
}

func keys(k spec.Keys) string {
	var s string
	switch {
	case k.Length > 0:
		s = fmt.Sprintf("%s random letters and digits", count(int64(k.Length)))
		if k.Prefix != "" {
			s += " after “" + plain(k.Prefix) + "”"
		}
	case k.Maximum > 0:
		s = fmt.Sprintf("%s%d to %s%d", plain(k.Prefix), k.Minimum, plain(k.Prefix), k.Maximum)
	case k.Prefix != "":
		s = "beginning with “" + plain(k.Prefix) + "”"
	}
	if k.Pattern != "" {
		if s != "" {
			s += ", "
		}
		s += plain(k.Pattern)
	}
	return s
}

func values(w spec.Workload) string {
	var s string
	switch {
	case len(w.DataSizes) > 0:
		total := 0.0
		for _, d := range w.DataSizes {
			total += d.Weight
		}
		var parts []string
		for _, d := range w.DataSizes {
			part := size(d.Minimum)
			if d.Maximum > d.Minimum {
				part += "–" + size(d.Maximum)
			}
			if len(w.DataSizes) > 1 && total > 0 {
				part = percent(d.Weight/total) + " of " + part
			}
			parts = append(parts, part)
		}
		s = list(parts)
	case w.DataSize > 0:
		s = size(w.DataSize)
	}
	if w.Expiry > 0 {
		s = strings.TrimPrefix(s+", expiring after "+w.Expiry.String(), ", ")
	}
	return s
}

func pressure(w spec.Workload) string {
	if w.Clients == 0 {
		return ""
	}
	s := plural(int64(w.Clients), "client")
	if w.Pipeline > 1 {
		s += fmt.Sprintf(", %s commands at a time each (pipeline)", count(int64(w.Pipeline)))
	} else {
		s += ", one command at a time each"
	}
	if w.Threads > 0 {
		s += ", " + plural(int64(w.Threads), "thread")
	}
	if w.Rate <= 0 {
		return s + "; as fast as answers come (closed loop)"
	}
	arrival := ""
	if w.Arrival != "" {
		arrival = ", " + plain(w.Arrival) + " arrivals"
	}
	return s + fmt.Sprintf("; %s ops/s by schedule%s (open loop)", rate(w.Rate), arrival)
}

func length(w spec.Workload) string {
	var s string
	switch {
	case w.Requests > 0:
		s = plural(w.Requests, "command")
	case w.Duration > 0:
		s = spaced(w.Duration)
	}
	if w.Warmup > 0 {
		s = strings.TrimPrefix(s+", after "+spaced(w.Warmup)+" of warm-up", ", ")
	}
	return s
}

// spaced writes a duration as seconds does, whole seconds without a decimal.
func spaced(d spec.Duration) string {
	return strings.Replace(seconds(d.D().Seconds()), ".0"+nbsp, nbsp, 1)
}

func stages(ss []spec.Stage) string {
	parts := make([]string, len(ss))
	for i, s := range ss {
		part := spaced(s.Duration)
		if s.Name != "" {
			part = plain(s.Name) + ": " + part
		}
		if s.Rate > 0 {
			at := " at "
			if s.Ramp {
				at = " ramping to "
			}
			part += at + rate(s.Rate) + " ops/s"
		}
		if s.DataSize > 0 {
			part += ", values of " + size(s.DataSize)
		}
		parts[i] = part
	}
	return strings.Join(parts, "; ")
}

func clusterInWords(run spec.LoadRun, s spec.LoadServer) string {
	var parts []string
	if server := serverName(s); server != "" {
		parts = append(parts, server)
	}
	if s.Nodes > 0 {
		parts = append(parts, plural(int64(s.Nodes), "node"))
	}
	if len(s.Shards) > 0 {
		parts = append(parts, plural(int64(len(s.Shards)), "shard"))
		least, most := len(s.Shards[0].Replicas), 0
		for _, sh := range s.Shards {
			least, most = min(least, len(sh.Replicas)), max(most, len(sh.Replicas))
		}
		if least == most {
			parts = append(parts, plural(int64(most), "replica")+" each")
		} else {
			parts = append(parts, fmt.Sprintf("%d–%d replicas each", least, most))
		}
	}
	if run.TLS != nil {
		parts = append(parts, "over TLS")
	}
	return strings.Join(parts, ", ")
}

// serverName is as "Redis 7.0.15".
func serverName(s spec.LoadServer) string {
	return strings.TrimSpace(flavor(s.Flavor) + " " + plain(s.Version))
}

func flavor(f string) string {
	switch f {
	case string(spec.FlavorRedis):
		return "Redis"
	case string(spec.FlavorValkey):
		return "Valkey"
	default:
		return plain(f)
	}
}

func runners(run spec.LoadRun, res spec.LoadResult) string {
	hosts := res.Generator.Hosts
	n := max(int64(len(hosts)), int64(run.Runners), 1)
	if len(hosts) == 0 {
		return plural(n, "runner")
	}
	var names []string
	for _, h := range hosts[:min(len(hosts), 8)] {
		names = append(names, plain(h))
	}
	if more := len(hosts) - len(names); more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	if n == 1 {
		return names[0]
	}
	return plural(n, "runner") + ": " + list(names)
}

// layout is the form of points in time; they are shown in UTC wherever the report is made.
const layout = "2006-01-02 15:04:05"

func when(res spec.LoadResult) string {
	if res.StartedAt.IsZero() {
		return ""
	}
	return res.StartedAt.UTC().Format(layout) + " UTC, for " + seconds(res.ElapsedSeconds)
}
