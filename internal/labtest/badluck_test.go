//go:build linux

package labtest_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
	"github.com/redisfleet/terraform-provider-redis/internal/fleet"
	"github.com/redisfleet/terraform-provider-redis/internal/lab"
	"github.com/redisfleet/terraform-provider-redis/internal/reach"
)

// What goes wrong on a host is said, within bounds, and a later apply finishes.
func TestBadLuckOnAHost(t *testing.T) {
	t.Parallel()
	s := newSite(t, lab.Options{Hosts: 1})
	h := s.lab.Hosts[0]

	s.subtest(t, "version that does not exist", func(t *testing.T) {
		req := s.apply(h, 6379)
		req.Server.Version = "6.9"
		_, err := try[spec.HostResult](s, h, "host apply", req)
		wants(t, err, "vm-1", "6.9", "7.0.15")
	})
	s.subtest(t, "server that the distribution does not have", func(t *testing.T) {
		req := s.apply(h, 6379)
		req.Server.Flavor = spec.FlavorValkey
		_, err := try[spec.HostResult](s, h, "host apply", req)
		wants(t, err, "vm-1", "valkey-server", "source")
	})
	s.subtest(t, "package system locked", func(t *testing.T) {
		// As unattended-upgrades does it: fcntl locks, held for a while.
		run(t, h, `systemd-run --unit=upgrade python3 -c 'import apt_pkg, time
apt_pkg.init()
lock = apt_pkg.get_lock("/var/lib/dpkg/lock-frontend")
open("/run/locked", "w").close()
time.sleep(6)'
until test -e /run/locked; do sleep 0.1; done`)
		progress := filepath.Join(t.TempDir(), "progress")
		s.fleet.Progress = fleet.NewProgress(progress)
		s.reconnect()
		begin := time.Now()
		res := call[spec.HostResult](s, h, "host apply", s.apply(h, 6379))
		if said, err := os.ReadFile(progress); err != nil || !strings.Contains(string(said), "wait for the package system, which") {
			t.Errorf("nobody was told of the wait: %v: %s", err, said)
		}
		if took := time.Since(begin); took < 4*time.Second {
			t.Errorf("done after %v, while the package system was locked", took)
		}
		if !strings.HasPrefix(res.Facts.ServerVersion, "7.0.") || res.Processes[0].State != "running" {
			t.Errorf("result %+v", res)
		}
	})
	s.subtest(t, "kernel parameters that are read-only", func(t *testing.T) {
		// The machine's own value may be the right one already: show another.
		run(t, h, `echo 0 >/run/zero; mount --bind /run/zero /proc/sys/vm/overcommit_memory
mount -o remount,bind,ro /proc/sys/vm/overcommit_memory`)
		defer run(t, h, `umount /proc/sys/vm/overcommit_memory`)
		res := call[spec.HostResult](s, h, "host apply", s.apply(h, 6379))
		if all := strings.Join(res.Warnings, "\n"); !strings.Contains(all, "overcommit_memory") {
			t.Errorf("warnings %q do not name vm.overcommit_memory, which is the machine's", all)
		}
		if got := run(t, h, `cat /proc/sys/net/core/somaxconn`); got == "128" {
			t.Errorf("net.core.somaxconn is %s, and can be set", got)
		}
	})
	s.subtest(t, "disk full", func(t *testing.T) {
		run(t, h, `mkdir -p /mnt/small && mount -t tmpfs -o size=96k tmpfs /mnt/small`)
		req := s.apply(h, 6390)
		req.Place = spec.Place{BaseDir: "/mnt/small", Cluster: "c2"}
		run(t, h, `head -c 90000 /dev/zero >/mnt/small/full`)
		_, err := try[spec.HostResult](s, h, "host apply", req)
		wants(t, err, "vm-1", "No space left on device", "/mnt/small has", "free of 96 KiB")
		advises(t, err, "Make room")
		run(t, h, `rm -f /mnt/small/full; mount -o remount,size=64m /mnt/small`)
		res := call[spec.HostResult](s, h, "host apply", req)
		if res.Processes[0].State != "running" {
			t.Errorf("after making room: %+v", res.Processes)
		}
	})
	s.subtest(t, "disk too full for the binary", func(t *testing.T) {
		run(t, h, `mkdir -p /mnt/tiny && mount -t tmpfs -o size=1m tmpfs /mnt/tiny`)
		m := machine(h)
		m.BaseDir = "/mnt/tiny"
		prepare := func() error {
			session := s.fleet.Session()
			defer func() { _ = session.Close() }()
			host, err := session.Host(s.ctx, m)
			if err != nil {
				t.Fatal(err)
			}
			return host.Prepare(s.ctx)
		}
		err := prepare()
		wants(t, err, "vm-1", "No space left on device", "100% /mnt/tiny")
		advises(t, err, "Make room")
		if left := run(t, h, `ls -A /mnt/tiny/bin`); left != "" {
			t.Errorf("half a binary is left: %s", left)
		}
		run(t, h, `mount -o remount,size=64m /mnt/tiny`)
		if err := prepare(); err != nil {
			t.Errorf("after making room: %v", err)
		}
	})
	s.subtest(t, "process that ends at each start", func(t *testing.T) {
		run(t, h, `setsid flock --close /var/lib/redis-cluster/c/6379/nodes.conf sleep 600 </dev/null >/dev/null 2>&1 &
systemctl kill --signal=KILL redis-c-6379.service
until [ "$(systemctl show --property=NRestarts --value redis-c-6379.service)" -gt 2 ]; do sleep 0.05; done`)
		// While it is up for a moment as much as while it is down.
		for range 10 {
			req := s.apply(h, 6379)
			req.DryRun = true
			if res := call[spec.HostResult](s, h, "host apply", req); res.Processes[0].State != "stopped" {
				t.Errorf("a plan says of it %+v", res.Processes)
			}
		}
		_, err := try[spec.HostResult](s, h, "host apply", s.apply(h, 6379))
		wants(t, err, "vm-1", "the server ended at start", "nodes.conf is already used by")
		run(t, h, `pkill -x flock`)
		if res := call[spec.HostResult](s, h, "host apply", s.apply(h, 6379)); res.Processes[0].State != "running" {
			t.Errorf("after it can start: %+v", res.Processes)
		}
	})
	s.subtest(t, "architecture without a build", func(t *testing.T) {
		run(t, h, `printf '#!/bin/sh\n[ "$1" != -m ] || exec echo riscv64\nexec /usr/bin/uname "$@"\n' >/usr/local/bin/uname; chmod +x /usr/local/bin/uname`)
		s.reconnect()
		_, err := try[spec.HostResult](s, h, "host apply", s.apply(h, 6379))
		wants(t, err, "vm-1", "riscv64")
		advises(t, err, "x86-64 or arm64")
		run(t, h, `rm /usr/local/bin/uname`)
		s.reconnect()
		call[spec.HostResult](s, h, "host apply", s.apply(h, 6379))
	})
}

