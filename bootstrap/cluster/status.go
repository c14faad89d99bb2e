package cluster

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// Summarize is the state of the cluster as all nodes together see it.
// replicas is how many each shard should have; -1 if that is not known.
func Summarize(o Observed, replicas int) spec.ClusterStatus {
	s := spec.ClusterStatus{Problems: Problems(o, replicas), Shards: []spec.Shard{}, Nodes: []spec.NodeStatus{}}
	if s.Problems == nil {
		s.Problems = []string{}
	}
	owned := o.owners()
	s.SlotsAssigned, s.SlotsOK = countOwned(o, owned)
	for _, m := range o.reachable() {
		s.CurrentEpoch = max(s.CurrentEpoch, m.CurrentEpoch)
		if slots := owned[m.ID]; len(slots) > 0 {
			s.Shards = append(s.Shards, shardStatus(o, m, slots))
		}
	}
	slices.SortFunc(s.Shards, func(a, b spec.Shard) int { return firstSlot(a.Slots) - firstSlot(b.Slots) })
	for i := range o.Members {
		s.Nodes = append(s.Nodes, nodeStatus(o, &o.Members[i], owned))
	}
	s.ServerVersion, s.ServerFlavor = versions(o)
	s.Health = health(o, s)
	return s
}

func firstSlot(text string) int {
	slots, err := ParseSlots(text)
	if err != nil || len(slots) == 0 {
		return spec.Slots
	}
	return slots[0].First
}

// countOwned counts the slots that have an owner in anybody's eyes, and those
// whose owner answers.
func countOwned(o Observed, owned map[string]Slots) (assigned, ok int) {
	var served Slots
	for _, slots := range owned {
		served = served.Union(slots)
	}
	all := served
	for _, m := range o.reachable() {
		for _, p := range m.Peers {
			all = all.Union(p.Slots)
		}
	}
	return all.Count(), served.Count()
}

func shardStatus(o Observed, primary *Member, slots Slots) spec.Shard {
	s := spec.Shard{Slots: slots.String(), SlotCount: slots.Count(), Primary: primary.Node.Name, Keys: primary.Keys, Replicas: []string{}}
	for _, m := range o.reachable() {
		if m.PrimaryID == primary.ID {
			s.Replicas = append(s.Replicas, m.Node.Name)
		}
	}
	slices.Sort(s.Replicas)
	return s
}

func nodeStatus(o Observed, m *Member, owned map[string]Slots) spec.NodeStatus {
	n := spec.NodeStatus{Name: m.Node.Name, Address: m.Node.Addr(), Reachable: m.Reachable()}
	if !m.Reachable() {
		n.Error = m.Err.Error()
		return n
	}
	n.BusPort = m.BusPort
	n.ID, n.Slots, n.ConfigEpoch, n.LinkUp, n.Keys = m.ID, owned[m.ID].String(), m.ConfigEpoch, m.LinkUp, m.Keys
	n.ServerVersion, n.UsedMemory, n.ReplOffset, n.UptimeSeconds = m.Stats.Version, m.Stats.UsedMemory, m.Stats.ReplOffset, m.Stats.Uptime
	n.Role, n.State = "primary", "fail"
	if m.StateOK {
		n.State = "ok"
	}
	if m.PrimaryID != "" {
		n.Role, n.Primary = "replica", m.PrimaryID
		if p := o.byID(m.PrimaryID); p != nil {
			n.Primary = p.Node.Name
		}
	}
	return n
}

func versions(o Observed) (version, flavor string) {
	var all, flavors []string
	for _, m := range o.reachable() {
		all, flavors = append(all, m.Stats.Version), append(flavors, m.Stats.Flavor)
	}
	slices.SortFunc(all, compareVersions)
	slices.Sort(flavors)
	return strings.Join(slices.Compact(all), ", "), strings.Join(slices.Compact(flavors), ", ")
}

// compareVersions orders "7.0.15" before "10.0.2".
func compareVersions(a, b string) int {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := range min(len(as), len(bs)) {
		if c := cmp.Or(cmp.Compare(len(as[i]), len(bs[i])), cmp.Compare(as[i], bs[i])); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(as), len(bs))
}

func health(o Observed, s spec.ClusterStatus) spec.Health {
	switch {
	case len(o.reachable()) == 0:
		return spec.HealthUnreachable
	case s.SlotsOK < spec.Slots || !slices.ContainsFunc(o.reachable(), func(m *Member) bool { return m.StateOK }):
		return spec.HealthDown
	case len(s.Problems) > 0:
		return spec.HealthDegraded
	}
	return spec.HealthOK
}

