package cluster

import (
	"errors"
	"strings"
	"testing"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

func threeNodes() (*model, Desired) {
	m, d := &model{}, Desired{Create: true}
	for _, name := range []string{"a", "b", "c"} {
		n := spec.Node{Name: name, Address: "10.0.0." + name, Port: 6379, Host: name}
		d.Nodes = append(d.Nodes, n)
		m.add(n)
	}
	return m, d
}

func TestPlanRefuses(t *testing.T) {
	stranger := spec.Node{Name: "x", Address: "10.0.0.9", Port: 6379}
	for name, c := range map[string]struct {
		arrange func(*model, *Desired)
		// want are words of the error.
		want []string
	}{
		"a node that does not answer": {
			func(m *model, _ *Desired) { m.kill("b") },
			[]string{"b (10.0.0.b:6379)", "connection refused", "1 of 3"},
		},
		"keys on a node that owns nothing": {
			func(m *model, _ *Desired) { m.byName("c").odd = 12 },
			[]string{"10.0.0.c:6379", "12 keys", "no slots", "FLUSHALL"},
		},
		"a data-bearing cluster of its own": {
			func(m *model, _ *Desired) {
				b := m.byName("b")
				b.slots, b.odd = AllSlots(), 5
			},
			[]string{"10.0.0.b:6379", "5 keys", "16384 slots"},
		},
		"a member of another cluster": {
			func(m *model, _ *Desired) { m.join(m.byName("a"), m.add(stranger)) },
			[]string{"10.0.0.a:6379", "belongs to a cluster with 10.0.0.9:6379"},
		},
		"two clusters without keys": {
			func(m *model, _ *Desired) {
				m.byName("a").slots, m.byName("c").slots = AllSlots(), SlotsOf(Range{5, 9})
			},
			[]string{"5 slots (5-9)", "different clusters"},
		},
		"slots whose only owner is gone": {
			func(m *model, d *Desired) {
				d.Create = false
				x := m.add(stranger)
				x.slots = SlotsOf(Range{0, 99})
				for _, n := range []string{"a", "b", "c"} {
					m.join(m.byName(n), x)
				}
				m.kill("x")
			},
			[]string{"100 slots (0-99)", "lost", "accept_data_loss"},
		},
		"one process under two names": {
			func(m *model, _ *Desired) { m.byName("b").id = m.byName("a").id },
			[]string{"same process", "node id"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			m, d := threeNodes()
			c.arrange(m, &d)
			steps, err := Plan(m.observe(d.Nodes), d)
			var f *spec.Failure
			if !errors.As(err, &f) {
				t.Fatalf("plan is %v (%v), want a refusal", steps, err)
			}
			if f.Advice == "" {
				t.Error("it does not say what to do")
			}
			text := f.Error() + " " + f.Advice
			for _, want := range c.want {
				if !strings.Contains(text, want) {
					t.Errorf("%q does not say %q", text, want)
				}
			}
		})
	}
}

func TestPlanGivesLostSlotsAnewWhenTheLossIsAccepted(t *testing.T) {
	m, d := threeNodes()
	d.Create, d.AcceptDataLoss = false, true
	x := m.add(spec.Node{Name: "x", Address: "10.0.0.9", Port: 6379})
	x.slots = SlotsOf(Range{0, 99})
	for _, n := range []string{"a", "b", "c"} {
		m.join(m.byName(n), x)
	}
	m.kill("x")
	steps, err := Plan(m.observe(d.Nodes), d)
	if err != nil {
		t.Fatal(err)
	}
	var claimed Slots
	for _, s := range steps {
		if s.Kind == Claim {
			claimed = claimed.Union(s.Slots)
		}
	}
	if !claimed.Equal(AllSlots()) {
		t.Errorf("claimed are %s, want all", claimed)
	}
}
