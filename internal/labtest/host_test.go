//go:build linux

package labtest_test

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
	"github.com/redisfleet/terraform-provider-redis/internal/lab"
)

// Blank hosts become a cluster, and are one again after each of them has rebooted.
func TestBlankHostsBecomeACluster(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		image   lab.Image
		flavor  spec.Flavor
		version string
		// upgrade begins with this machine's own Redis, and goes over to the package while it is in use.
		upgrade bool
	}{
		{lab.Bookworm, spec.FlavorRedis, "7.0.", false},
		{lab.Trixie, spec.FlavorRedis, "8.0.", false},
		{lab.Trixie, spec.FlavorValkey, "8.1.", true},
	} {
		t.Run(string(c.image)+" "+string(c.flavor), func(t *testing.T) {
			t.Parallel()
			s := newSite(t, lab.Options{Hosts: 3, Image: c.image})
			ports := []int{6379, 6380}
			a := s.lab.Hosts[0]
			want := spec.Server{Flavor: c.flavor, Install: spec.InstallPackage}
			var formed spec.ClusterResult
			if old, ok := ownServer(t, s.lab.Hosts, c.upgrade); ok {
				s.everywhere(old, "7.", ports...)
				s.form(nil, ports...)
				load := startLoadWith(t, s.ctx, a, a.Addr+":6379", "correct horse")
				formed = s.form(s.everywhere(want, c.version, ports...), ports...)
				seen := load.stop()
				t.Logf("the upgrade: %d operations, %d failed, %d writes lost, longest %.0f ms", seen.Operations, seen.FailedOperations, seen.LostWrites, seen.Latency.Max)
				if seen.Operations == 0 || seen.FailedOperations > 0 || seen.LostWrites > 0 || len(formed.Steps) == 0 {
					t.Errorf("%d operations, %d failed, lost %q; steps %q", seen.Operations, seen.FailedOperations, seen.LostKeys, formed.Steps)
				}
			} else {
				s.everywhere(want, c.version, ports...)
				formed = s.form(nil, ports...)
			}
			if formed.Status.Health != spec.HealthOK || formed.Status.SlotsOK != spec.Slots {
				t.Fatalf("formed as %+v", formed.Status)
			}
			again := call[spec.HostResult](s, a, "host apply", s.applyAs(a, c.flavor, ports...))
			if len(again.Changes) > 0 {
				t.Errorf("a second apply changes %+v", again.Changes)
			}
			for _, h := range s.lab.Hosts {
				checkHost(t, h)
				if err := h.Reboot(s.ctx); err != nil {
					t.Fatal(err)
				}
				s.reconnect()
				s.awaitWhole(ports...)
			}
			for _, h := range s.lab.Hosts {
				call[spec.HostRemoveResult](s, h, "host remove", spec.HostRemove{
					Versioned: spec.V(), Place: spec.Place{BaseDir: baseDir, Cluster: "c"}, HostName: h.Name, Nodes: s.nodesOn(h, ports...), All: true,
				})
				if left := run(t, h, `find / -xdev -path /proc -prune -o \( -path '*redis-cluster/c*' -o -name 'redis-c-*' \) -print; pgrep -a 'redis-server|valkey-server' || :`); left != "" {
					t.Errorf("%s: left behind:\n%s", h.Name, left)
				}
			}
		})
	}
}

