//go:build linux

package host

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/clustertest/freeport"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/host/proc"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/host/service"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// TestMain makes this test binary do what redis-bootstrap does when it is
// started by the code under test, which runs itself again.
func TestMain(m *testing.M) {
	redis.SetLogger(&logging.VoidLogger{}) // as main does
	run, ok := commands()[strings.Join(os.Args[1:min(len(os.Args), 3)], " ")]
	if !ok {
		os.Exit(m.Run())
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// host is this machine with a base directory of its own.
type host struct {
	t   *testing.T
	req spec.HostApply
	log bytes.Buffer
}

// newHost asks for n processes on free loopback ports. They are gone when the test ends.
func newHost(t *testing.T, n int) *host {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("needs redis-server on PATH")
	}
	if systemdRuns() && os.Geteuid() == 0 {
		t.Skip("runs processes without systemd; as root on this host they would be units")
	}
	h := &host{t: t, req: spec.HostApply{
		Versioned: spec.V(),
		Place:     spec.Place{BaseDir: filepath.Join(t.TempDir(), "base"), Cluster: "test"},
		HostName:  "here",
		Server:    spec.Server{Flavor: spec.FlavorRedis, Install: spec.InstallPreinstalled},
		Config:    map[string]string{"save": ""},
	}}
	for i := range n {
		port := freeport.New(t)
		h.req.Nodes = append(h.req.Nodes, spec.Node{Name: "n" + strconv.Itoa(i), Address: "127.0.0.1", Port: port, BusPort: port + spec.BusPortOffset, Host: "here"})
	}
	t.Cleanup(h.clear)
	return h
}

// clear removes what the test left, with whatever means it takes.
func (h *host) clear() {
	ports, _ := portsIn(h.req.ClusterDir())
	for _, port := range ports {
		_ = service.Supervised{}.Kill(context.Background(), service.Definition{Dir: h.req.ProcessDir(port)})
	}
}

func (h *host) logger() hclog.Logger {
	return hclog.New(&hclog.LoggerOptions{Output: &h.log, Level: hclog.Debug})
}

func (h *host) apply() spec.HostResult {
	h.t.Helper()
	r, err := Apply(h.t.Context(), h.logger(), h.req)
	if err != nil {
		h.t.Fatal(err)
	}
	return r
}

// refused returns the failure of an apply that must fail.
func (h *host) refused() *spec.Failure {
	h.t.Helper()
	_, err := Apply(h.t.Context(), h.logger(), h.req)
	f := new(spec.Failure)
	if !errors.As(err, &f) {
		h.t.Fatalf("got %v, want a failure", err)
	}
	if f.Host != "here" || f.Step == "" || f.Cause == "" {
		h.t.Errorf("the failure does not say where and what: %+v", f)
	}
	return f
}

func (h *host) inspect() spec.HostResult {
	h.t.Helper()
	r, err := Inspect(h.t.Context(), spec.HostInspect{Versioned: spec.V(), Place: h.req.Place, HostName: "here", Nodes: h.req.Nodes})
	if err != nil {
		h.t.Fatal(err)
	}
	return r
}

func (h *host) remove(all bool) (spec.HostRemoveResult, error) {
	h.t.Helper()
	return Remove(h.t.Context(), h.logger(), spec.HostRemove{Versioned: spec.V(), Place: h.req.Place, HostName: "here", Nodes: h.req.Nodes, All: all})
}

func (h *host) client(i int, password string) *redis.Client {
	c := dial(h.req.Nodes[i], password)
	h.t.Cleanup(func() { _ = c.Close() })
	return c
}

func (h *host) config(i int, password, name string) string {
	h.t.Helper()
	v, err := h.client(i, password).ConfigGet(h.t.Context(), name).Result()
	if err != nil {
		h.t.Fatal(err)
	}
	return v[name]
}

func (h *host) dir() string { return h.dirOf(h.req.Nodes[0]) }

// supervisor returns the parent of the server of process i.
func (h *host) supervisor(i int) int {
	h.t.Helper()
	p, err := proc.Get(h.inspect().Processes[i].PID)
	if err != nil {
		h.t.Fatal(err)
	}
	return p.PPID
}

// eventually polls until what holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

func words(changes []spec.Change) string {
	var all []string
	for _, c := range changes {
		s := c.Node + ": " + c.What
		if c.Restart {
			s += " [restart]"
		}
		all = append(all, s)
	}
	return strings.Join(all, "\n")
}

func kill(t *testing.T, pid int, sig syscall.Signal) {
	t.Helper()
	if pid <= 1 {
		t.Fatalf("no process to signal: %d", pid)
	}
	if err := syscall.Kill(pid, sig); err != nil {
		t.Fatal(err)
	}
}

func TestApplyTwice(t *testing.T) {
	h := newHost(t, 2)
	h.req.DryRun = true
	planned := h.apply()
	if len(planned.Changes) != 6 || planned.Processes[0].State != "absent" {
		t.Errorf("planned %s; processes %+v", words(planned.Changes), planned.Processes)
	}
	if _, err := os.Stat(h.req.BaseDir); !os.IsNotExist(err) {
		t.Error("a dry run made the base directory")
	}
	h.req.DryRun = false
	first := h.apply()
	if words(first.Changes) != words(planned.Changes) {
		t.Errorf("planned\n%s\ndid\n%s", words(planned.Changes), words(first.Changes))
	}
	if first.Facts.ServerVersion == "" || first.Facts.CPUs == 0 || first.Facts.MemoryBytes == 0 || first.Facts.OS == "" {
		t.Errorf("facts: %+v", first.Facts)
	}
	second := h.apply()
	if len(second.Changes) > 0 {
		t.Errorf("the second apply did %s", words(second.Changes))
	}
	seen := h.inspect()
	for i, p := range first.Processes {
		if p.State != "running" || p.PID == 0 || p.ConfSHA256 == "" || p.RestartNeeded {
			t.Errorf("process %+v", p)
		}
		if p != second.Processes[i] || p != seen.Processes[i] {
			t.Errorf("apply: %+v; second: %+v; inspect: %+v", p, second.Processes[i], seen.Processes[i])
		}
	}
	if len(seen.Warnings) > 0 || seen.Facts.ServerVersion != first.Facts.ServerVersion {
		t.Errorf("inspect: %+v", seen)
	}
}

func TestServerIsRestarted(t *testing.T) {
	h := newHost(t, 1)
	pid := h.apply().Processes[0].PID
	kill(t, pid, syscall.SIGKILL)
	eventually(t, "the killed server runs again", func() bool {
		p := h.inspect().Processes[0]
		return p.PID != 0 && p.PID != pid && h.client(0, "").Ping(t.Context()).Err() == nil
	})
	pid = h.inspect().Processes[0].PID
	_ = h.client(0, "").ShutdownNoSave(t.Context()).Err()
	eventually(t, "the server that was shut down runs again", func() bool {
		p := h.inspect().Processes[0]
		return p.PID != 0 && p.PID != pid && h.client(0, "").Ping(t.Context()).Err() == nil
	})
}

func TestSupervisorIsKilled(t *testing.T) {
	h := newHost(t, 1)
	pid := h.apply().Processes[0].PID
	kill(t, h.supervisor(0), syscall.SIGKILL)
	eventually(t, "the server follows its supervisor", func() bool { _, err := os.Stat(fmt.Sprintf("/proc/%d", pid)); return err != nil })
	if s := h.inspect().Processes[0].State; s != "stopped" {
		t.Errorf("state %q", s)
	}
	if got := words(h.apply().Changes); got != "n0: start the process" {
		t.Errorf("apply did %s", got)
	}
	h.client(0, "").Ping(t.Context())
}

func TestDirectoryIsDeleted(t *testing.T) {
	h := newHost(t, 1)
	h.req.Config = nil // With save points the server would not end before it has saved.
	pid := h.apply().Processes[0].PID
	supervisor := h.supervisor(0)
	if err := os.RemoveAll(h.req.BaseDir); err != nil {
		t.Fatal(err)
	}
	for _, pid := range []int{pid, supervisor} {
		eventually(t, "nothing runs without files", func() bool { p, err := proc.Get(pid); return err != nil || p.Exe == "" })
	}
}

func TestOrphanIsReplaced(t *testing.T) {
	h := newHost(t, 1)
	kill(t, h.supervisorAfterApply(), syscall.SIGKILL)
	eventually(t, "the server has ended", func() bool { s, err := proc.ServersIn(h.dir()); return err == nil && len(s) == 0 })
	orphan := exec.Command("redis-server", filepath.Join(h.dir(), "redis.conf"))
	orphan.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := orphan.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = orphan.Wait(); close(ended) }()
	eventually(t, "the orphan answers", func() bool { return h.client(0, "").Ping(t.Context()).Err() == nil })
	h.apply()
	<-ended
	if p := h.inspect().Processes[0]; p.PID == 0 || p.PID == orphan.Process.Pid {
		t.Errorf("process %+v", p)
	}
}

