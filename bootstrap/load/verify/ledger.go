// Package verify finds out whether what a server acknowledged is still there:
// it remembers the acknowledged writes of a load in bounded memory, and reads
// them back.
package verify

import (
	"iter"
	"math/bits"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/load/workload"
)

// Ledger remembers one thread's acknowledged writes, by key. Keys that are numbers
// from a range have a place each. Others are in a table that, when it is full,
// forgets every other key, chosen by hash, and from then on only looks at the
// rest: a sample that all threads draw alike. It is not safe for concurrent use.
//
// Of each key it keeps two times. A write that was sent after all others of its
// key had been acknowledged supersedes them; until then any of those that
// overlap may have been the last one at the server. So floor is when the
// earliest write was sent that may be the last, and acknowledged is when the
// latest answer came.
type Ledger struct {
	kinds []workload.Kind
	// numbered are the entries of the keys from first on; nil if there is a table.
	numbered []entry
	first    uint64

	table []place
	used  int
	// most is how many places the table may have; level halves the sample each.
	most  int
	level uint
}

// place is one of a table; it is free while its entry is 0.
type place struct {
	key   uint64
	entry entry
}

// numberedPerPlace is how many numbered keys may be instead of one in a table: they
// take half the memory, and pages that no key touches take none. The default range
// of ten million keys fits two threads.
const numberedPerPlace = 5

// smallest is how many places a table has at least.
const smallest = 1 << 10

// NewLedger makes the ledger of one thread of a load of p, for at most so many
// keys outside a range. It is as big from the start as it will have to be, because
// a table that grows stops the load meanwhile.
func NewLedger(p *workload.Program, most int) *Ledger {
	l := &Ledger{most: max(most, smallest)}
	for i := range p.Commands {
		l.kinds = append(l.kinds, p.Commands[i].Kind)
	}
	if first, size := p.KeyRange(); size > 0 && size <= uint64(numberedPerPlace*l.most) {
		l.first, l.numbered = first, make([]entry, size)
		return l
	}
	size := smallest
	for size*2 <= most {
		size *= 2
	}
	l.table = make([]place, size)
	return l
}

// Acknowledged notes that the server said that it is done.
func (l *Ledger) Acknowledged(it *workload.Item, now uint64) {
	switch l.kinds[it.Command] {
	case workload.KindSet:
		if e := l.entry(it.Key); e != nil {
			e.write(it.Tag+1, now+1)
		}
	case workload.KindDelete:
		if e := l.entry(it.Key); e != nil {
			e.remove(now + 1)
		}
	}
}

// Doubtful notes that the connection broke while it was under way.
func (l *Ledger) Doubtful(it *workload.Item) {
	kind := l.kinds[it.Command]
	if kind == workload.KindOther {
		return
	}
	if e := l.entry(it.Key); e != nil {
		e.mark(doubtful)
		if kind == workload.KindDelete {
			e.mark(deleted)
		}
	}
}

// Sampled is the part of the keys that is remembered, 1 for all.
func (l *Ledger) Sampled() float64 { return 1 / float64(uint64(1)<<l.level) }

// written are the keys with an acknowledged write.
func (l *Ledger) written() iter.Seq[place] {
	return func(yield func(place) bool) {
		for i, e := range l.numbered {
			if e.is(written) && !yield(place{l.first + uint64(i), e}) {
				return
			}
		}
		for _, p := range l.table {
			if p.entry.is(written) && !yield(p) {
				return
			}
		}
	}
}

// hash spreads keys over the table. It is a multiplication by 2⁶⁴ ÷ φ with the
// high half folded in.
func hash(key uint64) uint64 {
	high, low := bits.Mul64(key+1, 0x9e3779b97f4a7c15)
	return high ^ low
}

// entry is the entry of key, for something to be noted in it; nil if key is not in
// the sample.
func (l *Ledger) entry(key uint64) *entry {
	if l.numbered != nil {
		return &l.numbered[key-l.first]
	}
	h := hash(key)
	if h&(1<<l.level-1) != 0 {
		return nil
	}
	p := l.find(key, h)
	if p.entry != 0 {
		return &p.entry
	}
	if l.used++; l.used > len(l.table)*3/4 {
		l.grow()
		return l.entry(key)
	}
	p.key = key
	return &p.entry
}

// find is the place where key is or would be. The bits that choose the sample
// are at the other end of the hash.
func (l *Ledger) find(key, h uint64) *place {
	mask := uint64(len(l.table) - 1)
	for i := h >> 20 & mask; ; i = (i + 1) & mask {
		if p := &l.table[i]; p.entry == 0 || p.key == key {
			return p
		}
	}
}

// grow doubles the table or, when it may not get bigger, halves the sample.
func (l *Ledger) grow() {
	old := l.table
	size := len(old) * 2
	if size > l.most {
		size = len(old)
		l.level++
	}
	l.table, l.used = make([]place, size), 0
	for _, p := range old {
		if p.entry != 0 && hash(p.key)&(1<<l.level-1) == 0 {
			*l.find(p.key, hash(p.key)) = p
			l.used++
		}
	}
}

// Merge joins the ledgers of all threads of a load. They are of no more use.
func Merge(ledgers []*Ledger) *Ledger {
	all := ledgers[0]
	for _, l := range ledgers[1:] {
		for i, e := range l.numbered {
			if e != 0 {
				all.numbered[i].join(e)
			}
		}
		for all.level < l.level {
			all.most = len(all.table)
			all.grow()
		}
		all.most = max(all.most, 1) * 2 // both fit together
		for _, p := range l.table {
			if p.entry == 0 {
				continue
			}
			if to := all.entry(p.key); to != nil {
				to.join(p.entry)
			}
		}
	}
	return all
}
