package cluster

import "fmt"

// Kind is what a step does.
type Kind string

// The kinds of step. Each may be done again without harm, and a crash between
// any two, or within one, leaves a state that Plan takes up.
const (
	// Forget has Node drop the member with the id TargetID from its table.
	Forget Kind = "forget"
	// Reset makes the replica Node a blank node (CLUSTER RESET), which is to
	// become a primary of its own.
	Reset Kind = "reset"
	// Claim gives Node slots that nobody owns, and a config epoch if it has none.
	Claim Kind = "claim"
	// Meet introduces Node to Peers.
	Meet Kind = "meet"
	// Replicate makes Node a replica of Target.
	Replicate Kind = "replicate"
	// Failover makes the replica Node the primary of its shard, with the consent
	// of the primary Target, or by Takeover where that one is gone.
	Failover Kind = "failover"
	// Close ends the half-finished move of Slots, whose owner is Node, in Node's
	// favour: keys that others have in them move to it.
	Close Kind = "close"
	// Yield has Node give up Slots that Target owns too, and keep their keys, which
	// a Close then moves. Nobody learns of it from Node.
	Yield Kind = "yield"
	// Migrate moves Slots with their keys from Node to Target.
	Migrate Kind = "migrate"
	// Restart shuts Node down, whose service starts it again, and waits until
	// the cluster is whole.
	Restart Kind = "restart"
)

// Step is one action of a plan. Steps with the same Stage do not depend on each
// other and are done at once; a stage starts when the one before it is done.
type Step struct {
	Stage int
	Kind  Kind
	// Node and Target are names of nodes.
	Node, Target string
	// TargetID is the id for Forget.
	TargetID string
	// Peers are names of nodes for Meet.
	Peers []string
	Slots Slots
	// Epoch is the config epoch for Claim; 0 leaves it.
	Epoch int64
	// Anew has Reset give the node another id too, for those who were told to
	// forget it and so do not take it back under the one it has.
	Anew bool
	// Takeover has Failover not wait for the old primary, which is gone.
	Takeover bool
	// Keys is the key count of a Reset node. For Migrate it is about how many
	// keys move, and Bytes what they take.
	Keys, Bytes int64
}

// String says what the step does, for people.
func (s Step) String() string {
	switch s.Kind {
	case Forget:
		return fmt.Sprintf("%s forgets %s", s.Node, s.Target)
	case Reset:
		if s.Anew {
			return fmt.Sprintf("give %s, which the others have forgotten, a new id", s.Node)
		}
		return fmt.Sprintf("reset %s", s.Node)
	case Claim:
		return fmt.Sprintf("assign %s to %s", countSlots(s.Slots), s.Node)
	case Meet:
		return fmt.Sprintf("introduce %s to %s", s.Node, listNames(s.Peers))
	case Replicate:
		return fmt.Sprintf("make %s a replica of %s", s.Node, s.Target)
	case Failover:
		if s.Takeover {
			return fmt.Sprintf("promote %s in place of %s, which is gone", s.Node, s.Target)
		}
		return fmt.Sprintf("fail over from %s to %s", s.Target, s.Node)
	case Close:
		if s.Stage == stageMerge {
			return fmt.Sprintf("move keys of %s from elsewhere to %s, which owns them", countSlots(s.Slots), s.Node)
		}
		return fmt.Sprintf("finish the interrupted move of %s for %s", countSlots(s.Slots), s.Node)
	case Yield:
		return fmt.Sprintf("have %s give up %s that %s owns too, once no key differs", s.Node, countSlots(s.Slots), s.Target)
	case Migrate:
		return moveInWords([]Step{s})
	case Restart:
		return "restart " + s.Node
	}
	return string(s.Kind)
}
