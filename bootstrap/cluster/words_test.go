package cluster

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

func TestWords(t *testing.T) {
	m, d := threeNodes()
	create, err := Plan(m.observe(d.Nodes), d)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range create {
		if err := m.do(s); err != nil {
			t.Fatal(err)
		}
	}
	m.fill()
	d.Create = false
	grown := d
	grown.Nodes = append(slices.Clone(d.Nodes), spec.Node{Name: "d", Address: "10.0.0.4", Port: 6379})
	m.add(grown.Nodes[3])
	grow, err := Plan(m.observe(grown.Nodes), grown)
	if err != nil {
		t.Fatal(err)
	}
	restart := d
	restart.Restart = []string{"a", "b", "c"}
	restarts, err := Plan(m.observe(d.Nodes), restart)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		steps []Step
		want  []string
	}{
		"create":  {create, []string{"assign 16384 slots to a, b, c", "introduce 3 nodes to each other"}},
		"grow":    {grow, []string{"introduce d to the others", "move 4096 slots with about 66 keys from a, b, c to d"}},
		"restart": {restarts, []string{"restart 3 nodes one at a time: a, b, c"}},
		"restart with failovers": {
			[]Step{{Stage: stageRestart, Kind: Restart, Node: "d"}, {Stage: stageRestart + 1, Kind: Failover, Node: "d", Target: "a"}, {Stage: stageRestart + 2, Kind: Restart, Node: "a"}},
			[]string{"restart 2 nodes one at a time, with 1 failover: d, a"},
		},
		"shrink": {
			[]Step{
				{Kind: Migrate, Node: "a", Target: "b", Slots: SlotsOf(Range{0, 99}), Keys: 1000, Bytes: 3e6},
				{Kind: Migrate, Node: "a", Target: "c", Slots: SlotsOf(Range{100, 199}), Keys: 500, Bytes: 1e6},
				{Kind: Forget, Node: "b", Target: "a", TargetID: "1"}, {Kind: Forget, Node: "c", Target: "a", TargetID: "1"},
			},
			[]string{"move 200 slots with about 1,500 keys (4.0 MB) from a to b, c", "have every node forget a"},
		},
		"replicas": {
			[]Step{{Kind: Replicate, Node: "d", Target: "a"}, {Kind: Replicate, Node: "e", Target: "b"}, {Kind: Failover, Node: "d", Target: "a"}},
			[]string{"make replicas: d of a, e of b", "fail over from a to d"},
		},
	} {
		if got := Words(c.steps); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	if got, want := InAll(grow), "In all: 4,096 slots with about 66 keys (0 B) move."; got != want {
		t.Errorf("growing is %q, want %q", got, want)
	}
	if got := InAll(create); got != "" {
		t.Errorf("creating is %q", got)
	}
	if got := Sum(grow); got.Slots != 4096 || got.Keys < 60 || got.Restarts != 0 {
		t.Errorf("growing is %+v", got)
	}
}

func TestBanInWords(t *testing.T) {
	if got, want := banInWords([]string{"a and b"}, 18*time.Second), "wait until these know each other: a and b; if one was told to forget the other just now, it takes it back in 43s at the latest"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := banInWords([]string{"a and b"}, 2*ban); strings.Contains(got, "latest") {
		t.Errorf("the ban is over, and it says %q", got)
	}
}