// everywhere applies to all hosts, and says which nodes have to be restarted for it.
func (s *site) everywhere(server spec.Server, version string, ports ...int) (restart []string) {
	s.t.Helper()
	results := make([]spec.HostResult, len(s.lab.Hosts))
	var group errgroup.Group
	for i, h := range s.lab.Hosts {
		group.Go(func() (err error) {
			req := s.apply(h, ports...)
			req.Server = server
			results[i], err = try[spec.HostResult](s, h, "host apply", req)
			if got := results[i].Facts.ServerVersion; err == nil && !strings.HasPrefix(got, version) {
				s.t.Errorf("%s has %s, want %s", h.Name, got, version)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		s.t.Fatal(err)
	}
	for _, r := range results {
		for _, p := range r.Processes {
			if p.RestartNeeded {
				restart = append(restart, p.Node)
			}
		}
	}
	return restart
}

// form makes the processes on all hosts one cluster, with those restarted that have to be.
func (s *site) form(restart []string, ports ...int) spec.ClusterResult {
	s.t.Helper()
	return call[spec.ClusterResult](s, s.lab.Hosts[0], "cluster apply", spec.ClusterApply{
		Versioned: spec.V(), Name: "c", Nodes: s.nodes(ports...), ReplicasPerShard: 1, Restart: restart, Auth: spec.Auth{Password: "correct horse"},
	})
}

// ownServer puts this machine's own Redis 7 on hosts of another Debian, with the
// libraries that they lack.
func ownServer(t *testing.T, hosts []*lab.Host, wanted bool) (spec.Server, bool) {
	t.Helper()
	if !wanted {
		return spec.Server{}, false
	}
	version, err := exec.CommandContext(t.Context(), "redis-server", "--version").Output()
	if err != nil || !strings.Contains(string(version), "v=7.") {
		t.Logf("no upgrade: this machine's own Redis is no 7: %s %v", version, err)
		return spec.Server{}, false
	}
	files, err := exec.CommandContext(t.Context(), "sh", "-euc", `server=$(command -v redis-server)
ldd "$server" | awk '$2 == "=>" { print $3 }' | xargs tar -ch --transform 's,.*/,,' "$server" 2>/dev/null`).Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range hosts {
		if err := feed(t.Context(), h, `mkdir -p /opt/redis && tar -x -C /opt/redis
for library in /opt/redis/lib*; do
	ls /lib/*/"${library##*/}" >/dev/null 2>&1 || cp "$library" /usr/local/lib
done
ldconfig`, string(files)); err != nil {
			t.Fatal(err)
		}
	}
	return spec.Server{Flavor: spec.FlavorRedis, Install: spec.InstallPreinstalled, Path: "/opt/redis/redis-server"}, true
}

// applyAs is apply for another flavor.
func (s *site) applyAs(h *lab.Host, flavor spec.Flavor, ports ...int) spec.HostApply {
	req := s.apply(h, ports...)
	req.Server.Flavor = flavor
	return req
}

// reconnect begins a new operation, as the next terraform command would.
func (s *site) reconnect() {
	_ = s.session.Close()
	s.session = s.fleet.Session()
}

// awaitWhole waits until every node agrees that all is well.
func (s *site) awaitWhole(ports ...int) {
	s.t.Helper()
	var last spec.ClusterStatus
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		last = call[spec.ClusterStatus](s, s.lab.Hosts[0], "cluster inspect", spec.ClusterInspect{
			Versioned: spec.V(), Nodes: s.nodes(ports...), Auth: spec.Auth{Password: "correct horse"},
		})
		if last.Health == spec.HealthOK && last.SlotsOK == spec.Slots {
			return
		}
	}
	s.t.Fatalf("the cluster is not whole after a minute: %+v", last)
}

// checkHost looks at what an apply has to have done, and not done.
func checkHost(t *testing.T, h *lab.Host) {
	t.Helper()
	if failed := run(t, h, `systemctl --failed --plain --no-legend`); failed != "" {
		t.Errorf("%s: failed units: %s", h.Name, failed)
	}
	if own := run(t, h, `systemctl is-enabled redis-server valkey-server 2>/dev/null | grep -c enabled || :`); own != "0" {
		t.Errorf("%s: the distribution's own instance is enabled", h.Name)
	}
	if leaks := run(t, h, `journalctl --no-pager -o cat | grep -c 'correct hors[e]' || :; grep -l -s 'correct hors[e]' -r /etc/systemd /tmp /run /proc/[0-9]*/cmdline /proc/[0-9]*/environ || :`); leaks != "0" {
		t.Errorf("%s: the password shows in %s", h.Name, leaks)
	}
	if open := run(t, h, `ss -Hltn '( sport = :6379 or sport = :16379 )' | awk '{print $4}' | grep -E '^(0\.0\.0\.0|\[::\]|\*):' || :`); open != "" {
		t.Errorf("%s: listens everywhere: %s", h.Name, open)
	}
	if modes := run(t, h, `find /var/lib/redis-cluster/c -name redis.conf -perm /007 || :`); modes != "" {
		t.Errorf("%s: everybody can read %s", h.Name, modes)
	}
}

func run(t *testing.T, h *lab.Host, script string) string {
	t.Helper()
	out, err := h.Run(t.Context(), script)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(out)
}
