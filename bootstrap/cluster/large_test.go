package cluster

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// largeFleet is a thousand nodes on ten hosts, 500 shards, as one model; formed
// if so wanted. The race detector, which takes ten times as long, gets fewer.
func largeFleet(formed bool) (*model, Desired) {
	const nodes, hosts = largeNodes, 10
	m, d := &model{}, Desired{ReplicasPerShard: 1}
	for i := range nodes {
		n := spec.Node{Name: fmt.Sprintf("n%d", i), Address: fmt.Sprintf("10.0.0.%d", i%hosts), Port: 6379 + i/hosts, Host: fmt.Sprint(i % hosts)}
		d.Nodes = append(d.Nodes, n)
		m.add(n)
	}
	if !formed {
		return m, d
	}
	shards := nodes / 2
	for i, n := range m.nodes {
		for _, other := range m.nodes {
			if other != n {
				n.knows.add(other)
			}
		}
		if i < shards {
			n.epoch = int64(i + 1)
			n.slots = SlotsOf(Range{i * spec.Slots / shards, (i+1)*spec.Slots/shards - 1})
		} else {
			n.primary = m.nodes[(i-shards+1)%shards].id
		}
	}
	return m, d
}

// TestPlanForAThousandNodes bounds what planning costs on a large fleet.
func TestPlanForAThousandNodes(t *testing.T) {
	t.Parallel()
	const limit = 15 * time.Second // it takes 1 s on an idle machine
	timed := func(what string, do func()) {
		start := time.Now()
		do()
		if took := time.Since(start); took > limit {
			t.Errorf("%s took %s", what, took)
		} else {
			t.Logf("%s: %s", what, took)
		}
	}
	for name, formed := range map[string]bool{"create": false, "nothing to do": true} {
		m, d := largeFleet(formed)
		o := m.observe(d.Nodes)
		timed("Plan, "+name, func() {
			steps, err := Plan(o, d)
			if err != nil || formed != (len(steps) == 0) {
				t.Fatalf("%d steps (%v)", len(steps), err)
			}
		})
		timed("Problems, "+name, func() { Problems(o, 1) })
		timed("Summarize, "+name, func() { Summarize(o, 1) })
	}
	m, d := largeFleet(true)
	all := d.Nodes
	o := m.observe(all)
	d.Nodes, d.Former = all[:len(all)*9/10], all[len(all)*9/10:]
	timed("Plan, scale in by a tenth", func() {
		steps, err := Plan(o, d)
		if err != nil || len(steps) == 0 {
			t.Fatalf("%d steps (%v)", len(steps), err)
		}
	})
	extra := spec.Node{Name: "x", Address: "10.0.1.1", Port: 6379, Host: "x"}
	const lost = 100
	o.Members[lost] = Member{Node: all[lost], Err: errors.New("no route to host")}
	o.Members = append(o.Members, Member{Node: extra, ID: strings.Repeat("f", 40), StateOK: true})
	d.Nodes, d.Former = slices.Concat(all[:lost], all[lost+1:], []spec.Node{extra}), all[lost:lost+1]
	timed("Plan, replacement", func() {
		steps, err := Plan(o, d)
		if err != nil || len(steps) == 0 {
			t.Fatalf("%d steps (%v)", len(steps), err)
		}
	})
}
