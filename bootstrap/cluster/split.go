package cluster

import (
	"fmt"
	"maps"
	"slices"
)

// healSplits has each slot of one owner only. After a partition in which another
// node was made the owner by hand, both own it and both took writes. Were they
// just introduced to each other, the one with the older epoch would drop what it
// has. It gives the slots up first, which deletes nothing, and when all have met,
// its keys go to who owns them.
func (p *planner) healSplits() {
	for _, m := range p.members {
		for _, id := range slices.Sorted(maps.Keys(p.owned)) {
			owner := p.ids[id]
			if owner == m {
				continue
			}
			if both := m.Slots.Intersect(p.owned[id]); len(both) > 0 && !linked(m, owner) {
				p.add(Step{Stage: stageYield, Kind: Yield, Node: m.Node.Name, Target: owner.Node.Name, Slots: both, Keys: m.Keys})
				p.add(Step{Stage: stageMerge, Kind: Close, Node: owner.Node.Name, Slots: both})
			}
			if stray := p.strays(m, owner).Intersect(p.owned[id]); len(stray) > 0 {
				p.add(Step{Stage: stageMerge, Kind: Close, Node: owner.Node.Name, Slots: stray})
			}
		}
	}
}

// strays are the slots of m's keys but for those that are being moved from owner to m.
func (p *planner) strays(m, owner *Member) Slots {
	var moving []Range
	for slot := range m.Importing {
		moving = append(moving, Range{slot, slot})
	}
	for slot, to := range owner.Migrating {
		if to == m.ID {
			moving = append(moving, Range{slot, slot})
		}
	}
	return m.Strays.Minus(SlotsOf(moving...))
}

// linked says whether two nodes talk to each other, and so settle by themselves,
// in a moment, which of them owns a slot.
func linked(a, b *Member) bool {
	ab, aKnows := a.Peer(b.ID)
	ba, bKnows := b.Peer(a.ID)
	return aKnows && bKnows && ab.LinkUp && ba.LinkUp
}

// splitProblems names the pairs that own the same slots.
func splitProblems(o Observed) (out []string) {
	members := o.reachable()
	for i, a := range members {
		for _, b := range members[i+1:] {
			if both := a.Slots.Intersect(b.Slots); len(both) > 0 && !linked(a, b) {
				out = append(out, fmt.Sprintf("%s and %s both own %s and take writes: the cluster is split", a.Node.Name, b.Node.Name, countSlots(both)))
			}
		}
	}
	return out
}
