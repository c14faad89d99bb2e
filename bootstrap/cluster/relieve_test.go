//go:build linux

package cluster_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/cluster"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// TestMembersThatLostTheirData has members come back empty at their addresses,
// which their replicas would copy if nobody took over from them before.
func TestMembersThatLostTheirData(t *testing.T) {
	t.Parallel()
	p := newPatient(t)
	const never = "600000" // The cluster does not notice by itself.
	for _, loss := range []struct {
		name    string
		timeout string
		lost    func() []int
	}{
		{"a primary, before the others notice", never, func() []int { return p.primaries()[:1] }},
		{"a primary, after another took over", "1000", func() []int { return p.primaries()[1:2] }},
		{"two primaries, without which there is no majority", never, func() []int { return p.primaries()[:2] }},
		{"all primaries", never, func() []int { return p.primaries() }},
		{"a replica", never, func() []int { return []int{p.replicaNot(p.primaries()[0])} }},
		{"a replica and the primary of another shard", never, func() []int {
			at := p.primaries()[0]
			return []int{at, p.replicaNot(at)}
		}},
	} {
		t.Run(loss.name, func(t *testing.T) {
			p.t = t
			p.timeout(loss.timeout)
			lost := loss.lost()
			d := p.lose(lost)
			if loss.timeout != never {
				awaitSuccessor(t, p.Cluster, lost[0], len(p.Addrs()))
			}
			steps, err := p.relieve(d)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("relieved by %v", steps)
			p.restart(lost)
			mustApply(t, p.d, spec.Auth{})
			p.client.ReloadState(t.Context())
			checkFilled(t, p.client, patientKeys)
			for _, i := range lost {
				if p.role(i) != "slave" {
					t.Errorf("n%d has come back as a %s", i, p.role(i))
				}
			}
		})
		if t.Failed() {
			return
		}
	}
	t.Run("every copy of a shard", func(t *testing.T) {
		p.t = t
		p.everyCopyOfAShard(never)
	})
}

// everyCopyOfAShard has to be refused, and to come back empty if that is accepted.
func (p *patient) everyCopyOfAShard(timeout string) {
	t := p.t
	p.timeout(timeout)
	primary := p.primaries()[1]
	slots := p.slots(primary)
	lost := []int{primary}
	for i := range p.Addrs() {
		if strings.Contains(p.Node(i).Client().ClusterNodes(t.Context()).Val(), fmt.Sprintf("myself,slave %s", p.id(primary))) {
			lost = append(lost, i)
		}
	}
	kept := int64(patientKeys) - p.Node(primary).Client().DBSize(t.Context()).Val()
	d := p.lose(lost)
	_, err := p.relieve(d)
	var f *spec.Failure
	if !errors.As(err, &f) || !strings.Contains(f.Cause, slots.String()) || !strings.Contains(f.Advice, "accept_data_loss") {
		t.Fatalf("got %v, want a refusal that names %s", err, slots)
	}
	p.d.AcceptDataLoss, d.AcceptDataLoss = true, true
	if steps, err := p.relieve(d); err != nil || len(steps) > 0 {
		t.Fatalf("with the loss accepted: %v (%v)", steps, err)
	}
	p.restart(lost)
	res, err := apply(t.Context(), t, p.d, spec.Auth{})
	if err != nil {
		t.Fatal(err)
	}
	if words := strings.Join(cluster.Words(res.Steps), "\n"); !strings.Contains(words, slots.String()) {
		t.Errorf("the slots that come back empty, %s, are not named in\n%s", slots, words)
	}
	mustApply(t, p.d, spec.Auth{})
	if got := p.keys(); got != kept {
		t.Errorf("the other shards hold %d keys, want %d", got, kept)
	}
}

// lose kills nodes and deletes what they had.
func (p *patient) lose(nodes []int) cluster.Desired {
	d := p.d
	for _, i := range nodes {
		p.Node(i).Kill()
		p.Node(i).Wipe()
		d.Absent = append(d.Absent, d.Nodes[i].Name)
	}
	return d
}

func (p *patient) restart(nodes []int) {
	for _, i := range nodes {
		p.Node(i).Start()
	}
}

func (p *patient) relieve(d cluster.Desired) ([]cluster.Step, error) {
	fleet, err := cluster.NewFleet(d.Nodes, spec.Auth{}, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = fleet.Close() }()
	return cluster.Relieve(p.t.Context(), hclog.NewNullLogger(), fleet, d)
}

func (p *patient) timeout(ms string) {
	p.t.Helper()
	for i := range p.Addrs() {
		p.do(i, "CONFIG", "SET", "cluster-node-timeout", ms)
	}
}

// role is "master" or "slave".
func (p *patient) role(i int) string {
	return p.Node(i).Client().InfoMap(p.t.Context(), "replication").Val()["Replication"]["role"]
}

// slots that node i owns.
func (p *patient) slots(i int) cluster.Slots {
	p.t.Helper()
	peers, err := cluster.ParseNodes(p.Node(i).Client().ClusterNodes(p.t.Context()).Val())
	if err != nil {
		p.t.Fatal(err)
	}
	for _, peer := range peers {
		if peer.Has("myself") {
			return peer.Slots
		}
	}
	p.t.Fatalf("n%d does not know itself", i)
	return nil
}
