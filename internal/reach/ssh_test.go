//go:build unix

package reach_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
	"golang.org/x/sync/errgroup"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/clustertest/freeport"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
	"github.com/redisfleet/terraform-provider-redis/internal/reach"
)

// sshd is OpenSSH's server on a port of its own.
type sshd struct {
	dir, path string
	port      int
	hostKey   string // as in authorized_keys
	private   string // of the user who may log in
	public    string
	key       ed25519.PrivateKey
}

// newSSHD prepares a server that is not up yet and admits nobody yet.
func newSSHD(t *testing.T) *sshd {
	t.Helper()
	s := &sshd{dir: t.TempDir()}
	var err error
	if s.path, err = exec.LookPath("sshd"); err != nil {
		if s.path, err = exec.LookPath("/usr/sbin/sshd"); err != nil {
			t.Skip("no sshd on this machine (Debian: openssh-server; scripts/lab-needs installs it)")
		}
	}
	var hostPrivate string
	_, hostPrivate, s.hostKey = newKey(t)
	s.key, s.private, s.public = newKey(t)
	s.port = freeport.New(t)
	write(t, filepath.Join(s.dir, "host"), hostPrivate)
	write(t, filepath.Join(s.dir, "authorized_keys"), "")
	write(t, filepath.Join(s.dir, "config"), fmt.Sprintf(`Port %d
ListenAddress 127.0.0.1
HostKey %[2]s/host
AuthorizedKeysFile %[2]s/authorized_keys
PidFile none
StrictModes no
UsePAM no
PermitRootLogin yes
PasswordAuthentication no
MaxStartups 200
`, s.port, s.dir))
	if os.Geteuid() == 0 {
		// It stays: servers of other tests, and the distribution's own, want it too.
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// start starts the server, which ends with the test.
func (s *sshd) start(t *testing.T) *sshd {
	t.Helper()
	cmd := exec.Command(s.path, "-D", "-e", "-f", filepath.Join(s.dir, "config"))
	if err := cmd.Start(); err != nil {
		t.Error(err)
		return s
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return s
}

func (s *sshd) admit(t *testing.T) *sshd {
	t.Helper()
	write(t, filepath.Join(s.dir, "authorized_keys"), s.public+"\n")
	return s
}

func (s *sshd) login() reach.SSHConfig {
	me, _ := user.Current()
	return reach.SSHConfig{User: me.Username, PrivateKey: spec.Secret(s.private), Port: s.port, KnownHostsFile: filepath.Join(s.dir, "known_hosts")}
}

func (s *sshd) target() reach.Target {
	return reach.Target{Name: "a", Address: "127.0.0.1", HostKey: s.hostKey}
}

func (s *sshd) connect(t *testing.T) reach.Host {
	t.Helper()
	return connect(t, s.login(), s.target())
}

func connect(t *testing.T, cfg reach.SSHConfig, target reach.Target) reach.Host {
	t.Helper()
	h, err := reach.DialSSH(t.Context(), cfg, target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	return h
}

// soon is less than any timeout that a test doesn't set, and much longer than what
// ends at once takes on a crowded machine.
const soon = 20 * time.Second

// refused dials and wants an *UnreachableError, soon, that says all of want.
func refused(t *testing.T, cfg reach.SSHConfig, target reach.Target, want ...string) {
	t.Helper()
	begin := time.Now()
	h, err := reach.DialSSH(t.Context(), cfg, target)
	if err == nil {
		_ = h.Close()
		t.Fatal("connected")
	}
	if took := time.Since(begin); took > soon {
		t.Errorf("gave up after %v", took)
	}
	if unreachable := new(reach.UnreachableError); !errors.As(err, &unreachable) || unreachable.Host != target.Name {
		t.Errorf("%v is a %T and not an UnreachableError of %s", err, err, target.Name)
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q does not say %q", err, w)
		}
	}
}

func newKey(t *testing.T) (key ed25519.PrivateKey, private, public string) {
	t.Helper()
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		t.Fatal(err)
	}
	sshPub, err := ssh.NewPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	return key, string(pem.EncodeToMemory(block)), strings.TrimSpace(string(ssh.MarshalAuthorizedKey(sshPub)))
}

func fingerprintOf(t *testing.T, public string) string {
	t.Helper()
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(public))
	if err != nil {
		t.Fatal(err)
	}
	return ssh.FingerprintSHA256(key)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestSSHStreamsAndArguments(t *testing.T) {
	h := newSSHD(t).admit(t).start(t).connect(t)
	for _, arg := range []string{"", "two  words", `a'b"c\d$HOME`, "new\nline", "*", "-n", "ünï"} {
		var out, errs bytes.Buffer
		err := h.Run(t.Context(), reach.Command{
			Args:  []string{"sh", "-c", `cat; printf %s "$1"; printf err >&2`, "sh", arg},
			Stdin: strings.NewReader("fed "), Stdout: &out, Stderr: &errs,
		})
		if err != nil || out.String() != "fed "+arg || errs.String() != "err" {
			t.Errorf("%q: err %v, stdout %q, stderr %q", arg, err, &out, &errs)
		}
	}
	big := make([]byte, 12<<20)
	_, _ = rand.Read(big)
	var sum bytes.Buffer
	if err := h.Run(t.Context(), reach.Command{Args: []string{"sha256sum"}, Stdin: bytes.NewReader(big), Stdout: &sum}); err != nil {
		t.Fatal(err)
	}
	if want := sha256.Sum256(big); !strings.HasPrefix(sum.String(), hex.EncodeToString(want[:])) {
		t.Errorf("12 MiB arrived as %s", &sum)
	}
}

func TestSSHEndsOfCommands(t *testing.T) {
	h := newSSHD(t).admit(t).start(t).connect(t)
	for script, want := range map[string]int{"exit 7": 7, "kill -9 $$": 137, "exec /no/such/program": 127} {
		err := h.Run(t.Context(), reach.Command{Args: []string{"sh", "-c", script}})
		if exit := new(reach.ExitError); !errors.As(err, &exit) || exit.Code != want {
			t.Errorf("%s: %v, want exit code %d", script, err, want)
		}
	}
	r, w := io.Pipe()
	defer func() { _ = w.Close() }()
	if err := h.Run(t.Context(), reach.Command{Args: []string{"true"}, Stdin: r}); err != nil {
		t.Errorf("a command that ends while stdin is open: %v", err)
	}
	// More commands at once than a connection admits sessions.
	var group errgroup.Group
	for range 30 {
		group.Go(func() error { return h.Run(t.Context(), reach.Command{Args: []string{"sleep", "0.05"}}) })
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
}

func TestSSHCancelStopsTheProcess(t *testing.T) {
	h := newSSHD(t).admit(t).start(t).connect(t)
	for name, script := range map[string]string{
		"with children": `echo $$ >"$1"; sleep 300 & sleep 301 & wait`,
		"stubborn":      `trap "" TERM; echo $$ >"$1"; while :; do sleep 1; done`,
	} {
		t.Run(name, func(t *testing.T) {
			pidFile := filepath.Join(t.TempDir(), "pid")
			ctx, cancel := context.WithCancelCause(t.Context())
			why := errors.New("enough")
			go func() {
				for {
					if b, err := os.ReadFile(pidFile); err == nil && len(b) > 1 {
						cancel(why)
						return
					}
					time.Sleep(10 * time.Millisecond)
				}
			}()
			begin := time.Now()
			if err := h.Run(ctx, reach.Command{Args: []string{"sh", "-c", script, "sh", pidFile}}); !errors.Is(err, why) {
				t.Errorf("err %v", err)
			}
			if took := time.Since(begin); took > soon {
				t.Errorf("took %v", took)
			}
			b, err := os.ReadFile(pidFile)
			if err != nil {
				t.Fatal(err)
			}
			group := strings.TrimSpace(string(b))
			if left := runningIn(group); left != "" {
				t.Errorf("still running: %s", left)
			}
			if err := h.Run(t.Context(), reach.Command{Args: []string{"true"}}); err != nil {
				t.Errorf("the connection does not work any more: %v", err)
			}
		})
	}
}

// runningIn lists the processes of a group, once they have had time to end.
func runningIn(group string) string {
	for deadline := time.Now().Add(soon); ; time.Sleep(20 * time.Millisecond) {
		out, err := exec.Command("pgrep", "--runstates", "D,R,S,T", "--pgroup", group).Output()
		if err != nil || time.Now().After(deadline) {
			return string(out)
		}
	}
}

func TestSSHWaitsForABootingHost(t *testing.T) {
	t.Run("port closed", func(t *testing.T) {
		s := newSSHD(t).admit(t)
		time.AfterFunc(time.Second, func() { s.start(t) })
		s.connect(t)
	})
	t.Run("server hangs up", func(t *testing.T) {
		s := newSSHD(t).admit(t)
		listener, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", s.port))
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			for range 2 {
				if conn, err := listener.Accept(); err == nil {
					_ = conn.Close()
				}
			}
			_ = listener.Close()
			s.start(t)
		}()
		s.connect(t)
	})
	t.Run("key not there yet", func(t *testing.T) {
		s := newSSHD(t).start(t)
		time.AfterFunc(time.Second, func() { s.admit(t) })
		s.connect(t)
	})
	t.Run("host keys not published yet", func(t *testing.T) {
		s := newSSHD(t).admit(t).start(t)
		cfg, target := s.login(), s.target()
		target.HostKey, target.Instance = "", "projects/p/zones/z/instances/a"
		var asked atomic.Int32
		cfg.HostKeys = func(context.Context, reach.Target) ([]string, error) {
			if asked.Add(1) < 3 {
				return nil, nil
			}
			return []string{s.hostKey}, nil
		}
		connect(t, cfg, target)
	})
}

func TestSSHGivesUp(t *testing.T) {
	s := newSSHD(t)
	cfg := s.login()
	cfg.ConnectTimeout = 1500 * time.Millisecond
	target := s.target()
	refused(t, cfg, target, "cannot reach a", "connection refused", "gave up after", "attempts")

	target.Instance = "projects/p/zones/z/instances/a"
	cfg.LastWords = func(context.Context, reach.Target) string { return "kernel panic on ttyS0" }
	refused(t, cfg, target, "connection refused", "kernel panic on ttyS0")

	final := cfg // What waiting can't change is refused at once.
	final.ConnectTimeout = 0
	gone := target
	gone.HostKey = ""
	final.HostKeys = func(context.Context, reach.Target) ([]string, error) {
		return nil, &reach.NoKeysError{Err: errors.New("there is no instance a")}
	}
	refused(t, final, gone, "there is no instance a")

	stopped := final
	stopped.Down = func(context.Context, reach.Target) (bool, error) { return true, nil }
	refused(t, stopped, target, "its machine does not run", "kernel panic on ttyS0")
	unknown := cfg
	unknown.Down = func(context.Context, reach.Target) (bool, error) { return true, errors.New("no answer from the cloud") }
	refused(t, unknown, target, "connection refused", "gave up after")

	s.start(t)
	cfg.ConnectTimeout = 5 * time.Second // The server has to be up by then.
	refused(t, cfg, s.target(), "refuses user", fingerprintOf(t, s.public))

	target.Address = "no-such-host.invalid"
	refused(t, final, target, "no-such-host.invalid")

	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	time.AfterFunc(100*time.Millisecond, func() { cancel(why) })
	begin := time.Now()
	if _, err := reach.DialSSH(ctx, final, s.target()); !errors.Is(err, why) || time.Since(begin) > soon {
		t.Errorf("a cancelled dial ended after %v with %v", time.Since(begin), err)
	}
}

func TestSSHBadKeys(t *testing.T) {
	s := newSSHD(t).admit(t).start(t)
	cfg := s.login()
	cfg.PrivateKey = "not a key"
	refused(t, cfg, s.target(), "ssh.private_key:")

	block, err := ssh.MarshalPrivateKeyWithPassphrase(s.key, "", []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	cfg.PrivateKey = ""
	cfg.PrivateKeyFile = filepath.Join(s.dir, "locked")
	write(t, cfg.PrivateKeyFile, string(pem.EncodeToMemory(block)))
	refused(t, cfg, s.target(), "passphrase", "agent")

	cfg.PrivateKeyFile = filepath.Join(s.dir, "missing")
	refused(t, cfg, s.target(), "private_key_file", "no such file")

	t.Setenv("SSH_AUTH_SOCK", "")
	cfg.PrivateKeyFile = ""
	refused(t, cfg, s.target(), "SSH_AUTH_SOCK")
}

func TestSSHKeySources(t *testing.T) {
	s := newSSHD(t).admit(t).start(t)
	t.Run("file", func(t *testing.T) {
		cfg := s.login()
		cfg.PrivateKey, cfg.PrivateKeyFile = "", filepath.Join(t.TempDir(), "key")
		write(t, cfg.PrivateKeyFile, s.private)
		connect(t, cfg, s.target())
	})
	t.Run("agent", func(t *testing.T) {
		ring := agent.NewKeyring()
		if err := ring.Add(agent.AddedKey{PrivateKey: &s.key}); err != nil {
			t.Fatal(err)
		}
		socket := filepath.Join(t.TempDir(), "agent")
		listener, err := net.Listen("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = listener.Close() }()
		go func() {
			for {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				go func() { _ = agent.ServeAgent(ring, conn) }()
			}
		}()
		t.Setenv("SSH_AUTH_SOCK", socket)
		cfg := s.login()
		cfg.PrivateKey = ""
		connect(t, cfg, s.target())
	})
}

func TestSSHHostKeys(t *testing.T) {
	s := newSSHD(t).admit(t).start(t)
	_, _, other := newKey(t)
	known := func(key string) string { return fmt.Sprintf("[127.0.0.1]:%d %s\n", s.port, key) }
	const ecdsa = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBEmKSENjQEezOmxkZMy7opKgwFB9nkt5YRrYMjNuG5N87uRgg6CLrbo5wAdT/y6v0mKV0U2w0WZ2YB/++Tpockg="
	for name, c := range map[string]struct {
		hostKey, known string
		policy         reach.HostKeyPolicy
		refused        []string // nil: accepted
	}{
		"host_key":                  {hostKey: s.hostKey},
		"known_hosts":               {known: known(s.hostKey)},
		"wrong host_key":            {hostKey: other, refused: []string{"REFUSED", "host_key of a", fingerprintOf(t, other), fingerprintOf(t, s.hostKey)}},
		"wrong known_hosts":         {known: known(other), refused: []string{"REFUSED", "known_hosts:1", fingerprintOf(t, other), fingerprintOf(t, s.hostKey)}},
		"wrong known, accept-new":   {known: known(other), policy: reach.HostKeyAcceptNew, refused: []string{"REFUSED"}},
		"wrong host_key, insecure":  {hostKey: other, policy: reach.HostKeyInsecure, refused: []string{"REFUSED"}},
		"unknown":                   {refused: []string{"not known", "host_key", "known_hosts", fingerprintOf(t, s.hostKey)}},
		"unknown, accept-new":       {policy: reach.HostKeyAcceptNew},
		"unknown, insecure":         {policy: reach.HostKeyInsecure},
		"malformed host_key":        {hostKey: "ssh-ed25519 nonsense", refused: []string{"host_key of a", "nonsense"}},
		"known_hosts, other type":   {known: known(ecdsa), refused: []string{"REFUSED", "ecdsa"}},
		"known_hosts without entry": {known: "example.com " + other + "\n", refused: []string{"not known"}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, target := s.login(), s.target()
			cfg.KnownHostsFile = filepath.Join(t.TempDir(), "known_hosts")
			cfg.HostKeyPolicy, target.HostKey = c.policy, c.hostKey
			if c.known != "" {
				write(t, cfg.KnownHostsFile, c.known)
			}
			if c.refused != nil {
				refused(t, cfg, target, c.refused...)
				return
			}
			connect(t, cfg, target)
			got, err := os.ReadFile(cfg.KnownHostsFile)
			if remembered := err == nil && strings.Contains(string(got), s.hostKey); remembered != (c.known != "" || c.policy == reach.HostKeyAcceptNew) {
				t.Errorf("known_hosts afterwards: %q, %v", got, err)
			}
		})
	}
}

func TestSSHBastion(t *testing.T) {
	jump, s := newSSHD(t).start(t), newSSHD(t).admit(t).start(t)
	cfg := s.login()
	// One key for both: a bastion takes what it leaves empty from ssh.
	write(t, filepath.Join(jump.dir, "authorized_keys"), s.public+"\n")
	cfg.Bastion = &reach.Bastion{Host: "127.0.0.1", Port: jump.port, HostKey: jump.hostKey}
	var dials atomic.Int32
	cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		if !strings.HasSuffix(addr, fmt.Sprint(":", jump.port)) {
			return nil, fmt.Errorf("dialed %s and not the bastion", addr)
		}
		if err == nil {
			dials.Add(1)
		}
		return conn, err
	}
	first := connect(t, cfg, s.target())
	second := connect(t, cfg, s.target())
	if got := dials.Load(); got != 1 {
		t.Errorf("the bastion was connected to %d times, want once", got)
	}
	_ = first.Close()
	if err := second.Run(t.Context(), reach.Command{Args: []string{"true"}}); err != nil {
		t.Errorf("after the other's end: %v", err)
	}
	_ = second.Close()
	third := connect(t, cfg, s.target())
	if err := third.Run(t.Context(), reach.Command{Args: []string{"true"}}); err != nil || dials.Load() != 2 {
		t.Errorf("a later connection: %v, %d dials", err, dials.Load())
	}

	_, _, other := newKey(t)
	cfg.Bastion = &reach.Bastion{Host: "127.0.0.1", Port: jump.port, HostKey: other}
	refused(t, cfg, s.target(), "bastion 127.0.0.1", "REFUSED")
}

func TestSSHConnectionBreaks(t *testing.T) {
	s := newSSHD(t).admit(t).start(t)
	cfg := s.login()
	var conn net.Conn
	cfg.Dial = func(ctx context.Context, network, addr string) (_ net.Conn, err error) {
		conn, err = new(net.Dialer).DialContext(ctx, network, addr)
		return conn, err
	}
	h := connect(t, cfg, s.target())
	time.AfterFunc(time.Second, func() { _ = conn.Close() })
	begin := time.Now()
	err := h.Run(t.Context(), reach.Command{Args: []string{"sleep", "30"}})
	if unreachable := new(reach.UnreachableError); !errors.As(err, &unreachable) || time.Since(begin) > 10*time.Second {
		t.Errorf("after %v: %v", time.Since(begin), err)
	}
}
