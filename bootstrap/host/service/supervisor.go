//go:build linux

package service

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/host/proc"
)

const (
	// definitionFile holds the Definition that the supervisor runs.
	definitionFile = "service.json"
	supervisorLog  = "supervisor.log"

	// The first restart comes at once, because a node that was told to shut down
	// is expected back; a server that keeps dying is tried ever more rarely.
	firstBackoff = 100 * time.Millisecond
	maxBackoff   = 10 * time.Second
	// dirPoll is how often the supervisor looks whether its directory is still there.
	dirPoll = 2 * time.Second
	// A server that ran this long was well.
	healthyRun = 10 * time.Second
	// stopTimeout bounds an orderly stop. Redis itself waits up to 10 s for its
	// replicas and may then have to save its data.
	stopTimeout = 5 * time.Minute
)

// Supervise runs the server of the process directory dir and restarts it
// whenever it ends, until ctx is cancelled; then it stops the server in an
// orderly way. It reports to ready, once, that the server was started.
func Supervise(ctx context.Context, dir string, ready io.WriteCloser) error {
	// The kernel tells the server when the thread that started it dies, so this
	// thread must live as long as the supervisor does.
	runtime.LockOSThread()
	logger := log.New(os.Stderr, "", log.LstdFlags|log.Lmsgprefix)
	lock, err := acquire(dir)
	if err != nil {
		return err
	}
	defer func() { _ = lock.Close() }()
	s := &supervisor{dir: dir, log: logger, lock: lock, ready: ready}
	if s.running, err = orphan(ctx, dir); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go cancelWithout(ctx, dir, cancel)
	return s.run(ctx)
}

// cancelWithout cancels ctx once dir is gone. A process whose files somebody
// deleted serves nobody, and there is nothing left by which it could be stopped.
func cancelWithout(ctx context.Context, dir string, cancel context.CancelFunc) {
	tick := time.NewTicker(dirPoll)
	defer tick.Stop()
	for exists(dir) {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			boundLog(dir)
		}
	}
	cancel()
}

// longestLog is how long a server's log may become in bytes. The one before it is kept.
const longestLog = 32 << 20

// boundLog puts a log aside that has become too long. The server opens its log
// for every line, and so begins a new one.
func boundLog(dir string) {
	file := Definition{Dir: dir}.Log()
	if st, err := os.Stat(file); err == nil && st.Size() > longestLog {
		_ = os.Rename(file, file+".1")
	}
}

type supervisor struct {
	dir   string
	log   *log.Logger
	lock  *os.File
	ready io.WriteCloser
	// running is a server that somebody else started, and that is taken over.
	running int
	report
}

func (s *supervisor) run(ctx context.Context) error {
	backoff := firstBackoff
	for {
		began := time.Now()
		var err error
		if s.running != 0 {
			err = s.follow(ctx)
		} else {
			err = s.runOnce(ctx)
		}
		if ctx.Err() != nil {
			s.log.Print("stopped")
			return nil //nolint:nilerr // How the server ended that was told to is of no interest.
		}
		if time.Since(began) > healthyRun {
			backoff = firstBackoff
		}
		if err := s.noteExit(err, backoff); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(backoff):
		}
		backoff = min(2*backoff, maxBackoff)
	}
}

// noteExit reports how the server ended.
func (s *supervisor) noteExit(err error, backoff time.Duration) error {
	s.ServerPID = 0
	s.Exits++
	s.LastExit = "exit status 0"
	if err != nil {
		s.LastExit = err.Error()
	}
	s.log.Printf("the server ended (%s); it is started again in %s", s.LastExit, backoff)
	return publish(s.lock, s.report)
}

// runOnce runs the server until it ends. When ctx is cancelled it asks the server to end, and waits.
func (s *supervisor) runOnce(ctx context.Context) error {
	// It is read every time, so that a restart takes up another binary or limit.
	def, err := Load(Definition{Dir: s.dir})
	if err != nil {
		return err
	}
	s.raiseNoFile(def.NoFile)
	cmd := exec.CommandContext(ctx, def.Binary, def.Conf())
	cmd.Dir, cmd.Env = s.dir, os.Environ()
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	// Should the supervisor be killed, the server shuts down in an orderly way:
	// nobody would restart it, and the next start would find its port taken.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	cmd.Cancel = func() error {
		if !exists(s.dir) {
			return cmd.Process.Kill() // It could not save its data, and would not end without.
		}
		err := cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Process.Signal(syscall.SIGCONT)
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	s.log.Printf("started %s, pid %d", def.Binary, cmd.Process.Pid)
	s.ServerPID = cmd.Process.Pid
	if err := publish(s.lock, s.report); err != nil {
		s.log.Print(err)
	}
	s.sayStarted()
	return cmd.Wait()
}

func (s *supervisor) sayStarted() {
	if s.ready != nil {
		_, _ = io.WriteString(s.ready, startedWord)
		_ = s.ready.Close()
		s.ready = nil
	}
}

// raiseNoFile sets the limit of open files, which the server inherits, as near
// to the wanted as our rights go.
func (s *supervisor) raiseNoFile(want uint64) {
	if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: want, Max: want}) == nil {
		return
	}
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return
	}
	l.Cur = min(want, l.Max)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l); err != nil || l.Cur < want {
		s.log.Printf("at most %d files can be open, %d were wanted", l.Cur, want)
	}
}

// stopOrphans stops servers in dir that no supervisor runs any more.
func stopOrphans(ctx context.Context, dir string) error {
	servers, err := serversOf(loaded(dir))
	if err != nil {
		return err
	}
	for _, orphan := range servers {
		if err := end(ctx, orphan.PID, dir); err != nil {
			return fmt.Errorf("stop the server that a former supervisor left: %w", err)
		}
	}
	return nil
}

// end stops the server pid of dir in an orderly way.
func end(ctx context.Context, pid int, dir string) error {
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	return proc.End(ctx, pid, syscall.SIGTERM, serverOf(dir))
}

// loaded is the definition of the process directory dir, as far as there is one.
func loaded(dir string) Definition {
	def, err := Load(Definition{Dir: dir})
	if err != nil {
		return Definition{Dir: dir}
	}
	return def
}

// serverOf recognises the servers of the process directory dir.
func serverOf(dir string) func(proc.Process) bool {
	return ServerOf(loaded(dir))
}

func readJSON(file string, v any) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}
