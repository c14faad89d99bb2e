//go:build linux

package labtest_test

import (
	"bytes"
	"context"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/redisfleet/terraform-provider-redis/internal/lab"
)

// What goes wrong with a whole apply: it says what and where, in bounded time,
// and the next apply finishes the work.
func TestBadLuckOfAnApply(t *testing.T) {
	t.Parallel()
	l := lab.ForTest(t, lab.Options{Hosts: 3, Log: t.Output()})
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	w := newHostsWorkspace(t, ctx, l)
	nodes := nodesOn(l, 2)
	progress := filepath.Join(t.TempDir(), "progress")
	w.env = append(w.env, "TF_VAR_"+variable(t, "hosts", nodes), "REDIS_PROGRESS_FILE="+progress)
	tries := func(t *testing.T, variables ...string) (string, error) {
		t.Helper()
		args := []string{"apply", "-auto-approve", "-no-color", "-var", "connect_timeout=4s"}
		for _, v := range variables {
			args = append(args, "-var", v)
		}
		out, err := w.try(args...)
		for _, h := range l.Hosts {
			if left := run(t, h, `ls -d /var/lib/redis-cluster/kv 2>/dev/null || :`); left != "" {
				t.Errorf("%s was touched: %s", h.Name, left)
			}
		}
		return out, err
	}

	w.subtest(t, "wrong key", func(t *testing.T) {
		key := filepath.Join(t.TempDir(), "key")
		if out, err := exec.CommandContext(ctx, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		out, err := tries(t, "ssh_private_key_file="+key)
		says(t, out, err, "3 hosts failed", "Host: vm-1", `refuses user "admin" with ssh-ed25519 SHA256:`, "authorized_keys")
	})
	w.subtest(t, "wrong user", func(t *testing.T) {
		out, err := tries(t, "ssh_user=nobody-of-that-name")
		says(t, out, err, "Host: vm-2", `refuses user "nobody-of-that-name"`, "check ssh.user")
	})
	w.subtest(t, "wrong host key", func(t *testing.T) {
		swapped := maps.Clone(nodes)
		swapped["vm-2"] = node{nodes["vm-2"].Address, nodes["vm-1"].HostKey, 2}
		out, err := tries(t, variable(t, "hosts", swapped))
		says(t, out, err, "Host: vm-2", "REFUSED", fingerprint(t, nodes["vm-1"].HostKey), fingerprint(t, nodes["vm-2"].HostKey))
	})
	w.subtest(t, "host down", func(t *testing.T) {
		if err := l.Hosts[2].Isolate(ctx, true); err != nil {
			t.Fatal(err)
		}
		out, err := tries(t)
		says(t, out, err, "Host: vm-3", "gave up after", "Nothing on this host was touched")
		if err := l.Hosts[2].Isolate(ctx, false); err != nil {
			t.Fatal(err)
		}
	})
	w.subtest(t, "no sudo", func(t *testing.T) {
		out, err := tries(t, "ssh_user="+lab.Guest)
		says(t, out, err, "Host: vm-1", `user "guest" may not become root on vm-1`, "sudo -n")
	})
	w.subtest(t, "host that dies in the middle", func(t *testing.T) {
		type end struct {
			out string
			err error
		}
		ended := make(chan end, 1)
		go func() {
			out, err := w.try("apply", "-auto-approve", "-no-color")
			ended <- end{out, err}
		}()
		waitForLine(t, progress, "vm-3: install redis-server")
		if err := l.Hosts[2].Kill(ctx); err != nil {
			t.Fatal(err)
		}
		select {
		case e := <-ended:
			says(t, e.out, e.err, "Host: vm-3")
		case <-time.After(2 * time.Minute):
			t.Fatal("the apply still waits for a host that is dead")
		}
		if err := l.Hosts[2].Start(ctx); err != nil {
			t.Fatal(err)
		}
	})
	w.subtest(t, "then the next apply finishes, and warns of a clock", func(t *testing.T) {
		// The hosts share this machine's clock: this one says another time.
		run(t, l.Hosts[1], `printf '#!/bin/sh\nexec /usr/bin/date -d "90 minutes" "$@"\n' >/usr/local/bin/date; chmod +x /usr/local/bin/date`)
		out := w.run("apply", "-auto-approve", "-no-color")
		if flat := strings.Join(strings.Fields(out), " "); !regexp.MustCompile(`vm-2: its clock is 1h(29|30)m\d+s ahead of`).MatchString(flat) || strings.Count(flat, "its clock is") != 1 {
			t.Errorf("no warning of the clock of vm-2 alone:\n%s", out)
		}
		if status := output[string](w, "status"); status != "ok" {
			t.Errorf("status %q", status)
		}
		w.plansNothing()
	})
	w.subtest(t, "a cluster with a login of its own", func(t *testing.T) {
		// Were the provider's user asked for, nothing would go any more.
		own := []string{"-auto-approve", "-no-color", "-var", "ssh_user=nobody-of-that-name", "-var", variable(t, "ssh", map[string]string{"user": lab.Admin})}
		// A refresh would still ask with the login that the state has, and wait for its key to be let in.
		w.run(append([]string{"apply", "-refresh=false"}, own...)...)
		for _, command := range []string{"apply", "destroy"} {
			w.run(append([]string{command}, own...)...)
		}
		for _, h := range l.Hosts {
			if left := run(t, h, `ls -d /var/lib/redis-cluster 2>/dev/null || :`); left != "" {
				t.Errorf("%s: left behind: %s", h.Name, left)
			}
		}
	})
	w.keepsSecrets()
}

// waitForLine waits until the file holds text.
func waitForLine(t *testing.T, file, text string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		b, err := os.ReadFile(file)
		if bytes.Contains(b, []byte(text)) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%q is not in %s, %v:\n%s", text, file, err, b)
		}
	}
}

// fingerprint is that of a public key in a line of an authorized_keys file.
func fingerprint(t *testing.T, line string) string {
	t.Helper()
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
	if err != nil {
		t.Fatal(err)
	}
	return ssh.FingerprintSHA256(key)
}
