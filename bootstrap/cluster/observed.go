package cluster

import (
	"cmp"
	"slices"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// Observed is what the nodes said of themselves and of each other, all asked at
// about the same time.
type Observed struct {
	// Members are the wanted and the former nodes, in the order they were asked for,
	// then, if they were discovered, the others.
	Members []Member
}

// Member is one node as it sees itself, with what it sees of the others.
type Member struct {
	Node spec.Node
	// Err says why the node did not answer; the other fields are then zero.
	Err error
	// ID is its node id of 40 hex digits.
	ID string
	// BusPort is the port of its cluster bus.
	BusPort int
	// PrimaryID is the id of the node that it replicates; empty for a primary.
	PrimaryID string
	// Slots are those that it says it owns.
	Slots       Slots
	ConfigEpoch int64
	// CurrentEpoch is the highest epoch that it has seen.
	CurrentEpoch int64
	// StateOK says whether its cluster_state is ok.
	StateOK bool
	// Keys is its key count.
	Keys int64
	// LinkUp says whether a replica's link to its primary is up.
	LinkUp bool
	// Peers are the other nodes as it sees them, in the order of their ids.
	Peers []Peer
	// Migrating and Importing are its open slots with the other node's id.
	Migrating, Importing map[int]string
	// Orphans are slots that nobody who answers owns and in which it has keys.
	Orphans Slots
	// Strays are slots of others in which it has keys though it owns none itself.
	Strays Slots
	// Stats are facts that no decision hangs on.
	Stats Stats
}

// Stats are facts of a node for reports.
type Stats struct {
	Version, Flavor string
	// UsedMemory and Dataset, the part of it that keys take, in bytes, ReplOffset in
	// bytes of the replication stream, Uptime in seconds.
	UsedMemory, Dataset, ReplOffset, Uptime int64
	// NodeTimeout is cluster-node-timeout in ms.
	NodeTimeout int
}

// Reachable says whether the node answered.
func (m *Member) Reachable() bool { return m.Err == nil }

// Peer returns how m sees the node with this id.
func (m *Member) Peer(id string) (Peer, bool) {
	i, found := slices.BinarySearchFunc(m.Peers, id, func(p Peer, id string) int { return cmp.Compare(p.ID, id) })
	if !found {
		return Peer{}, false
	}
	return m.Peers[i], true
}

// finds says whether m knows the other node and where it is. A node keeps its
// peers' addresses in nodes.conf, and does not find them when they have moved.
func (m *Member) finds(other *Member) bool {
	p, knows := m.Peer(other.ID)
	return knows && (p.LinkUp || p.Addr == other.Node.Addr())
}

// Blank says whether the node is as a fresh one: knows nobody, owns nothing, holds nothing.
func (m *Member) Blank() bool {
	return m.Reachable() && len(m.Peers) == 0 && len(m.Slots) == 0 && m.Keys == 0 && m.PrimaryID == ""
}

// byID returns the reachable member with this id.
func (o *Observed) byID(id string) *Member {
	for i := range o.Members {
		if o.Members[i].ID == id && o.Members[i].Reachable() {
			return &o.Members[i]
		}
	}
	return nil
}

// reachable returns the members that answered.
func (o *Observed) reachable() []*Member {
	var out []*Member
	for i := range o.Members {
		if o.Members[i].Reachable() {
			out = append(out, &o.Members[i])
		}
	}
	return out
}

// owners maps each slot to the member that owns it: of several that claim it
// the one with the highest config epoch, which is the rule by which the nodes
// themselves settle it. Slots that nobody who answered claims are not in it.
func (o *Observed) owners() map[string]Slots {
	claimants := o.reachable()
	owned := make(map[string]Slots, len(claimants))
	for _, m := range claimants {
		mine := m.Slots
		for _, other := range claimants {
			if other != m && outranks(other, m) {
				mine = mine.Minus(other.Slots)
			}
		}
		if len(mine) > 0 {
			owned[m.ID] = mine
		}
	}
	return owned
}

// unowned are the slots that nobody who answered claims.
func (o *Observed) unowned() Slots {
	rest := AllSlots()
	for _, m := range o.reachable() {
		rest = rest.Minus(m.Slots)
	}
	return rest
}

// outranks says whether a's claim to a slot beats b's. Ids break a tie, as they
// do in the nodes' own resolution of epoch collisions.
func outranks(a, b *Member) bool {
	if a.ConfigEpoch != b.ConfigEpoch {
		return a.ConfigEpoch > b.ConfigEpoch
	}
	return a.ID < b.ID
}
