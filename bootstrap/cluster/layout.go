package cluster

import (
	"cmp"
	"slices"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// shard is one shard of the wanted layout.
type shard struct {
	// primary will own the slots; nil until one is chosen.
	primary  *Member
	replicas []*Member
	// holder owns the shard's slots today, and differs from primary if that one
	// has to take over from it; nil for a new shard.
	holder *Member
	// has are the slots that the shard owns today, wants those it shall own.
	has, wants Slots
}

// quotas splits all slots over n shards evenly to one. counts are the slots that
// each has today: those that have more than the smaller share get the larger
// one, so that as few slots as can move; then the new ones do.
func quotas(counts []int) []int {
	n := len(counts)
	base, larger := spec.Slots/n, spec.Slots%n
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	rank := func(count int) int {
		switch {
		case count > base:
			return 0
		case count == 0:
			return 1
		}
		return 2
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(rank(counts[a]), rank(counts[b])) })
	out := make([]int, n)
	for i, at := range order {
		out[at] = base
		if i < larger {
			out[at]++
		}
	}
	return out
}

// move is a set of slots that goes from one shard to another.
type move struct {
	from, to *shard
	slots    Slots
}

// weight is about how many keys a move takes along, and their bytes, if keys lie
// evenly over the slots of who has them now.
func (m move) weight() (keys, bytes int64) {
	part, of := int64(m.slots.Count()), int64(m.from.has.Count())
	if m.from.holder == nil || of == 0 || m.from.holder.Keys == 0 {
		return 0, 0
	}
	return m.from.holder.Keys * part / of, m.from.holder.Stats.Dataset * part / of
}

// shareSlots settles which slots each kept shard wants, and returns the moves
// that get them there. free are slots without an owner; they go to whoever lacks
// slots without having to be moved.
func shareSlots(kept, dissolved []*shard, free Slots) []move {
	counts := make([]int, len(kept))
	for i, s := range kept {
		counts[i] = s.has.Count()
	}
	quota := quotas(counts)
	type surplus struct {
		from  *shard
		slots Slots
	}
	var spare []surplus
	for _, s := range dissolved {
		spare = append(spare, surplus{s, s.has})
	}
	for i, s := range kept {
		s.wants = s.has
		if excess := counts[i] - quota[i]; excess > 0 {
			var cut Slots
			cut, s.wants = s.has.TakeLast(excess)
			spare = append(spare, surplus{s, cut})
		}
	}
	var moves []move
	for i, s := range kept {
		lack := quota[i] - s.wants.Count()
		if lack <= 0 {
			continue
		}
		var got Slots
		got, free = free.TakeFirst(lack)
		s.wants = s.wants.Union(got)
		lack -= got.Count()
		for lack > 0 && len(spare) > 0 {
			got, spare[0].slots = spare[0].slots.TakeFirst(lack)
			if len(got) > 0 {
				moves = append(moves, move{spare[0].from, s, got})
				s.wants = s.wants.Union(got)
				lack -= got.Count()
			}
			if len(spare[0].slots) == 0 {
				spare = spare[1:]
			}
		}
	}
	return moves
}

// Weights of a pair of nodes within one shard that share a failure domain. All
// pairs count alike, whatever their roles, so that a failover never makes
// another layout look better. One shared host outweighs any number of shared zones.
const (
	sameZone = 1
	sameHost = 1 << 20
)

func pairCost(a, b *Member) int {
	switch {
	case a.Node.Host != "" && a.Node.Host == b.Node.Host:
		return sameHost
	case a.Node.Zone != "" && a.Node.Zone == b.Node.Zone:
		return sameZone
	}
	return 0
}

// costWith is what m costs in the shard, next to its members but skip.
func (s *shard) costWith(m, skip *Member) int {
	cost := 0
	if s.primary != nil && s.primary != skip {
		cost += pairCost(m, s.primary)
	}
	for _, r := range s.replicas {
		if r != skip {
			cost += pairCost(m, r)
		}
	}
	return cost
}

// placeReplicas gives each shard its number of replicas out of pool, away from
// the hosts and zones of its other members, then swaps replicas between shards
// for as long as that spreads the shards better. It returns who is left over.
//
// A single swap removes every avoidable conflict of a primary and one replica:
// where no swap helps, more than half of the nodes are on one host.
func placeReplicas(shards []*shard, pool []*Member, replicas int) (rest []*Member) {
	for len(pool) > 0 {
		var best *shard
		at, bestCost := 0, 0
		for _, s := range shards {
			if len(s.replicas) >= replicas {
				continue
			}
			// Fill evenly, so that no shard is left with the conflicts.
			if best != nil && len(s.replicas) > len(best.replicas) {
				continue
			}
			for i, m := range pool {
				cost := s.costWith(m, nil)
				if best == nil || len(s.replicas) < len(best.replicas) || cost < bestCost {
					best, at, bestCost = s, i, cost
				}
			}
		}
		if best == nil {
			break
		}
		best.replicas = append(best.replicas, pool[at])
		pool = slices.Delete(pool, at, at+1)
	}
	spread(shards)
	return pool
}

// spread swaps replicas of different shards while a swap lowers the cost.
func spread(shards []*shard) {
	for improved := true; improved; {
		improved = false
		for i, a := range shards {
			for _, b := range shards[i+1:] {
				if swapBest(a, b) {
					improved = true
				}
			}
		}
	}
}

func swapBest(a, b *shard) bool {
	for i, x := range a.replicas {
		for j, y := range b.replicas {
			before := a.costWith(x, x) + b.costWith(y, y)
			after := a.costWith(y, x) + b.costWith(x, y)
			if after < before {
				a.replicas[i], b.replicas[j] = y, x
				return true
			}
		}
	}
	return false
}

// pickSpread takes n of the candidates, as evenly over hosts and zones as can,
// next to those that are taken already; in order where it makes no difference.
func pickSpread(candidates, taken []*Member, n int) (picked, rest []*Member) {
	hosts, zones := map[string]int{}, map[string]int{}
	count := func(m *Member) {
		hosts[m.Node.Host]++
		zones[m.Node.Zone]++
	}
	for _, m := range taken {
		count(m)
	}
	rest = slices.Clone(candidates)
	for range n {
		if len(rest) == 0 {
			break
		}
		best := 0
		for i, m := range rest {
			b := rest[best]
			if c := cmp.Or(cmp.Compare(zones[m.Node.Zone], zones[b.Node.Zone]), cmp.Compare(hosts[m.Node.Host], hosts[b.Node.Host])); c < 0 {
				best = i
			}
		}
		count(rest[best])
		picked = append(picked, rest[best])
		rest = slices.Delete(rest, best, best+1)
	}
	return picked, rest
}
