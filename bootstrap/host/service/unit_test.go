//go:build linux

package service

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func example() Definition {
	return Definition{
		Unit: "redis-c-7000.service", Description: "Node of Redis Cluster c on port 7000", Dir: "/var/lib/redis-fleet/c/7000",
		Binary: "/usr/bin/redis-server", NoFile: 65536, User: "redis", Group: "redis", Notify: true,
	}
}

func TestUnitText(t *testing.T) {
	const golden = "testdata/redis-c-7000.service"
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got := unitText(example()); got != string(want) {
		t.Errorf("got\n%s\nwant, by %s,\n%s", got, golden, want)
	}
}

func TestUnitTextFollowsTheDefinition(t *testing.T) {
	for _, tt := range []struct {
		name       string
		change     func(*Definition)
		has, hasNo string
	}{
		{"without libsystemd", func(d *Definition) { d.Notify = false }, "Type=exec\n", "notify"},
		{"below /home", func(d *Definition) { d.Dir = "/home/u/c/7000" }, "ReadWritePaths=/home/u/c/7000\n", "ProtectHome"},
		{"below /tmp", func(d *Definition) { d.Dir = "/tmp/c/7000" }, "ProtectHome=yes\n", "PrivateTmp"},
		{"beside /tmp", func(d *Definition) { d.Dir = "/tmpfiles/c/7000" }, "PrivateTmp=yes\n", ""},
		{"one that somebody else started", func(d *Definition) {
			d.Data, d.Await = "/var/lib/redis", []string{"/var/lib/redis-fleet/bin/redis-bootstrap", "host", "await"}
		}, "ExecStartPre=-+/var/lib/redis-fleet/bin/redis-bootstrap host await /var/lib/redis-fleet/c/7000 /var/lib/redis\n", ""},
		{"one below a path with a space", func(d *Definition) {
			d.Data, d.Await = "/srv/a b", []string{"/srv/a b/bin/redis-bootstrap", "host", "await"}
		}, `ExecStartPre=-+"/srv/a b/bin/redis-bootstrap" host await /var/lib/redis-fleet/c/7000 "/srv/a b"` + "\n", ""},
		{"its data", func(d *Definition) { d.Data = "/home/redis" }, "ReadWritePaths=/home/redis\n", "ProtectHome"},
		{"a path with a space", func(d *Definition) { d.Dir = "/srv/a b/7000" }, `"/srv/a b/7000/redis.conf"`, ""},
		{"a path with a per cent sign", func(d *Definition) { d.Dir = "/srv/%n/7000" }, "WorkingDirectory=/srv/%%n/7000\n", ""},
	} {
		d := example()
		tt.change(&d)
		got := unitText(d)
		if !strings.Contains(got, tt.has) || tt.hasNo != "" && strings.Contains(got, tt.hasNo) {
			t.Errorf("%s:\n%s", tt.name, got)
		}
		if got := unitBinary(got); got != d.Binary {
			t.Errorf("%s: binary %q", tt.name, got)
		}
	}
}

func TestUnitPassesSystemdAnalyze(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("needs systemd-analyze")
	}
	d := example()
	// Whoever runs the test exists; the server's user may not.
	d.Binary, d.User, d.Group = "/bin/true", "root", "root"
	file := filepath.Join(t.TempDir(), d.Unit)
	if err := os.WriteFile(file, []byte(unitText(d)), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "systemd-analyze", "verify", "--man=no", file).CombinedOutput()
	if err != nil || strings.Contains(string(out), d.Unit) {
		t.Errorf("%v: %s", err, out)
	}
}

func TestStateOfUnit(t *testing.T) {
	const shown = "MainPID=812\nNRestarts=0\nResult=success\nId=a.service\nActiveState=active\nSubState=running\nUnitFileState=enabled\n\n" +
		"MainPID=0\nNRestarts=3\nResult=exit-code\nId=b.service\nActiveState=activating\nSubState=auto-restart\nUnitFileState=disabled\n\n" +
		"MainPID=0\nNRestarts=0\nResult=signal\nId=c.service\nActiveState=failed\nSubState=failed\nUnitFileState=enabled\n\n" +
		"MainPID=0\nNRestarts=0\nResult=success\nId=d.service\nActiveState=inactive\nSubState=dead\nUnitFileState=\n"
	units := parseShow(shown)
	for id, want := range map[string]State{
		"a.service": {Enabled: true, Active: true, PID: 812},
		"b.service": {Active: true, Exits: 3, LastExit: "exit-code"},
		"c.service": {Enabled: true, Exits: 1, LastExit: "signal"},
		"d.service": {},
	} {
		if got := units[id].state(); got != want {
			t.Errorf("%s: %+v, want %+v", id, got, want)
		}
	}
}
