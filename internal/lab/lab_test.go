//go:build linux

package lab_test

import (
	"context"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/redisfleet/terraform-provider-redis/internal/lab"
)

// start boots a lab that fails the test rather than hanging.
func start(t *testing.T, o lab.Options) (*lab.Lab, context.Context) {
	t.Helper()
	o.Log = t.Output()
	l := lab.ForTest(t, o)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	return l, ctx
}

func must(t *testing.T, h *lab.Host, script string) string {
	t.Helper()
	out, err := h.Run(t.Context(), script)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

func TestHostsAreMachines(t *testing.T) {
	for image, want := range map[lab.Image]string{lab.Bookworm: "12", lab.Trixie: "13"} {
		t.Run(string(image), func(t *testing.T) {
			l, ctx := start(t, lab.Options{Hosts: 2, Image: image})
			a, b := l.Hosts[0], l.Hosts[1]
			if got := must(t, a, `. /etc/os-release; echo "$VERSION_ID"`); got != want {
				t.Errorf("Debian %q, want %q", got, want)
			}
			if got := must(t, a, `systemctl is-system-running --wait || systemctl --failed --plain`); got != "running" {
				t.Errorf("systemd says %q", got)
			}
			if got := must(t, a, `hostname; cat /proc/sys/kernel/hostname`); got != "vm-1\nvm-1" {
				t.Errorf("host name %q", got)
			}
			must(t, a, `ping -c1 -W2 `+b.Addr)
			must(t, a, `apt-get -q update && apt-get -q -y install redis-tools && redis-cli --version`)
			if got := must(t, b, `sudo -u admin sudo -n id -u; sudo -u guest sudo -n id -u 2>/dev/null || echo refused`); got != "0\nrefused" {
				t.Errorf("sudo of admin and guest: %q", got)
			}

			boot := must(t, a, `cat /proc/1/stat | cut -d' ' -f22`)
			if err := a.Reboot(ctx); err != nil {
				t.Fatal(err)
			}
			if got := must(t, a, `cat /proc/1/stat | cut -d' ' -f22`); got == boot {
				t.Error("the host did not reboot")
			}
			must(t, a, `redis-cli --version`)
		})
	}
}

func TestPowerAndNetwork(t *testing.T) {
	l, ctx := start(t, lab.Options{Hosts: 2})
	a, b := l.Hosts[0], l.Hosts[1]
	reaches := func() bool {
		_, err := a.Run(ctx, `ping -c1 -W1 `+b.Addr)
		return err == nil
	}
	if !reaches() {
		t.Fatal("a does not reach b")
	}
	for _, fault := range []struct {
		name      string
		cut, mend func() error
	}{
		{"isolate", func() error { return b.Isolate(ctx, true) }, func() error { return b.Isolate(ctx, false) }},
		{"kill", func() error { return b.Kill(ctx) }, func() error { return b.Start(ctx) }},
		{"stop", func() error { return b.Stop(ctx) }, func() error { return b.Start(ctx) }},
		{"filter", func() error { return l.Filter(ctx, []string{"ip daddr " + b.Addr + " drop"}, nil) }, func() error { return l.Filter(ctx, nil, nil) }},
	} {
		t.Run(fault.name, func(t *testing.T) {
			if err := fault.cut(); err != nil {
				t.Fatal(err)
			}
			if reaches() {
				t.Error("a still reaches b")
			}
			if err := fault.mend(); err != nil {
				t.Fatal(err)
			}
			if err := b.WaitSSH(ctx); err != nil || !reaches() {
				t.Error("a does not reach b again: ", err)
			}
		})
	}
	// Nothing of a host that was reset lives on: a process would keep its locks.
	must(t, b, `setsid flock /root/lock sleep 600 </dev/null >/dev/null 2>&1 &
until ! flock -n /root/lock true; do sleep 0.05; done`)
	if err := b.Reset(ctx); err != nil {
		t.Fatal(err)
	}
	must(t, b, `flock -n /root/lock true`)
	if err := l.RemoveHost(ctx, b); err != nil {
		t.Fatal(err)
	}
	if _, err := l.AddHost(ctx, lab.HostOptions{Name: "late", Addr: "10.128.0.9", Users: map[string][]string{"eve": {l.Key.Public}}}); err != nil {
		t.Fatal(err)
	}
	if out, err := l.Command(ctx, "ip", "-br", "address", "show", "br0").CombinedOutput(); err != nil || !strings.Contains(string(out), lab.Bridge) {
		t.Errorf("a command in the lab's network sees %q, %v", out, err)
	}
	if _, err := l.DialContext(ctx, "tcp", "10.128.0.9:1"); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("dialing a closed port: %v", err)
	}
}

// The lab's owner may die at any moment: what it leaves must be nothing.
func TestNothingIsLeftBehind(t *testing.T) {
	if os.Getenv("LAB_TO_CRASH") != "" {
		start(t, lab.Options{Hosts: 1, Name: os.Getenv("LAB_TO_CRASH")})
		t.Log("up")
		_, _ = os.Stdout.WriteString("up\n")
		select {}
	}
	if err := lab.Missing(); err != nil {
		t.Skip("no lab on this machine: ", err)
	}
	const name = "crash-test"
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), "LAB_TO_CRASH="+name)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := ""
	for buf := make([]byte, 4096); !strings.Contains(said, "\nup\n"); {
		n, err := out.Read(buf)
		if said += string(buf[:n]); err != nil {
			t.Fatalf("%v: %s", err, said)
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	deadline := time.Now().Add(20 * time.Second)
	for len(leftovers(t, name)) > 0 && time.Now().Before(deadline) {
		time.Sleep(50 * time.Millisecond)
	}
	if left := leftovers(t, name); len(left) > 0 {
		t.Fatalf("left behind: %s", strings.Join(left, "\n"))
	}
}

// leftovers are processes, mounts, files and control groups that carry the lab's name.
func leftovers(t *testing.T, name string) []string {
	t.Helper()
	const find = `grep -l -a -s -- "/labs/$1/" /proc/[0-9]*/cmdline || :
grep -s -- "/labs/$1" /proc/mounts || :
find /var/lib/terraform-provider-redis/labs -maxdepth 1 -name "$1" 2>/dev/null || :
find /sys/fs/cgroup -name "redis-lab-$1" || :`
	out, err := exec.Command("sh", "-c", find, "sh", name).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.FieldsFunc(string(out), func(r rune) bool { return r == '\n' })
}

func TestLabsDoNotMeet(t *testing.T) {
	one, ctx := start(t, lab.Options{})
	two, _ := start(t, lab.Options{Hosts: 1})
	if conn, err := one.DialContext(ctx, "tcp", net.JoinHostPort(two.Hosts[0].Addr, "22")); err == nil {
		_ = conn.Close()
		t.Error("a host answers in another lab")
	}
}