func (h *host) supervisorAfterApply() int {
	h.t.Helper()
	h.apply()
	return h.supervisor(0)
}

func TestPortIsTaken(t *testing.T) {
	h := newHost(t, 1)
	for _, port := range []int{h.req.Nodes[0].Port, h.req.Nodes[0].BusPort} {
		l, err := net.Listen("tcp", fmt.Sprintf(":%d", port))
		if err != nil {
			t.Fatal(err)
		}
		f := h.refused()
		for _, want := range []string{"n0", strconv.Itoa(port), fmt.Sprintf("pid %d", os.Getpid())} {
			if !strings.Contains(f.Cause, want) {
				t.Errorf("no %q in %q", want, f.Cause)
			}
		}
		if f.Advice == "" {
			t.Error("no advice")
		}
		_ = l.Close()
	}
	if _, err := os.Stat(h.req.ClusterDir()); !os.IsNotExist(err) {
		t.Error("a refused apply left files")
	}
	h.apply()
}

func TestRedisOfSomebodyElse(t *testing.T) {
	h := newHost(t, 1)
	other := exec.Command("redis-server", "--port", strconv.Itoa(h.req.Nodes[0].Port), "--save", "", "--dir", t.TempDir())
	other.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Process.Kill(); _ = other.Wait() }()
	eventually(t, "the other server answers", func() bool { return h.client(0, "").Ping(t.Context()).Err() == nil })
	if f := h.refused(); !strings.Contains(f.Cause, fmt.Sprintf("pid %d", other.Process.Pid)) || !strings.Contains(f.Cause, "redis-server") {
		t.Errorf("cause %q", f.Cause)
	}
}

