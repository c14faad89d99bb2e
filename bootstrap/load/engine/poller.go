//go:build linux

package engine

import (
	"fmt"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// maxEvents is how many ready connections are taken from the kernel at once.
const maxEvents = 256

// poller waits for connections to become ready. It makes its system calls
// without telling Go's scheduler: that saves more than a tenth of a microsecond
// each, and the scheduler does not start another thread whenever a loop sleeps.
// The loop keeps its place in the scheduler (Engine.Run makes room for it), and
// the signal with which the scheduler asks for it ends a wait at once.
type poller struct {
	fd     int
	events [maxEvents]unix.EpollEvent
	// coarse: the kernel has no epoll_pwait2 (before 5.11), so waits are rounded
	// up to milliseconds.
	coarse bool
	// idle counts the nanoseconds in which there was nothing to do.
	idle atomic.Int64
}

func newPoller() (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create1: %w", err)
	}
	return &poller{fd: fd}, nil
}

func (p *poller) close() error { return unix.Close(p.fd) }

// control has the poller tell of every change of fd, once each: the kernel need
// not look again at what was told. An event carries the connection's index and
// generation, so that one which was queued for a connection that has been closed
// since is told apart.
func (p *poller) control(op, fd int, index, generation int32) error {
	const changes = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET&0xffffffff
	return unix.EpollCtl(p.fd, op, fd, &unix.EpollEvent{Events: changes, Fd: index, Pad: generation})
}

// wait returns the events that are there, or that come within timeout.
func (p *poller) wait(timeout time.Duration) ([]unix.EpollEvent, error) {
	n, errno := p.call(max(timeout, 0))
	if errno != 0 && errno != unix.EINTR {
		return nil, fmt.Errorf("epoll_wait: %w", errno)
	}
	if errno != 0 {
		n = 0
	}
	return p.events[:n], nil
}

func (p *poller) call(timeout time.Duration) (uintptr, unix.Errno) {
	if !p.coarse {
		ts := unix.NsecToTimespec(timeout.Nanoseconds())
		n, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT2, uintptr(p.fd), uintptr(unsafe.Pointer(&p.events)), maxEvents, uintptr(unsafe.Pointer(&ts)), 0, 0)
		if errno != unix.ENOSYS {
			return n, errno
		}
		p.coarse = true
	}
	ms := (timeout + time.Millisecond - 1) / time.Millisecond
	n, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.fd), uintptr(unsafe.Pointer(&p.events)), maxEvents, uintptr(ms), 0, 0)
	return n, errno
}

// read and write never block: all descriptors are non-blocking.
func read(fd int32, p []byte) (int, unix.Errno) {
	n, _, errno := syscall.RawSyscall6(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), 0, 0, 0)
	return int(n), errno
}

func write(fd int32, p []byte) (int, unix.Errno) {
	n, _, errno := syscall.RawSyscall6(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), 0, 0, 0)
	return int(n), errno
}
