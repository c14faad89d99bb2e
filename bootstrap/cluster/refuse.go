package cluster

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

const stepCheck = "check the nodes"

// refuse returns an error if some node must not be touched.
func (p *planner) refuse() error {
	for _, check := range []func() error{
		p.refuseUnreachable, p.refuseTwins, p.refuseStrangers, p.refuseKeys, p.refuseTwoClusters,
	} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (p *planner) refuseUnreachable() error {
	var down []string
	for i := range p.o.Members {
		m := &p.o.Members[i]
		if !m.Reachable() && p.isWanted(m) && !slices.Contains(p.d.Absent, m.Node.Name) {
			down = append(down, fmt.Sprintf("%s (%s): %v", m.Node.Name, m.Node.Addr(), m.Err))
		}
	}
	if len(down) == 0 {
		return nil
	}
	return &spec.Failure{
		Host: strings.SplitN(down[0], " ", 2)[0], Step: stepCheck,
		Cause:  fmt.Sprintf("%d of %d nodes do not answer: %s", len(down), len(p.d.Nodes), strings.Join(down, "; ")),
		Advice: "Start them, or take them out of the nodes, and apply again. Nothing was changed.",
	}
}

// refuseTwins refuses two names for one process.
func (p *planner) refuseTwins() error {
	seen := map[string]*Member{}
	for _, m := range p.members {
		if twin := seen[m.ID]; twin != nil {
			return &spec.Failure{
				Host: m.Node.Name, Step: stepCheck,
				Cause:  fmt.Sprintf("%s and %s both have the node id %s", twin.Node.Addr(), m.Node.Addr(), m.ID),
				Advice: "Either both addresses lead to the same process, or one was copied from the other: delete nodes.conf of the copy and restart it.",
			}
		}
		seen[m.ID] = m
	}
	return nil
}

// refuseStrangers refuses nodes that are in a cluster with living nodes that nobody asked for.
func (p *planner) refuseStrangers() error {
	for _, m := range p.wanted {
		for _, peer := range m.Peers {
			if p.ids[peer.ID] != nil || !peer.Settled() || p.isGhost(peer) {
				continue
			}
			return &spec.Failure{
				Host: m.Node.Name, Step: stepCheck,
				Cause: fmt.Sprintf("%s belongs to a cluster with %s (id %s), which is not among the nodes; it owns %s and holds %d keys",
					m.Node.Addr(), peer.Addr, peer.ID, ownedText(m.Slots), m.Keys),
				Advice: "If it is the same cluster, name all its members. If it is another one, and you want this node out of it for good, move its slots away, have the others forget it (redis-cli --cluster del-node) and apply again.",
			}
		}
	}
	return nil
}

func ownedText(s Slots) string {
	if len(s) == 0 {
		return "no slots"
	}
	return countSlots(s)
}

// refuseKeys refuses to take in nodes that hold somebody's data.
func (p *planner) refuseKeys() error {
	for _, m := range p.wanted {
		if m.Keys == 0 || m.PrimaryID != "" {
			continue
		}
		strangerData := len(m.Slots) == 0 && !p.mislaid(m)
		if p.d.Create && !p.formed() {
			strangerData = true
		}
		if strangerData {
			return &spec.Failure{
				Host: m.Node.Name, Step: stepCheck,
				Cause:  fmt.Sprintf("%s holds %d keys (and owns %s), but is not part of this cluster", m.Node.Addr(), m.Keys, ownedText(m.Slots)),
				Advice: "Nothing was changed. To keep the data, import the cluster that it belongs to. To discard it, run FLUSHALL and CLUSTER RESET HARD on that node yourself and apply again.",
			}
		}
	}
	return nil
}

// mislaid says whether a node that owns nothing holds keys of this cluster, whose
// member it is: in slots that are being moved to it, that nobody owns any more,
// or that it has given up.
func (p *planner) mislaid(m *Member) bool {
	others := slices.DeleteFunc(slices.Clone(p.wanted), func(other *Member) bool { return other == m || !related(m, other) })
	if len(others) == 0 {
		return false
	}
	return len(m.Orphans) > 0 || len(m.Strays) > 0 || len(m.Importing) > 0 || slices.ContainsFunc(others, func(other *Member) bool {
		return slices.Contains(slices.Collect(maps.Values(other.Migrating)), m.ID)
	})
}

// formed says whether the wanted nodes all know each other and own all slots.
func (p *planner) formed() bool {
	wanted := p.wanted
	var owned Slots
	for _, m := range wanted {
		owned = owned.Union(m.Slots)
		for _, other := range wanted {
			if _, knows := m.Peer(other.ID); !knows && other != m {
				return false
			}
		}
	}
	return owned.Count() == spec.Slots
}

// refuseTwoClusters refuses nodes that own the same slots without having heard of each other.
func (p *planner) refuseTwoClusters() error {
	members := p.members
	for i, a := range members {
		for _, b := range members[i+1:] {
			both := a.Slots.Intersect(b.Slots)
			if len(both) == 0 || related(a, b) {
				continue
			}
			return &spec.Failure{
				Host: b.Node.Name, Step: stepCheck,
				Cause: fmt.Sprintf("%s and %s both own %s and do not know each other: they belong to different clusters",
					a.Node.Addr(), b.Node.Addr(), countSlots(both)),
				Advice: "Nothing was changed. Name nodes of one cluster only; to discard one of the two, run FLUSHALL and CLUSTER RESET HARD on its nodes and apply again.",
			}
		}
	}
	return nil
}

func related(a, b *Member) bool {
	_, ab := a.Peer(b.ID)
	_, ba := b.Peer(a.ID)
	return ab || ba
}

// ghost is a member that the cluster remembers and that is gone.
type ghost struct {
	id, name string
	// slots that it owns in the eyes of those who remember it.
	slots Slots
}

// isGhost says whether a peer that did not answer under its id is gone: it
// failed, lost its address, was told to leave, or another node has its address now.
func (p *planner) isGhost(peer Peer) bool {
	if peer.Failing() || peer.Has("noaddr") {
		return true
	}
	return p.addrs[peer.Addr] != nil
}

// ghosts are the members that the wanted nodes remember and that are gone, by id.
func (p *planner) ghosts() []ghost {
	found := map[string]ghost{}
	for _, m := range p.wanted {
		for _, peer := range m.Peers {
			if !peer.Settled() || p.ids[peer.ID] != nil || !p.isGhost(peer) {
				continue
			}
			g := found[peer.ID]
			g.id = peer.ID
			g.name = cmp.Or(p.nameOf(peer.Addr), peer.Addr)
			g.slots = g.slots.Union(peer.Slots)
			found[peer.ID] = g
		}
	}
	for id, g := range found {
		for _, slots := range p.owned {
			g.slots = g.slots.Minus(slots)
		}
		found[id] = g
	}
	return slices.SortedFunc(maps.Values(found), func(a, b ghost) int { return cmp.Compare(a.id, b.id) })
}

func (p *planner) nameOf(addr string) string {
	m := p.addrs[addr]
	switch {
	case m == nil:
		return ""
	case p.isWanted(m):
		return "the former " + m.Node.Name
	}
	return m.Node.Name
}

func lostSlots(g ghost, lost Slots) error {
	return &spec.Failure{
		Host: g.name, Step: "plan",
		Cause:  fmt.Sprintf("%s is gone and was the only owner of %s: the keys in them are lost unless it comes back", g.name, countSlots(lost)),
		Advice: "Bring that node back with its data and apply again. If its data is lost for good, accept that explicitly (accept_data_loss = true): the slots are then assigned anew, empty.",
	}
}

func tooFewNodes(have, want int) error {
	return &spec.Failure{Step: "plan", Cause: fmt.Sprintf("there are nodes for %d shards only, %d are wanted", have, want),
		Advice: "Add nodes, or lower replicas_per_shard."}
}
