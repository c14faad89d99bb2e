//go:build linux

package clustertest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/clustertest/freeport"
)

const (
	startTimeout = 15 * time.Second
	pollInterval = 10 * time.Millisecond
	portAttempts = 10
)

// Node is one redis-server process.
type Node struct {
	t      testing.TB
	port   int
	dir    string
	client *redis.Client
	server string
	// restart says that a process that ends unasked is started again.
	restart bool

	mu sync.Mutex // guards what follows
	// cmd is the process that runs or ran last; exited is closed when it has ended.
	cmd    *exec.Cmd
	exited chan struct{}
	// down says that the process was ended on purpose.
	down bool
}

// newNode starts a node on a free port. Another process may take the port
// between the look and the start; then the next one is tried.
func newNode(t testing.TB, index int, o options) *Node {
	t.Helper()
	n := &Node{t: t, dir: filepath.Join(t.TempDir(), "node"+strconv.Itoa(index)), server: o.server, restart: o.restart}
	if err := os.MkdirAll(n.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.end)
	var err error
	for range portAttempts {
		n.port = freeport.New(t)
		n.configure(o)
		if err = n.start(); err == nil {
			return n
		}
	}
	t.Fatalf("start redis-server: no port was free; last error: %v", err)
	return nil
}

func (n *Node) configure(o options) {
	n.t.Helper()
	lines := []string{
		"bind 127.0.0.1", "port " + strconv.Itoa(n.port), "dir " + n.dir, "logfile redis.log",
		"cluster-enabled yes", "cluster-config-file nodes.conf", "cluster-node-timeout 1000",
		`save ""`, "appendonly no", "repl-diskless-sync-delay 0",
	}
	if o.password != "" {
		lines = append(lines, "requirepass "+o.password, "masterauth "+o.password)
	}
	lines = append(lines, o.config...)
	if err := os.WriteFile(n.ConfFile(), []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		n.t.Fatal(err)
	}
	if n.client != nil {
		_ = n.client.Close()
	}
	n.client = redis.NewClient(&redis.Options{Addr: n.Addr(), Password: o.password, MaxRetries: -1})
}

// start runs the process and waits until it answers.
func (n *Node) start() error {
	cmd, exited, err := n.spawn(false)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(n.t.Context(), startTimeout)
	defer cancel()
	for ctx.Err() == nil {
		// The process id tells this server from one that holds the port already.
		var info string
		if info, err = n.client.Info(ctx, "server").Result(); err == nil && strings.Contains(info, fmt.Sprintf("process_id:%d\r\n", cmd.Process.Pid)) {
			return nil
		}
		select {
		case <-exited:
			return fmt.Errorf("redis-server exited: %s", cmd.ProcessState)
		case <-time.After(pollInterval):
		}
	}
	return fmt.Errorf("redis-server does not answer: %w", err)
}

// spawn runs the process and, with restart, one after another until it is ended
// on purpose; again says that this is not the first.
func (n *Node) spawn(again bool) (*exec.Cmd, <-chan struct{}, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if again && n.down {
		return nil, nil, errors.New("it was ended meanwhile")
	}
	cmd := exec.Command(n.server, n.ConfFile())
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	exited := make(chan struct{})
	n.cmd, n.exited, n.down = cmd, exited, false
	go func() {
		_ = cmd.Wait()
		close(exited)
		// An exit with an error is a port that was taken, which newNode sees to.
		if n.restart && cmd.ProcessState.Success() {
			_, _, _ = n.spawn(true) // a test that waits for it to come back says so
		}
	}()
	return cmd, exited, nil
}

// process is the latest process, and what is closed when it has ended.
func (n *Node) process() (*exec.Cmd, <-chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.cmd, n.exited
}

func (n *Node) running() bool {
	_, exited := n.process()
	select {
	case <-exited:
		return false
	default:
		return true
	}
}

// await polls until check returns nil, and fails the test when ctx ends before.
func (n *Node) await(ctx context.Context, what string, check func(context.Context) error) {
	n.t.Helper()
	for {
		err := check(ctx)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			n.t.Fatalf("%s is not %s: %v", n.Addr(), what, err)
		case <-time.After(pollInterval):
		}
	}
}

// Await waits until check returns nil; what is meant to be then stands in the failure.
func (n *Node) Await(what string, check func() error) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), formTimeout)
	defer cancel()
	n.await(ctx, what, func(context.Context) error { return check() })
}

// Addr is the node's host:port.
func (n *Node) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(n.port)) }

// Port is the node's client port.
func (n *Node) Port() int { return n.port }

// Dir is the directory that holds the node's files.
func (n *Node) Dir() string { return n.dir }

// ConfFile is the node's redis.conf.
func (n *Node) ConfFile() string { return filepath.Join(n.dir, "redis.conf") }

// PID is the process id of the server.
func (n *Node) PID() int {
	cmd, _ := n.process()
	return cmd.Process.Pid
}

// Client is a go-redis client of this node alone.
func (n *Node) Client() *redis.Client { return n.client }

// Start runs the node again after Stop or Kill, with the files that it left.
func (n *Node) Start() {
	n.t.Helper()
	if err := n.start(); err != nil {
		n.t.Fatalf("start %s: %v", n.Addr(), err)
	}
}

// Stop ends the process in an orderly way and waits until it is gone.
func (n *Node) Stop() { n.finish(syscall.SIGTERM) }

// Kill ends the process with SIGKILL and waits until it is gone.
func (n *Node) Kill() { n.finish(syscall.SIGKILL) }

// Wipe deletes what a node that was ended left, so that it starts as a new one.
func (n *Node) Wipe() {
	n.t.Helper()
	for _, name := range []string{"nodes.conf", "dump.rdb", "appendonlydir"} {
		if err := os.RemoveAll(filepath.Join(n.dir, name)); err != nil {
			n.t.Fatal(err)
		}
	}
}

// Pause freezes the process: its connections stay and nothing answers.
func (n *Node) Pause() { n.signal(syscall.SIGSTOP) }

// Resume thaws a paused process.
func (n *Node) Resume() { n.signal(syscall.SIGCONT) }

// finish ends the process for good.
func (n *Node) finish(s syscall.Signal) {
	n.t.Helper()
	n.mu.Lock()
	n.down = true
	exited := n.exited
	n.mu.Unlock()
	n.signal(s)
	<-exited
}

func (n *Node) signal(s syscall.Signal) {
	n.t.Helper()
	cmd, _ := n.process()
	if err := cmd.Process.Signal(s); err != nil {
		n.t.Fatalf("signal %s to %s: %v", s, n.Addr(), err)
	}
}

// end leaves nothing of the node but its files.
func (n *Node) end() {
	n.mu.Lock()
	n.down = true
	cmd, exited := n.cmd, n.exited
	n.mu.Unlock()
	if cmd != nil {
		_ = cmd.Process.Kill() // it may be gone already
		<-exited
	}
	_ = n.client.Close()
}
