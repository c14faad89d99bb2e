//go:build linux

package engine

import (
	"time"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/load/resp"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/load/topology"
)

const (
	// moment is how long an operation is put off that a server cannot take right now.
	moment = 5 * time.Millisecond
	// maxHops is how many redirections in a row are followed at once; nodes that
	// disagree for longer get a moment to settle.
	maxHops = 5
	// maxDetached bounds the operations of one thread that are under way while
	// clients go on without waiting for those of a dead shard, in open loop.
	maxDetached = 1 << 20
)

// follow takes over a new view of the topology.
func (l *loop) follow(v *topology.View) {
	l.view = v.Version
	for _, t := range l.targets {
		t.serves = false
	}
	byNode := make([]*target, len(v.Nodes))
	nodeTarget := func(i int16) *target {
		if byNode[i] == nil {
			byNode[i] = l.targetAt(v.Nodes[i].Addr)
		}
		byNode[i].serves = true
		return byNode[i]
	}
	replicas := make(map[int16][]*target)
	for _, p := range v.Primaries() {
		nodeTarget(p)
		for _, r := range v.Nodes[p].Replicas {
			if !v.Nodes[r].Failed {
				replicas[p] = append(replicas[p], nodeTarget(r))
			}
		}
	}
	for slot, owner := range v.Owner {
		if owner == topology.Nobody {
			l.slots.setTarget(slot, l.targetAt(nowhere))
			continue
		}
		l.slots.setTarget(slot, nodeTarget(owner))
		l.replicas[slot] = replicas[owner]
	}
	for _, t := range l.targets {
		switch {
		case t.down && t.serves:
			l.resend(t) // what waits may lead elsewhere now
		case t.down:
			l.recovered(t) // nothing is sent there any more
		}
	}
}

// nowhere is where operations wait whose slot nobody serves.
const nowhere = ""

// route is the node that op goes to.
func (l *loop) route(op *operation) *target {
	slot := op.item.Slot
	if l.fromReplica && !op.access.Write() {
		if t := l.replica(l.replicas[slot], int(l.clients[op.client].state.ID)); t != nil {
			return t
		}
	}
	t := l.targets[l.slots.at(slot).target]
	if t.addr == nowhere {
		l.trouble(t)
	}
	return t
}

// replica picks one that is up; clients are spread over them.
func (l *loop) replica(from []*target, client int) *target {
	for i := range from {
		if t := from[(client+i)%len(from)]; !t.down {
			return t
		}
	}
	return nil
}

// send sends op to the node that serves it, or has it wait for that node.
func (l *loop) send(op *operation) {
	t := l.route(op)
	if t.down {
		l.wait(op, t)
		return
	}
	l.sendTo(op, t)
}

// wait has op wait at the gate of t. In open loop the client goes on meanwhile:
// that one shard is dead holds up nobody else's schedule.
func (l *loop) wait(op *operation, t *target) {
	l.detach(op)
	t.waiting.push(op)
}

// sendTo sends op to t.
func (l *loop) sendTo(op *operation, t *target) {
	if t.addr == nowhere {
		if now := l.route(op); now == t {
			l.wait(op, t)
		} else {
			l.send(op)
		}
		return
	}
	c := l.clients[op.client].connTo(t)
	if c.state == closed {
		if err := l.open(c); err != nil {
			l.recorder.Error(int(op.item.Command), dialKind(err))
			l.trouble(t)
			l.wait(op, t)
			return
		}
	}
	if c.out == nil {
		c.out = l.buffer()
	}
	if op.is(asking) {
		c.out = resp.AppendCommand(c.out, "ASKING")
	}
	if l.feed != nil {
		c.out = l.feed.Append(c.out, op.item.Tag)
	} else {
		c.out = l.generator.Append(c.out, &op.item)
	}
	if c.pending.length == 0 && c.state == ready {
		c.progress = l.now
	}
	op.sent = l.now
	c.pending.push(op)
	if c.state == ready && !c.blocked {
		l.markDirty(c)
	}
}

// postpone tries op again in a moment.
func (l *loop) postpone(op *operation) {
	op.sent = l.now + moment.Nanoseconds()
	l.putOff.push(op)
	l.nextTick = min(l.nextTick, op.sent)
}

// resume sends what was put off and is due. All are put off for the same time,
// so they are in order.
func (l *loop) resume() {
	for l.putOff.length > 0 && l.putOff.first().sent <= l.now {
		l.send(l.putOff.first())
		l.putOff.drop(1)
	}
}
