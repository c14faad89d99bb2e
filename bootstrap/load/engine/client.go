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
	// number is its place in the loop's clients.
	number int32
	// pending is how many operations it waits for.
	pending int
	// drawn is how many operations are drawn and not sent: they wait at the
	// connections until one has enough for a pipeline.
	drawn int
	// paid is how many requests it has claimed: those of a whole round.
	paid  int64
	conns []*conn
	// backlog are recorded commands that wait for the one before.
	backlog queue
}

// draw draws the client's next command, which is valid until the next one is drawn. It
// returns nil when there is nothing more to be sent.
func (l *loop) draw(c *client) *workload.Item {
	if l.finishing || l.pacer == nil && l.expired() || !l.claim(c) {
		return nil
	}
	it := l.generator.Next(&c.state, l.now)
	if it == nil {
		l.keysUsedUp, l.finishing = true, true
	}
	return it
}

// begin makes op the client's operation of that command, due now.
func (l *loop) begin(op *operation, it *workload.Item, c *client) {
	op.item = *it
	if it.Slot == workload.AnySlot {
		l.anySlot = (l.anySlot + anySlotStep) % spec.Slots
		op.item.Slot = l.anySlot
	}
	l.fill(op, c, l.slots.at(op.item.Slot).shard)
}

// fill fills in all but the item.
func (l *loop) fill(op *operation, c *client, shard uint16) {
	op.intended, op.sent = l.now, l.now
	op.client, op.state, op.hops = c.number, 0, 0
	op.access = measure.AccessTo(int(shard), false) | l.writes[op.item.Command]
}

// anySlotStep has commands without a key go around all shards: it is odd, hence
// reaches every slot.
const anySlotStep = 5471

// claim takes one request of those that are left for c, if the load counts
// requests.
func (l *loop) claim(c *client) bool {
	if l.round == 1 && l.claimed > 0 {
		l.claimed--
		return true
	}
	return l.config.Workload.Requests == 0 || l.claimRound(c)
}

// claimRound does so with the common stock. A client takes as many as its round
// has, so that rounds end whole.
func (l *loop) claimRound(c *client) bool {
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
	if l.pipeline > 1 {
		l.proceedPipelined(c)
		return
	}
	if it := l.draw(c); it != nil {
		op := &l.scratch
		l.begin(op, it, c)
		c.pending = 1
		l.inFlight++
		l.recorder.Waits(op.access, 1, l.now)
		l.send(op)
	}
}

// maxDrawn bounds what a client draws ahead, in pipelines: over many shards it
// would take very long until one has a whole pipeline.
const maxDrawn = 16

// proceedPipelined draws until some node has a whole pipeline, and sends that.
// The others wait for theirs; no key is drawn again, so no shard is favoured.
func (l *loop) proceedPipelined(c *client) {
	for c.drawn < maxDrawn*l.pipeline {
		it := l.draw(c)
		if it == nil {
			break
		}
		to := l.keep(it, c)
		if c.drawn++; to.drawn.length == l.pipeline {
			l.sendDrawn(to)
			return
		}
	}
	l.sendLargest(c)
}

// keep has a command wait at the connection that it will go over.
func (l *loop) keep(it *workload.Item, c *client) *conn {
	at := l.slots.at(it.Slot % spec.Slots)
	t := l.targets[at.target]
	if it.Slot == workload.AnySlot || l.fromReplica || t.addr == nowhere {
		l.begin(&l.scratch, it, c)
		to := c.connTo(l.route(&l.scratch))
		*to.drawn.add() = l.scratch
		return to
	}
	to := c.connTo(t)
	op := to.drawn.add()
	op.item = *it
	l.fill(op, c, at.shard)
	return to
}

// sendLargest sends the pipeline that is longest, if there is any.
func (l *loop) sendLargest(c *client) {
	var largest *conn
	for _, to := range c.conns {
		if to != nil && to.drawn.length > 0 && (largest == nil || to.drawn.length > largest.drawn.length) {
			largest = to
		}
	}
	switch {
	case largest == nil:
	case l.expired() || l.deadline > 0:
		// The time is over: what was only drawn has never been due.
		for _, to := range c.conns {
			if to != nil {
				to.drawn = queue{}
			}
		}
		c.drawn = 0
	default:
		l.sendDrawn(largest)
	}
}

// sendDrawn sends the pipeline that was drawn for c.
func (l *loop) sendDrawn(c *conn) {
	n := c.drawn.length
	c.client.drawn -= n
	c.client.pending = n
	l.inFlight += n
	shard, reads, writes := -1, 0, 0
	for i := range n {
		op := c.drawn.at(i)
		op.intended, op.sent = l.now, l.now
		if here := op.access.Shard(); here != shard {
			l.await(shard, reads, writes)
			shard, reads, writes = here, 0, 0
		}
		reads += 1 - op.access.Writes()
		writes += op.access.Writes()
	}
	l.await(shard, reads, writes)
	if c.state != ready || c.target.down || c.pending.length > 0 {
		l.sendEach(c)
		return
	}
	c.pending, c.drawn = c.drawn, c.pending
	c.progress = l.now
	out := c.out
	if out == nil {
		out = l.buffer()
	}
	for i := range n {
		out = l.generator.Append(out, &c.pending.at(i).item)
	}
	c.out = out
	if !c.blocked {
		l.markDirty(c)
	}
}

// await notes that so many reads and writes of a shard begin to wait.
func (l *loop) await(shard, reads, writes int) {
	if reads > 0 {
		l.recorder.Waits(measure.AccessTo(shard, false), reads, l.now)
	}
	if writes > 0 {
		l.recorder.Waits(measure.AccessTo(shard, true), writes, l.now)
	}
}

// sendEach sends what was drawn for c one by one, because c is not as it should be.
func (l *loop) sendEach(c *conn) {
	for q := c.drawn.take(); q.length > 0; q.drop(1) {
		// The slot may have moved since the operation was drawn: then MOVED says so.
		if op := q.first(); c.target.down || c.target.addr == nowhere {
			l.send(op)
		} else {
			l.sendTo(op, c.target)
		}
	}
}
