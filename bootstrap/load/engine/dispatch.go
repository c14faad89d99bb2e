//go:build linux

package engine

import (
	"math"
	"math/bits"
	"slices"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/load/trace"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// dispatch sends what the schedule has due, in open loop, as far as clients are
// free. What it cannot send yet keeps its intended time.
func (l *loop) dispatch() {
	switch {
	case l.finishing, !l.running:
	case l.pacer != nil:
		l.dispatchPaced()
	case l.feed != nil:
		l.dispatchRecorded()
	}
}

func (l *loop) dispatchPaced() {
	for l.pacer.next <= l.now && l.idle.length > 0 {
		intended := l.pacer.next
		if l.end > 0 && intended >= l.end {
			return
		}
		c := l.idle.pop()
		it := l.draw(c)
		if it == nil {
			l.idle.push(c)
			return
		}
		l.pacer.advance()
		l.begin(&l.scratch, it, c)
		l.launch(&l.scratch, intended)
	}
}

func (l *loop) launch(op *operation, intended int64) {
	op.intended = intended
	if intended >= l.start {
		l.recorder.Slip(l.now - intended)
	}
	l.recorder.Waits(op.access, 1, l.now)
	l.inFlight++
	l.send(op)
	if len(l.dirty) == keep { // much is late; buffers are for as many
		_ = l.io.flush() // an error shows again when the loop waits
	}
}

// dispatchRecorded sends the recorded commands that are due. A recorded client's
// commands go over one simulated client, which sends each when the one before
// has been answered.
func (l *loop) dispatchRecorded() {
	for l.idle.length > 0 && (l.hasUpcoming || l.nextRecorded()) {
		op := &l.upcoming
		if l.upcomingAt > l.now || l.end > 0 && l.upcomingAt >= l.end {
			return
		}
		intended := l.upcomingAt
		if intended == untimed {
			intended = l.now
		}
		l.hasUpcoming = false
		l.idle.pop() // a place for a command, whichever client it is for
		c := &l.clients[op.client]
		l.begin(op, &op.item, c)
		if c.pending++; c.pending > 1 {
			op.intended = intended
			l.recorder.Waits(op.access, 1, l.now)
			l.inFlight++
			c.backlog.push(op)
			continue
		}
		l.launch(op, intended)
	}
}

// untimed stands for the time of a command that is due when a client is free.
const untimed = math.MinInt64

// nextRecorded has the next command upcoming. It returns false if there is none
// yet, or no more.
func (l *loop) nextRecorded() bool {
	op := &l.upcoming
	at, number, state := l.feed.Next(&op.item)
	if state != trace.Ready {
		l.finishing = state == trace.Over
		l.nextTick = min(l.nextTick, l.now+busyTick.Nanoseconds())
		return false
	}
	if !l.claim(&l.clients[0]) {
		l.feed.Recycle(op.item.Tag)
		l.finishing = true
		return false
	}
	op.client = int32(number % len(l.clients))
	l.hasUpcoming, l.upcomingAt = true, untimed
	if at != trace.Untimed {
		l.upcomingAt = l.start + at.Nanoseconds()
	}
	return true
}

// maxConnectAhead is how many connections a thread opens before the load. More
// clients times nodes than that connect when they need to.
const maxConnectAhead = 20_000

// connectAll opens every client's connection to every primary.
func (l *loop) connectAll() error {
	l.now = l.clock()
	targets := l.serving()
	if len(targets)*len(l.clients) > maxConnectAhead {
		return nil
	}
	give := l.now + l.config.Workload.RequestTimeout.D().Nanoseconds()
	for i := range l.clients {
		for _, t := range targets {
			if err := l.open(l.clients[i].connTo(t)); err != nil {
				continue // found out, counted and tried again when it is needed
			}
			for l.opening >= maxConnecting && l.now < give {
				if err := l.io.wait(tick); err != nil {
					return err
				}
			}
		}
	}
	for l.opening > 0 && l.now < give {
		if err := l.io.wait(tick); err != nil {
			return err
		}
	}
	return nil
}

// maxConnecting is how many connections are opened at a time: less than half of
// the backlog of a listening Redis, so that several threads don't overflow it.
const maxConnecting = 100

// serving are the targets that the workload will talk to.
func (l *loop) serving() []*target {
	var list []*target
	add := func(t *target) {
		if t.addr != nowhere && !slices.Contains(list, t) {
			list = append(list, t)
		}
	}
	for slot := range uint16(spec.Slots) {
		add(l.targets[l.slots.at(slot).target])
		if l.fromReplica {
			for _, t := range l.replicas[slot] {
				add(t)
			}
		}
	}
	return list
}

// ring is a queue of clients of fixed size, a power of two.
type ring struct {
	clients      []*client
	head, length int
}

// newRing makes a ring for size clients or more.
func newRing(size int) ring { return ring{clients: make([]*client, 1<<bits.Len(uint(size)))} }

func (r *ring) push(c *client) {
	r.clients[(r.head+r.length)&(len(r.clients)-1)] = c
	r.length++
}

func (r *ring) pop() *client {
	c := r.clients[r.head]
	r.head = (r.head + 1) & (len(r.clients) - 1)
	r.length--
	return c
}
