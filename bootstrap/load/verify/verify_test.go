package verify

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/load/workload"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

func program(t rapid.TB) *workload.Program {
	p, err := workload.Compile(spec.Workload{Requests: 1, Operations: map[string]float64{"set": 1, "get": 1, "del": 1}}, true, 0)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const set, get, del = 0, 1, 2

// written is a write of one key with the time in which the server did it, which
// lies between its being sent and acknowledged.
type written struct{ sent, done, acknowledged uint64 }

// Whatever the order in which a server does overlapping writes, a ledger accepts
// the last of them; and it never accepts one that was superseded for certain.
func TestAServerThatKeepsItsWordIsNeverAccused(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := program(t)
		values := workload.NewValues(0, 0)
		ledgers := []*Ledger{NewLedger(p, 10), NewLedger(p, 10)}
		var writes []written
		for range rapid.IntRange(1, 12).Draw(t, "writes") {
			sent := rapid.Uint64Range(0, 40).Draw(t, "sent")
			done := sent + rapid.Uint64Range(0, 10).Draw(t, "done after")
			writes = append(writes, written{sent, done, done + rapid.Uint64Range(0, 10).Draw(t, "acknowledged after")})
		}
		// Each thread hears of its writes in the order of their answers.
		slices.SortStableFunc(writes, func(a, b written) int { return int(a.acknowledged) - int(b.acknowledged) })
		for _, w := range writes {
			thread := rapid.IntRange(0, 1).Draw(t, "thread")
			ledgers[thread].Acknowledged(&workload.Item{Key: 7, Tag: w.sent, Command: set}, w.acknowledged)
		}
		e := Merge(ledgers).entry(7)
		last := slices.MaxFunc(writes, func(a, b written) int { return int(a.done) - int(b.done) })
		for _, w := range writes {
			v := e.judge(values, values.AppendVerified(nil, 7, w.sent, 20), true, false)
			if w.done == last.done && v != Kept {
				t.Fatalf("%v: the last write %v was judged %d", writes, w, v)
			}
		}
		if e.judge(values, nil, false, false) != Lost {
			t.Fatal("a missing key went unnoticed")
		}
	})
}

func TestWhatWasSupersededIsStale(t *testing.T) {
	p, values := program(t), workload.NewValues(0, 0)
	l := NewLedger(p, 10)
	l.Acknowledged(&workload.Item{Key: 1, Tag: 10, Command: set}, 20)
	l.Acknowledged(&workload.Item{Key: 1, Tag: 30, Command: set}, 40)
	old := values.AppendVerified(nil, 1, 10, 20)
	if v := l.entry(1).judge(values, old, true, false); v != Stale {
		t.Errorf("got %d", v)
	}
	if v := l.entry(1).judge(values, []byte("0123456789abcdef"), true, false); v != Corrupt {
		t.Errorf("got %d", v)
	}
	l.Doubtful(&workload.Item{Key: 1, Tag: 50, Command: set})
	if v := l.entry(1).judge(values, old, true, false); v != Indeterminate {
		t.Errorf("got %d", v)
	}
}

func TestADeletedKeyMayBeMissingUntilItIsSetAgain(t *testing.T) {
	p, values := program(t), workload.NewValues(0, 0)
	l := NewLedger(p, 10)
	l.Acknowledged(&workload.Item{Key: 1, Tag: 10, Command: set}, 20)
	l.Acknowledged(&workload.Item{Key: 1, Tag: 30, Command: del}, 40)
	if v := l.entry(1).judge(values, nil, false, false); v != Kept {
		t.Errorf("got %d", v)
	}
	l.Acknowledged(&workload.Item{Key: 1, Tag: 50, Command: set}, 60)
	if v := l.entry(1).judge(values, nil, false, false); v != Lost {
		t.Errorf("got %d", v)
	}
}

func TestALedgerStaysWithinItsBounds(t *testing.T) {
	p := program(t)
	const most = 1 << 12
	ledgers := []*Ledger{NewLedger(p, most), NewLedger(p, most)}
	for key := range uint64(100_000) {
		ledgers[key%2].Acknowledged(&workload.Item{Key: key, Tag: key, Command: set}, key+1)
		if key < 1000 { // one thread fills up later
			ledgers[0].Acknowledged(&workload.Item{Key: key, Tag: key, Command: set}, key+1)
		}
	}
	for _, l := range ledgers {
		if len(l.entries) > most || l.level == 0 {
			t.Errorf("%d entries, level %d", len(l.entries), l.level)
		}
	}
	all := Merge(ledgers)
	kept := 0
	for key := range uint64(100_000) {
		if e := all.entry(key); e != nil && e.floor != 0 {
			kept++
		}
	}
	if want := 100_000 >> all.level; kept < want*9/10 || kept > want*11/10 {
		t.Errorf("%d keys are kept, want about %d", kept, want)
	}
}

func BenchmarkAcknowledged(b *testing.B) {
	p, err := workload.Compile(spec.Workload{Requests: 1}, true, 0)
	if err != nil {
		b.Fatal(err)
	}
	l := NewLedger(p, 1<<22)
	it := &workload.Item{Command: set}
	n := uint64(0)
	for b.Loop() {
		n++
		it.Key, it.Tag = n*7919%1_000_000, n
		l.Acknowledged(it, n+1)
	}
}
