package cluster

import (
	"slices"
	"testing"
)

func TestParseNodes(t *testing.T) {
	const self = "0123456789012345678901234567890123456789"
	const other = "abcdefabcdefabcdefabcdefabcdefabcdefabcd"
	text := self + " 10.0.0.1:6379@16379 myself,master - 0 0 7 connected 0-99 200 [300->-" + other + "] [301-<-" + other + "]\n" +
		other + " fe80::1:6380@26380,db1.example,shard-id=x slave,fail? " + self + " 1 2 7 disconnected\n" +
		"fedcfedcfedcfedcfedcfedcfedcfedcfedcfedc :0@0 master,noaddr,fail - 1 2 3 disconnected\n"
	peers, err := ParseNodes(text)
	if err != nil {
		t.Fatal(err)
	}
	me, replica, lost := peers[0], peers[1], peers[2]
	if me.ID != self || me.Addr != "10.0.0.1:6379" || me.BusPort != 16379 || me.ConfigEpoch != 7 || !me.LinkUp || me.Slots.String() != "0-99 200" {
		t.Errorf("myself: %+v", me)
	}
	if me.Migrating[300] != other || me.Importing[301] != other {
		t.Errorf("open slots: %v %v", me.Migrating, me.Importing)
	}
	if replica.Addr != "[fe80::1]:6380" || replica.BusPort != 26380 || replica.PrimaryID != self || !replica.Failing() || replica.LinkUp {
		t.Errorf("replica: %+v", replica)
	}
	if !lost.Has("noaddr") || !lost.Failing() || !lost.Settled() {
		t.Errorf("lost: %+v", lost)
	}
}

func FuzzParseNodes(f *testing.F) {
	f.Add("a 1.2.3.4:1@2 master - 0 0 1 connected 0-3 [5->-b]")
	f.Add("a :0@0 handshake - 0 0 0 disconnected\nb 1:2@3,h,k=v slave a 0 0 1 connected")
	f.Fuzz(func(t *testing.T, text string) {
		peers, err := ParseNodes(text)
		if err != nil {
			return
		}
		for _, p := range peers {
			if p.Slots.Count() > 16384 || !slices.IsSortedFunc(p.Slots, func(a, b Range) int { return a.First - b.First }) {
				t.Fatalf("slots %v", p.Slots)
			}
		}
	})
}
