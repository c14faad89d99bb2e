package spec

import (
	"strings"
	"testing"
)

func TestCheckConfig(t *testing.T) {
	for _, tt := range []struct {
		name, value string
		// reason and advice are parts of what is said; both empty means that it passes.
		reason, advice string
	}{
		{"maxmemory", "1gb", "", ""},
		{"MaxMemory", "1gb", "", ""},
		{"save", "900 1\n300 10\n", "", ""},
		{"save", "", "", ""},
		{"search.timeout", "500", "", ""},
		{"notify-keyspace-events", `"KEA"`, "", ""},
		{"port", "7000", "node", "port"},
		{"PORT", "7000", "node", "port"},
		{"bind", "0.0.0.0", "loopback", "address"},
		{"cluster-port", "17000", "bus", "bus_port"},
		{"cluster-announce-hostname", "x", "announces", "address"},
		{"requirepass", "x", "state", "password_wo"},
		{"protected-mode", "no", "password", "allow_unauthenticated"},
		{"tls-port", "7000", "TLS", "not managed"},
		{"user", "a on >x", "state", "not managed"},
		{"include", "/etc/x.conf", "host", "config"},
		{"dir", "/data", "directory", "Remove"},
		{"replicaof", "a 1", "replicates", "replicas_per_shard"},
		{"maxmemory 1gb", "", "name", "equals sign"},
		{"", "x", "name", "letter"},
		{"#x", "x", "name", "letter"},
		{"loglevel", "a\x00b", "control", "escape"},
		{"loglevel", `"a`, "not closed", `\"`},
		{"loglevel", `"a"b`, "closing quote", `\"`},
	} {
		got := CheckConfig(map[string]string{tt.name: tt.value})
		if tt.reason == "" {
			if len(got) > 0 {
				t.Errorf("%s = %q: %v", tt.name, tt.value, got)
			}
			continue
		}
		if len(got) != 1 || got[0].Directive != tt.name || !strings.Contains(got[0].Reason, tt.reason) || !strings.Contains(got[0].Advice, tt.advice) {
			t.Errorf("%s = %q: %v; want %q and %q", tt.name, tt.value, got, tt.reason, tt.advice)
		}
	}
}

func TestCheckConfigSortsAndFindsDoubles(t *testing.T) {
	got := CheckConfig(map[string]string{"maxmemory": "1", "MAXMEMORY": "2", "port": "1", "bind": "x"})
	var names []string
	for _, p := range got {
		names = append(names, p.Directive)
	}
	if want := "bind maxmemory port"; strings.Join(names, " ") != want {
		t.Errorf("got %v, want %s", names, want)
	}
}
