//go:build linux

package labtest_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/redisfleet/terraform-provider-redis/internal/lab"
)

// BenchmarkApply times six blank hosts to a cluster in which every node says ok:
// a terraform apply, and in the same run, on hosts of the same kind, a playbook
// of Ansible that does the same. What counts is the ratio of the medians.
func BenchmarkApply(b *testing.B) {
	const hosts = 6
	if _, err := exec.LookPath("ansible-playbook"); err != nil {
		b.Skip("no ansible-playbook on this machine; scripts/bench-lab installs it")
	}
	var ours, theirs, oursCPU, theirsCPU []time.Duration
	for b.Loop() {
		took, busy := timeApply(b, blank(b, hosts))
		ours, oursCPU = append(ours, took), append(oursCPU, busy)
		took, busy = timeAnsible(b, blank(b, hosts))
		theirs, theirsCPU = append(theirs, took), append(theirsCPU, busy)
	}
	b.ReportMetric(median(ours).Seconds(), "ours-s")
	b.ReportMetric(median(theirs).Seconds(), "ansible-s")
	b.ReportMetric(median(oursCPU).Seconds(), "ours-hosts-cpu-s")
	b.ReportMetric(median(theirsCPU).Seconds(), "ansible-hosts-cpu-s")
	b.ReportMetric(median(ours).Seconds()/median(theirs).Seconds(), "ours/ansible")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkPlan times a plan that finds nothing to do, on six hosts and on fifty.
// All hosts share this machine's processors, which as many real ones would not:
// what they use of them is told apart from what Terraform and the provider use.
func BenchmarkPlan(b *testing.B) {
	for _, hosts := range []int{6, 50} {
		b.Run(fmt.Sprintf("hosts=%d", hosts), func(b *testing.B) {
			l := blank(b, hosts)
			w := newHostsWorkspace(b, b.Context(), l)
			w.apply()
			w.plansNothing()
			var took, hosts, here []time.Duration
			for b.Loop() {
				begin, before := time.Now(), processorTime(b, l)
				w.plansNothing()
				took, hosts, here = append(took, time.Since(begin)), append(hosts, processorTime(b, l)-before), append(here, w.cpu)
			}
			b.ReportMetric(median(took).Seconds(), "plan-s")
			b.ReportMetric(median(hosts).Seconds(), "hosts-cpu-s")
			b.ReportMetric(median(here).Seconds(), "terraform-cpu-s")
			// Hosts with processors of their own would take this long, and a little longer.
			own := median(took) - median(hosts)/time.Duration(runtime.NumCPU())
			b.ReportMetric(own.Seconds(), "less-hosts-s")
			b.ReportMetric(0, "ns/op")
			if err := l.Close(); err != nil {
				b.Error(err)
			}
		})
	}
}

// processorTime is what the hosts of a lab have used of this machine's processors.
func processorTime(b *testing.B, l *lab.Lab) time.Duration {
	b.Helper()
	for _, groups := range []string{"/sys/fs/cgroup/unified", "/sys/fs/cgroup"} {
		stat, err := os.ReadFile(filepath.Join(groups, "redis-lab-"+l.Name, "cpu.stat"))
		var microseconds int64
		if err != nil {
			continue
		}
		if _, err := fmt.Sscanf(string(stat), "usage_usec %d", &microseconds); err == nil {
			return time.Duration(microseconds) * time.Microsecond
		}
	}
	return 0 // This kernel does not count it.
}

// blank boots hosts that nobody has touched yet, and waits until they have nothing else to do.
func blank(b *testing.B, hosts int) *lab.Lab {
	b.Helper()
	l := lab.ForTest(b, lab.Options{Hosts: hosts, Log: b.Output()})
	for _, h := range l.Hosts {
		if out, err := h.Run(b.Context(), `systemctl is-system-running --wait`); err != nil {
			b.Fatalf("%s: %v: %s", h.Name, err, out)
		}
	}
	return l
}

func timeApply(b *testing.B, l *lab.Lab) (took, hosts time.Duration) {
	b.Helper()
	w := newHostsWorkspace(b, b.Context(), l)
	begin, before := time.Now(), processorTime(b, l)
	w.apply()
	took, hosts = time.Since(begin), processorTime(b, l)-before
	if err := l.Close(); err != nil {
		b.Error(err)
	}
	return took, hosts
}

// timeAnsible gives Ansible what makes it fast: pipelining, connections that
// stay, as many forks as hosts, and no facts that the playbook has no use for.
func timeAnsible(b *testing.B, l *lab.Lab) (took, hosts time.Duration) {
	b.Helper()
	dir := b.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/ansible")); err != nil {
		b.Fatal(err)
	}
	inventory, known := "[redis]\n", ""
	for _, h := range l.Hosts {
		inventory += fmt.Sprintf("%s ansible_host=%s\n", h.Name, h.Addr)
		known += h.Addr + " " + h.HostKey + "\n"
	}
	write(b, filepath.Join(dir, "inventory"), inventory+"[redis:vars]\nansible_user="+lab.Admin+"\nansible_python_interpreter=/usr/bin/python3\n")
	write(b, filepath.Join(dir, "known_hosts"), known)
	write(b, filepath.Join(dir, "key"), l.Key.Private)
	write(b, filepath.Join(dir, "secret.yml"), "redis_password: "+password+"\n")
	write(b, filepath.Join(dir, "ansible.cfg"), fmt.Sprintf(`[defaults]
inventory = inventory
forks = %d
private_key_file = key
[ssh_connection]
pipelining = True
control_path_dir = %s
ssh_args = -o ControlMaster=auto -o ControlPersist=60s -o UserKnownHostsFile=%s
`, max(6, len(l.Hosts)), controlDir(b), filepath.Join(dir, "known_hosts")))
	begin, before := time.Now(), processorTime(b, l)
	cmd := l.Command(b.Context(), "ansible-playbook", "site.yml", "-e", "@secret.yml")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "HOME="+dir, "ANSIBLE_NOCOLOR=1", "LC_ALL=C.UTF-8")
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("ansible-playbook: %v\n%s", err, out)
	}
	took, hosts = time.Since(begin), processorTime(b, l)-before
	if err := l.Close(); err != nil {
		b.Error(err)
	}
	return took, hosts
}

// controlDir is a directory whose name is short enough for sockets. The ssh
// processes that Ansible leaves end with the lab's network or after a minute.
func controlDir(b *testing.B) string {
	b.Helper()
	dir, err := os.MkdirTemp("", "cp-")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		sockets, _ := filepath.Glob(filepath.Join(dir, "*"))
		for _, s := range sockets {
			_ = exec.CommandContext(context.WithoutCancel(b.Context()), "ssh", "-o", "ControlPath="+s, "-O", "exit", "none").Run()
		}
		_ = os.RemoveAll(dir)
	})
	return dir
}

func median(all []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}
