package cluster

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// Desired is the wanted topology.
type Desired struct {
	// Nodes are the wanted members; without the spare replicas their number is a
	// multiple of 1+ReplicasPerShard.
	Nodes []spec.Node
	// Former are nodes that shall leave.
	Former           []spec.Node
	ReplicasPerShard int
	// SpareReplicas is how many shards, fewer than all, have one replica more.
	SpareReplicas int
	// Restart names the nodes whose process has to be restarted.
	Restart []string
	// Absent names wanted nodes that do not run yet and will start without data.
	Absent []string
	// Create says that the cluster is not known to exist yet, so that keys on a
	// node are somebody else's.
	Create bool
	// AcceptDataLoss permits claiming slots whose every copy is lost.
	AcceptDataLoss bool
}

// Shards is the number of shards that d has.
func (d Desired) Shards() int { return (len(d.Nodes) - d.SpareReplicas) / (1 + d.ReplicasPerShard) }

// Validate refuses a topology that no cluster can have.
func (d Desired) Validate() error {
	seen := map[string]string{}
	for _, n := range d.Nodes {
		if first, taken := seen[n.Addr()]; taken {
			return fmt.Errorf("%s is named twice (as %s and as %s)", n.Addr(), first, n.Name)
		}
		seen[n.Addr()] = n.Name
	}
	perShard := 1 + d.ReplicasPerShard
	switch {
	case d.ReplicasPerShard < 0:
		return fmt.Errorf("%d replicas per shard: the number cannot be negative", d.ReplicasPerShard)
	case d.SpareReplicas < 0:
		return fmt.Errorf("%d spare replicas: the number cannot be negative", d.SpareReplicas)
	case (len(d.Nodes)-d.SpareReplicas)%perShard != 0:
		return fmt.Errorf("%d nodes, of which %d are spare replicas, cannot be shared out evenly: each shard has %d (a primary and %d replicas)",
			len(d.Nodes), d.SpareReplicas, perShard, d.ReplicasPerShard)
	case d.Shards() < 3:
		return fmt.Errorf("%d nodes with %d replicas per shard make %d shards: a cluster needs at least 3, or %d nodes", len(d.Nodes), d.ReplicasPerShard, d.Shards(), 3*perShard)
	case d.SpareReplicas >= d.Shards():
		return fmt.Errorf("%d spare replicas of %d shards: give each shard one more instead", d.SpareReplicas, d.Shards())
	}
	return nil
}

// Stages of a plan, in order.
const (
	stageAnew = iota + 1
	stageTakeover
	stageForget
	// Slots are yielded before any are adopted, which takes a new epoch that would
	// win for those, too.
	stageYield
	stageAdopt
	stageClose
	// Who imports a slot that is to be closed may serve nothing until it is.
	stageResume
	stageReset
	stageClaim
	stageMeet
	stageMerge
	stageReplicate
	stageFailover
	stageMigrate
	stageSettle
	stageBalance
	stageLeave
	// Newcomers forget last: those who still know a node tell them of it.
	stageLeaveLast
	// Restarts are done one after the other, each in a stage of its own from here on.
	stageRestart
)

// Plan returns the steps from observed to desired, none if they agree already.
// It is a pure function. Creating, growing, shrinking, replacing nodes and
// going on after a crash are the same call with different inputs. It returns
// a *spec.Failure where going on could lose data or take in what belongs to
// somebody else.
func Plan(observed Observed, desired Desired) ([]Step, error) {
	p := newPlanner(&observed, desired)
	if err := p.refuse(); err != nil {
		return nil, err
	}
	if forgotten := p.forgotten(); len(forgotten) > 0 {
		return p.planAnew(forgotten)
	}
	p.takeOver()
	if err := p.forgetGhosts(); err != nil {
		return nil, err
	}
	p.adoptOrphans()
	p.healSplits()
	p.closeOpenSlots()
	if err := p.layOut(); err != nil {
		return nil, err
	}
	p.meet()
	p.dismiss()
	p.restart()
	slices.SortStableFunc(p.steps, byStage)
	return p.steps, nil
}

