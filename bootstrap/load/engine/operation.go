//go:build linux

package engine

import (
	"github.com/redisfleet/terraform-provider-redis/bootstrap/load/measure"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/load/workload"
)

// operation is one command from the moment it is drawn until it is answered,
// through all its attempts. It fills a line of the processor's cache, 64 bytes,
// because many are under way at a time and each is touched again and again.
type operation struct {
	next   *operation
	client *client
	item   workload.Item
	// intended is when it should have been sent; latency counts from it. sent is
	// when it was, in its last attempt, or when it is due if it was put off.
	intended, sent int64
	access         measure.Access
	state          opState
	hops           uint8
}

// opState is a set of flags.
type opState uint8

const (
	// asking: the attempt is preceded by ASKING, whose reply comes first.
	asking opState = 1 << iota
	// doubtful: it is a write that was under way when a connection broke.
	doubtful
	// detached: its client has gone on without waiting for it.
	detached
)

func (op *operation) is(s opState) bool { return op.state&s != 0 }

// queue is a list of operations, first in, first out.
type queue struct {
	head, tail *operation
	length     int
}

func (q *queue) push(op *operation) {
	op.next = nil
	if q.tail == nil {
		q.head = op
	} else {
		q.tail.next = op
	}
	q.tail = op
	q.length++
}

func (q *queue) pop() *operation {
	op := q.head
	if op == nil {
		return nil
	}
	if q.head = op.next; q.head == nil {
		q.tail = nil
	}
	op.next = nil
	q.length--
	return op
}

// take empties the queue into another.
func (q *queue) take() queue {
	taken := *q
	*q = queue{}
	return taken
}

// slab is how many operations are allocated at once.
const slab = 256

// newOperation returns a blank operation.
func (l *loop) newOperation() *operation {
	op := l.spare
	if op == nil {
		ops := make([]operation, slab)
		for i := range ops[1:] {
			ops[i+1].next = l.spare
			l.spare = &ops[i+1]
		}
		return &ops[0]
	}
	l.spare = op.next
	*op = operation{}
	return op
}

func (l *loop) recycle(op *operation) {
	if l.feed != nil {
		l.feed.Recycle(op.item.Tag)
	}
	op.next = l.spare
	l.spare = op
}