// advises checks what a failure tells people to do.
func advises(t *testing.T, err error, words string) {
	t.Helper()
	if f := new(spec.Failure); !errors.As(err, &f) || !strings.Contains(f.Advice, words) {
		t.Errorf("the advice of %#v does not say %q", err, words)
	}
}

func TestMirrorIsGone(t *testing.T) {
	t.Parallel()
	s := newSite(t, lab.Options{Hosts: 1})
	if err := s.lab.StopRepository(); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	_, err := try[spec.HostResult](s, s.lab.Hosts[0], "host apply", s.apply(s.lab.Hosts[0], 6379))
	wants(t, err, "vm-1", "redis-server", lab.Bridge)
	if took := time.Since(begin); took > 90*time.Second {
		t.Errorf("it took %v to say so", took)
	}
	if got := run(t, s.lab.Hosts[0], `test -e /usr/sbin/policy-rc.d && echo left || :`); got != "" {
		t.Error("a policy-rc.d is left behind")
	}
}

func TestWhoMayNot(t *testing.T) {
	t.Parallel()
	s := newSite(t, lab.Options{Hosts: 1})
	h := s.lab.Hosts[0]
	inspect := spec.HostInspect{Versioned: spec.V(), Place: spec.Place{BaseDir: baseDir, Cluster: "c"}, HostName: h.Name, Nodes: s.nodesOn(h, 6379)}

	s.fleet.SSH.User = lab.Guest
	s.reconnect()
	_, err := try[spec.HostResult](s, h, "host inspect", inspect)
	wants(t, err, `user "guest" may not become root on vm-1`, "sudo")

	s.fleet.SSH.User = "nobody-of-that-name"
	s.fleet.SSH.ConnectTimeout = 2 * time.Second
	s.reconnect()
	_, err = try[spec.HostResult](s, h, "host inspect", inspect)
	wants(t, err, "refuses user", "nobody-of-that-name")

	// root needs no sudo.
	s.fleet.SSH.User = "root"
	s.reconnect()
	call[spec.HostResult](s, h, "host inspect", inspect)
}

