package cluster

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"pgregory.net/rapid"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// model is a cluster whose gossip is perfect: what one node knows of another is
// what that one is. It does what Redis does with each step, and refuses what Redis refuses.
type model struct {
	nodes []*modelNode
	ids   map[string]*modelNode
	// restarted are the nodes that were restarted, in order.
	restarted []string
	// renewed counts the nodes that were given another id.
	renewed int
}

type modelNode struct {
	node    spec.Node
	number  int
	id      string
	alive   bool
	primary string
	slots   Slots
	// keys are shared with its primary; odd is how many it has that belong nowhere.
	keys  *keySet
	odd   int
	epoch int64
	knows nodeSet
	// migrating and importing are open slots, with the other node's id.
	migrating, importing map[int]string
}

func (m *model) add(n spec.Node) *modelNode {
	mn := &modelNode{node: n, number: len(m.nodes), id: fmt.Sprintf("%040d", len(m.nodes)+1), alive: true, keys: new(keySet),
		migrating: map[int]string{}, importing: map[int]string{}}
	if m.ids == nil {
		m.ids = map[string]*modelNode{}
	}
	m.nodes, m.ids[mn.id] = append(m.nodes, mn), mn
	return mn
}

func (m *model) byName(name string) *modelNode {
	for _, n := range m.nodes {
		if n.node.Name == name && n.alive {
			return n
		}
	}
	return nil
}

func (m *model) byID(id string) *modelNode { return m.ids[id] }

// observe returns what the named nodes would say.
func (m *model) observe(nodes []spec.Node) Observed {
	var o Observed
	for _, n := range nodes {
		mn := m.byName(n.Name)
		if mn == nil {
			o.Members = append(o.Members, Member{Node: n, Err: fmt.Errorf("connection refused")})
			continue
		}
		member := Member{Node: n, ID: mn.id, PrimaryID: mn.primary, Slots: mn.slots, ConfigEpoch: mn.epoch, StateOK: true, LinkUp: mn.primary != "",
			Migrating: maps.Clone(mn.migrating), Importing: maps.Clone(mn.importing)}
		member.Keys = int64(mn.keyCount())
		member.Peers = make([]Peer, 0, mn.knows.size())
		for number := range mn.knows.all { // in the order of their ids
			p := m.nodes[number]
			peer := Peer{ID: p.id, Addr: p.node.Addr(), PrimaryID: p.primary, Slots: p.slots, ConfigEpoch: p.epoch, LinkUp: p.alive}
			if !p.alive {
				peer.Flags = []string{"fail"}
			}
			member.Peers = append(member.Peers, peer)
			member.CurrentEpoch = max(member.CurrentEpoch, p.epoch)
		}
		if m.renewed > 0 {
			slices.SortFunc(member.Peers, func(a, b Peer) int { return strings.Compare(a.ID, b.ID) })
		}
		o.Members = append(o.Members, member)
	}
	return o
}

// do executes one step, or says why Redis would not.
func (m *model) do(s Step) error {
	n, target := m.byName(s.Node), m.byName(s.Target)
	if n == nil {
		return fmt.Errorf("%s: no such node", s)
	}
	switch s.Kind {
	case Forget:
		if n.primary == s.TargetID {
			return fmt.Errorf("%s: can't forget my primary", s)
		}
		if target := m.byID(s.TargetID); target != nil {
			n.knows.remove(target)
		}
	case Reset:
		if len(n.slots) > 0 || (n.primary == "" && n.keyCount() > 0) {
			return fmt.Errorf("%s: it has slots or keys", s)
		}
		n.primary, n.keys, n.knows = "", new(keySet), nil
		if s.Anew {
			m.renewed++
			delete(m.ids, n.id)
			n.id = fmt.Sprintf("%040d", 1_000_000+m.renewed)
			m.ids[n.id] = n
		}
	case Claim:
		for _, other := range m.nodes {
			if other.alive && len(other.slots.Intersect(s.Slots)) > 0 {
				return fmt.Errorf("%s: %s owns some of them", s, other.node.Name)
			}
		}
		if s.Epoch != 0 && (n.knows.size() > 0 || n.epoch != 0) {
			return fmt.Errorf("%s: it cannot be given an epoch any more", s)
		}
		n.epoch = max(n.epoch, s.Epoch)
		n.slots = n.slots.Union(s.Slots)
	case Meet:
		for _, peer := range s.Peers {
			m.join(n, m.byName(peer))
		}
	case Replicate:
		if len(n.slots) > 0 || (n.primary == "" && n.keyCount() > 0) {
			return fmt.Errorf("%s: it has slots or keys", s)
		}
		if target == nil || !n.knows.has(target) || target.primary != "" {
			return fmt.Errorf("%s: it cannot", s)
		}
		n.primary, n.keys = target.id, target.keys
	case Failover:
		m.promote(n, m.byID(n.primary))
	case Migrate:
		if target == nil || len(s.Slots.Minus(n.slots)) > 0 || target.primary != "" {
			return fmt.Errorf("%s: it cannot", s)
		}
		n.slots, target.slots = n.slots.Minus(s.Slots), target.slots.Union(s.Slots)
		m.moveKeys(n, target, s.Slots)
		for slot := range s.Slots.All {
			delete(n.migrating, slot)
			delete(target.importing, slot)
		}
	case Close:
		if len(s.Slots.Minus(n.slots)) > 0 {
			return fmt.Errorf("%s: it does not own them", s)
		}
		for _, holder := range m.nodes {
			if !holder.alive || holder.primary != "" {
				continue
			}
			if holder != n {
				m.moveKeys(holder, n, s.Slots)
			}
			for slot := range s.Slots.All {
				delete(holder.migrating, slot)
				delete(holder.importing, slot)
			}
		}
	case Restart:
		if n.primary == "" && m.hasReplica(n) {
			return fmt.Errorf("%s: it is a primary, whose replica could serve meanwhile", s)
		}
		m.restarted = append(m.restarted, s.Node)
	default:
		return fmt.Errorf("the model does not know %q", s.Kind)
	}
	return nil
}

