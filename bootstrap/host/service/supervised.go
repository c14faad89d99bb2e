//go:build linux

package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/google/renameio/v2"
	"golang.org/x/sync/errgroup"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/host/proc"
)

// startedWord is what a supervisor writes to its parent once the server runs.
const startedWord = "started"

// parallel bounds how many processes are started or stopped at once.
const parallel = 16

// Supervised is the Control for hosts without systemd and for users without
// root: every process has a supervisor, which is this program again, in a
// session of its own. Nothing of it starts with the host.
type Supervised struct {
	// Command are the arguments that make this program call Supervise, the
	// process directory following.
	Command []string
}

var _ Control = Supervised{}

// Observe implements Control.
func (Supervised) Observe(_ context.Context, defs []Definition) ([]State, error) {
	states := make([]State, len(defs))
	for i, def := range defs {
		var have Definition
		err := readJSON(filepath.Join(def.Dir, definitionFile), &have)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		supervisor, r, err := holder(def.Dir)
		if err != nil {
			return nil, err
		}
		s := State{Enabled: true, Exits: r.Exits, LastExit: r.LastExit, Active: supervisor != 0, Binary: have.Binary}
		s.Defined = have.Binary == def.Binary && have.NoFile == def.NoFile && have.Data == def.Data
		if p, err := proc.Get(r.ServerPID); supervisor != 0 && err == nil && serverOf(def.Dir)(p) {
			s.PID = r.ServerPID
		}
		states[i] = s
	}
	return states, nil
}

// Define implements Control.
func (Supervised) Define(_ context.Context, defs []Definition) error {
	for _, def := range defs {
		b, err := json.Marshal(def)
		if err != nil {
			return err
		}
		if err := renameio.WriteFile(filepath.Join(def.Dir, definitionFile), append(b, '\n'), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// Load reads back what Define wrote, for callers that know no more than the directory.
func Load(def Definition) (Definition, error) {
	err := readJSON(filepath.Join(def.Dir, definitionFile), &def)
	return def, err
}

// Start implements Control.
func (s Supervised) Start(ctx context.Context, defs []Definition) error {
	return each(ctx, defs, func(ctx context.Context, def Definition) error {
		if pid, _, err := holder(def.Dir); err != nil || pid != 0 {
			return err
		}
		return s.start(ctx, def)
	})
}

func (s Supervised) start(ctx context.Context, def Definition) error {
	logFile, err := os.OpenFile(filepath.Join(def.Dir, supervisorLog), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = logFile.Close() }()
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	// /proc/self/exe is this program even when its file has been replaced meanwhile.
	cmd := exec.Command("/proc/self/exe", append(s.Command, def.Dir)...)
	cmd.Args[0] = "redis-bootstrap"
	cmd.Dir, cmd.Env = def.Dir, environment()
	cmd.Stdout, cmd.Stderr = logFile, logFile
	cmd.ExtraFiles = []*os.File{w}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	_ = w.Close()
	if err != nil {
		return err
	}
	// The supervisor outlives us; while we are there, we are the one to bury it.
	go func() { _ = cmd.Wait() }()
	stop := context.AfterFunc(ctx, func() { _ = r.Close() })
	defer stop()
	said, err := io.ReadAll(r)
	if string(said) == startedWord {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return errors.Join(fmt.Errorf("the supervisor did not start:\n%s", tail(logFile.Name())), err)
}

// StartedPipe is where a supervisor reports, inherited from Start.
func StartedPipe() *os.File {
	const fd = 3
	// The server must not inherit it in turn, or its end would never be seen.
	syscall.CloseOnExec(fd)
	return os.NewFile(fd, "started")
}

// environment leaves out all that the caller may have in its own: the processes
// outlive it, and secrets are often passed that way.
func environment() []string {
	var env []string
	for _, name := range []string{"PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// Stop implements Control.
func (Supervised) Stop(ctx context.Context, defs []Definition) error {
	return each(ctx, defs, func(ctx context.Context, def Definition) error {
		ctx, cancel := context.WithTimeoutCause(ctx, stopTimeout, fmt.Errorf("it was given %s to stop", stopTimeout))
		defer cancel()
		supervisor, r, err := holder(def.Dir)
		if err != nil {
			return err
		}
		if supervisor != 0 {
			resume(r.ServerPID, def.Dir)
			err := proc.End(ctx, supervisor, syscall.SIGTERM, func(p proc.Process) bool { return held(def.Dir, p.PID) })
			if err != nil {
				return err
			}
		}
		return stopOrphans(ctx, def.Dir)
	})
}

// Kill implements Control. The supervisor goes first to sleep and then away,
// so that it can neither tell the server to shut down nor restart it.
func (Supervised) Kill(ctx context.Context, def Definition) error {
	supervisor, _, err := holder(def.Dir)
	if err != nil {
		return err
	}
	if supervisor != 0 {
		p, err := os.FindProcess(supervisor)
		if err != nil {
			return err
		}
		defer func() { _ = p.Release() }()
		if held(def.Dir, supervisor) {
			_ = p.Signal(syscall.SIGSTOP)
		}
	}
	servers, err := serversOf(loaded(def.Dir))
	if err != nil {
		return err
	}
	for _, server := range servers {
		if err := proc.End(ctx, server.PID, syscall.SIGKILL, serverOf(def.Dir)); err != nil {
			return err
		}
	}
	if supervisor == 0 {
		return nil
	}
	return proc.End(ctx, supervisor, syscall.SIGKILL, func(p proc.Process) bool { return held(def.Dir, p.PID) })
}

// Remove implements Control. All its files are in Dir.
func (s Supervised) Remove(ctx context.Context, defs []Definition) ([]string, error) {
	var removed []string
	states, err := s.Observe(ctx, defs)
	if err != nil {
		return nil, err
	}
	for i, def := range defs {
		if states[i].Active {
			removed = append(removed, "process of "+def.Dir)
		}
	}
	return removed, stopOrKill(ctx, s, defs)
}

// Words implements Control.
func (Supervised) Words(_ context.Context, def Definition) string {
	return tail(filepath.Join(def.Dir, supervisorLog))
}

// held says whether the process pid is the supervisor of dir.
func held(dir string, pid int) bool {
	now, _, err := holder(dir)
	return err == nil && now == pid
}

// resume continues a paused server, which otherwise could not shut down.
func resume(pid int, dir string) {
	if p, err := proc.Get(pid); pid != 0 && err == nil && serverOf(dir)(p) {
		_ = syscall.Kill(pid, syscall.SIGCONT)
	}
}

// each runs do for every definition, several at a time, and names the one that failed.
func each(ctx context.Context, defs []Definition, do func(context.Context, Definition) error) error {
	g := new(errgroup.Group)
	g.SetLimit(parallel)
	errs := make([]error, len(defs))
	for i, def := range defs {
		g.Go(func() error {
			if err := do(ctx, def); err != nil {
				errs[i] = fmt.Errorf("%s: %w", def.Dir, err)
			}
			return nil
		})
	}
	_ = g.Wait()
	return errors.Join(errs...)
}

const tailLines = 20

// tail returns the last lines of file, for an error.
func tail(file string) string {
	b, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimRight(string(b), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-tailLines):], "\n")
}
