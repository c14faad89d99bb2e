package cluster

import (
	"slices"
	"strings"
	"testing"
)

// TestPlanHealsASplit has the node with the older epoch give up what another
// owns too before the two meet, and its keys move before it becomes a replica.
func TestPlanHealsASplit(t *testing.T) {
	m, d := threeNodes()
	d.Create = false
	a, b, c := m.byName("a"), m.byName("b"), m.byName("c")
	a.slots, b.slots, c.slots = SlotsOf(Range{0, 9999}), SlotsOf(Range{5000, 12000}), SlotsOf(Range{12001, 16383})
	a.epoch, b.epoch, c.epoch = 1, 7, 3
	m.join(a, c)
	b.knows.add(a)
	b.knows.add(c)
	m.fill()
	o := m.observe(d.Nodes)
	if problems := Problems(o, 0); !slices.ContainsFunc(problems, func(p string) bool { return strings.Contains(p, "a and b both own 5000 slots") }) {
		t.Errorf("the split is not named: %q", problems)
	}
	steps, err := Plan(o, d)
	if err != nil {
		t.Fatal(err)
	}
	at := func(kind Kind, node string) int {
		return slices.IndexFunc(steps, func(s Step) bool { return s.Kind == kind && (s.Node == node || node == "") })
	}
	yield, meet, merge := at(Yield, "a"), at(Meet, ""), at(Close, "b")
	if yield < 0 || meet < yield || merge < meet {
		t.Fatalf("the order is wrong: %v", steps)
	}
	if want := SlotsOf(Range{5000, 9999}); !steps[yield].Slots.Equal(want) || !steps[merge].Slots.Equal(want) {
		t.Errorf("want %s: %v", want, steps)
	}
	for i, s := range steps {
		if (s.Kind == Replicate || s.Kind == Migrate) && i < merge {
			t.Errorf("%q comes before the keys are safe", s)
		}
	}
}

// TestPlanLeavesAFailoverAlone finds no split where two nodes that talk to each
// other both own slots: they settle that by themselves in a moment.
func TestPlanLeavesAFailoverAlone(t *testing.T) {
	m, d := threeNodes()
	d.Create = false
	a, b, c := m.byName("a"), m.byName("b"), m.byName("c")
	a.slots, b.slots, c.slots = SlotsOf(Range{0, 9999}), SlotsOf(Range{5000, 12000}), SlotsOf(Range{12001, 16383})
	a.epoch, b.epoch, c.epoch = 1, 7, 3
	m.join(a, b)
	m.join(a, c)
	steps, err := Plan(m.observe(d.Nodes), d)
	if err != nil || slices.ContainsFunc(steps, func(s Step) bool { return s.Kind == Yield }) {
		t.Errorf("%v, %v", steps, err)
	}
}
