//go:build linux

package engine

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// reply handles the reply that c.scanner has just found.
func (l *loop) reply(c *conn) {
	if c.hello > 0 {
		l.greeted(c)
		return
	}
	if c.pending.length == 0 {
		// A server that refuses a connection says why before it closes it.
		if c.scanner.Kind == '-' {
			c.refusal = kindOf(c.scanner.Line)
		}
		return
	}
	op := c.pending.first()
	switch {
	case op.is(asking):
		op.state &^= asking // this was the reply to ASKING
	case c.scanner.Kind == '-':
		l.troubled = *op
		c.pending.drop(1)
		l.failedReply(c, &l.troubled)
	default:
		if c.target.down {
			l.recovered(c.target)
		}
		l.succeeded(c, op)
	}
}

// greeted takes a reply to AUTH or READONLY.
func (l *loop) greeted(c *conn) {
	if c.scanner.Kind == '-' {
		c.refusal = kindOf(c.scanner.Line)
		l.lose(c, c.refusal)
		return
	}
	if c.hello--; c.hello == 0 {
		l.opening--
	}
}

// succeeded ends op, the first of c.
func (l *loop) succeeded(c *conn, op *operation) {
	if op.intended >= l.start {
		command := int(op.item.Command)
		l.recorder.Done(command, l.now-op.intended)
		l.recorder.Shard(op.access.Shard(), 1)
		if c.scanner.Null {
			l.recorder.Missed(command)
		}
		if l.openLoop() {
			l.recorder.Served(command, l.now-op.sent)
		}
	}
	l.recorder.Answered(op.access, 1, l.now)
	if l.ledger != nil {
		l.ledger.Acknowledged(&op.item, uint64(l.now)/1000)
	}
	if l.feed != nil {
		l.feed.Recycle(op.item.Tag)
	}
	gone := op.is(detached)
	c.pending.drop(1) // its place may be taken from here on
	l.ended(1)
	if !gone {
		l.release(c.client, 1)
	}
}

// ended notes that n operations have come to their end.
func (l *loop) ended(n int) { l.inFlight, l.lastDone = l.inFlight-n, l.now }

// release has c go on after n of its operations.
func (l *loop) release(c *client, n int) {
	switch {
	case l.feed != nil:
		l.idle.push(c)
		c.pending--
		if c.backlog.length > 0 {
			l.send(c.backlog.first())
			c.backlog.drop(1)
		}
	case l.openLoop():
		for range n {
			l.idle.push(c)
		}
	default:
		if c.pending -= n; c.pending == 0 {
			l.proceed(c)
		}
	}
}

// failedReply handles an error reply to op.
func (l *loop) failedReply(c *conn, op *operation) {
	line := c.scanner.Line
	l.recorder.Error(int(op.item.Command), kindOf(line))
	switch judge(line) {
	case moved, ask:
		l.redirect(c, op, line)
	case later:
		l.postpone(op)
	case elsewhere:
		l.config.Topology.Refresh()
		l.postpone(op)
	case unserving:
		l.trouble(c.target)
		l.send(op)
	default:
		// The server works; it is the command that it does not like.
		if c.target.down {
			l.recovered(c.target)
		}
		l.recorder.Answered(op.access, 1, l.now)
		l.recorder.Failed()
		if l.feed != nil {
			l.feed.Recycle(op.item.Tag)
		}
		l.ended(1)
		if !op.is(detached) {
			l.release(c.client, 1)
		}
	}
}

// redirect follows MOVED and ASK.
func (l *loop) redirect(c *conn, op *operation, line []byte) {
	slot, addr, ok := redirection(line)
	if !ok || slot >= spec.Slots {
		l.postpone(op)
		return
	}
	t := l.targetAt(sameHost(addr, c.target))
	if judge(line) == moved {
		// A replica that does not serve the slot names its primary; that says
		// nothing new about who the primary is.
		l.slots.setTarget(slot, t)
		t.serves = true
		l.config.Topology.Refresh()
	} else {
		op.state |= asking
	}
	if op.hops++; op.hops%maxHops == 0 || t.down {
		op.state &^= asking
		l.postpone(op)
		return
	}
	l.sendTo(op, t)
}

// doubt notes that nobody knows whether op, if it is a write, was done.
func (l *loop) doubt(op *operation) {
	if !op.access.Write() || op.is(doubtful) {
		return
	}
	op.state |= doubtful
	l.recorder.Indeterminate()
	if l.ledger != nil {
		l.ledger.Doubtful(&op.item)
	}
}

func dialKind(err error) string {
	var errno unix.Errno
	if errors.As(err, &errno) {
		return kindOfErrno(errno)
	}
	return "connection"
}
