package cluster

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/types"
	"pgregory.net/rapid"
)

// loopback gives n nodes on loopback, on ports 7100 and after.
func loopback(n int) map[string]nodeModel {
	nodes := make(map[string]nodeModel, n)
	for i := range n {
		nodes[fmt.Sprintf("n%d", i)] = nodeModel{Address: types.StringValue("127.0.0.1"), Port: types.Int64Value(int64(7100 + i)), Transport: types.StringValue("local")}
	}
	return nodes
}

func TestCheck(t *testing.T) {
	with := func(change func(map[string]nodeModel)) map[string]nodeModel {
		nodes := loopback(6)
		change(nodes)
		return nodes
	}
	set := func(change func(*nodeModel)) map[string]nodeModel {
		return with(func(nodes map[string]nodeModel) {
			n := nodes["n0"]
			change(&n)
			nodes["n0"] = n
		})
	}
	address := func(a string) map[string]nodeModel {
		return set(func(n *nodeModel) { n.Address = types.StringValue(a) })
	}
	tests := map[string]struct {
		in input
		// path and words of the only problem; no path means that there is none.
		path  string
		words []string
	}{
		"path of a server of a package": {
			input{nodes: loopback(6), server: serverModel{Path: types.StringValue("/opt/redis-server"), Install: types.StringValue("package")}}, "server.path", []string{"preinstalled"},
		},
		"path of a server that is there": {
			input{nodes: loopback(6), server: serverModel{Path: types.StringValue("/opt/redis-server"), Install: types.StringValue("preinstalled")}}, "", nil,
		},
		"fine":                {in: input{nodes: loopback(6)}},
		"no replicas":         {in: input{nodes: loopback(3), replicas: types.Int64Value(0)}},
		"too few":             {in: input{nodes: loopback(4)}, path: "nodes", words: []string{"4 processes", "Add 2"}},
		"spare":               {in: input{nodes: loopback(4), replicas: types.Int64Value(0), spare: types.Int64Value(1)}},
		"uneven with spare":   {in: input{nodes: loopback(8), spare: types.Int64Value(1)}, path: "nodes", words: []string{"7 processes besides 1 spare replicas", "no multiple of 2"}},
		"too many spare":      {in: input{nodes: loopback(9), spare: types.Int64Value(3)}, path: "spare_replicas", words: []string{"3 shards", "replicas_per_shard"}},
		"uneven":              {in: input{nodes: loopback(7)}, path: "nodes", words: []string{"no multiple of 2", "Add 1, remove 1"}},
		"replicas unknown":    {in: input{nodes: loopback(1), replicas: types.Int64Unknown()}},
		"processes unknown":   {in: input{nodes: set(func(n *nodeModel) { n.Processes = types.Int64Unknown() })}},
		"address unknown":     {in: input{nodes: set(func(n *nodeModel) { n.Address = types.StringUnknown() })}},
		"processes count":     {in: input{nodes: map[string]nodeModel{"a": {Address: types.StringValue("127.0.0.1"), Processes: types.Int64Value(6)}}}},
		"same port":           {in: input{nodes: set(func(n *nodeModel) { n.Port = types.Int64Value(7101) }), replicas: types.Int64Value(1)}, path: `nodes["n1"].port`, words: []string{"127.0.0.1:7101", `nodes["n0"]`}},
		"ports run together":  {in: input{nodes: set(func(n *nodeModel) { n.Port, n.Processes = types.Int64Value(7099), types.Int64Value(3) }), replicas: types.Int64Value(0)}, path: `nodes["n1"].port`, words: []string{"7101"}},
		"bus port too high":   {in: input{nodes: set(func(n *nodeModel) { n.Port = types.Int64Value(60000) })}, path: `nodes["n0"].bus_port`, words: []string{"70000", "Set bus_port", "55536"}},
		"bus port set":        {in: input{nodes: set(func(n *nodeModel) { n.Port, n.BusPort = types.Int64Value(60000), types.Int64Value(50000) })}},
		"bus on client port":  {in: input{nodes: set(func(n *nodeModel) { n.BusPort = types.Int64Value(7101) })}, path: `nodes["n0"].bus_port`, words: []string{`client port of nodes["n1"]`}},
		"bus on bus port":     {in: input{nodes: set(func(n *nodeModel) { n.BusPort = types.Int64Value(17101) })}, path: `nodes["n1"].bus_port`, words: []string{`bus port of nodes["n0"]`}},
		"a name as address":   {in: input{nodes: address("redis.example.com")}, path: `nodes["n0"].address`, words: []string{"ssh_host"}},
		"unspecified address": {in: input{nodes: address("0.0.0.0"), password: true}, path: `nodes["n0"].address`},
		"local over ssh":      {in: input{nodes: set(func(n *nodeModel) { n.SSHHost = types.StringValue("x") })}, path: `nodes["n0"].transport`},
		"owned directive":     {in: input{nodes: loopback(6), config: map[string]string{"port": "1"}}, path: `config["port"]`, words: []string{"Set port of the node"}},
		"malformed directive": {in: input{nodes: loopback(6), config: map[string]string{"max memory": "1"}}, path: `config["max memory"]`},
		"password missing":    {in: input{nodes: address("10.0.0.2")}, path: "password_wo", words: []string{"allow_unauthenticated"}},
		"password there":      {in: input{nodes: address("10.0.0.2"), password: true}},
		"open on purpose":     {in: input{nodes: address("10.0.0.2"), allowUnauthenticated: types.BoolValue(true)}},
		"open to the world":   {in: input{nodes: address("203.0.113.9"), allowUnauthenticated: types.BoolValue(true)}, path: "allow_unauthenticated", words: []string{"private"}},
		"open unknown":        {in: input{nodes: address("10.0.0.2"), allowUnauthenticated: types.BoolUnknown()}},
		"same on two hosts": {in: input{password: true, nodes: with(func(nodes map[string]nodeModel) {
			for i := range 6 {
				nodes[fmt.Sprintf("n%d", i)] = nodeModel{Address: types.StringValue(fmt.Sprintf("10.0.0.%d", i+2))}
			}
		})}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			problems := check(test.in)
			if test.path == "" {
				if len(problems) > 0 {
					t.Fatalf("refused: %+v", problems)
				}
				return
			}
			if len(problems) != 1 || problems[0].path.String() != test.path {
				t.Fatalf("problems %+v, want one at %s", problems, test.path)
			}
			for _, word := range test.words {
				if !strings.Contains(problems[0].detail, word) {
					t.Errorf("%q does not say %q", problems[0].detail, word)
				}
			}
		})
	}
}