func TestServersRefusalIsShown(t *testing.T) {
	h := newHost(t, 1)
	t.Setenv("TMPDIR", t.TempDir())
	h.req.Config = map[string]string{"MaxMemory": "lots", "nonsense": "1", "appendonly": "yes", "save": "900 1\nx y"}
	f := h.refused()
	for _, want := range []string{`config["MaxMemory"]: argument must be a memory value`, `config["nonsense"]: Bad directive`, `config["save"]: Invalid save parameters`} {
		if !strings.Contains(f.Cause, want) {
			t.Errorf("no %q in %q", want, f.Cause)
		}
	}
	if strings.Contains(f.Cause, "appendonly") {
		t.Errorf("appendonly is right: %q", f.Cause)
	}
	left, err := filepath.Glob(filepath.Join(os.TempDir(), "redis-bootstrap-*", "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("validation left %v, %v", left, err)
	}
}

func TestUnresolvedDirectives(t *testing.T) {
	const words = "695:M 20 Nov 2026 14:38:51.715 # Unresolved Configuration(s) Detected:\n" +
		"695:M 20 Nov 2026 14:38:51.715 # >>> 'nonsense 1'\n" +
		"695:M 20 Nov 2026 14:38:51.715 # >>> 'Search.timeout 5 6'\n" +
		"695:M 20 Nov 2026 14:38:51.715 # Module Configuration detected without loadmodule directive or no ApplyConfig call: aborting\n"
	if got := unresolved(words); !slices.Equal(got, []string{"nonsense", "search.timeout"}) {
		t.Errorf("got %q", got)
	}
	h := newHost(t, 1)
	h.req.Config["search.timeout"] = "500"
	if f := h.refused(); !strings.Contains(f.Cause, `config["search.timeout"]: neither`) {
		t.Errorf("cause %q", f.Cause)
	}
}

func TestServerDiesAtStart(t *testing.T) {
	h := newHost(t, 1)
	h.req.Config["loadmodule"] = "/nonexistent/module.so"
	f := h.refused()
	if !strings.Contains(f.Cause, "/nonexistent/module.so") || !strings.Contains(f.Cause, "n0") {
		t.Errorf("cause %q", f.Cause)
	}
	if servers, err := proc.ServersIn(h.dir()); err != nil || len(servers) > 0 {
		t.Errorf("left %v, %v", servers, err)
	}
	delete(h.req.Config, "loadmodule")
	h.apply()
}

func TestConfigIsChangedLive(t *testing.T) {
	h := newHost(t, 2)
	h.req.Config["maxmemory"] = "100mb"
	pids := h.apply().Processes
	h.req.Config["maxmemory"] = "1gb"
	h.req.Config["client-output-buffer-limit"] = "replica 512mb 128mb 60"
	h.req.DryRun = true
	planned := words(h.apply().Changes)
	if got := h.config(0, "", "maxmemory"); got != "104857600" {
		t.Errorf("a dry run set maxmemory to %s", got)
	}
	h.req.DryRun = false
	if got := words(h.apply().Changes); got != planned || !strings.Contains(got, "n1: set maxmemory to 1073741824 (it is 104857600)") || strings.Contains(got, "[restart]") {
		t.Errorf("planned\n%s\ndid\n%s", planned, got)
	}
	if got := h.config(1, "", "maxmemory"); got != "1073741824" {
		t.Errorf("maxmemory is %s", got)
	}
	delete(h.req.Config, "maxmemory")
	h.apply()
	if got := h.config(1, "", "maxmemory"); got != "0" {
		t.Errorf("maxmemory is %s, not the default", got)
	}
	for i, p := range h.inspect().Processes {
		if p.PID != pids[i].PID || p.RestartNeeded {
			t.Errorf("process %+v was %+v", p, pids[i])
		}
	}
	if got := h.apply().Changes; len(got) > 0 {
		t.Errorf("one more apply did %s", words(got))
	}
}

func TestChangesByHandAreUndone(t *testing.T) {
	h := newHost(t, 1)
	h.apply()
	if err := h.client(0, "").ConfigSet(t.Context(), "maxmemory-policy", "allkeys-lru").Err(); err != nil {
		t.Fatal(err)
	}
	conf := filepath.Join(h.dir(), "redis.conf")
	before, err := os.ReadFile(conf)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(conf, append([]byte("# a remark\n"), before...), 0o600); err != nil {
		t.Fatal(err)
	}
	want := "n0: set maxmemory-policy to noeviction (it is allkeys-lru)\nn0: restore redis.conf"
	if got := words(h.apply().Changes); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if after, err := os.ReadFile(conf); err != nil || !bytes.Equal(after, before) {
		t.Errorf("redis.conf is %q, %v", after, err)
	}
	if err := os.Chmod(conf, 0o644); err != nil {
		t.Fatal(err)
	}
	h.apply()
	if st, err := os.Stat(conf); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
}

func TestRestartIsLeftToTheCluster(t *testing.T) {
	h := newHost(t, 1)
	pid := h.apply().Processes[0].PID
	h.req.Config["io-threads"] = "2"
	r := h.apply()
	if got := words(r.Changes); !strings.Contains(got, "n0: set io-threads to 2 at the next restart (it is 1) [restart]") {
		t.Errorf("apply did %s", got)
	}
	if p := r.Processes[0]; p.PID != pid || !p.RestartNeeded {
		t.Errorf("process %+v", p)
	}
	if !h.inspect().Processes[0].RestartNeeded || !h.apply().Processes[0].RestartNeeded {
		t.Error("the need for a restart was forgotten")
	}
	_ = h.client(0, "").Shutdown(t.Context()).Err()
	eventually(t, "the server has the new setting", func() bool {
		p := h.inspect().Processes[0]
		return p.PID != 0 && p.PID != pid && h.client(0, "").Ping(t.Context()).Err() == nil && !h.inspect().Processes[0].RestartNeeded
	})
	if got := h.apply().Changes; len(got) > 0 {
		t.Errorf("apply did %s", words(got))
	}
}

func TestPasswordChangesLive(t *testing.T) {
	h := newHost(t, 2)
	h.req.Password = "first one"
	pid := h.apply().Processes[0].PID
	check := func(password string) {
		t.Helper()
		for i := range h.req.Nodes {
			if got := h.config(i, password, "masterauth"); got != password {
				t.Errorf("masterauth is %q, want %q", got, password)
			}
			auth, err := Credentials(spec.HostCredentials{Versioned: spec.V(), ConfRef: spec.ConfRef{Place: h.req.Place, Port: h.req.Nodes[i].Port}})
			if err != nil || auth.Password.Reveal() != password {
				t.Errorf("credentials: %q, %v", auth.Password.Reveal(), err)
			}
		}
	}
	check("first one")
	h.req.Password = "second\n\"one\""
	h.apply()
	check("second\n\"one\"")

	// A kept password is the one in the file, and passes on to a new process.
	h.req.Password, h.req.KeepPassword = "", true
	port := freeport.New(t)
	h.req.Nodes = append(h.req.Nodes, spec.Node{Name: "n2", Address: "127.0.0.1", Port: port, BusPort: port + spec.BusPortOffset})
	h.apply()
	check("second\n\"one\"")

	// An apply that was cut off has changed the process and not its file.
	h.req.Password, h.req.KeepPassword = "third", false
	if err := h.client(0, "second\n\"one\"").ConfigSet(t.Context(), "requirepass", "third").Err(); err != nil {
		t.Fatal(err)
	}
	h.apply()
	check("third")

	h.req.Password = ""
	h.apply()
	check("")
	if p := h.inspect().Processes[0]; p.PID != pid {
		t.Errorf("process %+v was restarted", p)
	}

	if err := h.client(0, "").ConfigSet(t.Context(), "requirepass", "unknown").Err(); err != nil {
		t.Fatal(err)
	}
	if f := h.refused(); !strings.Contains(f.Cause, "neither") || !strings.Contains(f.Advice, "password_wo_version") {
		t.Errorf("failure %+v", f)
	}
}

func TestPasswordIsNowhereToBeSeen(t *testing.T) {
	const secret = "hunter2-tr0ub4dor"
	t.Setenv("SOME_TOKEN", secret)
	h := newHost(t, 1)
	h.req.Password = secret
	h.apply()
	h.req.Password = secret + "-changed"
	r := h.apply()
	if strings.Contains(h.log.String(), secret) || strings.Contains(fmt.Sprintf("%+v", r), secret) {
		t.Error("the password is in the log or in the result")
	}
	for _, pid := range []int{h.inspect().Processes[0].PID, h.supervisor(0)} {
		for _, file := range []string{"cmdline", "environ"} {
			b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
			if err != nil || len(b) == 0 {
				t.Fatalf("read %s of %d: %d bytes, %v", file, pid, len(b), err)
			}
			if bytes.Contains(b, []byte(secret)) {
				t.Errorf("the password is in %s of process %d", file, pid)
			}
		}
	}
	read := 0
	err := filepath.WalkDir(h.req.BaseDir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "redis.conf" {
			return err
		}
		read++
		b, err := os.ReadFile(path)
		if bytes.Contains(b, []byte(secret)) {
			t.Errorf("the password is in %s", path)
		}
		return err
	})
	if err != nil || read < 4 {
		t.Errorf("read %d files, %v", read, err)
	}
	st, err := os.Stat(filepath.Join(h.dir(), "redis.conf"))
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("redis.conf has mode %v, %v", st.Mode(), err)
	}
}

