//go:build linux

package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// namespaces are the network, mount and process namespaces of a lab. They last
// as long as their first process, which waits for the end of a pipe that the
// owner holds.
type namespaces struct {
	init    *exec.Cmd
	hold    io.Closer
	sweeper *exec.Cmd
}

// sweep deletes a lab's directory ($1) and control groups ($2…) once stdin
// ends. The pipe's other end is held by the first process of the namespaces,
// whose children the kernel kills just after, hence the second tries.
const sweep = `cat >/dev/null
dir=$1; shift
tries=0
until rm -rf --one-file-system -- "$dir" 2>/dev/null || [ $((tries += 1)) -gt 100 ]; do sleep 0.05; done
for group; do
	until find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || [ ! -d "$group" ] || [ $((tries += 1)) -gt 200 ]; do sleep 0.05; done
done`

func newNamespaces(ctx context.Context, dir string, cgroups []string) (*namespaces, error) {
	alive, ended, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer func() { _ = alive.Close() }()
	defer func() { _ = ended.Close() }()
	n := &namespaces{
		init:    exec.Command("cat"),
		sweeper: exec.Command("sh", append([]string{"-c", sweep, "sh", dir}, cgroups...)...),
	}
	// Sessions of their own: a Ctrl-C is the owner's business.
	n.init.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID,
		Setsid:     true,
	}
	n.sweeper.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	n.sweeper.Stdin = alive
	n.init.Stdout = ended
	if n.hold, err = n.init.StdinPipe(); err != nil {
		return nil, err
	}
	if err := n.sweeper.Start(); err != nil {
		return nil, err
	}
	if err := n.init.Start(); err != nil {
		_ = ended.Close()
		return nil, errors.Join(fmt.Errorf("make namespaces: %w", err), n.sweeper.Wait())
	}
	// /run is private: systemd-nspawn keeps files of its own there.
	const setup = `mount --make-rprivate /
mount -t proc proc /proc
mount -t tmpfs -o mode=755 tmpfs /run`
	if err := run(n.enter(ctx, "sh", "-euc", setup)); err != nil {
		return nil, errors.Join(fmt.Errorf("set the namespaces up: %w", err), n.close())
	}
	return n, nil
}

func (n *namespaces) pid() int { return n.init.Process.Pid }

// close ends every process of the lab and waits until its files are gone.
func (n *namespaces) close() error {
	if n.init.ProcessState != nil {
		return nil
	}
	_ = n.hold.Close()
	_ = n.init.Wait() // killed or not, its end is what counts
	if err := n.sweeper.Wait(); err != nil {
		return fmt.Errorf("delete the lab's files: %w", err)
	}
	return nil
}

// enter is a command that runs inside the lab, and dies with it.
func (n *namespaces) enter(ctx context.Context, args ...string) *exec.Cmd {
	return nsenter(ctx, n.pid(), []string{"--net", "--mount", "--pid"}, args...)
}

// enterNetwork is a command on this machine that sees the lab's network.
func (n *namespaces) enterNetwork(ctx context.Context, args ...string) *exec.Cmd {
	return nsenter(ctx, n.pid(), []string{"--net"}, args...)
}

func nsenter(ctx context.Context, pid int, spaces []string, args ...string) *exec.Cmd {
	argv := append([]string{"--target", strconv.Itoa(pid)}, spaces...)
	return exec.CommandContext(ctx, "nsenter", append(append(argv, "--"), args...)...)
}

// inNetwork calls f on a thread that is in the lab's network: the sockets that f
// opens stay there.
func (n *namespaces) inNetwork(f func() error) error {
	done := make(chan error, 1)
	go func() {
		// Never unlocked: the thread ends with the goroutine instead of going
		// back to others in the wrong network.
		runtime.LockOSThread()
		done <- func() error {
			ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", n.pid()))
			if err != nil {
				return fmt.Errorf("the lab is gone: %w", err)
			}
			defer func() { _ = ns.Close() }()
			if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
				return fmt.Errorf("enter the lab's network: %w", err)
			}
			return f()
		}()
	}()
	return <-done
}

// run runs cmd; its error carries the end of what the command said.
func run(cmd *exec.Cmd) error {
	var said bytes.Buffer
	if cmd.Stdout == nil {
		cmd.Stdout = &said
	}
	cmd.Stderr = &said
	if err := cmd.Run(); err != nil {
		lines := strings.Split(strings.TrimSpace(said.String()), "\n")
		return fmt.Errorf("%s: %w: %s", filepath.Base(cmd.Path), err, strings.Join(lines[max(0, len(lines)-8):], "\n"))
	}
	return nil
}

// removeCgroups deletes the groups and what is in them. Those that are gone
// already are no error.
func removeCgroups(groups []string) error {
	var errs []error
	for _, group := range groups {
		var dirs []string
		err := filepath.WalkDir(group, func(path string, e os.DirEntry, err error) error {
			if err == nil && e.IsDir() {
				dirs = append([]string{path}, dirs...)
			}
			return err
		})
		for _, dir := range dirs {
			err = errors.Join(err, os.Remove(dir))
		}
		if !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
