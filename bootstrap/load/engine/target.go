//go:build linux

package engine

import (
	"net"
	"slices"
	"time"
)

const (
	// firstProbe and slowestProbe bound how long a node that is down is left
	// alone before another operation is tried on it. Probes overlap, so that a
	// network that swallows everything slows nothing down.
	firstProbe   = 2 * time.Millisecond
	slowestProbe = 25 * time.Millisecond
)

// target is a node as one loop knows it. While it is down, operations for it
// wait here with their intended times; one at a time is let through to see
// whether it is back.
type target struct {
	index int
	addr  string
	// serves says that the newest view has it own slots or replicate an owner.
	serves bool
	down   bool
	// nextProbe is when the next operation may be tried, interval the wait after that.
	nextProbe, interval int64
	waiting             queue
	// roundTrip is the time that its first connection took to open.
	roundTrip int64
	// progress is when it last answered anything.
	progress int64
}

// trouble closes the gate of t: what happened shows that it serves nothing now.
func (l *loop) trouble(t *target) {
	l.config.Topology.Refresh()
	if t.down {
		return
	}
	t.down = true
	t.nextProbe, t.interval = l.now, firstProbe.Nanoseconds()
	l.gated = append(l.gated, t)
	l.nextTick = l.now
}

// suspect deals with a node that answers nothing although its connections are
// there: it may be frozen. In open loop its commands stop holding up the clients.
func (l *loop) suspect(c *conn) {
	l.config.Topology.Refresh()
	if l.pacer == nil || l.now-c.target.progress < suspicion.Nanoseconds() {
		return
	}
	l.trouble(c.target)
	for i := range c.pending.length {
		l.detach(c.pending.at(i))
	}
}

// detach has the client of op go on without waiting for it, in open loop. A recorded
// client waits, as it did when it was recorded.
func (l *loop) detach(op *operation) {
	if l.pacer != nil && !op.is(detached) && l.inFlight < maxDetached {
		op.state |= detached
		l.idle.push(&l.clients[op.client])
	}
}

// recovered opens the gate of t and sends what waited.
func (l *loop) recovered(t *target) {
	t.down = false
	if i := slices.Index(l.gated, t); i >= 0 {
		l.gated = slices.Delete(l.gated, i, i+1)
	}
	l.resend(t)
}

// resend sends what waits at t on its way again: it may lead elsewhere now.
func (l *loop) resend(t *target) {
	for q := t.waiting.take(); q.length > 0; q.drop(1) {
		l.send(q.first())
	}
}

// probe lets one operation through every gate whose time has come.
func (l *loop) probe() {
	for i := 0; i < len(l.gated); i++ {
		t := l.gated[i]
		if l.now < t.nextProbe || t.waiting.length == 0 {
			continue
		}
		t.nextProbe = l.now + t.interval
		t.interval = min(t.interval*3/2, slowestProbe.Nanoseconds())
		l.config.Topology.Refresh()
		l.sendTo(t.waiting.first(), t)
		t.waiting.drop(1)
	}
}

// targetAt is the target with this address, made if need be.
func (l *loop) targetAt(addr string) *target {
	if t := l.byAddr[addr]; t != nil {
		return t
	}
	t := &target{index: len(l.targets), addr: addr}
	l.targets = append(l.targets, t)
	l.byAddr[addr] = t
	return t
}

// sameHost completes an address without a host, as a MOVED from a node that does
// not know its own address has it.
func sameHost(addr string, as *target) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil || host != "" {
		return addr
	}
	here, _, _ := net.SplitHostPort(as.addr)
	return net.JoinHostPort(here, port)
}
