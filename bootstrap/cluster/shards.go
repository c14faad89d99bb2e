package cluster

import (
	"cmp"
	"slices"
)

// layOut decides on shards, slots and replicas, and adds the steps that get there.
func (p *planner) layOut() error {
	kept, dissolved := p.currentShards()
	free := p.freeNodes(kept)
	free = p.successors(kept, free)
	free = p.newShards(&kept, free)
	if len(kept) != p.d.Shards() {
		return tooFewNodes(len(kept), p.d.Shards())
	}
	unowned := AllSlots()
	for _, slots := range p.owned {
		unowned = unowned.Minus(slots)
	}
	moves := shareSlots(kept, dissolved, unowned)
	for _, s := range kept {
		p.claim(s, moves)
	}
	for _, m := range moves {
		keys, bytes := m.weight()
		p.add(Step{Stage: stageMigrate, Kind: Migrate, Node: m.from.node().Node.Name, Target: m.to.primary.Node.Name, Slots: m.slots, Keys: keys, Bytes: bytes})
	}
	attached := map[*Member]*shard{}
	for _, s := range kept {
		for _, r := range s.replicas {
			attached[r] = s
		}
	}
	// Shards of different sizes have layouts that only a failover shows to be
	// worse than others, which is no reason to change anything.
	if settled := len(p.steps) == 0 && len(free) == 0; !settled || p.d.SpareReplicas == 0 {
		free = placeReplicas(kept, free, p.d.ReplicasPerShard)
		placeReplicas(kept, free, p.d.ReplicasPerShard+1) // the spare ones
	}
	for _, s := range kept {
		for _, r := range s.replicas {
			if attached[r] != s || r.PrimaryID != s.primary.ID && s.holder == s.primary {
				p.replicate(r, s)
			}
		}
	}
	p.balance(kept)
	return nil
}

// balance moves roles, not data: where the cluster is changed anyway, primaries
// that crowd a host or a zone hand over to replicas elsewhere. A cluster whose
// primaries are mostly on one host does not survive that host. Failovers alone,
// which happen by themselves, are no reason to change anything.
func (p *planner) balance(kept []*shard) {
	if len(p.steps) == 0 || p.d.Create {
		return
	}
	hosts, zones := map[string]int{}, map[string]int{}
	count := func(m *Member, n int) {
		hosts[m.Node.Host] += n
		zones[m.Node.Zone] += n
	}
	for _, s := range kept {
		count(s.primary, 1)
	}
	// gain of a move is how many fewer primaries share the busier place.
	gain := func(from, to *Member) (zone, host int) {
		if from.Node.Zone != to.Node.Zone {
			zone = zones[from.Node.Zone] - zones[to.Node.Zone] - 1
		}
		if from.Node.Host != to.Node.Host {
			host = hosts[from.Node.Host] - hosts[to.Node.Host] - 1
		}
		return zone, host
	}
	settled := slices.DeleteFunc(slices.Clone(kept), func(s *shard) bool { return s.holder != s.primary }) // not new, nor failing over
	for improved := true; improved; {
		improved = false
		for _, s := range settled {
			for i, r := range s.replicas {
				zone, host := gain(s.primary, r)
				if zone < 0 || zone == 0 && host <= 0 {
					continue
				}
				count(s.primary, -1)
				count(r, 1)
				s.replicas[i], s.primary = s.primary, r
				improved = true
			}
		}
	}
	for _, s := range settled {
		if s.primary != s.holder {
			p.add(Step{Stage: stageBalance, Kind: Failover, Node: s.primary.Node.Name, Target: s.holder.Node.Name})
		}
	}
}

// node is the member that owns the shard's slots when slots are moved.
func (s *shard) node() *Member {
	if s.primary != nil {
		return s.primary
	}
	return s.holder
}

// currentShards sorts today's shards into those that stay and those to dissolve.
func (p *planner) currentShards() (kept, dissolved []*shard) {
	for _, m := range p.members {
		if slots := p.owned[m.ID]; len(slots) > 0 {
			kept = append(kept, &shard{holder: m, has: slots})
		}
	}
	excess := len(kept) - p.d.Shards()
	if excess > 0 {
		// Those that nobody wants go first, then those that cost least to move.
		slices.SortStableFunc(kept, func(a, b *shard) int {
			return cmp.Or(cmp.Compare(p.stake(b), p.stake(a)), cmp.Compare(b.has.Count(), a.has.Count()))
		})
		dissolved = kept[p.d.Shards():]
		kept = kept[:p.d.Shards()]
	}
	slices.SortStableFunc(kept, func(a, b *shard) int { return a.has[0].First - b.has[0].First })
	for _, s := range kept {
		for _, m := range p.wanted {
			if m != s.holder && m.PrimaryID == s.holder.ID {
				s.replicas = append(s.replicas, m)
			}
		}
	}
	return kept, dissolved
}

// stake says how much of a shard is wanted: its primary counts for more than any number of replicas.
func (p *planner) stake(s *shard) int {
	n := 0
	if p.isWanted(s.holder) {
		n += len(p.d.Nodes) + 1
	}
	for _, m := range p.wanted {
		if m.PrimaryID == s.holder.ID {
			n++
		}
	}
	return n
}

