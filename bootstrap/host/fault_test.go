//go:build linux

package host

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/procfs"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/clustertest/freeport"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/host/proc"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// faulting is a running host fault.
type faulting struct {
	t     *testing.T
	cmd   *exec.Cmd
	stdin io.Closer
	lines *bufio.Scanner
}

// fault runs host fault as a process of its own, as its callers do.
func (h *host) fault(kind spec.FaultKind, recoverAfter time.Duration) *faulting {
	h.t.Helper()
	cmd := exec.CommandContext(h.t.Context(), "/proc/self/exe", "host", "fault")
	cmd.Stderr = os.Stderr
	stdin, err1 := cmd.StdinPipe()
	stdout, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2, cmd.Start()); err != nil {
		h.t.Fatal(err)
	}
	req := spec.HostFault{Versioned: spec.V(), Place: h.req.Place, HostName: "here", Node: h.req.Nodes[0], Kind: kind, RecoverAfter: spec.Duration(recoverAfter)}
	if err := json.NewEncoder(stdin).Encode(req); err != nil {
		h.t.Fatal(err)
	}
	return &faulting{h.t, cmd, stdin, bufio.NewScanner(stdout)}
}

// event waits for the next event and returns it.
func (f *faulting) event(want string) spec.FaultEvent {
	f.t.Helper()
	var e spec.FaultEvent
	if !f.lines.Scan() {
		f.t.Fatalf("no event; %v", f.lines.Err())
	}
	if err := json.Unmarshal(f.lines.Bytes(), &e); err != nil || e.Event != want {
		f.t.Fatalf("got %s, %v; want %s", f.lines.Text(), err, want)
	}
	return e
}

func (h *host) answers() bool { return h.client(0, "").Ping(h.t.Context()).Err() == nil }

// broken says whether the process is as a fault of that kind leaves it.
func (h *host) broken(kind spec.FaultKind) bool {
	h.t.Helper()
	servers, err := proc.ServersIn(h.dir())
	if err != nil {
		h.t.Fatal(err)
	}
	if kind == spec.FaultPause {
		if len(servers) == 0 {
			return false
		}
		p, err := procfs.NewProc(servers[0].PID)
		if err != nil {
			h.t.Fatal(err)
		}
		stat, err := p.Stat()
		return err == nil && stat.State == "T"
	}
	return len(servers) == 0
}

func TestFaultIsMendedInTime(t *testing.T) {
	for _, kind := range []spec.FaultKind{spec.FaultStop, spec.FaultKill, spec.FaultPause} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			h := newHost(t, 1)
			h.apply()
			const lasts = 500 * time.Millisecond
			f := h.fault(kind, lasts)
			injected := f.event("injected")
			eventually(t, "the process is broken", func() bool { return h.broken(kind) })
			took := f.event("recovered").UnixTimeMS - injected.UnixTimeMS
			if took < lasts.Milliseconds() || took > 10*lasts.Milliseconds() {
				t.Errorf("it was broken for %d ms", took)
			}
			eventually(t, "the process answers", h.answers)
			if err := f.cmd.Wait(); err != nil {
				t.Error(err)
			}
			if got := h.apply().Changes; len(got) > 0 {
				t.Errorf("it took an apply to %s", words(got))
			}
		})
	}
}

func TestFaultIsMendedAtOnce(t *testing.T) {
	for name, leave := range map[string]func(*faulting) error{
		"stdin ends":            func(f *faulting) error { return f.stdin.Close() },
		"the caller terminates": func(f *faulting) error { return f.cmd.Process.Signal(syscall.SIGTERM) },
		"the caller is killed":  func(f *faulting) error { return f.cmd.Process.Kill() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, 1)
			h.apply()
			f := h.fault(spec.FaultKill, time.Hour)
			f.event("injected")
			eventually(t, "the process is broken", func() bool { return h.broken(spec.FaultKill) })
			if err := leave(f); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the process answers", h.answers)
			_ = f.cmd.Wait()
		})
	}
}

func TestWatchdogIsKilled(t *testing.T) {
	h := newHost(t, 1)
	h.apply()
	f := h.fault(spec.FaultPause, time.Hour)
	f.event("injected")
	all, err := procfs.AllProcs()
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, p := range all {
		if stat, err := p.Stat(); err == nil && stat.PPID == f.cmd.Process.Pid {
			pids = append(pids, p.PID)
		}
	}
	if len(pids) != 1 {
		t.Fatalf("children %v", pids)
	}
	kill(t, pids[0], syscall.SIGKILL)
	f.event("recovered")
	eventually(t, "the process answers", h.answers)
}

func TestFaultRefuses(t *testing.T) {
	h := newHost(t, 1)
	h.apply()
	h.req.Nodes = append(h.req.Nodes, spec.Node{Name: "absent", Address: "127.0.0.1", Port: freeport.New(t)})
	for _, tt := range []struct {
		node spec.Node
		kind spec.FaultKind
		want string
	}{
		{h.req.Nodes[1], spec.FaultStop, "does not run"},
		{h.req.Nodes[0], spec.FaultVMStop, "vm_stop"},
		{h.req.Nodes[0], spec.FaultIsolate, "loopback"},
	} {
		req := spec.HostFault{Versioned: spec.V(), Place: h.req.Place, HostName: "here", Node: tt.node, Kind: tt.kind}
		err := Fault(t.Context(), req, nil, io.Discard)
		f := new(spec.Failure)
		if !errors.As(err, &f) || !strings.Contains(f.Cause, tt.want) || f.Host != "here" {
			t.Errorf("%s of %s: %v; want %q", tt.kind, tt.node.Name, err, tt.want)
		}
	}
	if !h.answers() {
		t.Error("a refused fault broke the process")
	}
}
