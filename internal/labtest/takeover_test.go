//go:build linux

package labtest_test

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/redisfleet/terraform-provider-redis/internal/lab"
)

const takeoverConfig = `
terraform {
  required_providers {
    redis = { source = "redisfleet/redis" }
  }
}

variable "ssh_private_key_file" { type = string }
variable "known_hosts_file" { type = string }
variable "redis_password" {
  type      = string
  sensitive = true
  ephemeral = true
}

provider "redis" {
  ssh = {
    user             = "` + lab.Admin + `"
    private_key_file = var.ssh_private_key_file
    known_hosts_file = var.known_hosts_file
  }
}

output "status" { value = redis_cluster.this.status }
`

// packaged makes a host run two nodes as people do: one by the distribution's own
// service on 6379, and one on 6380 by a service of their own, by systemd-run, or by hand.
const packaged = `
export DEBIAN_FRONTEND=noninteractive
{ apt-get update && apt-get install --yes --no-install-recommends redis-server; } >/tmp/apt.log 2>&1 || { cat /tmp/apt.log; exit 1; }
settings() {
	printf '%s\n' "port $1" 'bind 0.0.0.0' 'protected-mode no' 'cluster-enabled yes' 'cluster-node-timeout 5000' 'appendonly yes' 'repl-diskless-sync-delay 0' \
		"requirepass \"$password\"" "masterauth \"$password\"" "dir $2"
}
read -r password
settings 6379 /var/lib/redis >>/etc/redis/redis.conf
install -d -o redis -g redis /srv/redis-6380
settings 6380 /srv/redis-6380 >/etc/redis/redis-6380.conf
chown redis:redis /etc/redis/redis-6380.conf
chmod 640 /etc/redis/redis-6380.conf
printf '%s\n' '[Service]' 'User=redis' 'ExecStart=/usr/bin/redis-server /etc/redis/redis-%i.conf' 'Restart=always' \
	'[Install]' 'WantedBy=multi-user.target' >/etc/systemd/system/redis@.service
systemctl restart redis-server
case $(hostname) in
vm-1) systemctl enable --now --quiet redis@6380 ;;
vm-2) systemd-run --quiet --unit=mine --uid=redis /usr/bin/redis-server /etc/redis/redis-6380.conf ;;
*) setpriv --reuid redis --regid redis --clear-groups redis-server /etc/redis/redis-6380.conf --daemonize yes >/dev/null ;;
esac
export REDISCLI_AUTH=$password
for port in 6379 6380; do
	until redis-cli -p $port ping 2>/dev/null | grep -q PONG; do sleep 0.02; done
done`

