package cluster

import (
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/redisfleet/terraform-provider-redis/internal/provider/connection"
)

func TestExpand(t *testing.T) {
	processes := expand(map[string]nodeModel{
		"kv-10": {Address: types.StringValue("10.0.0.10"), InstanceID: types.StringValue("i-10")},
		"kv-2":  {Address: types.StringValue("10.0.0.2"), Port: types.Int64Value(7000), BusPort: types.Int64Value(9000), Processes: types.Int64Value(2)},
		"me":    {Address: types.StringValue("127.0.0.1"), Transport: types.StringValue("local")},
		"twin":  {Address: types.StringValue("10.0.0.10"), Port: types.Int64Value(6380)},
	})
	type short struct {
		name, host, machine string
		port, bus           int
	}
	want := []short{
		{"kv-2:7000", "10.0.0.2", "kv-2", 7000, 9000}, {"kv-2:7001", "10.0.0.2", "kv-2", 7001, 9001},
		{"kv-10", "i-10", "10.0.0.10", 6379, 16379}, {"me", "127.0.0.1", "local", 6379, 16379}, {"twin", "10.0.0.10", "10.0.0.10", 6380, 16380},
	}
	if len(processes) != len(want) {
		t.Fatalf("%d processes, want %d", len(processes), len(want))
	}
	for i, p := range processes {
		if got := (short{p.Name, p.Host, p.Machine, p.Port, p.BusPort}); got != want[i] {
			t.Errorf("process %d is %+v, want %+v", i, got, want[i])
		}
	}
}

func TestFormerGoesByHostAndPort(t *testing.T) {
	process := func(name, dial string, port int) connection.Process {
		p := connection.Process{Transport: connection.TransportSSH, SSHHost: dial}
		p.Name, p.Port = name, port
		return p
	}
	had := []connection.Process{process("a", "h1", 1), process("b", "h2", 1), process("c", "h3", 1)}
	want := []connection.Process{process("renamed", "h1", 1), process("b", "h2", 2), process("d", "h4", 1)}
	left := former(had, want)
	if len(left) != 2 || left[0].Name != "b" || left[1].Name != "c" {
		t.Errorf("former are %+v, want b at its old port, and c", left)
	}

	// Both b are asked, and the cluster tells nodes by their names.
	left[0].Address = "10.0.0.2"
	o := order{former: left}
	o.want.Processes = want
	if asked := o.cluster(o.want.Groups()[0], true).Former; asked[0].Name != "b at 10.0.0.2:1" || asked[1].Name != "c" {
		t.Errorf("former are asked as %+v", asked)
	}

	// An instance that was made again under its name is not looked for where it was.
	left[0].Instance, left[0].Host = "instances/b", "1"
	o.want.Processes[1].Instance, o.want.Processes[1].Host = "instances/b", "1"
	if o.remade(left[0]) {
		t.Error("an instance that stayed counts as made again")
	}
	o.want.Processes[1].Host = "2"
	if !o.remade(left[0]) || o.remade(left[1]) {
		t.Error("an instance that was made again does not count as such")
	}
}
