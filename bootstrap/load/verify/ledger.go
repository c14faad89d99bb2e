// Package verify finds out whether what a server acknowledged is still there:
// it remembers the acknowledged writes of a load in bounded memory, and reads
// them back.
package verify

import (
	"math/bits"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/load/workload"
)

// Ledger remembers one thread's acknowledged writes, by key. When it is full it
// forgets every other key, chosen by hash, and from then on only looks at the
// rest: a sample that all threads draw alike. It is not safe for concurrent use.
//
// Of each key it keeps two times. A write that was sent after all others of its
// key had been acknowledged supersedes them; until then any of those that
// overlap may have been the last one at the server. So floor is when the
// earliest write was sent that may be the last, and acknowledged is when the
// latest answer came.
type Ledger struct {
	kinds   []workload.Kind
	entries []entry
	used    int
	// most is how many entries there may be; level halves the sample each.
	most  int
	level uint
}

// entry is what is known of one key. Times are microseconds on the load's
// clock, plus one, so that zero means none.
type entry struct {
	key                 uint64
	floor, acknowledged uint64
	state               state
}

type state uint8

const (
	occupied state = 1 << iota
	// doubtful: a connection broke during a write. What it sent may yet be done,
	// at any time.
	doubtful
	// deleted: the key may rightly be missing.
	deleted
)

// smallest is how many entries a ledger has at least.
const smallest = 1 << 10

// NewLedger makes the ledger of one thread of a load of p, for at most so many
// keys. It is as big from the start as it will have to be, because a table that
// grows stops the load meanwhile.
func NewLedger(p *workload.Program, most int) *Ledger {
	size := smallest
	for size*2 <= most && (p.KeySpace() == 0 || uint64(size)*3/4 <= p.KeySpace()) {
		size *= 2
	}
	l := &Ledger{most: max(most, smallest), entries: make([]entry, size)}
	for i := range p.Commands {
		l.kinds = append(l.kinds, p.Commands[i].Kind)
	}
	return l
}

// Acknowledged notes that the server said that it is done.
func (l *Ledger) Acknowledged(it *workload.Item, now uint64) {
	switch l.kinds[it.Command] {
	case workload.KindSet:
		if e := l.entry(it.Key); e != nil {
			e.add(it.Tag+1, now+1)
		}
	case workload.KindDelete:
		if e := l.entry(it.Key); e != nil {
			e.state |= deleted
			e.acknowledged = max(e.acknowledged, now+1)
		}
	}
}

// add notes a write that was sent and acknowledged at these times.
func (e *entry) add(sent, acknowledged uint64) {
	switch {
	case sent > e.acknowledged:
		e.floor = sent
		e.state &^= deleted
	case e.floor == 0:
		e.floor = sent
	default:
		e.floor = min(e.floor, sent)
	}
	e.acknowledged = max(e.acknowledged, acknowledged)
}

// Doubtful notes that the connection broke while it was under way.
func (l *Ledger) Doubtful(it *workload.Item) {
	if kind := l.kinds[it.Command]; kind == workload.KindOther {
		return
	}
	if e := l.entry(it.Key); e != nil {
		e.state |= doubtful
		if l.kinds[it.Command] == workload.KindDelete {
			e.state |= deleted
		}
	}
}

// hash spreads keys over the table. It is a multiplication by 2⁶⁴ ÷ φ with the
// high half folded in.
func hash(key uint64) uint64 {
	high, low := bits.Mul64(key+1, 0x9e3779b97f4a7c15)
	return high ^ low
}

// entry is the place of key, made if need be; nil if key is not in the sample.
func (l *Ledger) entry(key uint64) *entry {
	h := hash(key)
	if h&(1<<l.level-1) != 0 {
		return nil
	}
	e := l.find(key, h)
	if e.state&occupied != 0 {
		return e
	}
	if l.used++; l.used > len(l.entries)*3/4 {
		l.grow()
		return l.entry(key)
	}
	*e = entry{key: key, state: occupied}
	return e
}

// find is the place where key is or would be. The bits that choose the sample
// are at the other end of the hash.
func (l *Ledger) find(key, h uint64) *entry {
	mask := uint64(len(l.entries) - 1)
	for i := h >> 20 & mask; ; i = (i + 1) & mask {
		if e := &l.entries[i]; e.state&occupied == 0 || e.key == key {
			return e
		}
	}
}

// grow doubles the table or, when it may not get bigger, halves the sample.
func (l *Ledger) grow() {
	old := l.entries
	size := len(old) * 2
	if size > l.most {
		size = len(old)
		l.level++
	}
	l.entries, l.used = make([]entry, size), 0
	for i := range old {
		if e := &old[i]; e.state&occupied != 0 && hash(e.key)&(1<<l.level-1) == 0 {
			*l.find(e.key, hash(e.key)) = *e
			l.used++
		}
	}
}

// Merge joins the ledgers of all threads of a load. They are of no more use.
func Merge(ledgers []*Ledger) *Ledger {
	all := ledgers[0]
	for _, l := range ledgers[1:] {
		for all.level < l.level {
			all.most = len(all.entries)
			all.grow()
		}
		all.most = max(all.most, 1) * 2 // both fit together
		for i := range l.entries {
			from := &l.entries[i]
			if from.state&occupied == 0 {
				continue
			}
			if to := all.entry(from.key); to != nil {
				to.join(from)
			}
		}
	}
	return all
}

// join adds what another thread knows of the same key.
func (e *entry) join(o *entry) {
	switch {
	case e.floor == 0 || o.floor > e.acknowledged: // all of e is superseded
		if o.floor != 0 {
			e.floor = o.floor
		}
	case o.floor == 0 || e.floor > o.acknowledged:
	default:
		e.floor = min(e.floor, o.floor)
	}
	e.acknowledged = max(e.acknowledged, o.acknowledged)
	e.state |= o.state
}
