//go:build linux

package engine

import (
	"github.com/redisfleet/terraform-provider-redis/bootstrap/load/measure"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/load/workload"
)

// operation is one command from the moment it is drawn until it is answered,
// through all its attempts. It has no pointers and lies by value where it waits,
// next to those before and after it: thousands are under way at a time, and one
// that had to be looked for in memory would cost more than all that is done to it.
type operation struct {
	item workload.Item
	// intended is when it should have been sent; latency counts from it. sent is
	// when it was, in its last attempt, or when it is due if it was put off.
	intended, sent int64
	// client is its client's number in the loop.
	client int32
	access measure.Access
	state  opState
	hops   uint8
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

// queue holds operations, first in, first out. Its zero value is empty.
type queue struct {
	// ring has a power of two of places; those in use begin at head.
	ring         []operation
	head, length int
}

// push copies op to the end. Pointers into the queue are not valid after it.
func (q *queue) push(op *operation) { *q.add() = *op }

// add adds a place at the end, in which something old may be. Pointers into the
// queue are not valid after it.
func (q *queue) add() *operation {
	if q.length == len(q.ring) {
		q.grow()
	}
	q.length++
	return q.at(q.length - 1)
}

func (q *queue) grow() {
	ring := make([]operation, max(1, 2*len(q.ring)))
	for i := range q.length {
		ring[i] = *q.at(i)
	}
	q.ring, q.head = ring, 0
}

// at is the operation in place i, counted from the first.
func (q *queue) at(i int) *operation { return &q.ring[(q.head+i)&(len(q.ring)-1)] }

// first is the operation that is next; there must be one.
func (q *queue) first() *operation { return &q.ring[q.head] }

// drop takes the first n operations away. Their memory stays as it is until the next push.
func (q *queue) drop(n int) {
	q.head = (q.head + n) & (len(q.ring) - 1)
	q.length -= n
}

// take empties the queue into another.
func (q *queue) take() queue {
	taken := *q
	*q = queue{}
	return taken
}