func TestRemoveLeavesNothing(t *testing.T) {
	h := newHost(t, 2)
	pids := h.apply().Processes
	supervisors := []int{h.supervisor(0), h.supervisor(1)}
	kill(t, pids[0].PID, syscall.SIGSTOP)
	if err := os.MkdirAll(filepath.Join(h.req.BaseDir, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(h.req.BaseDir, "bin", "redis-bootstrap"), nil, 0o755); err != nil {
		t.Fatal(err)
	}
	all := h.req.Nodes
	h.req.Nodes = all[:1]
	if _, err := h.remove(false); err != nil {
		t.Fatal(err)
	}
	if !exists(h.dirOf(all[1])) || exists(h.dirOf(all[0])) {
		t.Error("not exactly the first process was removed")
	}
	// With All, processes that the request does not name go too.
	r, err := h.remove(true)
	if err != nil {
		t.Fatal(err)
	}
	if exists(h.req.BaseDir) || !slices.Contains(r.Removed, h.req.BaseDir) {
		t.Errorf("the base directory is left; removed %v", r.Removed)
	}
	for _, pid := range []int{pids[0].PID, pids[1].PID, supervisors[0], supervisors[1]} {
		if p, err := proc.Get(pid); err == nil && p.Exe != "" {
			t.Errorf("process %s is left", p)
		}
	}
	if r, err := h.remove(true); err != nil || len(r.Removed) > 0 || exists(h.req.BaseDir) {
		t.Errorf("a second removal: %v, %v", r.Removed, err)
	}
}

// Two clusters share a host and a base directory.
func TestRemoveLeavesOtherClustersAlone(t *testing.T) {
	h, other := newHost(t, 1), newHost(t, 1)
	other.req.BaseDir, other.req.Cluster = h.req.BaseDir, "other"
	h.apply()
	before := other.apply().Processes[0]
	if _, err := h.remove(true); err != nil {
		t.Fatal(err)
	}
	if exists(h.dir()) {
		t.Errorf("%s is left", h.dir())
	}
	if after := other.inspect().Processes[0]; after != before || after.State != "running" {
		t.Errorf("the other cluster's process was %+v and is %+v", before, after)
	}
	if did := other.apply().Changes; len(did) > 0 {
		t.Errorf("the other cluster had to be put right: %s", words(did))
	}
}

func exists(path string) bool { _, err := os.Lstat(path); return err == nil }

func (h *host) dirOf(n spec.Node) string { return h.req.ProcessDir(n.Port) }

func TestRemoveRefusesWhatIsNotOurs(t *testing.T) {
	h := newHost(t, 1)
	h.apply()
	conf := filepath.Join(h.dir(), "redis.conf")
	if err := os.WriteFile(conf, []byte("port 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := h.remove(true); err == nil || !exists(conf) || h.inspect().Processes[0].PID == 0 {
		t.Errorf("removed what is not ours: %v", err)
	}
	h.apply()
	foreign := filepath.Join(h.req.ClusterDir(), "notes.txt")
	if err := os.WriteFile(foreign, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := h.remove(true); err == nil || !strings.Contains(err.Error(), "notes.txt") || !exists(foreign) {
		t.Errorf("got %v", err)
	}
	for _, place := range []spec.Place{{BaseDir: "/", Cluster: "etc"}, {BaseDir: "base", Cluster: "c"}, {BaseDir: "/srv/../etc", Cluster: "c"},
		{BaseDir: "/srv", Cluster: ".."}, {BaseDir: "/srv", Cluster: "a/b"}, {BaseDir: "/srv", Cluster: "bin"}, {BaseDir: "/srv", Cluster: ""}} {
		if err := checkPlace(place); err == nil {
			t.Errorf("%+v was accepted", place)
		}
	}
}

func TestRequestIsChecked(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*spec.HostApply)
		want   string
	}{
		{"relative base directory", func(r *spec.HostApply) { r.BaseDir = "redis" }, "absolute"},
		{"no nodes", func(r *spec.HostApply) { r.Nodes = nil }, "no nodes"},
		{"a name as address", func(r *spec.HostApply) { r.Nodes[0].Address = "localhost" }, "IP address"},
		{"bus port out of range", func(r *spec.HostApply) { r.Nodes[0].BusPort = 70000 }, "out of range"},
		{"two nodes on a port", func(r *spec.HostApply) { r.Nodes[1].BusPort = r.Nodes[0].Port }, "also a port of node n0"},
		{"an owned directive", func(r *spec.HostApply) { r.Config = map[string]string{"Port": "1"} }, `config["Port"]`},
		{"an unknown flavor", func(r *spec.HostApply) { r.Server.Flavor = "keydb" }, "keydb"},
		{"another version", func(r *spec.HostApply) { r.Server.Version = "1.2" }, "1.2 is wanted"},
		{"an address of another host", func(r *spec.HostApply) { r.Nodes[0].Address, r.Password = "192.0.2.1", "x" }, "no address of this host"},
		{"open without consent", func(r *spec.HostApply) { r.Nodes[0].Address = "192.0.2.1" }, "no password"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHost(t, 2)
			tt.change(&h.req)
			if f := h.refused(); !strings.Contains(f.Cause, tt.want) {
				t.Errorf("no %q in %q", tt.want, f.Cause)
			}
			if tt.name != "another version" && h.req.BaseDir != "redis" && exists(h.req.ClusterDir()) {
				t.Error("a refused apply left files")
			}
		})
	}
}

