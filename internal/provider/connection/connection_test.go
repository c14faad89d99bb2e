package connection_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
	"github.com/redisfleet/terraform-provider-redis/internal/provider/connection"
)

func TestNaturalOrder(t *testing.T) {
	got := []string{"kv-10", "kv-2", "kv-1:6380", "kv-1", "a", "kv-1:6379", "kv-02"}
	want := []string{"a", "kv-1", "kv-1:6379", "kv-1:6380", "kv-02", "kv-2", "kv-10"}
	slices.SortFunc(got, connection.Natural)
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestNaturalIsAnOrder(t *testing.T) {
	name := rapid.StringMatching(`[ab01-]{0,5}`)
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := name.Draw(t, "a"), name.Draw(t, "b"), name.Draw(t, "c")
		if connection.Natural(a, b) != -connection.Natural(b, a) || (connection.Natural(a, b) == 0) != (a == b) {
			t.Fatalf("%q and %q have no order", a, b)
		}
		if connection.Natural(a, b) < 0 && connection.Natural(b, c) < 0 && connection.Natural(a, c) >= 0 {
			t.Fatalf("%q < %q < %q is not transitive", a, b, c)
		}
	})
}

func TestModelKeepsEverything(t *testing.T) {
	want := connection.Connection{
		Place: spec.Place{BaseDir: "/var/lib/redis-cluster", Cluster: "kv"},
		Processes: []connection.Process{
			{Node: spec.Node{Name: "a", Address: "10.0.0.2", Port: 6379, BusPort: 16379, Host: "i-1", Zone: "z"}, Machine: "a", Transport: "ssh", SSHHost: "203.0.113.1", HostKey: "ssh-ed25519 AAAA"},
			{Node: spec.Node{Name: "b", Address: "127.0.0.1", Port: 6380, BusPort: 16380, Host: "127.0.0.1"}, Machine: "local", Transport: "local"},
		},
	}
	if diff := cmp.Diff(want, want.Model().Connection()); diff != "" {
		t.Error(diff)
	}
}

func TestGroupsByMachine(t *testing.T) {
	process := func(name, transport, address string) connection.Process {
		return connection.Process{Node: spec.Node{Name: name, Address: address}, Machine: address, Transport: transport}
	}
	c := connection.Connection{Processes: []connection.Process{
		process("a", "ssh", "10.0.0.2"), process("b", "ssh", "10.0.0.3"), process("c", "ssh", "10.0.0.2"),
	}}
	groups := c.Groups()
	if len(groups) != 2 || len(groups[0].Nodes) != 2 || groups[0].Nodes[1].Name != "c" || groups[1].Machine.Target.Address != "10.0.0.3" {
		t.Errorf("groups %+v", groups)
	}
}
