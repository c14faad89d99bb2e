//go:build linux

package engine

import (
	"github.com/redisfleet/terraform-provider-redis/bootstrap/load/measure"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/load/resp"
)

// nothing is the shape of the reply to a read of a key that is not there.
var nothing = resp.ShapeOf([]byte("$-1\r\n"))

// glance handles the replies with which in begins, as far as they look like those
// before them and answer commands that were sent together, and so took the same
// time. It returns their length: what it leaves is looked at one by one.
func (l *loop) glance(c *conn, in []byte) (used int) {
	q := &c.pending
	if q.length == 0 || c.hello > 0 || c.target.down || l.feed != nil || !c.scanner.Between() {
		return 0
	}
	first := q.first()
	intended, sent, shard := first.intended, first.sent, first.access.Shard()
	latency, measured := l.now-intended, intended >= l.start
	n, writes := 0, 0
	for ; n < q.length; n++ {
		op := q.at(n)
		if op.state != 0 || op.intended != intended || op.sent != sent || op.access.Shard() != shard {
			break
		}
		command := int(op.item.Command)
		length := l.shapes[command].Fits(in[used:])
		if length == 0 {
			if length = nothing.Fits(in[used:]); length == 0 {
				break
			}
			if measured {
				l.recorder.Missed(command)
			}
		}
		used += length
		writes += op.access.Writes()
		if measured {
			l.recorder.Done(command, latency)
			if l.pacer != nil {
				l.recorder.Served(command, l.now-sent)
			}
		}
		if l.ledger != nil {
			l.ledger.Acknowledged(&op.item, uint64(l.now)/1000)
		}
	}
	if n == 0 {
		return 0
	}
	if measured {
		l.recorder.Shard(shard, n)
	}
	if n > writes {
		l.recorder.Answered(measure.AccessTo(shard, false), n-writes, l.now)
	}
	if writes > 0 {
		l.recorder.Answered(measure.AccessTo(shard, true), writes, l.now)
	}
	q.drop(n) // their places may be taken from here on
	l.ended(n)
	l.release(c.client, n)
	return used
}
