package cluster

import (
	"fmt"
	"slices"
	"strings"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// Words sums a plan up for people, in the order in which it is done: like steps
// become one line, with the counts that matter.
func Words(steps []Step) []string {
	var words []string
	forgotten := map[string]bool{}
	for len(steps) > 0 {
		kind, turn := steps[0].Kind, steps[0].Stage >= stageRestart
		n := 1
		for n < len(steps) && (turn || steps[n].Kind == kind) {
			n++
		}
		words = append(words, inWords(kind, turn, steps[:n], forgotten)...)
		steps = steps[n:]
	}
	return words
}

// inWords sums up steps of one kind, or with turn the restarts and the failovers between them.
func inWords(kind Kind, turn bool, steps []Step, forgotten map[string]bool) []string {
	switch {
	case len(steps) == 1 && kind != Meet && kind != Forget:
		return []string{steps[0].String()}
	case turn:
		return []string{restartsInWords(steps)}
	case kind == Forget:
		return forgetsInWords(steps, forgotten)
	case kind == Claim:
		return []string{fmt.Sprintf("assign %d slots to %s", sumSlots(steps), listNames(nodesOf(steps)))}
	case kind == Meet:
		return []string{meetsInWords(steps)}
	case kind == Migrate:
		return movesInWords(steps)
	case kind == Replicate:
		return []string{"make replicas: " + listPairs(steps, "%[1]s of %[2]s")}
	case kind == Failover && !slices.ContainsFunc(steps, func(s Step) bool { return s.Takeover }):
		return []string{fmt.Sprintf("fail over %d shards: ", len(steps)) + listPairs(steps, "from %[2]s to %[1]s")}
	}
	var words []string
	for _, s := range steps {
		words = append(words, s.String())
	}
	return words
}

// meetsInWords names the newcomers, who have the most nodes to meet.
func meetsInWords(steps []Step) string {
	meetings, most := map[string]int{}, 0
	var names []string
	count := func(name string) {
		if meetings[name]++; meetings[name] == 1 {
			names = append(names, name)
		}
		most = max(most, meetings[name])
	}
	for _, s := range steps {
		for _, peer := range s.Peers {
			count(s.Node)
			count(peer)
		}
	}
	newcomers := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return meetings[name] < most })
	if len(newcomers) == len(names) {
		return fmt.Sprintf("introduce %d nodes to each other", len(names))
	}
	slices.Sort(newcomers)
	return fmt.Sprintf("introduce %s to the others", listNames(newcomers))
}

func restartsInWords(steps []Step) string {
	failovers := 0
	var restarted []string
	for _, s := range steps {
		if s.Kind == Failover {
			failovers++
		} else {
			restarted = append(restarted, s.Node)
		}
	}
	text := fmt.Sprintf("restart %d nodes one at a time", len(restarted))
	if len(restarted) == 1 {
		text = "restart " + restarted[0]
	}
	switch failovers {
	case 0:
	case 1:
		text += ", with 1 failover"
	default:
		text += fmt.Sprintf(", with %d failovers", failovers)
	}
	if len(restarted) == 1 {
		return text
	}
	return text + ": " + listNames(restarted)
}

// forgetsInWords names each node that is forgotten once, and remembers it in forgotten.
func forgetsInWords(steps []Step, forgotten map[string]bool) []string {
	var words []string
	for _, s := range steps {
		if !forgotten[s.TargetID] {
			forgotten[s.TargetID] = true
			words = append(words, fmt.Sprintf("have every node forget %s", s.Target))
		}
	}
	return words
}

// movesInWords has a line per target or per source, whichever are fewer.
func movesInWords(steps []Step) []string {
	bySource, byTarget := map[string][]Step{}, map[string][]Step{}
	for _, s := range steps {
		bySource[s.Node] = append(bySource[s.Node], s)
		byTarget[s.Target] = append(byTarget[s.Target], s)
	}
	groups, of := byTarget, func(s Step) string { return s.Target }
	if len(bySource) < len(byTarget) {
		groups, of = bySource, func(s Step) string { return s.Node }
	}
	if len(groups) > mostNames {
		return []string{moveInWords(steps)}
	}
	var words []string
	for _, s := range steps {
		if group := groups[of(s)]; len(group) > 0 {
			words = append(words, moveInWords(group))
			delete(groups, of(s))
		}
	}
	return words
}

