package cluster

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// converge plans and executes, with crashes at drawn steps, until there is
// nothing left to do, and returns how many slots moved. After every step no slot
// that had an owner may be without one, and no key may be gone.
func converge(t *rapid.T, m *model, d Desired, crashes bool) (moved int) {
	t.Helper()
	all := slices.Concat(d.Nodes, d.Former)
	owned, keys := m.owned(t), m.copies()
	const rounds, crashed = 12, 6
	done := false
	for round := range rounds {
		steps, err := Plan(m.observe(all), d)
		if err != nil {
			t.Fatalf("plan: %v", err)
		}
		if len(steps) == 0 {
			return moved
		}
		// An apply waits until nobody knows more than the wanted, and then only has those forgotten that are gone.
		if i := slices.IndexFunc(steps, func(s Step) bool { return s.Kind == Forget && m.byID(s.TargetID).alive }); done && i >= 0 {
			t.Fatalf("a plan that was carried out to its end left %v", steps[i])
		}
		done = true
		for i, s := range steps {
			if crashes && round < crashed && rapid.IntRange(0, 9).Draw(t, "crash") == 0 {
				if s.Kind == Migrate {
					if err := m.cutOff(t, s); err != nil {
						t.Fatalf("execute: %v\nplan: %v", err, steps)
					}
				}
				owned, done = m.owned(t), false
				break
			}
			if err := m.do(s); err != nil {
				t.Fatalf("execute: %v\nplan: %v", err, steps)
			}
			if s.Anew && !steps[min(i+1, len(steps)-1)].Anew {
				done = false
				break // ids have changed, and Plan is to be asked again
			}
			if s.Kind == Migrate {
				moved += s.Slots.Count()
			}
			now := m.owned(t)
			if lost := owned.Minus(now); len(lost) > 0 {
				t.Fatalf("after %q nobody owns %s", s, lost)
			}
			owned = now
			if got := m.copies(); got < keys {
				t.Fatalf("after %q %d of %d keys are left", s, got, keys)
			}
		}
	}
	steps, _ := Plan(m.observe(all), d)
	t.Fatalf("still not done after %d rounds; the plan is now %v", rounds, steps)
	return 0
}

// owned is the set of slots that living nodes own; none may have two owners.
func (m *model) owned(t *rapid.T) Slots {
	t.Helper()
	var all Slots
	for _, n := range m.nodes {
		if !n.alive {
			continue
		}
		if twice := all.Intersect(n.slots); len(twice) > 0 {
			t.Fatalf("%s is owned twice", twice)
		}
		all = all.Union(n.slots)
	}
	return all
}

// checkReached checks that the model is what was wanted.
func checkReached(t *rapid.T, m *model, d Desired) {
	t.Helper()
	if owned := m.owned(t); owned.Count() != spec.Slots {
		t.Fatalf("only %d slots are owned", owned.Count())
	}
	shards := map[string]int{}
	for _, wanted := range d.Nodes {
		n := m.byName(wanted.Name)
		if len(n.slots) > 0 {
			if size := n.slots.Count(); size != spec.Slots/d.Shards() && size != spec.Slots/d.Shards()+1 {
				t.Fatalf("%s owns %d slots of an even share of %d", wanted.Name, size, spec.Slots/d.Shards())
			}
			shards[n.id] += 0
		} else {
			shards[n.primary]++
		}
		if n.knows.size() != len(d.Nodes)-1 {
			t.Fatalf("%s knows %d others, want %d", wanted.Name, n.knows.size(), len(d.Nodes)-1)
		}
	}
	if len(shards) != d.Shards() {
		t.Fatalf("%d shards, want %d", len(shards), d.Shards())
	}
	spare := 0
	for id, replicas := range shards {
		more := replicas - d.ReplicasPerShard
		if more < 0 || more > min(1, d.SpareReplicas) {
			t.Fatalf("%s has %d replicas, want %d", m.byID(id).node.Name, replicas, d.ReplicasPerShard)
		}
		spare += more
	}
	if spare != d.SpareReplicas {
		t.Fatalf("%d spare replicas, want %d", spare, d.SpareReplicas)
	}
	for _, former := range d.Former {
		n := m.byName(former.Name)
		if n == nil {
			continue
		}
		if len(n.slots) > 0 || n.primary == "" && n.keyCount() > 0 {
			t.Fatalf("%s has left and still owns %s and %d keys", former.Name, n.slots, n.keyCount())
		}
		for _, wanted := range d.Nodes {
			if m.byName(wanted.Name).knows.has(n) {
				t.Fatalf("%s has left and %s still knows it", former.Name, wanted.Name)
			}
		}
	}
}