// A host that dies in the middle of a command is an error at once where the
// kernel says so, and within the keep-alive where nobody says anything. A command
// whose caller is gone ends on its host, also where the host is not told: it would
// go on beside the next one.
func TestHostsAreLostMeanwhile(t *testing.T) {
	t.Parallel()
	s := newSite(t, lab.Options{Hosts: 2})
	dies, hidden := s.lab.Hosts[0], s.lab.Hosts[1]
	conn, err := reach.DialSSH(s.ctx, s.fleet.SSH, machine(dies).Target)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	place := spec.Place{BaseDir: baseDir, Cluster: "c"}
	// The cluster's turn does not come.
	run(t, hidden, `mkdir -p `+place.ClusterDir()+`; setsid flock `+place.ClusterDir()+` sleep 600 </dev/null >/dev/null 2>&1 &`)
	waitFor(t, hidden, `pgrep -x sleep`)
	const atWork = `pgrep -f 'redis-bootstrap cluster [a]pply'`
	change := func() error {
		_, err := try[spec.ClusterResult](s, hidden, "cluster apply", spec.ClusterApply{
			Versioned: spec.V(), Place: &place, Nodes: s.nodesOn(hidden, 6379, 6380, 6381),
		})
		return err
	}
	ended := make(chan error, 2)
	ends := func(what string) {
		t.Helper()
		select {
		case err := <-ended:
			if unreachable := new(reach.UnreachableError); !errors.As(err, &unreachable) {
				t.Errorf("%s: it ended with %v", what, err)
			}
		case <-time.After(45 * time.Second):
			t.Errorf("%s: it does not end", what)
		}
	}

	go func() { ended <- change() }()
	waitFor(t, hidden, atWork)
	if err := s.session.Close(); err != nil {
		t.Fatal(err)
	}
	ends("the connection was closed")
	waitFor(t, hidden, "! "+atWork)

	s.session = s.fleet.Session()
	go func() { ended <- change() }()
	go func() { ended <- conn.Run(s.ctx, reach.Command{Args: []string{"sleep", "300"}, Root: true}) }()
	waitFor(t, hidden, atWork)
	waitFor(t, dies, `pgrep -f 'sleep 300'`)
	if err := s.lab.Filter(s.ctx, nil, []string{"ip daddr " + hidden.Addr + " tcp dport 22 drop"}); err != nil {
		t.Fatal(err)
	}
	if err := dies.Kill(s.ctx); err != nil {
		t.Fatal(err)
	}
	ends("one host died, nothing comes through to the other")
	ends("one host died, nothing comes through to the other")
	waitFor(t, hidden, "! "+atWork)
}

// A command that is given up ends on the host, although it runs under sudo.
func TestCancelEndsACommandOfRoot(t *testing.T) {
	t.Parallel()
	s := newSite(t, lab.Options{Hosts: 1})
	h := s.lab.Hosts[0]
	conn, err := reach.DialSSH(s.ctx, s.fleet.SSH, machine(h).Target)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	ctx, cancel := context.WithCancel(s.ctx)
	ended := make(chan error, 1)
	go func() {
		ended <- conn.Run(ctx, reach.Command{Args: []string{"sh", "-c", "sleep 301; echo late >/tmp/late"}, Root: true})
	}()
	waitFor(t, h, `pgrep -f 'sleep 301'`)
	begin := time.Now()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) || time.Since(begin) > 30*time.Second {
		t.Errorf("after %v: %v", time.Since(begin), err)
	}
	waitFor(t, h, `! pgrep -f 'sleep 301'; test ! -e /tmp/late`)
}

// waitFor waits until the script ends well on h.
func waitFor(t *testing.T, h *lab.Host, script string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		out, err := h.Run(t.Context(), script)
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %v: %s", script, err, out)
		}
	}
}

// A release that is built on the host, from a tarball whose hash is known.
func TestInstallFromSource(t *testing.T) {
	t.Parallel()
	s := newSite(t, lab.Options{Hosts: 1})
	h := s.lab.Hosts[0]
	tarball, url, err := s.lab.SourceTarball()
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(tarball)
	if err != nil {
		t.Fatal(err)
	}
	sum := fmt.Sprintf("%x", sha256.Sum256(content))
	req := s.apply(h, 6379)
	req.Server = spec.Server{Flavor: spec.FlavorRedis, Install: spec.InstallSource, SourceURL: url, SHA256: strings.Repeat("0", 64)}
	_, err = try[spec.HostResult](s, h, "host apply", req)
	wants(t, err, "SHA-256", sum)

	req.Server.SHA256 = sum
	res := call[spec.HostResult](s, h, "host apply", req)
	if res.Processes[0].State != "running" {
		t.Errorf("result %+v", res)
	}
	if again := call[spec.HostResult](s, h, "host apply", req); len(again.Changes) > 0 {
		t.Errorf("a second apply changes %+v", again.Changes)
	}
}