func moveInWords(steps []Step) string {
	w := Sum(steps)
	text := fmt.Sprintf("move %d slots", w.Slots)
	if len(steps) == 1 {
		text = "move " + countSlots(steps[0].Slots)
	}
	const worthSaying = 1 << 20 // bytes
	switch {
	case w.Bytes >= worthSaying:
		text += fmt.Sprintf(" with about %s (%s)", countKeys(w.Keys), formatBytes(w.Bytes))
	case w.Keys > 0:
		text += fmt.Sprintf(" with about %s", countKeys(w.Keys))
	}
	return fmt.Sprintf("%s from %s to %s", text, listNames(nodesOf(steps)), listNames(targetsOf(steps)))
}

// Sum counts what a plan does. Keys and bytes are what the nodes' own counts
// come to if keys lie evenly over slots.
func Sum(steps []Step) spec.ClusterWork {
	var w spec.ClusterWork
	for _, s := range steps {
		switch s.Kind {
		case Migrate:
			w.Slots += s.Slots.Count()
			w.Keys += s.Keys
			w.Bytes += s.Bytes
		case Restart:
			w.Restarts++
		case Failover:
			w.Failovers++
		}
	}
	return w
}

// InAll sums a plan up in a sentence, for what people ask first: how much data
// moves, and how often clients have to find another node. Empty if neither does.
func InAll(steps []Step) string {
	w := Sum(steps)
	var parts []string
	if w.Slots > 0 {
		text := "no keys"
		if w.Keys > 0 {
			text = fmt.Sprintf("about %s (%s)", countKeys(w.Keys), formatBytes(w.Bytes))
		}
		parts = append(parts, fmt.Sprintf("%s slots with %s move", groupThousands(int64(w.Slots)), text))
	}
	count := func(n int, one, many string) {
		switch n {
		case 0:
		case 1:
			parts = append(parts, one)
		default:
			parts = append(parts, fmt.Sprintf(many, n))
		}
	}
	count(w.Restarts, "1 node restarts", "%d nodes restart, one at a time")
	count(w.Failovers, "1 shard fails over", "%d shards fail over")
	if len(parts) == 0 {
		return ""
	}
	return "In all: " + strings.Join(parts, "; ") + "."
}

func sumSlots(steps []Step) (n int) {
	for _, s := range steps {
		n += s.Slots.Count()
	}
	return n
}

// nodesOf and targetsOf name each node once, in the order of the steps.
func nodesOf(steps []Step) []string { return distinct(steps, func(s Step) string { return s.Node }) }
func targetsOf(steps []Step) []string {
	return distinct(steps, func(s Step) string { return s.Target })
}

func distinct(steps []Step, of func(Step) string) (names []string) {
	for _, s := range steps {
		if name := of(s); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// mostNames is how many names a line has at most.
const mostNames = 6

// listNames names a few nodes and counts the rest.
func listNames(names []string) string {
	if len(names) <= mostNames {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d others", strings.Join(names[:mostNames-1], ", "), len(names)-mostNames+1)
}

// listPairs writes the node and the target of a few steps in a format, and counts the rest.
func listPairs(steps []Step, format string) string {
	var pairs []string
	for _, s := range steps {
		pairs = append(pairs, fmt.Sprintf(format, s.Node, s.Target))
	}
	return listNames(pairs)
}

func countSlots(s Slots) string {
	n := s.Count()
	if n == 1 {
		return "slot " + s.String()
	}
	if len(s) > 3 {
		return fmt.Sprintf("%d slots", n)
	}
	return fmt.Sprintf("%d slots (%s)", n, s)
}