func drawCluster(t *rapid.T) (*model, Desired) {
	replicas := rapid.IntRange(0, 2).Draw(t, "replicas")
	shards := rapid.IntRange(3, 6).Draw(t, "shards")
	spare := max(0, rapid.IntRange(-4, 2).Draw(t, "spare"))
	d := Desired{Nodes: drawNodes(t, 0, shards*(1+replicas)+spare), ReplicasPerShard: replicas, SpareReplicas: spare}
	m := &model{}
	for _, n := range d.Nodes {
		m.add(n)
	}
	return m, d
}

func TestPlanCreatesAndResumes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, d := drawCluster(t)
		d.Create = true
		if moved := converge(t, m, d, true); moved != 0 {
			t.Fatalf("%d slots moved on a blank cluster", moved)
		}
		checkReached(t, m, d)
		if d.ReplicasPerShard == 1 {
			checkSpread(t, m, d)
		}
	})
}

// checkSpread checks that no replica shares its primary's host where the hosts
// have no more nodes than there are shards, so that it can be avoided.
func checkSpread(t *rapid.T, m *model, d Desired) {
	t.Helper()
	perHost := map[string]int{}
	for _, n := range d.Nodes {
		perHost[n.Host]++
	}
	for _, count := range perHost {
		if count > d.Shards() {
			return
		}
	}
	for _, wanted := range d.Nodes {
		n := m.byName(wanted.Name)
		if p := m.byID(n.primary); p != nil && p.node.Host == wanted.Host {
			t.Fatalf("%s shares host %s with its primary %s, which could be avoided", wanted.Name, wanted.Host, p.node.Name)
		}
	}
}

func TestPlanChangesALiveCluster(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, d := drawCluster(t)
		converge(t, m, d, false)
		m.fill()
		keys := m.keyCount()
		// Some leave, some come, the number of replicas changes.
		next := Desired{ReplicasPerShard: rapid.IntRange(0, 2).Draw(t, "new replicas"), SpareReplicas: max(0, rapid.IntRange(-4, 2).Draw(t, "new spare"))}
		size := rapid.IntRange(3, 7).Draw(t, "new shards")*(1+next.ReplicasPerShard) + next.SpareReplicas
		stay := rapid.IntRange(0, min(len(d.Nodes), size)).Draw(t, "stay")
		order := rapid.Permutation(d.Nodes).Draw(t, "order")
		next.Nodes, next.Former = slices.Clone(order[:stay]), order[stay:]
		for _, n := range drawNodes(t, 100, max(1, size-stay)) {
			if len(next.Nodes) < size {
				next.Nodes = append(next.Nodes, n)
				m.add(n)
			}
		}
		for _, former := range next.Former { // some are gone before the cluster is told
			if n := m.byName(former.Name); m.hasTwin(n) && rapid.Bool().Draw(t, "gone already") {
				m.kill(former.Name)
			}
		}
		converge(t, m, next, true)
		checkReached(t, m, next)
		if m.keyCount() != keys {
			t.Fatalf("%d of %d keys are left", m.keyCount(), keys)
		}
	})
}

func TestPlanReplacesEveryNode(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, d := drawCluster(t)
		converge(t, m, d, false)
		m.fill()
		keys := m.keyCount()
		next := Desired{Nodes: drawNodes(t, 100, len(d.Nodes)), Former: d.Nodes, ReplicasPerShard: d.ReplicasPerShard, SpareReplicas: d.SpareReplicas}
		for _, n := range next.Nodes {
			m.add(n)
		}
		converge(t, m, next, rapid.Bool().Draw(t, "crashes"))
		checkReached(t, m, next)
		if m.keyCount() != keys {
			t.Fatalf("%d of %d keys are left", m.keyCount(), keys)
		}
	})
}

