package report

import (
	"strings"
	"testing"
	"time"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

func TestWorkloadInWords(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{operations(spec.Workload{}), "SET and GET, 1:1"},
		{operations(spec.Workload{Operations: map[string]float64{"get": 9, "set": 1}, Sequence: "random"}), "90.0 % GET and 10.0 % SET, drawn at random"},
		{operations(spec.Workload{Operations: map[string]float64{"get": 1, "set": 0}, ReadFrom: "replica"}), "GET; reads from replicas"},
		{operations(spec.Workload{Commands: []spec.Command{{Command: "HSET __key__ f __data__", Weight: 1}}}), "“HSET __key__ f __data__”"},
		{operations(spec.Workload{Trace: &spec.Trace{Path: "/tmp/a.rec", Format: "monitor", Speed: 2, Loop: true}}), "Replay of /tmp/a.rec (monitor) at 2 times its speed, again and again"},
		{keys(spec.Keys{Length: 8}), "8 random letters and digits"},
		{keys(spec.Keys{Prefix: "k:", Minimum: 1, Maximum: 9, Pattern: "zipfian"}), "k:1 to k:9, zipfian"},
		{keys(spec.Keys{Pattern: "unique"}), "unique"},
		{values(spec.Workload{DataSizes: []spec.DataSize{{Minimum: 16, Maximum: 16, Weight: 3}, {Minimum: 1024, Maximum: 524288, Weight: 1}}}), "75.0 % of 16 B and 25.0 % of 1 KiB–512 KiB"},
		{values(spec.Workload{Expiry: spec.Duration(time.Minute)}), "expiring after 1m0s"},
		{pressure(spec.Workload{Clients: 50, Pipeline: 16}), "50 clients, 16 commands at a time each (pipeline); as fast as answers come (closed loop)"},
		{pressure(spec.Workload{Clients: 1, Rate: 1500, Arrival: "constant", Threads: 4}), "1 client, one command at a time each, 4 threads; 1,500 ops/s by schedule, constant arrivals (open loop)"},
		{length(spec.Workload{Requests: 1_000_000}), "1,000,000 commands"},
		{length(spec.Workload{Duration: spec.Duration(1500 * time.Millisecond)}), "1.5 s"},
		{stages([]spec.Stage{{Name: "up", Duration: spec.Duration(10 * time.Second), Rate: 5000, Ramp: true}, {Duration: spec.Duration(time.Hour), DataSize: 1 << 20}}), "up: 10 s ramping to 5,000 ops/s; 1 h, values of 1 MiB"},
		{clusterInWords(spec.LoadRun{TLS: &spec.TLS{}}, spec.LoadServer{Version: "8.1.0", Flavor: "valkey", Nodes: 3, Shards: []spec.Shard{{}, {Replicas: []string{"a"}}}}), "Valkey 8.1.0, 3 nodes, 2 shards, 0–1 replicas each, over TLS"},
		{runners(spec.LoadRun{}, spec.LoadResult{Generator: spec.Generator{Hosts: []string{"a", "b"}}}), "2 runners: a and b"},
	} {
		if got := strings.ReplaceAll(c.got, nbsp, " "); got != c.want {
			t.Errorf("got  %q\nwant %q", got, c.want)
		}
	}
}
