package cluster

import (
	"slices"
)

// takeOver promotes a replica of each shard whose primary is gone and which the
// cluster did not promote by itself.
func (p *planner) takeOver() {
	for _, g := range p.ghosts() {
		if len(g.slots) == 0 {
			continue
		}
		heir := p.heir(g.id)
		if heir == nil {
			continue
		}
		p.add(Step{Stage: stageTakeover, Kind: Failover, Node: heir.Node.Name, Target: g.name, TargetID: g.id, Takeover: true})
		p.owned[heir.ID] = g.slots
	}
}

// heir is the replica of the primary with this id that has seen most of its writes.
func (p *planner) heir(id string) *Member {
	var best *Member
	for _, m := range p.members {
		if m.PrimaryID != id {
			continue
		}
		better := best == nil ||
			p.isWanted(m) && !p.isWanted(best) ||
			p.isWanted(m) == p.isWanted(best) && m.Stats.ReplOffset > best.Stats.ReplOffset
		if better {
			best = m
		}
	}
	return best
}

// forgetGhosts has every node drop the members that are gone. A node cannot
// forget its own primary, so replicas of a ghost do it when they have been
// attached elsewhere; until then they tell newcomers of it, who forget it after them.
func (p *planner) forgetGhosts() error {
	for _, g := range p.ghosts() {
		lost := g.slots
		for _, slots := range p.owned {
			lost = lost.Minus(slots)
		}
		if len(lost) > 0 && !p.d.AcceptDataLoss {
			return lostSlots(g, lost)
		}
		bereaved := slices.ContainsFunc(p.members, func(m *Member) bool { return m.PrimaryID == g.id })
		for _, m := range p.members {
			s := Step{Stage: stageForget, Kind: Forget, Node: m.Node.Name, Target: g.name, TargetID: g.id}
			switch _, knows := m.Peer(g.id); {
			case m.PrimaryID == g.id:
				s.Stage = stageLeave
			case knows:
			case bereaved && p.isWanted(m):
				s.Stage = stageLeaveLast
			default:
				continue
			}
			p.add(s)
		}
	}
	return nil
}

// adoptOrphans gives slots that have lost their owner to a node that has keys in
// them. Where several have, the first gets the others' keys too.
func (p *planner) adoptOrphans() {
	unowned := AllSlots()
	for _, slots := range p.owned {
		unowned = unowned.Minus(slots)
	}
	var adopted []*Member
	for _, m := range p.members {
		for _, first := range adopted {
			if both := p.owned[first.ID].Intersect(m.Orphans); len(both) > 0 {
				p.add(Step{Stage: stageClose, Kind: Close, Node: first.Node.Name, Slots: both})
			}
		}
		slots := m.Orphans.Intersect(unowned)
		if len(slots) == 0 {
			continue
		}
		unowned = unowned.Minus(slots)
		p.owned[m.ID] = p.owned[m.ID].Union(slots)
		adopted = append(adopted, m)
		p.add(Step{Stage: stageAdopt, Kind: Claim, Node: m.Node.Name, Slots: slots, Epoch: p.freshEpoch(m)})
	}
}

// closeOpenSlots ends moves that were interrupted.
//
// Where the owner migrates a slot the move goes on, whether the other side
// remembers it or not: keys that are there already are asked for there, and the
// owner serves a key until it is gone, so its copy is never the older one.
// Where only the other side remembers it, the owner has been serving the slot as
// if nothing was: it keeps it, and gets what keys the other has.
func (p *planner) closeOpenSlots() {
	resume, closing := map[[2]*Member][]Range{}, map[*Member][]Range{}
	for _, m := range p.members {
		for slot, toID := range m.Migrating {
			owner, to := p.ownerOf(slot), p.primaryOf(toID)
			switch {
			case owner == nil:
			case owner == m && to != nil && to != m:
				resume[[2]*Member{m, to}] = append(resume[[2]*Member{m, to}], Range{slot, slot})
			default:
				closing[owner] = append(closing[owner], Range{slot, slot})
			}
		}
	}
	for _, m := range p.members {
		for slot := range m.Importing {
			owner := p.ownerOf(slot)
			if owner == nil {
				continue
			}
			if to := p.primaryOf(owner.Migrating[slot]); to != m {
				closing[owner] = append(closing[owner], Range{slot, slot})
			}
		}
	}
	for pair, ranges := range resume {
		slots := SlotsOf(ranges...)
		p.add(Step{Stage: stageResume, Kind: Migrate, Node: pair[0].Node.Name, Target: pair[1].Node.Name, Slots: slots})
		p.owned[pair[0].ID] = p.owned[pair[0].ID].Minus(slots)
		p.owned[pair[1].ID] = p.owned[pair[1].ID].Union(slots)
	}
	for owner, ranges := range closing {
		p.add(Step{Stage: stageClose, Kind: Close, Node: owner.Node.Name, Slots: SlotsOf(ranges...)})
	}
}

// primaryOf is the primary of the shard that the member with this id is in, nil if it is gone.
func (p *planner) primaryOf(id string) *Member {
	m := p.ids[id]
	if m != nil && m.PrimaryID != "" {
		m = p.ids[m.PrimaryID]
	}
	return m
}

func (p *planner) ownerOf(slot int) *Member {
	for id, slots := range p.owned {
		if slots.Contains(slot) {
			return p.ids[id]
		}
	}
	return nil
}