// Problems says what is wrong, a sentence each. Nothing is wrong if every node
// answers, all have the same view of ids, addresses, roles, slots and epochs
// without failed or half-known members, no slot is open or unowned, every
// replica's link is up, and each shard has its replicas (-1: any number).
func Problems(o Observed, replicas int) []string {
	var out []string
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	for i := range o.Members {
		if m := &o.Members[i]; !m.Reachable() {
			add("%s (%s) does not answer: %v", m.Node.Name, m.Node.Addr(), m.Err)
		}
	}
	if len(o.reachable()) == 0 {
		return out
	}
	out = append(out, slotProblems(o)...)
	out = append(out, viewProblems(o)...)
	out = append(out, replicaProblems(o, replicas)...)
	return out
}

func slotProblems(o Observed) []string {
	var out []string
	unowned := AllSlots()
	epochs := map[int64]string{}
	for _, m := range o.reachable() {
		unowned = unowned.Minus(m.Slots)
		if len(m.Slots) > 0 {
			if twin, taken := epochs[m.ConfigEpoch]; taken {
				out = append(out, fmt.Sprintf("%s and %s have the same config epoch, %d", twin, m.Node.Name, m.ConfigEpoch))
			}
			epochs[m.ConfigEpoch] = m.Node.Name
		}
		if open := len(m.Migrating) + len(m.Importing); open > 0 {
			out = append(out, fmt.Sprintf("%s has %d open slots: a move was interrupted", m.Node.Name, open))
		}
		if !m.StateOK {
			out = append(out, fmt.Sprintf("%s says that the cluster's state is fail", m.Node.Name))
		}
	}
	out = append(out, splitProblems(o)...)
	if len(unowned) > 0 {
		out = append(out, fmt.Sprintf("nobody who answers owns %s", countSlots(unowned)))
	}
	return out
}

// viewProblems compares what each node thinks of every other with what that one says of itself.
func viewProblems(o Observed) []string {
	var out []string
	members := o.reachable()
	byID := make(map[string]*Member, len(members))
	for _, m := range members {
		byID[m.ID] = m
	}
	for _, m := range members {
		known := make(map[string]bool, len(m.Peers))
		for _, p := range m.Peers {
			known[p.ID] = true
			out = append(out, peerProblems(m, p, byID[p.ID])...)
		}
		for _, other := range members {
			if other != m && !known[other.ID] {
				out = append(out, fmt.Sprintf("%s does not know %s", m.Node.Name, other.Node.Name))
			}
		}
	}
	return out
}

func peerProblems(m *Member, p Peer, self *Member) []string {
	name := p.Addr
	if self != nil {
		name = self.Node.Name
	}
	switch {
	case !p.Settled():
		return []string{fmt.Sprintf("%s is still meeting %s", m.Node.Name, name)}
	case p.Has("noaddr"):
		return []string{fmt.Sprintf("%s has lost the address of %s", m.Node.Name, p.ID)}
	case p.Failing():
		return []string{fmt.Sprintf("%s thinks that %s has failed", m.Node.Name, name)}
	case !p.LinkUp:
		return []string{fmt.Sprintf("%s has no bus link to %s", m.Node.Name, name)}
	case self == nil:
		return nil // an unreachable member is reported as that
	case p.PrimaryID != self.PrimaryID:
		return []string{fmt.Sprintf("%s disagrees with %s about the role of %s", m.Node.Name, name, name)}
	case self.PrimaryID == "" && !p.Slots.Equal(self.Slots):
		return []string{fmt.Sprintf("%s disagrees with %s about the slots of %s", m.Node.Name, name, name)}
	case self.PrimaryID == "" && len(self.Slots) > 0 && p.ConfigEpoch != self.ConfigEpoch:
		return []string{fmt.Sprintf("%s disagrees with %s about its epoch", m.Node.Name, name)}
	}
	return nil
}

// outdated says whether a node that is seen as p has changed since.
func outdated(p Peer, self *Member) bool {
	switch {
	case p.PrimaryID != self.PrimaryID:
		return true
	case self.PrimaryID != "":
		return false
	}
	return !p.Slots.Equal(self.Slots) || len(self.Slots) > 0 && p.ConfigEpoch != self.ConfigEpoch
}

func replicaProblems(o Observed, replicas int) []string {
	var out []string
	count := map[string]int{}
	for _, m := range o.reachable() {
		if m.PrimaryID == "" {
			continue
		}
		count[m.PrimaryID]++
		if !m.LinkUp {
			out = append(out, fmt.Sprintf("%s has no replication link to its primary", m.Node.Name))
		}
	}
	for _, m := range o.reachable() {
		if n := count[m.ID]; replicas >= 0 && len(m.Slots) > 0 && n < replicas {
			out = append(out, fmt.Sprintf("%s has %d of %d replicas", m.Node.Name, n, replicas))
		}
	}
	return out
}
