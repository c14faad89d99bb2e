//go:build linux

package engine

import (
	"errors"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/load/resp"
)

type connState uint8

const (
	closed connState = iota
	connecting
	ready
)

// conn is a client's connection to a node. What every event touches comes first,
// close together.
type conn struct {
	client *client
	target *target
	// index is its place in loop.conns while it is open; generation tells what
	// happened to an earlier descriptor in that place apart.
	index, generation int32
	state             connState
	// blocked: the kernel's buffer is full, and its event is awaited.
	blocked bool
	dirty   bool
	// short: not all that was just sent has been taken.
	short bool
	// hello is how many replies to AUTH and READONLY are still to come.
	hello uint8
	fd    int32
	// progress is when bytes last moved, or when the first of pending was sent.
	progress int64
	// out is what is still to be written, written how much of it has been.
	out     []byte
	written int
	// pending are the operations sent and not answered, in order; drawn are
	// those that wait until they are enough for a pipeline.
	pending, drawn queue
	scanner        resp.Scanner
	// refusal is the kind of an error with which the server turned the connection away.
	refusal string
}

// connTo is the client's connection to t, which may be closed.
func (c *client) connTo(t *target) *conn {
	for len(c.conns) <= t.index {
		c.conns = append(c.conns, nil)
	}
	if c.conns[t.index] == nil {
		c.conns[t.index] = &conn{client: c, target: t}
	}
	return c.conns[t.index]
}

// open starts to connect c. The outcome arrives as an event.
func (l *loop) open(c *conn) error {
	fd, err := l.dialer.dial(c.target.addr)
	if err != nil {
		return err
	}
	c.fd, c.state = int32(fd), connecting
	l.place(c)
	c.progress = l.now
	if err := l.io.watch(c); err != nil {
		l.displace(c)
		_ = unix.Close(fd)
		c.state = closed
		return err
	}
	l.opening++
	c.out = l.buffer()
	c.scanner = resp.Scanner{Value: c.scanner.Value[:0]}
	c.hello = uint8(len(l.greeting))
	for _, g := range l.greeting {
		c.out = append(c.out, g...)
	}
	return nil
}

// place gives c a place in conns.
func (l *loop) place(c *conn) {
	l.generation++
	c.generation = l.generation
	if n := len(l.vacant); n > 0 {
		c.index, l.vacant = l.vacant[n-1], l.vacant[:n-1]
		l.conns[c.index] = c
		return
	}
	c.index = int32(len(l.conns))
	l.conns = append(l.conns, c)
}

func (l *loop) displace(c *conn) {
	l.conns[c.index] = nil
	l.vacant = append(l.vacant, c.index)
}

// find is the open connection in that place, or nil if that generation is gone.
func (l *loop) find(index, generation int32) *conn {
	if int(index) >= len(l.conns) {
		return nil
	}
	c := l.conns[index]
	if c == nil || c.generation != generation {
		return nil
	}
	return c
}

// connected is called when the connection is there, or has failed.
func (l *loop) connected(c *conn) {
	if code, err := unix.GetsockoptInt(int(c.fd), unix.SOL_SOCKET, unix.SO_ERROR); err != nil || code != 0 {
		l.lose(c, kindOfErrno(unix.Errno(code)))
		return
	}
	if c.target.roundTrip == 0 {
		c.target.roundTrip = l.now - c.progress
	}
	c.state, c.progress = ready, l.now
	for i := range c.pending.length {
		c.pending.at(i).sent = l.now
	}
	if c.hello == 0 {
		l.opening--
	}
	if len(c.out) > 0 {
		l.markDirty(c)
	}
}

func kindOfErrno(errno unix.Errno) string {
	switch {
	case errors.Is(errno, unix.ECONNREFUSED):
		return "refused"
	case errors.Is(errno, unix.ETIMEDOUT):
		return "timeout"
	}
	return "connection"
}

func (l *loop) markDirty(c *conn) {
	if !c.dirty {
		c.dirty = true
		l.dirty = append(l.dirty, c)
	}
}

// write sends what c has to send with a system call of its own.
func (l *loop) write(c *conn) {
	n, errno := write(c.fd, c.out[c.written:])
	switch {
	case errno == 0:
		if l.wrote(c, n); c.out == nil {
			c.blocked = false
			return
		}
	case errno == unix.EINTR:
		l.markDirty(c)
		return
	case errno != unix.EAGAIN:
		l.lose(c, kindOfErrno(errno))
		return
	}
	l.block(c)
}

