//go:build linux

// Package proc finds processes on this host: Redis servers by their directory,
// and whoever listens on a port.
package proc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/procfs"
)

// Process is a process, as it was when it was looked at.
type Process struct {
	PID, PPID int
	// Exe is the path of the program; a program that was replaced meanwhile has " (deleted)" behind it.
	Exe string
	// Cwd is the working directory; empty if we may not see it.
	Cwd string
	// Command is the command line, or the bare name where that is all there is.
	Command string
}

// Server says whether p runs redis-server or valkey-server. Distributions ship
// them under another name with a symbolic link to it, for they are the same program.
func (p Process) Server() bool {
	switch filepath.Base(strings.TrimSuffix(p.Exe, " (deleted)")) {
	case "redis-server", "redis-check-rdb", "redis-check-aof", "valkey-server", "valkey-check-rdb", "valkey-check-aof":
		return true
	default:
		return false
	}
}

// Replaced says whether the file of p's program is gone, as it is after an upgrade.
func (p Process) Replaced() bool { return strings.HasSuffix(p.Exe, " (deleted)") }

// String names p for a message.
func (p Process) String() string { return fmt.Sprintf("%s (pid %d)", p.Command, p.PID) }

// Get looks at the process pid. What may not be seen is left empty.
func Get(pid int) (Process, error) {
	p, err := procfs.NewProc(pid)
	if err != nil {
		return Process{}, err
	}
	stat, err := p.Stat()
	if err != nil {
		return Process{}, err
	}
	r := Process{PID: pid, PPID: stat.PPID, Command: stat.Comm}
	if args, err := p.CmdLine(); err == nil && len(args) > 0 {
		r.Command = strings.TrimSpace(strings.Join(args, " "))
	}
	r.Exe, _ = p.Executable()
	r.Cwd, _ = p.Cwd()
	return r, nil
}

// ServersIn returns the servers whose working directory is dir, without the
// children that a server forks to save its data.
func ServersIn(dir string) ([]Process, error) {
	// The kernel's links are resolved; dir may lead through a symbolic link.
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	all, err := procfs.AllProcs()
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var found []Process
	for _, p := range all {
		// The directory is asked first: it rules nearly all of them out in one call.
		if cwd, err := p.Cwd(); err != nil || cwd != dir {
			continue
		}
		if r, err := Get(p.PID); err == nil && r.Server() {
			found = append(found, r)
		}
	}
	forked := func(p Process) bool {
		return slices.ContainsFunc(found, func(parent Process) bool { return parent.PID == p.PPID })
	}
	return slices.DeleteFunc(slices.Clone(found), forked), nil
}

const pollInterval = 10 * time.Millisecond

// End signals the process pid and waits until it is gone, if is still says yes
// to it once the kernel has pinned the process for us: so a process id that was
// taken over by somebody else is never signalled. A process that is stopped is
// continued, for it could not end.
func End(ctx context.Context, pid int, sig syscall.Signal, is func(Process) bool) error {
	p, err := os.FindProcess(pid)
	if err != nil {
		return nil // Where the kernel has process handles, this says that there is no such process.
	}
	defer func() { _ = p.Release() }()
	if now, err := Get(pid); err != nil || !is(now) {
		return nil // It is gone, and its id with it.
	}
	if err := errors.Join(p.Signal(sig), p.Signal(syscall.SIGCONT)); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal process %d: %w", pid, err)
	}
	return AwaitEnd(ctx, p)
}

// AwaitEnd waits until p, which need not be a child of ours, is gone. A zombie
// is gone: its parent has merely not looked yet.
func AwaitEnd(ctx context.Context, p *os.Process) error {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		if errors.Is(p.Signal(syscall.Signal(0)), os.ErrProcessDone) || zombie(p.Pid) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("process %d does not end: %w", p.Pid, context.Cause(ctx))
		case <-tick.C:
		}
	}
}

// zombie says whether nothing is left of a process but its exit status. As long
// as one of its threads is still ending, it holds its files and locks.
func zombie(pid int) bool {
	stat, err := statOf(pid)
	return err != nil || (stat.State == "Z" || stat.State == "X") && stat.NumThreads <= 1
}

// AwaitStopped waits until the process pid, which was sent SIGSTOP, stands still.
func AwaitStopped(ctx context.Context, pid int) error {
	for {
		stat, err := statOf(pid)
		if err != nil || stat.State == "T" {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(time.Millisecond):
		}
	}
}

func statOf(pid int) (procfs.ProcStat, error) {
	p, err := procfs.NewProc(pid)
	if err != nil {
		return procfs.ProcStat{}, err
	}
	return p.Stat()
}

// ServerIn says whether p is a server whose directory is dir.
func (p Process) ServerIn(dir string) bool {
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	return p.Server() && p.Cwd == dir
}
