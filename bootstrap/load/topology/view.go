// Package topology knows which node serves which slot, and learns of changes
// quickly: it asks several nodes, and believes the highest configuration epoch.
package topology

import (
	"cmp"
	"net"
	"slices"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/cluster"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// Nobody is the owner of a slot that no node serves.
const Nobody = -1

// View is a picture of the cluster. It is never changed once it is published.
type View struct {
	// Version counts the views of one watcher, from 1.
	Version int
	Nodes   []Node
	// Owner is the index in Nodes of each slot's primary, or Nobody.
	Owner [spec.Slots]int16
	// Standalone says that the server is a single one with cluster mode off.
	Standalone bool
}

// Node is a member.
type Node struct {
	ID   string
	Addr string
	// Replicas are indexes in View.Nodes; empty for a replica.
	Replicas []int16
	// Failed says that some node marked this one as failed for certain.
	Failed bool
}

// Primaries are the indexes of the nodes that own slots, by their first slot.
func (v *View) Primaries() []int16 {
	var primaries []int16
	seen := make([]bool, len(v.Nodes))
	for _, owner := range v.Owner {
		if owner != Nobody && !seen[owner] {
			seen[owner] = true
			primaries = append(primaries, owner)
		}
	}
	return primaries
}

// Unserved is how many slots no node serves.
func (v *View) Unserved() (n int) {
	for _, owner := range v.Owner {
		if owner == Nobody {
			n++
		}
	}
	return n
}

// SlotsOf are the slots that node index owns.
func (v *View) SlotsOf(index int16) cluster.Slots {
	var ranges []cluster.Range
	for slot, owner := range v.Owner {
		if owner == index {
			ranges = append(ranges, cluster.Range{First: slot, Last: slot})
		}
	}
	return cluster.SlotsOf(ranges...)
}

// Index is the index of the node at addr, or Nobody.
func (v *View) Index(addr string) int16 {
	return int16(slices.IndexFunc(v.Nodes, func(n Node) bool { return n.Addr == addr }))
}

// sameAs says whether a load would be sent the same way by v and o.
func (v *View) sameAs(o *View) bool {
	return v.Owner == o.Owner && slices.EqualFunc(v.Nodes, o.Nodes, func(a, b Node) bool {
		return a.Addr == b.Addr && a.Failed == b.Failed && slices.Equal(a.Replicas, b.Replicas)
	})
}

// claim is the newest known claim on a slot.
type claim struct {
	addr  string
	epoch int64
}

// merger joins what the nodes say, one answer after the other.
type merger struct {
	claims [spec.Slots]claim
}

// absorb takes in the answer of the node at from, and returns the picture that
// results. A slot belongs to whoever claims it with the highest configuration
// epoch that was ever seen, so a node that is behind takes nothing back.
func (m *merger) absorb(from string, peers []cluster.Peer) *View {
	peers = members(from, peers)
	index := make(map[string]int16, len(peers))
	v := &View{Nodes: make([]Node, len(peers))}
	for i, p := range peers {
		v.Nodes[i] = Node{ID: p.ID, Addr: p.Addr, Failed: p.Has("fail")}
		index[p.Addr] = int16(i)
		for _, r := range p.Slots {
			for slot := r.First; slot <= r.Last; slot++ {
				if c := &m.claims[slot]; p.ConfigEpoch >= c.epoch {
					*c = claim{p.Addr, p.ConfigEpoch}
				}
			}
		}
	}
	for slot := range v.Owner {
		v.Owner[slot] = Nobody
		if i, ok := index[m.claims[slot].addr]; ok {
			v.Owner[slot] = i
		}
	}
	for i, p := range peers {
		primary := slices.IndexFunc(peers, func(q cluster.Peer) bool { return q.ID == p.PrimaryID })
		if primary >= 0 && !p.Failing() {
			v.Nodes[primary].Replicas = append(v.Nodes[primary].Replicas, int16(i))
		}
	}
	return v
}

// members are the peers that can be talked to, by address. A node that does not
// know its own address is where it was asked.
func members(from string, peers []cluster.Peer) []cluster.Peer {
	host, _, _ := net.SplitHostPort(from)
	var kept []cluster.Peer
	for _, p := range peers {
		if !p.Settled() || p.Has("noaddr") {
			continue
		}
		if h, port, err := net.SplitHostPort(p.Addr); err == nil && h == "" {
			p.Addr = net.JoinHostPort(host, port)
		}
		kept = append(kept, p)
	}
	slices.SortFunc(kept, func(a, b cluster.Peer) int { return cmp.Compare(a.Addr, b.Addr) })
	return kept
}

// standalone is the view of a server without cluster mode: one node with all slots.
func standalone(addr string) *View {
	return &View{Nodes: []Node{{Addr: addr}}, Standalone: true} // every Owner is node 0
}
