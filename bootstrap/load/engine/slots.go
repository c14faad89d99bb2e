//go:build linux

package engine

import "github.com/redisfleet/terraform-provider-redis/bootstrap/spec"

// place is where a slot is: the index in targets of its primary, and its shard as
// the cluster stood before the load.
type place struct{ target, shard uint16 }

// atlas has the place of each slot. Neighbours mostly have the same, so it keeps
// one place for a whole block of slots where it can: looking up random slots then
// touches a kilobyte instead of 64, which matters more than anything else that is
// done to a key.
type atlas struct {
	blocks [spec.Slots / block]place
	slots  [spec.Slots]place
}

const (
	block = 64
	// mixed is the target of a block whose slots differ.
	mixed = 1<<16 - 1
)

func (a *atlas) at(slot uint16) place {
	if p := a.blocks[slot/block%uint16(len(a.blocks))]; p.target != mixed {
		return p
	}
	return a.slots[slot]
}

func (a *atlas) setTarget(slot int, t *target) {
	a.slots[slot].target = uint16(t.index)
	a.settle(slot)
}

func (a *atlas) setShard(slot int, shard uint16) {
	a.slots[slot].shard = shard
	a.settle(slot)
}

// settle brings the block of slot up to date.
func (a *atlas) settle(slot int) {
	here := &a.blocks[slot/block]
	*here = a.slots[slot]
	for _, p := range a.slots[slot/block*block:][:block] {
		if p != *here {
			here.target = mixed
			return
		}
	}
}
