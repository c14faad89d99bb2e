package topology

import (
	"testing"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/cluster"
)

func peers(t *testing.T, text string) []cluster.Peer {
	t.Helper()
	p, err := cluster.ParseNodes(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestAbsorbBelievesTheHighestEpoch(t *testing.T) {
	const before = "a 10.0.0.1:1@2 myself,master - 0 0 1 connected 0-16383\nb 10.0.0.2:1@2 slave a 0 0 1 connected\n"
	const after = "a 10.0.0.1:1@2 master,fail - 0 0 1 connected\nb 10.0.0.2:1@2 myself,master - 0 0 2 connected 0-16383\n"
	var m merger
	v := m.absorb("10.0.0.1:1", peers(t, before))
	if got := v.Nodes[v.Owner[5]].Addr; got != "10.0.0.1:1" {
		t.Errorf("before: slot 5 is at %s", got)
	}
	if got := v.Nodes[0].Replicas; len(got) != 1 || got[0] != 1 {
		t.Errorf("before: replicas %v", got)
	}
	v = m.absorb("10.0.0.2:1", peers(t, after))
	if got := v.Nodes[v.Owner[5]].Addr; got != "10.0.0.2:1" || !v.Nodes[0].Failed {
		t.Errorf("after: slot 5 is at %s", got)
	}
	v = m.absorb("10.0.0.1:1", peers(t, before))
	if got := v.Nodes[v.Owner[5]].Addr; got != "10.0.0.2:1" {
		t.Errorf("a node that is behind took slot 5 back to %s", got)
	}
}

func TestMembersHaveAnAddress(t *testing.T) {
	const text = "a :1@2 myself,master - 0 0 1 connected\nb :3@4 master - 0 0 1 connected\n" +
		"c 10.0.0.3:1@2 handshake - 0 0 0 disconnected\nd :0@0 master,noaddr - 0 0 1 disconnected\n"
	got := members("10.0.0.9:1", peers(t, text))
	if len(got) != 2 || got[0].Addr != "10.0.0.9:1" || got[1].Addr != "10.0.0.9:3" {
		t.Errorf("got %+v", got)
	}
}