func TestForgetful(t *testing.T) {
	for name, c := range map[string]struct {
		config map[string]string
		want   string
	}{
		"default":         {nil, ""},
		"no snapshots":    {map[string]string{"save": ""}, ""},
		"nothing on disk": {map[string]string{"AppendOnly": "no", "save": `""`}, "empty, before a replica"},
		"snapshots only":  {map[string]string{"appendonly": "no", "save": "900 1"}, "its last snapshot"},
	} {
		if got := forgetful(input{config: c.config}); got == "" != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

// Whatever is unknown, null or odd: check comes to an end, and every problem
// names an attribute and says something.
func TestCheckNeverPanics(t *testing.T) {
	text := rapid.OneOf(rapid.Just(types.StringNull()), rapid.Just(types.StringUnknown()), rapid.Map(rapid.SampledFrom([]string{"127.0.0.1", "10.0.0.1", "::1", "nowhere", ""}), types.StringValue))
	number := rapid.OneOf(rapid.Just(types.Int64Null()), rapid.Just(types.Int64Unknown()), rapid.Map(rapid.Int64Range(-5, 70000), types.Int64Value))
	few := rapid.OneOf(rapid.Just(types.Int64Null()), rapid.Just(types.Int64Unknown()), rapid.Map(rapid.Int64Range(-1, 9), types.Int64Value))
	node := rapid.Custom(func(t *rapid.T) nodeModel {
		return nodeModel{Address: text.Draw(t, "address"), Port: number.Draw(t, "port"), BusPort: number.Draw(t, "bus_port"), Processes: few.Draw(t, "processes"), Transport: text.Draw(t, "transport"), SSHHost: text.Draw(t, "ssh_host")}
	})
	rapid.Check(t, func(t *rapid.T) {
		in := input{
			nodes:    rapid.MapOfN(rapid.StringMatching(`[a-d]`), node, 0, 4).Draw(t, "nodes"),
			replicas: few.Draw(t, "replicas"),
			password: rapid.Bool().Draw(t, "password"),
		}
		for _, p := range check(in) {
			if p.path.String() == "" || p.summary == "" || p.detail == "" {
				t.Fatalf("a problem that says nothing: %+v", p)
			}
		}
	})
}
