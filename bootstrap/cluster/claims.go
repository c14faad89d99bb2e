package cluster

import (
	"context"
	"fmt"
	"slices"
)

// settleClaims waits until every node knows the owners of all slots. A node that
// a slot was taken from claims it until it hears of the new owner, and loses,
// because its epoch is the older one; others that have not heard either repeat
// its claim. Were it given a new epoch now, as it is when it imports other slots
// or one of its replicas takes over, the claim would win: the owner would give
// the slot up and drop its keys.
func (e *executor) settleClaims(ctx context.Context) error {
	n := newNudger(e)
	return poll(ctx, formTimeout, func(ctx context.Context) error {
		o := e.observe(ctx, e.f.names())
		wrong := o.misattributions()
		if len(wrong) == 0 {
			return nil
		}
		if err := n.nudge(ctx, o); err != nil {
			return err
		}
		return again(wrong[0])
	})
}

// needsOneOwner says whether a step, in a cluster that serves, gives a node a new
// epoch or has it take the word of another for who owns its slots.
func needsOneOwner(s Step) bool {
	switch s.Kind {
	case Migrate, Close, Failover:
		return true
	case Claim:
		return s.Epoch == 0
	}
	return false
}

// misattribution is the belief of a node that slots are another's, or its own,
// which an owner has taken over.
type misattribution struct {
	by    *Member
	to    string // id
	owner *Member
	slots Slots
}

func (m misattribution) Error() string {
	return fmt.Sprintf("%s has not heard yet that %s is the owner of %s (%s)", m.by.Node.Name, m.owner.Node.Name, countSlots(m.slots), m.slots)
}

// misattributions are those of nodes that talk to the owner. What others believe
// is a split, which a Yield ends before they meet.
func (o *Observed) misattributions() (out []misattribution) {
	owned := o.owners()
	for _, m := range o.reachable() {
		for _, p := range append(m.Peers[:len(m.Peers):len(m.Peers)], Peer{ID: m.ID, Slots: m.Slots}) {
			wrong := p.Slots.Minus(owned[p.ID])
			if len(wrong) == 0 {
				continue
			}
			for _, owner := range o.reachable() {
				slots := wrong.Intersect(owned[owner.ID])
				if owner != m && len(slots) > 0 && linked(m, owner) {
					out = append(out, misattribution{m, p.ID, owner, slots})
				}
			}
		}
	}
	return out
}

// chained says whether one of the moves takes slots from a node that another one gives slots to.
func chained(steps []Step) bool {
	return slices.ContainsFunc(steps, func(s Step) bool {
		return s.Kind == Migrate && slices.ContainsFunc(steps, func(other Step) bool {
			return other.Kind == Migrate && other.Node == s.Target
		})
	})
}
