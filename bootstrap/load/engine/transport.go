//go:build linux

package engine

import (
	"fmt"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// transport moves the bytes of one loop's connections. It tells the loop what
// happens by calling connected, received, wrote and lose, with the loop's clock
// set to when it learned of it.
//
// Its system calls are made without telling Go's scheduler: that saves more than a
// tenth of a microsecond each, and the scheduler does not start another thread
// whenever a loop sleeps. The loop keeps its place in the scheduler (Engine.Run
// makes room for it), and the signal with which the scheduler asks for it ends a
// wait at once.
type transport interface {
	// watch awaits the outcome of c's connecting.
	watch(c *conn) error
	// forget ends all that is under way for c, which is about to be closed.
	forget(c *conn)
	// flush sends what the loop's dirty connections have to send.
	flush() error
	// wait flushes, and hands over what has happened, or happens within timeout.
	wait(timeout time.Duration) error
	close() error
}

// newTransport opens the transport that was asked for; of two, the faster one
// that the kernel offers.
func newTransport(l *loop, which string) (transport, error) {
	if which != spec.IOEpoll {
		u, err := newUring(l)
		if err == nil {
			return u, nil
		}
		if which == spec.IOUring {
			return nil, fmt.Errorf("io_uring was asked for: %w", err)
		}
	}
	return newEpoll(l)
}

// write never blocks: all descriptors are non-blocking.
func write(fd int32, p []byte) (int, unix.Errno) {
	n, _, errno := syscall.RawSyscall6(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), 0, 0, 0)
	return int(n), errno
}
