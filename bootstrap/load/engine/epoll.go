//go:build linux

package engine

import (
	"fmt"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// maxEvents is how many ready connections are taken from the kernel at once.
const maxEvents = 256

// epoll is the transport that every Linux has: it waits until connections are
// ready, and reads and writes each with a system call.
type epoll struct {
	loop   *loop
	fd     int
	events [maxEvents]unix.EpollEvent
	// input is where replies are read to.
	input []byte
	// coarse: the kernel has no epoll_pwait2 (before 5.11), so waits are rounded
	// up to milliseconds.
	coarse bool
}

// inputSize is how much is read at once.
const inputSize = 256 << 10

func newEpoll(l *loop) (*epoll, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create1: %w", err)
	}
	return &epoll{loop: l, fd: fd, input: make([]byte, inputSize)}, nil
}

func (e *epoll) close() error { return unix.Close(e.fd) }

// watch has the kernel tell of every change of c, once each: it need not look
// again at what was told.
func (e *epoll) watch(c *conn) error {
	const changes = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET&0xffffffff
	event := unix.EpollEvent{Events: changes, Fd: c.index, Pad: c.generation}
	if err := unix.EpollCtl(e.fd, unix.EPOLL_CTL_ADD, int(c.fd), &event); err != nil {
		return fmt.Errorf("epoll_ctl: %w", err)
	}
	return nil
}

// forget has nothing to do: what is closed is watched no longer.
func (e *epoll) forget(*conn) {}

func (e *epoll) flush() error {
	l := e.loop
	for len(l.dirty) > 0 {
		c := l.dirty[len(l.dirty)-1]
		l.dirty = l.dirty[:len(l.dirty)-1]
		if c.dirty = false; c.state == ready && !c.blocked {
			l.write(c)
		}
	}
	return nil
}

func (e *epoll) wait(timeout time.Duration) error {
	if err := e.flush(); err != nil {
		return err
	}
	n, errno := e.call(max(timeout, 0))
	if errno != 0 && errno != unix.EINTR {
		return fmt.Errorf("epoll_wait: %w", errno)
	}
	if errno != 0 {
		n = 0
	}
	l := e.loop
	l.now = l.clock()
	for i := range e.events[:n] {
		ev := &e.events[i]
		c := l.find(ev.Fd, ev.Pad)
		if c == nil {
			continue
		}
		if c.state == connecting {
			l.connected(c)
		} else if c.blocked && ev.Events&unix.EPOLLOUT != 0 {
			l.write(c)
		}
		if ev.Events&^unix.EPOLLOUT != 0 && c.state == ready {
			e.readAll(c, ev.Events&^(unix.EPOLLIN|unix.EPOLLOUT) != 0)
		}
	}
	return nil
}

func (e *epoll) call(timeout time.Duration) (uintptr, unix.Errno) {
	if !e.coarse {
		ts := unix.NsecToTimespec(timeout.Nanoseconds())
		n, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT2, uintptr(e.fd), uintptr(unsafe.Pointer(&e.events)), maxEvents, uintptr(unsafe.Pointer(&ts)), 0, 0)
		if errno != unix.ENOSYS {
			return n, errno
		}
		e.coarse = true
	}
	ms := (timeout + time.Millisecond - 1) / time.Millisecond
	n, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(e.fd), uintptr(unsafe.Pointer(&e.events)), maxEvents, uintptr(ms), 0, 0)
	return n, errno
}

// readAll reads until nothing is there: the next event tells of what comes then.
// Ended says that there is an end to be found, or an error.
func (e *epoll) readAll(c *conn, ended bool) {
	for generation := c.generation; c.state == ready && c.generation == generation; {
		if n := e.read(c); n < len(e.input) && !ended || n == 0 {
			return
		}
	}
}

// read takes replies that are there. They all get one timestamp. It returns how
// many bytes there were; if the buffer is not full, there are no more.
func (e *epoll) read(c *conn) int {
	n, errno := read(c.fd, e.input)
	e.loop.now = e.loop.clock()
	switch {
	case errno == unix.EAGAIN:
		return 0
	case errno == unix.EINTR:
		return len(e.input)
	case errno != 0:
		e.loop.lose(c, kindOfErrno(errno))
		return 0
	case n == 0:
		e.loop.lose(c, "connection")
		return 0
	}
	e.loop.received(c, e.input[:n])
	return n
}

// read never blocks: all descriptors are non-blocking.
func read(fd int32, p []byte) (int, unix.Errno) {
	n, _, errno := syscall.RawSyscall6(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), 0, 0, 0)
	return int(n), errno
}