func (m *model) moveKeys(from, to *modelNode, slots Slots) {
	moved := from.keys.and(keysInSlots(slots))
	*to.keys, *from.keys = to.keys.or(moved), from.keys.minus(moved) // replicas share their primary's
}

func (n *modelNode) keyCount() int { return n.keys.count() + n.odd }

// cutOff does a part of a migration: the first slots are moved, the next one is
// open on both sides or one, with its keys here or there.
func (m *model) cutOff(t *rapid.T, s Step) error {
	n, target := m.byName(s.Node), m.byName(s.Target)
	done, rest := s.Slots.TakeFirst(rapid.IntRange(0, s.Slots.Count()-1).Draw(t, "slots done"))
	if len(done) > 0 {
		s.Slots = done
		if err := m.do(s); err != nil {
			return err
		}
	}
	slot := rest[0].First
	state := rapid.IntRange(0, 4).Draw(t, "open")
	if state >= 1 {
		target.importing[slot] = n.id
	}
	if state >= 2 {
		n.migrating[slot] = target.id
	}
	if state >= 3 {
		m.moveKeys(n, target, Slots{{slot, slot}})
	}
	if state >= 4 {
		delete(target.importing, slot) // the target failed over, and forgot
	}
	return nil
}

// hasTwin says whether another living node has the same data.
func (m *model) hasTwin(n *modelNode) bool {
	if n.primary != "" {
		return m.byID(n.primary).alive || m.hasReplica(m.byID(n.primary))
	}
	return m.hasReplica(n)
}

func (m *model) hasReplica(n *modelNode) bool {
	return slices.ContainsFunc(m.nodes, func(r *modelNode) bool { return r.alive && r.primary == n.id })
}

// join merges the knowledge of both, as gossip does in the end.
func (m *model) join(a, b *modelNode) {
	var all, alive nodeSet
	all.add(a)
	all.add(b)
	all.addAll(a.knows)
	all.addAll(b.knows)
	for number := range all.all {
		if m.nodes[number].alive {
			alive.add(m.nodes[number])
		}
	}
	for number := range all.all {
		n := m.nodes[number]
		if n.alive {
			n.knows.addAll(all)
		} else {
			n.knows.addAll(alive)
		}
		n.knows.remove(n)
	}
}

// promote has heir take over from old, and the shard's other replicas follow.
func (m *model) promote(heir, old *modelNode) {
	heir.slots, heir.primary, heir.epoch = old.slots, "", m.highestEpoch()+1
	old.slots = nil
	if old.alive {
		old.primary = heir.id
	} else {
		own := *heir.keys
		heir.keys = &own
	}
	for _, n := range m.nodes {
		if n.primary == old.id && n != heir {
			n.primary, n.keys = heir.id, heir.keys // a replica shares its primary's
		}
	}
}

func (m *model) highestEpoch() int64 {
	highest := int64(0)
	for _, n := range m.nodes {
		highest = max(highest, n.epoch)
	}
	return highest
}

// kill takes a node away, with its data. The cluster promotes a replica if there is one.
func (m *model) kill(name string) {
	n := m.byName(name)
	n.alive = false
	for _, heir := range m.nodes {
		if heir.alive && heir.primary == n.id && len(n.slots) > 0 {
			m.promote(heir, n)
			return
		}
	}
}

// fill puts a key into many slots.
func (m *model) fill() {
	for _, n := range m.nodes {
		*n.keys = n.keys.or(keysInSlots(n.slots))
	}
}

// keyCount is the number of slots whose key a living owner has.
func (m *model) keyCount() int {
	count := 0
	for _, n := range m.nodes {
		if n.alive && len(n.slots) > 0 {
			count += n.keys.and(keysInSlots(n.slots)).count()
		}
	}
	return count
}

// copies is the number of keys that some living node has: a primary, whether it
// owns their slot or another is about to hand it over, or a replica of one that is gone.
func (m *model) copies() int {
	var all keySet
	for _, n := range m.nodes {
		if n.alive && (n.primary == "" || !m.byID(n.primary).alive) {
			all = all.or(*n.keys)
		}
	}
	return all.count()
}

// drawNodes draws count nodes over some hosts and zones, numbered from first.
func drawNodes(t *rapid.T, first, count int) []spec.Node {
	hosts := rapid.IntRange(1, count).Draw(t, "hosts")
	zones := rapid.IntRange(0, 3).Draw(t, "zones")
	nodes := make([]spec.Node, count)
	for i := range nodes {
		host := rapid.IntRange(0, hosts-1).Draw(t, "host")
		nodes[i] = spec.Node{Name: fmt.Sprintf("n%d", first+i), Address: fmt.Sprintf("10.0.%d.%d", (first+i)/250, (first+i)%250+1), Port: 6379, Host: fmt.Sprintf("h%d-%d", first, host)}
		if zones > 0 {
			nodes[i].Zone = fmt.Sprintf("z%d", host%zones)
		}
	}
	return nodes
}