func TestAppliesTakeTurns(t *testing.T) {
	h := newHost(t, 3)
	request, err := json.Marshal(h.req)
	if err != nil {
		t.Fatal(err)
	}
	var running []*exec.Cmd
	for range 4 {
		cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "host", "apply")
		cmd.Stdin = bytes.NewReader(request)
		cmd.Stderr = &bytes.Buffer{}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		running = append(running, cmd)
	}
	for _, cmd := range running {
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v: %s", err, cmd.Stderr)
		}
	}
	if got := h.apply().Changes; len(got) > 0 {
		t.Errorf("one more apply did %s", words(got))
	}
}

// nobody is the user that has no rights anywhere.
const nobody = 65534

func TestWithoutRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("the other tests run without root already")
	}
	h := newHost(t, 1)
	base, err := os.MkdirTemp("", "redis-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.clear(); _ = os.RemoveAll(base) })
	if err := os.Chown(base, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	h.req.BaseDir, h.req.TuneOS = filepath.Join(base, "b"), true
	request, err := json.Marshal(h.req)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "host", "apply")
	cmd.Dir, cmd.Stdin = "/", bytes.NewReader(request)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	eventually(t, "the process answers", h.answers)
	pid := h.inspect().Processes[0].PID
	st, err := os.Stat(fmt.Sprintf("/proc/%d", pid))
	if err != nil {
		t.Fatal(err)
	}
	if uid := st.Sys().(*syscall.Stat_t).Uid; uid != nobody {
		t.Errorf("the server runs as user %d", uid)
	}
}

