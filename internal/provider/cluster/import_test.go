package cluster

import (
	"testing"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
	"github.com/redisfleet/terraform-provider-redis/internal/provider/connection"
)

func TestImportIDs(t *testing.T) {
	at := func(base, name string) spec.Place { return spec.Place{BaseDir: base, Cluster: name} }
	for id, want := range map[string]importID{
		"10.128.0.2:/var/lib/redis-cluster/kv": {at(defaultBaseDir, "kv"), connection.TransportSSH, "10.128.0.2", 0},
		"local:/home/me/.redis/kv":             {at("/home/me/.redis", "kv"), connection.TransportLocal, "", 0},
		"10.128.0.2:6379":                      {at(defaultBaseDir, "redis"), connection.TransportSSH, "10.128.0.2", 6379},
		"vm-1.example:6379/kv":                 {at(defaultBaseDir, "kv"), connection.TransportSSH, "vm-1.example", 6379},
		"127.0.0.1:7000/srv/redis/kv":          {at("/srv/redis", "kv"), connection.TransportLocal, "127.0.0.1", 7000},
		"localhost:7000":                       {at(defaultBaseDir, "redis"), connection.TransportLocal, "127.0.0.1", 7000},
		"[::1]:7000/kv":                        {at(defaultBaseDir, "kv"), connection.TransportLocal, "::1", 7000},
		"[2001:db8::2]:6379":                   {at(defaultBaseDir, "redis"), connection.TransportSSH, "2001:db8::2", 6379},
	} {
		if got, err := parseImportID(id); err != nil || got != want {
			t.Errorf("%s is %+v, %v; want %+v", id, got, err, want)
		}
	}
	for _, id := range []string{"", "nonsense", "host:", ":6379", "host:0", "host:70000", "host:6379/Upper", "host:/kv", "local:/kv"} {
		if got, err := parseImportID(id); err == nil {
			t.Errorf("%q is taken for %+v", id, got)
		}
	}
}
