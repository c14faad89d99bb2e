package measure

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// MinOutage is the shortest silence that counts as an outage. It is above
	// what a fork or a busy machine does to a healthy server.
	MinOutage = 50 * time.Millisecond
	// fineness is how exactly threads tell each other of answers.
	fineness = int64(time.Millisecond)
	// forget is how long every silence is kept in which nobody is known to have
	// waited; after that only the longest of them are.
	forget = int64(30 * time.Second)
	// keptSilences is how many those are, by access. What is forgotten blurs a merge with
	// other runners' outages by no more than the shortest silence that is kept.
	keptSilences = 500
)

// Access is a shard and a way to use it, in few bits: there are at most as many
// shards as slots.
type Access uint16

// AccessTo is reading from, or writing to, a shard.
func AccessTo(shard int, write bool) Access {
	if write {
		return Access(shard)<<1 | 1
	}
	return Access(shard) << 1
}

// Shard is the number of the shard.
func (a Access) Shard() int { return int(a >> 1) }

// Write says that the access is for writing.
func (a Access) Write() bool { return a&1 != 0 }

// Writes is 1 if the access is for writing, or 0.
func (a Access) Writes() int { return int(a & 1) }

// Outage is a time in which commands waited for a shard and none was answered.
type Outage struct {
	Access
	From, To int64
}

type span struct{ from, to int64 }

// Outages joins what the threads know: a shard is out while some command waits
// for it and no thread gets an answer.
type Outages struct {
	// answered is when some thread last had an answer, by access.
	answered []atomic.Int64

	mu sync.Mutex
	// waits are the times in which a thread had commands waiting without an
	// answer to that thread; silences those without an answer to any.
	waits, silences [][]span
}

func newOutages(shards int) *Outages {
	return &Outages{
		answered: make([]atomic.Int64, 2*shards),
		waits:    make([][]span, 2*shards),
		silences: make([][]span, 2*shards),
	}
}

// access is what one thread knows of one shard.
type access struct {
	// answered is when this thread last had an answer, up to fineness too early.
	answered int64
	// waiting commands there are, since when without a break.
	waiting int
	since   int64
}

// Waits notes that n commands for a shard begin to wait.
func (r *Recorder) Waits(a Access, n int, now int64) {
	s := &r.shards[a]
	if s.waiting == 0 {
		s.since = now
	}
	s.waiting += n
}

// Answered notes that n commands were answered.
func (r *Recorder) Answered(a Access, n int, now int64) {
	s := &r.shards[a]
	s.waiting -= n
	if now-s.answered < fineness {
		return
	}
	r.shared.answer(int(a), s, now)
	s.answered = now
}

// Finish notes what still waits when the load ends.
func (r *Recorder) Finish(now int64) {
	for i := range r.shards {
		if s := &r.shards[i]; s.waiting > 0 {
			r.shared.answer(i, s, now)
		}
	}
}