// wrote notes that the kernel has taken n more bytes of c.
func (l *loop) wrote(c *conn, n int) {
	l.recorder.Moved(n)
	if c.written += n; c.written == len(c.out) {
		l.unbuffer(c)
	}
}

// block notes that the kernel takes no more of c for now.
func (l *loop) block(c *conn) { c.progress, c.blocked = l.now, true }

// received takes what c has received at l.now.
func (l *loop) received(c *conn, in []byte) {
	c.progress, c.target.progress = l.now, l.now
	l.recorder.Moved(len(in))
	l.scan(c, in)
}

// look handles the reply, or the piece of one, with which in begins. It returns
// its length, or 0 if the connection is lost.
func (l *loop) look(c *conn, in []byte) int {
	whole := c.scanner.Between()
	used, complete, err := c.scanner.Scan(in)
	switch {
	case err != nil:
		l.lose(c, "protocol")
		return 0
	case complete:
		if whole && c.pending.length > 0 && !c.scanner.Null {
			l.shapes[c.pending.first().item.Command] = resp.ShapeOf(in[:used])
		}
		l.reply(c)
	}
	return used
}

// scan handles the replies in what was read.
func (l *loop) scan(c *conn, in []byte) {
	for generation := c.generation; len(in) > 0; {
		used := l.glance(c, in)
		if used == 0 {
			if used = l.look(c, in); used == 0 {
				return
			}
		}
		in = in[used:]
		if c.state != ready || c.generation != generation {
			return
		}
	}
}

// lose gives the connection up. What it was asked and has not answered is sent
// anew, elsewhere if the slot has moved; writes among it are in doubt.
func (l *loop) lose(c *conn, kind string) {
	if c.state == closed {
		return
	}
	if c.refusal != "" {
		kind, c.refusal = c.refusal, ""
	}
	reached := c.state == ready
	if !reached || c.hello > 0 {
		l.opening--
	}
	l.displace(c)
	l.io.forget(c)
	_ = unix.Close(int(c.fd))
	c.state, c.blocked, c.dirty = closed, false, false
	l.unbuffer(c)
	l.dirty = slices.DeleteFunc(l.dirty, func(d *conn) bool { return d == c })
	if reached && c.pending.length == 0 && c.hello == 0 {
		l.config.Topology.Refresh() // it was idle; whether the node is well shows when it is needed
		return
	}
	l.trouble(c.target)
	for q := c.pending.take(); q.length > 0; q.drop(1) {
		op := q.first()
		l.recorder.Error(int(op.item.Command), kind)
		if reached {
			l.doubt(op)
		}
		op.state &^= asking
		l.send(op)
	}
}

// minConnectTimeout is for a network that is near; further ones get more.
const (
	minConnectTimeout = 50 * time.Millisecond
	roundTrips        = 4
)

// overdue is how long c has been silent although something is owed, if that is
// longer than it may be.
func (l *loop) overdue(c *conn) (silent int64, tooLong bool) {
	silent = l.now - c.progress
	limit := l.config.Workload.RequestTimeout.D().Nanoseconds()
	if c.state == connecting && c.target.down && c.target.roundTrip > 0 {
		// The kernel sends its SYN again only after a second; a new attempt finds
		// a node that has come back sooner.
		limit = min(limit, max(minConnectTimeout.Nanoseconds(), roundTrips*c.target.roundTrip))
	}
	return silent, silent > limit
}

// Buffers that nothing needs are kept: as many as a round of events takes at most,
// or few if they are big.
const (
	keep    = maxEvents
	keepBig = 16
	bigSize = 64 << 10
	hugest  = 1 << 20
)

func (l *loop) buffer() []byte {
	if n := len(l.buffers); n > 0 {
		b := l.buffers[n-1]
		l.buffers = l.buffers[:n-1]
		return b
	}
	return make([]byte, 0, 1024)
}

func (l *loop) unbuffer(c *conn) {
	most := keep
	if cap(c.out) > bigSize {
		most = keepBig
	}
	if c.out != nil && len(l.buffers) < most && cap(c.out) <= hugest {
		l.buffers = append(l.buffers, c.out[:0])
	}
	c.out, c.written = nil, 0
}
