//go:build linux

package labtest_test

import (
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
	}{
		{lab.Bookworm, spec.FlavorRedis, "7.0."},
		{lab.Trixie, spec.FlavorRedis, "8.0."},
		{lab.Trixie, spec.FlavorValkey, "8.1."},
	} {
		t.Run(string(c.image)+" "+string(c.flavor), func(t *testing.T) {
			t.Parallel()
			s := newSite(t, lab.Options{Hosts: 3, Image: c.image})
			ports := []int{6379, 6380}
			var group errgroup.Group
			for _, h := range s.lab.Hosts {
				group.Go(func() error {
					req := s.apply(h, ports...)
					req.Server.Flavor = c.flavor
					res, err := try[spec.HostResult](s, h, "host apply", req)
					if err == nil && !strings.HasPrefix(res.Facts.ServerVersion, c.version) {
						t.Errorf("%s runs %s, want %s", h.Name, res.Facts.ServerVersion, c.version)
					}
					return err
				})
			}
			if err := group.Wait(); err != nil {
				t.Fatal(err)
			}
			a := s.lab.Hosts[0]
			formed := call[spec.ClusterResult](s, a, "cluster apply", spec.ClusterApply{
				Versioned: spec.V(), Name: "c", Nodes: s.nodes(ports...), ReplicasPerShard: 1, Auth: spec.Auth{Password: "correct horse"},
			})
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
