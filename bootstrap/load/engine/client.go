//go:build linux

package engine

import (
	"github.com/redisfleet/terraform-provider-redis/bootstrap/load/measure"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/load/workload"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// client is a simulated client: one pipeline under way, over one connection per node.
type client struct {
	state workload.Client
	conns []*conn
	// pending is how many operations it waits for.
	pending int
	// batches are operations drawn and not sent, by target, until there are
	// enough for a pipeline; drawn counts them.
	batches []queue
	drawn   int
	// backlog are recorded commands that wait for the one before.
	backlog queue
	// paid is how many requests it has claimed: those of a whole round.
	paid int64
}

// draw makes the client's next operation. It returns nil when there is nothing
// more to be sent.
func (l *loop) draw(c *client) *operation {
	if l.finishing || l.pacer == nil && l.expired() || !l.claim(c) {
		return nil
	}
	op := l.newOperation()
	if !l.generator.Next(&c.state, l.now, &op.item) {
		l.recycle(op)
		l.keysUsedUp, l.finishing = true, true
		return nil
	}
	l.prepare(op, c)
	return op
}

// prepare completes an operation whose item is there.
func (l *loop) prepare(op *operation, c *client) {
	if op.item.Slot == workload.AnySlot {
		l.anySlot = (l.anySlot + anySlotStep) % spec.Slots
		op.item.Slot = l.anySlot
	}
	op.client, op.intended = c, l.now
	op.access = measure.AccessTo(int(l.shards[op.item.Slot]), l.writes[op.item.Command])
	l.recorder.Waits(op.access, l.now)
}

// anySlotStep has commands without a key go around all shards: it is odd, hence
// reaches every slot.
const anySlotStep = 5471

// claim takes one request of those that are left for c, if the load counts
// requests. A client takes as many as its round has, so that rounds end whole.
func (l *loop) claim(c *client) bool {
	if l.config.Workload.Requests == 0 {
		return true
	}
	if c.paid == 0 {
		if l.claimed == 0 {
			rounds := min(roundsPerClaim, l.config.Workload.Requests/l.round/int64(4*len(l.engine.loops)))
			l.claimed = l.engine.claim(max(1, rounds) * l.round)
		}
		c.paid = min(l.round, l.claimed)
		l.claimed -= c.paid
	}
	if c.paid == 0 {
		return false
	}
	c.paid--
	return true
}

// proceed has the client send its next command, or pipeline, in closed loop.
func (l *loop) proceed(c *client) {
	if l.pipeline == 1 {
		if op := l.draw(c); op != nil {
			c.pending = 1
			l.inFlight++
			l.send(op)
		}
		return
	}
	l.proceedPipelined(c)
}

// maxDrawn bounds what a client draws ahead, in pipelines: over many shards it
// would take very long until one has a whole pipeline.
const maxDrawn = 16

// proceedPipelined draws until some node has a whole pipeline, and sends that.
// The others wait for theirs; no key is drawn again, so no shard is favoured.
func (l *loop) proceedPipelined(c *client) {
	for {
		op := l.draw(c)
		if op == nil || c.drawn >= maxDrawn*l.pipeline {
			if op != nil {
				l.addToBatch(c, op)
			}
			l.sendLargest(c)
			return
		}
		if t := l.addToBatch(c, op); c.batches[t].length == l.pipeline {
			l.sendBatch(c, t)
			return
		}
	}
}

func (l *loop) addToBatch(c *client, op *operation) int {
	t := l.route(op).index
	for len(c.batches) <= t {
		c.batches = append(c.batches, queue{})
	}
	c.batches[t].push(op)
	c.drawn++
	return t
}

// sendLargest sends the pipeline that is longest, if there is any.
func (l *loop) sendLargest(c *client) {
	largest := -1
	for t := range c.batches {
		if n := c.batches[t].length; n > 0 && (largest < 0 || n > c.batches[largest].length) {
			largest = t
		}
	}
	switch {
	case largest < 0:
	case l.expired() || l.deadline > 0:
		// The time is over: what was only drawn has never been due.
		for t := range c.batches {
			l.drop(&c.batches[t])
		}
		c.drawn = 0
	default:
		l.sendBatch(c, largest)
	}
}

func (l *loop) drop(q *queue) {
	for op := q.pop(); op != nil; op = q.pop() {
		l.recorder.Leaves(op.access)
		l.recycle(op)
	}
}

func (l *loop) sendBatch(c *client, t int) {
	q := c.batches[t].take()
	c.drawn -= q.length
	c.pending = q.length
	l.inFlight += q.length
	for q.length > 0 {
		op := q.pop()
		op.intended = l.now
		// The slot may have moved since the batch was begun: then MOVED says so.
		if to := l.targets[t]; to.down || to.addr == nowhere {
			l.send(op)
		} else {
			l.sendTo(op, to)
		}
	}
}