func TestPlanMovesAsFewSlotsAsCan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before := rapid.IntRange(3, 9).Draw(t, "before")
		after := rapid.IntRange(3, 9).Draw(t, "after")
		m := &model{}
		nodes := drawNodes(t, 0, max(before, after))
		for _, n := range nodes {
			m.add(n)
		}
		converge(t, m, Desired{Nodes: nodes[:before]}, false)
		m.fill()
		d := Desired{Nodes: nodes[:after]}
		leaving := 0
		if after < before {
			d.Former = nodes[after:before]
			for _, n := range d.Former {
				leaving += m.byName(n.Name).slots.Count()
			}
		}
		moved := converge(t, m, d, false)
		checkReached(t, m, d)
		// A cluster that shrinks moves what the leaving shards had, one that grows
		// moves what the new ones get, and nothing else.
		least := leaving
		for _, n := range nodes[min(before, after):after] {
			least += m.byName(n.Name).slots.Count()
		}
		if moved != least {
			t.Fatalf("%d → %d shards moved %d slots, want %d", before, after, moved, least)
		}
	})
}

func TestPlanReplacesLostNodes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, d := drawCluster(t)
		if d.ReplicasPerShard == 0 {
			t.Skip("a lost node without a replica is data loss")
		}
		converge(t, m, d, false)
		m.fill()
		keys := m.keyCount()
		// One or two nodes of different shards are lost at once.
		lost, shards := map[string]bool{}, map[string]string{}
		for _, n := range m.nodes {
			shards[n.node.Name] = cmp.Or(n.primary, n.id)
		}
		for _, victim := range rapid.Permutation(d.Nodes).Draw(t, "victims")[:rapid.IntRange(1, 2).Draw(t, "lost")] {
			n := m.byName(victim.Name)
			if lost[shards[victim.Name]] {
				continue
			}
			lost[shards[victim.Name]] = true
			if n.primary == "" && !rapid.Bool().Draw(t, "the cluster promotes") {
				n.alive = false // and Plan has to have a replica take over
			} else {
				m.kill(victim.Name)
			}
			if rapid.Bool().Draw(t, "recreated") {
				m.add(victim) // same name and address, empty, with a new id
			} else {
				fresh := drawNodes(t, 100+10*len(lost), 1)[0]
				m.add(fresh)
				i := slices.Index(d.Nodes, victim)
				d.Nodes = slices.Clone(d.Nodes)
				d.Nodes[i] = fresh
				d.Former = append(d.Former, victim)
			}
		}
		if moved := converge(t, m, d, true); moved != 0 {
			t.Fatalf("%d slots moved to replace nodes", moved)
		}
		checkReached(t, m, d)
		if m.keyCount() != keys {
			t.Fatalf("%d of %d keys are left", m.keyCount(), keys)
		}
	})
}

// TestPlanAWholeShardLost checks that nothing is done where the only copies of
// slots are gone, and that with the loss accepted they come back, empty.
func TestPlanAWholeShardLost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, d := drawCluster(t)
		converge(t, m, d, false)
		m.fill()
		var primaries []*modelNode
		for _, n := range m.nodes {
			if n.primary == "" {
				primaries = append(primaries, n)
			}
		}
		primary := rapid.SampledFrom(primaries).Draw(t, "shard")
		lost, lostKeys := primary.slots, primary.keyCount()
		keys := m.keyCount()
		for _, n := range slices.Clone(m.nodes) {
			if n == primary || n.primary == primary.id {
				n.alive = false
				m.add(n.node)
			}
		}
		steps, err := Plan(m.observe(d.Nodes), d)
		var f *spec.Failure
		if !errors.As(err, &f) || !strings.Contains(f.Cause, countSlots(lost)) {
			t.Fatalf("the plan is %v (%v), want a refusal that names %s", steps, err, countSlots(lost))
		}
		d.AcceptDataLoss = true
		converge(t, m, d, true)
		checkReached(t, m, d)
		if got := m.keyCount(); got != keys-lostKeys {
			t.Fatalf("%d keys are left, want %d", got, keys-lostKeys)
		}
	})
}

