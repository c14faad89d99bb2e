package cluster

import (
	"fmt"
	"slices"
)

// forgotten are nodes that come back after all others were told to forget them:
// those do not take them back for a minute, except under another id. Only nodes
// that have nothing of their own are given one: no slots, and no keys but copies.
func (p *planner) forgotten() (out []*Member) {
	if p.d.Create {
		return nil
	}
	for _, m := range p.wanted {
		if len(p.owned[m.ID]) == 0 && p.knowsInVain(m) && p.dispensable(m) {
			out = append(out, m)
		}
	}
	return out
}

// knowsInVain says whether m knows owners of slots, none of whom knows it. Others
// that left together with it may.
func (p *planner) knowsInVain(m *Member) bool {
	knows := false
	for _, owner := range p.members {
		if owner == m || len(p.owned[owner.ID]) == 0 {
			continue
		}
		if _, known := owner.Peer(m.ID); known {
			return false
		}
		peer, does := m.Peer(owner.ID)
		knows = knows || does && peer.Settled()
	}
	return knows
}

// dispensable says whether all keys of m, if it has any, are on its primary, too.
func (p *planner) dispensable(m *Member) bool {
	primary := p.ids[m.PrimaryID]
	return len(m.Slots) == 0 && (m.Keys == 0 || primary != nil && len(p.owned[primary.ID]) > 0)
}

// planAnew is the plan for when the nodes have been made blank ones.
func (p *planner) planAnew(nodes []*Member) ([]Step, error) {
	var steps []Step
	o := Observed{Members: slices.Clone(p.o.Members)}
	for i := range o.Members {
		m := &o.Members[i]
		if !slices.ContainsFunc(nodes, func(n *Member) bool { return n.ID == m.ID }) {
			continue
		}
		steps = append(steps, Step{Stage: stageAnew, Kind: Reset, Node: m.Node.Name, Keys: m.Keys, Anew: true})
		*m = Member{Node: m.Node, ID: fmt.Sprintf("anew-%035d", i), BusPort: m.BusPort, Stats: m.Stats}
	}
	rest, err := Plan(o, p.d)
	return append(steps, rest...), err
}

// anew are the first steps of a plan that change ids, after which it has to be made again.
func anew(steps []Step) []Step {
	n := 0
	for n < len(steps) && steps[n].Stage == stageAnew {
		n++
	}
	return steps[:n]
}
