package reach

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

const (
	// keepAlive is how often a connection is tried, and keepAliveAnswer how long
	// that may take on a host that is under load.
	keepAlive       = 5 * time.Second
	keepAliveAnswer = 15 * time.Second
	// maxSessions is how many commands run at once over one connection: OpenSSH
	// admits ten, and one is kept for stopping the others.
	maxSessions = 8
)

// sshHost is one connection. Each command is a session in it.
type sshHost struct {
	name, user string
	client     *ssh.Client
	bastion    *ssh.Client
	onClose    func()
	sessions   chan struct{}
	closed     chan struct{}
	once       sync.Once
}

// start begins to keep the connection alive; the goroutine ends with Close or
// with the connection.
func (h *sshHost) start() {
	h.sessions = make(chan struct{}, maxSessions)
	h.closed = make(chan struct{})
	go func() {
		tick := time.NewTicker(keepAlive)
		defer tick.Stop()
		for {
			select {
			case <-h.closed:
				return
			case <-tick.C:
				ctx, cancel := context.WithTimeout(context.Background(), keepAliveAnswer)
				ok := alive(ctx, h.client)
				cancel()
				if !ok {
					_ = h.client.Close() // what runs over it fails now
					return
				}
			}
		}
	}()
}

// alive says whether the server still answers.
func alive(ctx context.Context, c *ssh.Client) bool {
	answered := make(chan bool, 1)
	go func() { // ends with an answer or with the connection
		_, _, err := c.SendRequest("keepalive@openssh.com", true, nil)
		answered <- err == nil
	}()
	select {
	case ok := <-answered:
		return ok
	case <-ctx.Done():
		return false
	}
}

// Name implements Host.
func (h *sshHost) Name() string { return h.name }

// Close implements Host.
func (h *sshHost) Close() error {
	h.once.Do(func() {
		close(h.closed)
		_ = h.client.Close() // commands that still run see it
		if h.onClose != nil {
			h.onClose()
		}
	})
	return nil
}

// Run implements Host.
func (h *sshHost) Run(ctx context.Context, c Command) error {
	select {
	case h.sessions <- struct{}{}:
		defer func() { <-h.sessions }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	session, err := h.client.NewSession()
	if err != nil {
		return &UnreachableError{Host: h.name, Err: fmt.Errorf("open an SSH session: %w", err)}
	}
	defer func() { _ = session.Close() }()

	started := &startLine{mark: []byte(rand.Text()), out: c.Stderr, begun: make(chan struct{})}
	session.Stdout, session.Stderr = c.Stdout, started
	stdin, err := session.StdinPipe()
	if err != nil {
		return err
	}
	root := c.Root && h.user != "root"
	if err := session.Start(commandLine(c.Args, string(started.mark), root)); err != nil {
		return &UnreachableError{Host: h.name, Err: fmt.Errorf("start %s: %w", c.Args[0], err)}
	}
	go func() { // ends with the command, whose pipe then breaks, or with stdin
		if c.Stdin != nil {
			_, _ = io.Copy(stdin, c.Stdin)
		}
		_ = stdin.Close()
	}()

	ended := make(chan struct{})
	var end error
	go func() {
		end = session.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-ctx.Done():
		h.stop(started, root, session, ended)
		return context.Cause(ctx)
	}
	return h.result(end, c, root, started)
}

// result turns the end of a command into an error.
func (h *sshHost) result(err error, c Command, root bool, started *startLine) error {
	exit := new(ssh.ExitError)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &exit) && root && started.pid() == "":
		return fmt.Errorf("user %q may not become root on %s: %s; let it run `sudo -n` without a password, or log in as root",
			h.user, h.name, strings.TrimSpace(started.seen.String()))
	case errors.As(err, &exit):
		return &ExitError{Code: exit.ExitStatus()}
	default:
		return &UnreachableError{Host: h.name, Err: fmt.Errorf("the connection broke while %s ran: %w", c.Args[0], err)}
	}
}

// stopScript ends the process group $1: in an orderly way, or else by force.
const stopScript = `kill -s TERM -- "-$1" 2>/dev/null
end=$(($(date +%s) + 5))
while kill -s 0 -- "-$1" 2>/dev/null && [ "$(date +%s)" -lt "$end" ]; do sleep 0.1; done
kill -s KILL -- "-$1" 2>/dev/null`

// stop ends a command whose context has ended. Closing its session would not do:
// without a terminal nobody tells the process.
func (h *sshHost) stop(started *startLine, root bool, session *ssh.Session, ended <-chan struct{}) {
	bound := time.After(stopGrace + time.Second)
	select {
	case <-started.begun:
	case <-ended:
		return
	case <-bound:
		_ = session.Close()
		return
	}
	if killer, err := h.client.NewSession(); err == nil {
		defer func() { _ = killer.Close() }()
		_ = killer.Start(commandLine([]string{"sh", "-c", stopScript, "sh", started.pid()}, rand.Text(), root))
	}
	select {
	case <-ended:
	case <-bound:
	}
}

// commandLine is what the login shell gets. The shell is replaced, so that the
// command keeps the process id of the session's leader; the line that says which
// it is comes first on stderr, after sudo has let us in.
func commandLine(args []string, mark string, root bool) string {
	const tell = `echo "$0" >&2; exec "$@"`
	sudo := ""
	if root {
		sudo = "sudo -n -- "
	}
	first := `tell=$1 mark=$2; shift 2; exec ` + sudo + `sh -c "$tell" "$mark $$" "$@"`
	line := []string{"exec", "sh", "-c", quote(first), "sh", quote(tell), mark}
	for _, a := range args {
		line = append(line, quote(a))
	}
	return strings.Join(line, " ")
}

// quote makes s one word for a POSIX shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// startLine passes on what is written to it, except for the line "MARK PID",
// which it keeps.
type startLine struct {
	mark []byte
	out  io.Writer
	// begun is closed when the line has come.
	begun chan struct{}

	mu      sync.Mutex
	head    []byte
	process string
	// seen is what came before the line: sudo's complaint, if it never comes.
	seen bytes.Buffer
}

// Write implements io.Writer.
func (s *startLine) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	written := len(p)
	for s.process == "" && len(p) > 0 {
		line, rest, whole := bytes.Cut(p, []byte{'\n'})
		s.head = append(s.head, line...)
		if !whole {
			return written, nil
		}
		p = rest
		if pid, ok := bytes.CutPrefix(s.head, append(bytes.Clone(s.mark), ' ')); ok {
			if _, err := strconv.Atoi(string(pid)); err == nil {
				s.process = string(pid)
				close(s.begun)
			}
		} else if err := s.pass(append(s.head, '\n')); err != nil {
			return 0, err
		}
		s.head = nil
	}
	return written, s.emit(p)
}

// pass hands on what came before the line.
func (s *startLine) pass(p []byte) error {
	if s.seen.Len() < 1<<12 {
		s.seen.Write(p)
	}
	return s.emit(p)
}

func (s *startLine) emit(p []byte) error {
	if s.out == nil || len(p) == 0 {
		return nil
	}
	_, err := s.out.Write(p)
	return err
}

// pid is the process group of the command; empty if it has not started.
func (s *startLine) pid() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.process
}