func TestLastWordsAreOfThisStart(t *testing.T) {
	h := newHost(t, 1)
	h.apply()
	if _, err := h.remove(false); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(h.dir(), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(h.dir(), "redis.log"), []byte("an old remark\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	// A directory that cannot be made stops the server after it has opened its log.
	if err := os.WriteFile(filepath.Join(h.dir(), "appendonlydir"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if f := h.refused(); strings.Contains(f.Cause, "an old remark") || !strings.Contains(f.Cause, "append") {
		t.Errorf("cause %q", f.Cause)
	}
}

// A server whose append-only file is turned on while it is down would start
// empty beside its snapshot, and overwrite it in time.
func TestSnapshotIsNotIgnored(t *testing.T) {
	h := newHost(t, 1)
	h.req.Config = map[string]string{"appendonly": "no"}
	h.apply()
	client := h.client(0, "")
	ctx := t.Context()
	// A node of no cluster takes keys in slots that it was given.
	slots := client.ClusterAddSlotsRange(ctx, 0, spec.Slots-1)
	eventually(t, "the slots are served", func() bool { return client.Set(ctx, "kept", "yes", 0).Err() == nil })
	if err := errors.Join(slots.Err(), client.Save(ctx).Err()); err != nil {
		t.Fatal(err)
	}
	facts, err := gatherFacts()
	if err != nil {
		t.Fatal(err)
	}
	if err := controlOf(facts).Stop(ctx, []service.Definition{definitionOf(h.req.Place, h.req.Nodes[0].Port)}); err != nil {
		t.Fatal(err)
	}
	h.req.Config = nil
	if did := words(h.apply().Changes); !strings.Contains(did, "with its snapshot") {
		t.Errorf("the apply did %s", did)
	}
	for start := range 2 {
		client := h.client(0, "")
		eventually(t, "the key is there", func() bool { return client.Get(ctx, "kept").Val() == "yes" })
		if on := h.config(0, "", "appendonly"); on != "yes" {
			t.Errorf("appendonly is %s", on)
		}
		if err := os.Remove(filepath.Join(h.dir(), "dump.rdb")); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		if start == 0 { // Then with the append-only file that was made of it.
			_ = client.ShutdownNoSave(ctx).Err()
		}
	}
	if did := h.apply().Changes; len(did) > 0 {
		t.Errorf("another apply did %s", words(did))
	}
}