// TestPlanSpreadsPrimaries checks that a change leaves no two primaries more on
// one host than on that of one of their replicas.
func TestPlanSpreadsPrimaries(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, d := drawCluster(t)
		converge(t, m, d, false)
		m.fill()
		for _, n := range m.nodes {
			if n.primary != "" && rapid.Bool().Draw(t, "fail over") {
				m.promote(n, m.byID(n.primary))
			}
		}
		victim := rapid.SampledFrom(d.Nodes).Draw(t, "victim")
		if d.ReplicasPerShard == 0 {
			t.Skip("no replicas")
		}
		m.kill(victim.Name)
		m.add(victim)
		converge(t, m, d, false)
		checkReached(t, m, d)
		hosts := map[string]int{}
		for _, n := range m.nodes {
			if n.alive && n.primary == "" {
				hosts[n.node.Host]++
			}
		}
		for _, n := range m.nodes {
			p := m.byID(n.primary)
			if n.alive && p != nil && n.node.Zone == "" && hosts[p.node.Host]-hosts[n.node.Host] > 1 {
				t.Fatalf("host %s has %d primaries, %s's host, of a replica, %d", p.node.Host, hosts[p.node.Host], n.node.Name, hosts[n.node.Host])
			}
		}
	})
}

func TestPlanRestartsEachNodeOnceAndPrimariesLast(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, d := drawCluster(t)
		converge(t, m, d, false)
		m.fill()
		for _, n := range d.Nodes {
			if rapid.Bool().Draw(t, "restart") {
				d.Restart = append(d.Restart, n.Name)
			}
		}
		keys := m.keyCount()
		steps, err := Plan(m.observe(d.Nodes), d)
		if err != nil {
			t.Fatal(err)
		}
		for i, s := range steps {
			if i > 0 && s.Stage == steps[i-1].Stage {
				t.Fatalf("%q and %q are done at once", steps[i-1], s)
			}
			if err := m.do(s); err != nil {
				t.Fatalf("%v\nplan: %v", err, steps)
			}
		}
		slices.Sort(m.restarted)
		slices.Sort(d.Restart)
		if !slices.Equal(m.restarted, d.Restart) {
			t.Fatalf("restarted %v, want %v", m.restarted, d.Restart)
		}
		d.Restart = nil
		checkReached(t, m, d)
		if m.keyCount() != keys {
			t.Fatalf("%d of %d keys are left", m.keyCount(), keys)
		}
	})
}

func TestAFailoverIsNoDrift(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, d := drawCluster(t)
		converge(t, m, d, false)
		m.fill()
		for _, n := range m.nodes {
			if n.primary != "" && rapid.Bool().Draw(t, "fail over") {
				m.promote(n, m.byID(n.primary))
			}
		}
		steps, err := Plan(m.observe(d.Nodes), d)
		if err != nil || len(steps) > 0 {
			t.Fatalf("after failovers the plan is %v (%v), want none", steps, err)
		}
	})
}

// TestReliefLeavesNobodyBehind loses primaries and replicas of any number of
// shards, one of each, before anybody has taken over. When they start again,
// empty, no replica may follow one of them.
func TestReliefLeavesNobodyBehind(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, d := drawCluster(t)
		if d.ReplicasPerShard == 0 {
			t.Skip("a lost node without a replica is data loss")
		}
		converge(t, m, d, false)
		m.fill()
		keys := m.keyCount()
		hit := map[string]bool{}
		lost := slices.Clone(m.nodes)
		for _, n := range rapid.Permutation(lost).Draw(t, "victims")[:rapid.IntRange(1, len(lost)).Draw(t, "lost")] {
			if shard := cmp.Or(n.primary, n.id); !hit[shard] {
				hit[shard], n.alive = true, false
				d.Absent = append(d.Absent, n.node.Name)
			}
		}
		steps, err := planRelief(m.observe(d.Nodes), d)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range steps {
			if err := m.do(s); err != nil {
				t.Fatalf("%v\nplan: %v", err, steps)
			}
		}
		for _, n := range m.nodes {
			if n.alive && n.primary != "" && !m.byID(n.primary).alive {
				t.Fatalf("%s still follows %s, which is gone; done was %v", n.node.Name, m.byID(n.primary).node.Name, steps)
			}
		}
		foreseen, err := Foresee(m.observe(d.Nodes), d)
		if err != nil {
			t.Fatalf("foresee: %v", err)
		}
		for _, n := range lost {
			if !n.alive {
				m.add(n.node)
			}
		}
		d.Absent = nil
		actual, err := Plan(m.observe(d.Nodes), d)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := Words(foreseen), Words(actual); !slices.Equal(got, want) {
			t.Fatalf("foreseen was %q, planned is %q", got, want)
		}
		converge(t, m, d, true)
		checkReached(t, m, d)
		if m.keyCount() != keys {
			t.Fatalf("%d of %d keys are left", m.keyCount(), keys)
		}
	})
}