func (o *Outages) answer(i int, s *access, now int64) {
	before := o.answered[i].Swap(now)
	least := MinOutage.Nanoseconds()
	if now-s.answered < least {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if from := max(s.answered, s.since); now-from >= least {
		o.waits[i] = append(o.waits[i], span{from, now})
	}
	if now-before >= least {
		o.silences[i] = append(o.silences[i], span{before, now})
	}
	if n := len(o.silences[i]); n == cap(o.silences[i]) {
		o.silences[i] = relevant(o.silences[i], o.waits[i], now-forget)
	}
}

// relevant drops silences that ended before the given time and in which nobody
// waited, but for the longest.
func relevant(silences, waits []span, before int64) []span {
	idle := func(s span) bool {
		return s.to < before && !slices.ContainsFunc(waits, func(w span) bool { return w.from < s.to && s.from < w.to })
	}
	var lengths []int64
	for _, s := range silences {
		if idle(s) {
			lengths = append(lengths, s.to-s.from)
		}
	}
	slices.Sort(lengths)
	shortest := int64(0)
	if n := len(lengths); n > keptSilences {
		shortest = lengths[n-keptSilences]
	}
	return slices.DeleteFunc(silences, func(s span) bool { return s.to-s.from < shortest && idle(s) })
}

// Silences returns the times between from and to in which no thread had an
// answer, waiting or not: the longest, by access, and as exactly as threads
// tell each other of answers.
func (o *Outages) Silences(from, to int64) []Outage {
	o.mu.Lock()
	defer o.mu.Unlock()
	var list []Outage
	for i := range o.silences {
		spans := append(sorted(o.silences[i]), span{o.answered[i].Load(), to})
		if n := len(spans); n > keptSilences {
			slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(b.to-b.from, a.to-a.from) })
			spans = spans[:keptSilences]
		}
		for _, s := range sorted(spans) {
			s.from, s.to = max(s.from, from), min(s.to, to)
			if s.to-s.from >= MinOutage.Nanoseconds() {
				list = append(list, Outage{Access(i), s.from, s.to})
			}
		}
	}
	return list
}

// List returns the outages between from and to, in the order of their beginning.
func (o *Outages) List(from, to int64) []Outage {
	o.mu.Lock()
	defer o.mu.Unlock()
	var list []Outage
	for i := range o.waits {
		for _, s := range intersect(sorted(o.silences[i]), union(o.waits[i])) {
			s.from, s.to = max(s.from, from), min(s.to, to)
			if s.to-s.from >= MinOutage.Nanoseconds() {
				list = append(list, Outage{Access(i), s.from, s.to})
			}
		}
	}
	slices.SortStableFunc(list, func(a, b Outage) int { return cmp.Compare(a.From, b.From) })
	return list
}

// Merge joins the outages and silences that several loads saw, each on its own,
// as if they were one: a shard is out while some load waited for it and none had
// an answer. A load that had nothing to ask does not speak for the shard.
func Merge(outages, silences [][]Outage) []Outage {
	var list []Outage
	for _, a := range accesses(outages) {
		var out []span
		for _, seen := range outages {
			out = append(out, of(seen, a)...)
		}
		out = union(out)
		for _, quiet := range silences {
			out = intersect(out, sorted(of(quiet, a))) // no union: where two silences touch there was an answer
		}
		for _, s := range out {
			if s.to-s.from >= MinOutage.Nanoseconds() {
				list = append(list, Outage{a, s.from, s.to})
			}
		}
	}
	slices.SortStableFunc(list, func(a, b Outage) int { return cmp.Compare(a.From, b.From) })
	return list
}

// accesses are those of which there is an outage, ascending.
func accesses(outages [][]Outage) []Access {
	var all []Access
	for _, seen := range outages {
		for _, o := range seen {
			all = append(all, o.Access)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func of(list []Outage, a Access) []span {
	var spans []span
	for _, o := range list {
		if o.Access == a {
			spans = append(spans, span{o.From, o.To})
		}
	}
	return spans
}

func sorted(spans []span) []span {
	return slices.SortedFunc(slices.Values(spans), func(a, b span) int { return cmp.Compare(a.from, b.from) })
}

// union joins spans that overlap or touch.
func union(spans []span) []span {
	var out []span
	for _, s := range sorted(spans) {
		if n := len(out); n > 0 && s.from <= out[n-1].to {
			out[n-1].to = max(out[n-1].to, s.to)
			continue
		}
		out = append(out, s)
	}
	return out
}

// intersect is what two unions share.
func intersect(a, b []span) []span {
	var out []span
	for len(a) > 0 && len(b) > 0 {
		if from, to := max(a[0].from, b[0].from), min(a[0].to, b[0].to); from < to {
			out = append(out, span{from, to})
		}
		if a[0].to < b[0].to {
			a = a[1:]
		} else {
			b = b[1:]
		}
	}
	return out
}