// A cluster of the distribution's packages and hand-made services is imported by
// an endpoint, and taken over: without a restart at first, and one by one when a
// setting needs it.
func TestPackagedClusterIsTakenOver(t *testing.T) {
	t.Parallel()
	l := lab.ForTest(t, lab.Options{Hosts: 3, Log: t.Output()})
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	w := newWorkspace(t, ctx, l)
	known := filepath.Join(filepath.Dir(w.dir), "known_hosts")
	w.env = append(w.env, "TF_VAR_known_hosts_file="+known)
	var lines, endpoints []string
	var group errgroup.Group
	for _, h := range l.Hosts {
		lines = append(lines, h.Addr+" "+h.HostKey)
		endpoints = append(endpoints, h.Addr+":6379", h.Addr+":6380")
		group.Go(func() error { return feed(ctx, h, packaged, password+"\n") })
	}
	write(t, known, strings.Join(lines, "\n")+"\n")
	write(t, filepath.Join(w.dir, "main.tf"), takeoverConfig+`resource "redis_cluster" "this" {}`)
	w.run("init", "-no-color")
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	a := l.Hosts[0]
	whole := func(before string) {
		t.Helper()
		if err := feed(ctx, a, `read -r REDISCLI_AUTH; export REDISCLI_AUTH; `+before+`
for at in `+strings.ReplaceAll(strings.Join(endpoints, " "), ":", ",")+`; do
	until { redis-cli -h ${at%,*} -p ${at#*,} cluster info; redis-cli -h ${at%,*} -p ${at#*,} info replication; } |
		awk '/cluster_state:ok/ { ok++ } /role:master|master_link_status:up/ { ok++ } END { exit ok != 2 }'; do sleep 0.05; done
done
views() { # what each node thinks of each
	for at in `+strings.ReplaceAll(strings.Join(endpoints, " "), ":", ",")+`; do
		redis-cli -h ${at%,*} -p ${at#*,} cluster nodes | awk '{ sub("myself,", "", $3); print $1, $3, $4 }' | sort | md5sum
	done
}
until [ "$(views | sort -u | wc -l)" = 1 ]; do sleep 0.05; done`, password+"\n"); err != nil {
			t.Fatal(err)
		}
	}
	whole(`redis-cli --cluster create ` + strings.Join(endpoints, " ") + ` --cluster-replicas 1 --cluster-yes >/tmp/create.log || { cat /tmp/create.log; exit 1; }`)

	said := w.run("import", "-no-color", "redis_cluster.this", a.Addr+":6379/kv")
	printed := regexp.MustCompile(`(?ms)^resource "redis_cluster".*?^\}`).FindString(said)
	if printed == "" {
		t.Fatalf("no configuration in\n%s", said)
	}
	config := func(directive, more string) {
		text := strings.Replace(printed, "config = {", "config = {\n"+directive, 1)
		write(t, filepath.Join(w.dir, "main.tf"), takeoverConfig+strings.TrimSuffix(text, "}")+more+"}\n")
	}
	config("", "")
	w.plansNothing()

	data := newDataSet(t, l, a.Addr+":6379")
	servers := func() string {
		var pids []string
		for _, h := range l.Hosts {
			pids = append(pids, h.Name, run(t, h, `pgrep -x 'redis-server|redis-check-rdb' | sort | xargs`))
		}
		return strings.Join(pids, " ")
	}
	before := servers()
	config("", "take_over = true\n")
	w.apply()
	if now := servers(); now != before {
		t.Errorf("processes were restarted: %s became %s", before, now)
	}
	w.plansNothing()
	for unit, h := range map[string]*lab.Host{"redis-server": a, "redis@6380": a} {
		if state := run(t, h, "systemctl is-enabled "+unit+" || :"); state != "disabled" {
			t.Errorf("%s is %s", unit, state)
		}
	}

	// Somebody who does not know of it has the old service start with the host, and ours not.
	run(t, a, "systemctl disable --quiet redis-kv-6380; systemctl enable --quiet redis@6380")
	plan, _ := w.try("plan", "-no-color", "-detailed-exitcode")
	wants(t, fmt.Errorf("%s", plan), "-6380: enable the service", "-6380: disable redis@6380.service")

	load := startLoad(t, ctx, a, a.Addr+":6379")
	config(`"io-threads" = "2"`, "take_over = true\ndeletion_protection = false\n") // It is read at start only.
	w.apply()
	seen := load.stop()
	t.Logf("the load: %d operations, %d failed, %d writes lost, longest %.0f ms", seen.Operations, seen.FailedOperations, seen.LostWrites, seen.Latency.Max)
	if seen.Operations == 0 || seen.FailedOperations > 0 || seen.LostWrites > 0 {
		t.Errorf("%d operations, %d failed, %d writes lost: %q", seen.Operations, seen.FailedOperations, seen.LostWrites, seen.LostKeys)
	}
	data.check()
	if state := run(t, a, "systemctl is-enabled redis-kv-6380 redis@6380 | xargs"); state != "enabled disabled" {
		t.Errorf("the services that were changed by hand are %s", state)
	}
	for _, h := range l.Hosts {
		if active := run(t, h, "systemctl is-active redis-kv-6379 redis-kv-6380 redis-server redis@6380 mine 2>/dev/null | xargs || :"); active != "active active inactive inactive inactive" {
			t.Errorf("%s: %s", h.Name, active)
		}
	}
	if err := a.Reboot(ctx); err != nil {
		t.Fatal(err)
	}
	whole("")
	data.check()
	w.plansNothing()
	w.keepsSecrets()
	w.run("destroy", "-auto-approve", "-no-color")
	for _, h := range l.Hosts {
		if left := run(t, h, `pgrep -a 'redis-server|redis-check-rdb' || :; ls -d /etc/systemd/system/redis-kv* /var/lib/redis/nodes.conf /srv/redis-6380/* 2>/dev/null || :`); left != "" {
			t.Errorf("%s: left behind: %s", h.Name, left)
		}
	}
}

// feed runs a script on h with input on its stdin, where secrets belong.
func feed(ctx context.Context, h *lab.Host, script, input string) error {
	cmd, err := h.Command(ctx, "sh", "-euc", script)
	if err != nil {
		return err
	}
	cmd.Stdin = strings.NewReader(input)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", h.Name, err, out)
	}
	return nil
}