// planner is the working state of one Plan.
type planner struct {
	o *Observed
	d Desired
	// members answered; those of them that are wanted are in the order of members too.
	members, wanted []*Member
	// ids has members by id, addrs all that were asked by address.
	ids, addrs map[string]*Member
	// wantedAddrs are the addresses of the wanted nodes.
	wantedAddrs map[string]bool
	// owned are the slots of each member by id, as they will be when the steps so far are done.
	owned map[string]Slots
	steps []Step
}

func newPlanner(o *Observed, d Desired) *planner {
	p := &planner{o: o, d: d, members: o.reachable(), owned: o.owners(),
		ids: map[string]*Member{}, addrs: map[string]*Member{}, wantedAddrs: map[string]bool{}}
	for _, n := range d.Nodes {
		p.wantedAddrs[n.Addr()] = true
	}
	for i := range o.Members {
		p.addrs[o.Members[i].Node.Addr()] = &o.Members[i]
	}
	for _, m := range p.members {
		p.ids[m.ID] = m
		if p.isWanted(m) {
			p.wanted = append(p.wanted, m)
		}
	}
	return p
}

func (p *planner) isWanted(m *Member) bool { return p.wantedAddrs[m.Node.Addr()] }

// byStage orders steps by stage, and those of a stage that were collected in a
// map by their nodes; others keep the order in which they were added.
func byStage(a, b Step) int {
	c := cmp.Compare(a.Stage, b.Stage)
	if c == 0 && (a.Stage == stageClose || a.Stage == stageResume || a.Stage == stageYield || a.Stage == stageMerge) {
		c = cmp.Or(cmp.Compare(a.Node, b.Node), cmp.Compare(a.Target, b.Target))
	}
	return c
}

func (p *planner) add(s Step) { p.steps = append(p.steps, s) }

// meet introduces the wanted nodes, and those that still have slots to hand
// over, to each other where they have not met. Each pair is introduced, so that
// nobody waits for gossip, but from one end only: two introductions that cross
// are one too many, and with 60 nodes they took half of the time.
func (p *planner) meet() {
	reset := map[string]bool{}
	for _, s := range p.steps {
		if s.Kind == Reset {
			reset[s.Node] = true
		}
	}
	met := p.met()
	for i, m := range met {
		var peers []string
		for j, other := range met {
			if other == m {
				continue
			}
			knows, known := m.finds(other), other.finds(m)
			turn := (i < j) == ((i+j)%2 == 0) // both ends have as much to do
			if reset[m.Node.Name] || !knows && (known || turn) {
				peers = append(peers, other.Node.Name)
			}
		}
		if len(peers) > 0 {
			p.add(Step{Stage: stageMeet, Kind: Meet, Node: m.Node.Name, Peers: peers})
		}
	}
}

// met are the members that know each other while the plan is carried out.
func (p *planner) met() (met []*Member) {
	for _, m := range p.members {
		if p.isWanted(m) || len(p.owned[m.ID]) > 0 {
			met = append(met, m)
		}
	}
	return met
}

// dismiss has the wanted nodes forget those that leave. The leavers are not
// reset: until their host stops them they lead clients that still come to the
// new owners (MOVED), where a blank node would refuse them (CLUSTERDOWN).
func (p *planner) dismiss() {
	met := p.met()
	for _, leaver := range p.members {
		knows := func(m *Member) bool { _, knows := m.Peer(leaver.ID); return knows }
		// Where all are new, those that hand over to them tell them of each other.
		if p.isWanted(leaver) || !slices.ContainsFunc(met, func(m *Member) bool { return m == leaver || knows(m) }) {
			continue
		}
		for _, m := range p.wanted {
			stage := stageLeave
			if !knows(m) {
				stage = stageLeaveLast
			}
			p.add(Step{Stage: stage, Kind: Forget, Node: m.Node.Name, Target: leaver.Node.Name, TargetID: leaver.ID})
		}
	}
}
