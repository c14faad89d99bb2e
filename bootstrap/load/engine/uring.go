//go:build linux

package engine

import (
	"math/bits"
	"time"

	"golang.org/x/sys/unix"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/load/uring"
)

// ioUring is the transport of newer kernels: one system call sends for many
// connections and takes what many have received.
type ioUring struct {
	loop *loop
	ring *uring.Ring
	// sent are the connections whose bytes are handed over with the next Enter.
	sent []*conn
	// broken are those of which the kernel said so when they sent.
	broken []*conn
	errnos []unix.Errno
}

const (
	// ringEntries is how many requests are handed over at once, at most.
	ringEntries = 256
	// sendBatch is how many connections send at once while there are replies to be
	// looked at: more would have those wait for longer.
	sendBatch = 16
	// ringRound is how many completions are looked at before the loop looks at its clock.
	ringRound = 512
	// direct is from how many bytes on a connection sends them by itself: then a
	// system call is nothing against what is to be copied.
	direct = 32 << 10

	// Replies arrive in buffers of smallestBuffer to largestBuffer, bufferMemory in all.
	smallestBuffer = 512
	largestBuffer  = 64 << 10
	bufferMemory   = 2 << 20
	mostBuffers    = 1024
	// replyFrame is what a reply has beyond its value, at most.
	replyFrame = 16
)

func newUring(l *loop) (*ioUring, error) {
	// A pipeline's replies should fit into one buffer.
	reply := min(l.config.Program.LargestValue(), largestBuffer) + replyFrame
	size := 1 << bits.Len(uint(min(max(reply*l.pipeline, smallestBuffer), largestBuffer)-1))
	ring, err := uring.New(ringEntries, min(bufferMemory/size, mostBuffers), size)
	if err != nil {
		return nil, err
	}
	return &ioUring{loop: l, ring: ring}, nil
}

func (u *ioUring) close() error { return u.ring.Close() }

// A completion carries the connection's index and generation, so that what was
// under way for one that has been closed since is told apart.
type requestKind uint8

const (
	connects requestKind = iota
	receives
	sends
	awaitsRoom
)

const (
	kindShift = 30
	indexMask = 1<<kindShift - 1
)

func tag(c *conn, kind requestKind) uint64 {
	return uint64(uint32(c.generation))<<32 | uint64(kind)<<kindShift | uint64(c.index)
}

func kindOfRequest(done uring.Completion) requestKind {
	return requestKind(done.User >> kindShift & 3)
}

// tagged is the connection that done is about, or nil if that has been closed.
func (u *ioUring) tagged(done uring.Completion) *conn {
	return u.loop.find(int32(done.User&indexMask), int32(done.User>>32))
}

func (u *ioUring) watch(c *conn) error {
	if err := u.makeRoom(); err != nil {
		return err
	}
	u.ring.AwaitWritable(c.fd, tag(c, connects))
	return nil
}

func (u *ioUring) receive(c *conn) {
	if err := u.makeRoom(); err != nil {
		u.loop.lose(c, "connection")
		return
	}
	u.ring.Receive(c.fd, tag(c, receives))
}

// makeRoom makes room for a request.
func (u *ioUring) makeRoom() error {
	if u.ring.Room() > 0 {
		return nil
	}
	return u.enter(0)
}

// forget ends the requests that c has under way: closing alone would not.
func (u *ioUring) forget(c *conn) { _ = unix.Shutdown(int(c.fd), unix.SHUT_RDWR) }

func (u *ioUring) flush() error {
	for len(u.loop.dirty) > 0 {
		if err := u.submit(0); err != nil {
			return err
		}
	}
	return nil
}

// submit hands over what the dirty connections have to send, as far as there is
// room, and enters.
func (u *ioUring) submit(timeout time.Duration) error {
	l := u.loop
	for len(l.dirty) > 0 && u.ring.Room() > 0 {
		c := l.dirty[len(l.dirty)-1]
		l.dirty = l.dirty[:len(l.dirty)-1]
		c.dirty = false
		switch out := c.out[c.written:]; {
		case c.state != ready || c.blocked:
		case len(out) >= direct:
			if l.write(c); c.blocked {
				u.ring.AwaitWritable(c.fd, tag(c, awaitsRoom))
			}
		default:
			u.ring.Send(c.fd, out, tag(c, sends))
			u.sent = append(u.sent, c)
		}
	}
	if len(l.dirty) > 0 {
		timeout = 0
	}
	return u.enter(timeout)
}

// enter hands all requests over. What was to be sent has been when it returns, or
// its connection is blocked or broken.
func (u *ioUring) enter(timeout time.Duration) error {
	err := u.ring.Enter(timeout)
	l := u.loop
	l.now = l.clock()
	if len(u.sent) == 0 || err != nil {
		return err
	}
	u.ring.Unseen(u.failedToSend)
	for _, c := range u.sent {
		if !c.short {
			l.wrote(c, len(c.out)-c.written)
		} else if c.short = false; c.blocked {
			u.ring.AwaitWritable(c.fd, tag(c, awaitsRoom)) // there is room for as many as were sent
		}
	}
	u.sent = u.sent[:0]
	for i, c := range u.broken {
		l.lose(c, kindOfErrno(u.errnos[i]))
	}
	u.broken, u.errnos = u.broken[:0], u.errnos[:0]
	return nil
}

// failedToSend notes what done says, if it is that not all could be sent.
func (u *ioUring) failedToSend(done uring.Completion) {
	if kindOfRequest(done) != sends {
		return
	}
	c := u.tagged(done)
	if c == nil {
		return
	}
	c.short = true
	if errno := unix.Errno(-min(done.Result, 0)); errno != 0 && errno != unix.EAGAIN && errno != unix.EINTR {
		u.broken, u.errnos = append(u.broken, c), append(u.errnos, errno)
		return
	}
	u.loop.wrote(c, int(max(done.Result, 0)))
	u.loop.block(c)
}

func (u *ioUring) wait(timeout time.Duration) error {
	if err := u.submit(max(timeout, 0)); err != nil {
		return err
	}
	for range ringRound {
		done, ok := u.ring.Next()
		if !ok {
			return nil
		}
		u.handle(done)
		if len(u.loop.dirty) >= sendBatch {
			if err := u.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

// handle does what follows from a completion.
func (u *ioUring) handle(done uring.Completion) {
	l := u.loop
	switch c, kind := u.tagged(done), kindOfRequest(done); {
	case c == nil:
		u.ring.Recycle(done)
	case kind == receives:
		u.received(c, done)
	case kind == connects:
		if l.connected(c); c.state == ready {
			u.receive(c)
		}
	case kind == awaitsRoom:
		c.blocked = false
		l.markDirty(c)
	}
}

// received takes what c has received, or learns that there will be no more.
func (u *ioUring) received(c *conn, done uring.Completion) {
	l, more := u.loop, done.More()
	generation := c.generation
	switch errno := unix.Errno(-min(done.Result, 0)); {
	case done.Result > 0:
		l.received(c, u.ring.Bytes(done))
		u.ring.Recycle(done)
	case errno == unix.ENOBUFS, errno == unix.EINTR, errno == unix.EAGAIN: // it ended for want of buffers
	case errno != 0:
		l.lose(c, kindOfErrno(errno))
	default:
		u.ring.Recycle(done)
		l.lose(c, "connection")
	}
	if !more && c.state == ready && c.generation == generation {
		u.receive(c)
	}
}