// freeNodes are the wanted nodes that belong to no kept shard, blank ones first,
// with the replicas that a shard has too many of.
func (p *planner) freeNodes(kept []*shard) []*Member {
	taken := map[*Member]bool{}
	var surplus []*Member
	spare := p.d.SpareReplicas
	for _, s := range kept {
		taken[s.holder] = true
		room := p.d.ReplicasPerShard
		if !p.isWanted(s.holder) {
			room++ // one of them becomes the primary
		}
		if len(s.replicas) > room && spare > 0 {
			room++
			spare--
		}
		for len(s.replicas) > room {
			worst := worstReplica(s)
			surplus = append(surplus, s.replicas[worst])
			taken[s.replicas[worst]] = true
			s.replicas = slices.Delete(s.replicas, worst, worst+1)
		}
		for _, r := range s.replicas {
			taken[r] = true
		}
	}
	var blank, other []*Member
	for _, m := range p.wanted {
		switch {
		case taken[m]:
		case m.PrimaryID == "":
			blank = append(blank, m)
		default:
			other = append(other, m)
		}
	}
	return slices.Concat(blank, other, surplus)
}

// worstReplica is the index of the replica that shares most with its shard, the last of equals.
func worstReplica(s *shard) int {
	worst, cost := 0, -1
	for i, r := range s.replicas {
		if c := s.costWith(r, r) + pairCost(r, s.holder); c >= cost {
			worst, cost = i, c
		}
	}
	return worst
}

// successors gives each kept shard its primary: the one it has, if wanted; else
// one of its replicas, or a free node that is made a replica first.
func (p *planner) successors(kept []*shard, free []*Member) []*Member {
	for _, s := range kept {
		if p.isWanted(s.holder) {
			s.primary = s.holder
			continue
		}
		if len(s.replicas) == 0 {
			if len(free) == 0 {
				continue
			}
			s.primary, free = free[0], free[1:]
			p.add(Step{Stage: stageReplicate, Kind: Replicate, Node: s.primary.Node.Name, Target: s.holder.Node.Name})
		} else {
			s.primary = s.replicas[0]
			s.replicas = s.replicas[1:]
		}
		p.add(Step{Stage: stageFailover, Kind: Failover, Node: s.primary.Node.Name, Target: s.holder.Node.Name})
	}
	return free
}

// newShards adds the shards that are missing, each with a free node as its primary.
func (p *planner) newShards(kept *[]*shard, free []*Member) []*Member {
	var primaries []*Member
	for _, s := range *kept {
		if s.primary != nil {
			primaries = append(primaries, s.primary)
		}
	}
	candidates, others := free, []*Member(nil)
	missing := p.d.Shards() - len(*kept)
	blank := slices.IndexFunc(free, func(m *Member) bool { return m.PrimaryID != "" })
	if blank >= missing {
		// Enough nodes are no replicas: those that are keep their data for now.
		candidates, others = free[:blank], free[blank:]
	}
	picked, rest := pickSpread(candidates, primaries, missing)
	for _, m := range picked {
		if m.PrimaryID != "" {
			p.add(Step{Stage: stageReset, Kind: Reset, Node: m.Node.Name, Keys: m.Keys})
		}
		*kept = append(*kept, &shard{primary: m})
	}
	return slices.Concat(rest, others)
}

// claim gives the shard the slots that it wants and nobody has to hand over.
func (p *planner) claim(s *shard, moves []move) {
	slots := s.wants.Minus(s.has)
	for _, m := range moves {
		if m.to == s {
			slots = slots.Minus(m.slots)
		}
	}
	if len(slots) == 0 {
		return
	}
	p.add(Step{Stage: stageClaim, Kind: Claim, Node: s.primary.Node.Name, Slots: slots, Epoch: p.freshEpoch(s.primary)})
}

// freshEpoch is a config epoch that nobody has, for a node that may be given one
// (it has none and knows nobody); 0 for others, which get theirs from the cluster.
func (p *planner) freshEpoch(m *Member) int64 {
	if len(m.Peers) > 0 || m.ConfigEpoch != 0 || m.CurrentEpoch != 0 {
		return 0
	}
	highest := int64(0)
	for _, other := range p.members {
		highest = max(highest, other.CurrentEpoch, other.ConfigEpoch)
	}
	for _, s := range p.steps {
		highest = max(highest, s.Epoch)
	}
	return highest + 1
}

// replicate attaches m to the shard: at once if m is free to, or after the slots
// that it still owns have moved.
func (p *planner) replicate(m *Member, s *shard) {
	stage := stageReplicate
	if len(p.owned[m.ID]) > 0 {
		stage = stageSettle
	}
	if s.holder != nil && s.holder != s.primary {
		stage = stageSettle // the primary is one only after the failover
	}
	p.add(Step{Stage: stage, Kind: Replicate, Node: m.Node.Name, Target: s.primary.Node.Name})
}
