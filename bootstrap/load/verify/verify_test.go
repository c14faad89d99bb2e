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

// write is a write of one key with the time in which the server did it, which
// lies between its being sent and acknowledged.
type write struct{ sent, done, acknowledged uint64 }

// Whatever the order in which a server does overlapping writes, a ledger accepts
// the last of them; and it never accepts one that was superseded for certain.
func TestAServerThatKeepsItsWordIsNeverAccused(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := program(t)
		values := workload.NewValues(0, 0)
		ledgers := []*Ledger{NewLedger(p, 10), NewLedger(p, 10)}
		unit := rapid.SampledFrom([]uint64{1, 1001, 1_000_003}).Draw(t, "µs")
		var writes []write
		for range rapid.IntRange(1, 12).Draw(t, "writes") {
			sent := rapid.Uint64Range(0, 40).Draw(t, "sent") * unit
			done := sent + rapid.Uint64Range(0, 10).Draw(t, "done after")*unit
			writes = append(writes, write{sent, done, done + rapid.Uint64Range(0, 10).Draw(t, "acknowledged after")*unit})
		}
		// Each thread hears of its writes in the order of their answers.
		slices.SortStableFunc(writes, func(a, b write) int { return int(a.acknowledged) - int(b.acknowledged) })
		for _, w := range writes {
			thread := rapid.IntRange(0, 1).Draw(t, "thread")
			ledgers[thread].Acknowledged(&workload.Item{Key: 7, Tag: w.sent, Command: set}, w.acknowledged)
		}
		e := &place{7, *Merge(ledgers).entry(7)}
		last := slices.MaxFunc(writes, func(a, b write) int { return int(a.done) - int(b.done) })
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

// judge is the verdict on key 1 and this value of it.
func judge(l *Ledger, value []byte, found bool) Verdict {
	return (&place{1, *l.entry(1)}).judge(workload.NewValues(0, 0), value, found, false)
}

func TestWhatWasSupersededIsStale(t *testing.T) {
	p, values := program(t), workload.NewValues(0, 0)
	l := NewLedger(p, 10)
	l.Acknowledged(&workload.Item{Key: 1, Tag: 10, Command: set}, 20)
	l.Acknowledged(&workload.Item{Key: 1, Tag: 30, Command: set}, 40)
	old := values.AppendVerified(nil, 1, 10, 20)
	if v := judge(l, old, true); v != Stale {
		t.Errorf("got %d", v)
	}
	if v := judge(l, []byte("0123456789abcdef"), true); v != Corrupt {
		t.Errorf("got %d", v)
	}
	l.Doubtful(&workload.Item{Key: 1, Tag: 50, Command: set})
	if v := judge(l, old, true); v != Indeterminate {
		t.Errorf("got %d", v)
	}
}

func TestADeletedKeyMayBeMissingUntilItIsSetAgain(t *testing.T) {
	p := program(t)
	l := NewLedger(p, 10)
	l.Acknowledged(&workload.Item{Key: 1, Tag: 10, Command: set}, 20)
	l.Acknowledged(&workload.Item{Key: 1, Tag: 30, Command: del}, 40)
	if v := judge(l, nil, false); v != Kept {
		t.Errorf("got %d", v)
	}
	l.Acknowledged(&workload.Item{Key: 1, Tag: 50, Command: set}, 60)
	if v := judge(l, nil, false); v != Lost {
		t.Errorf("got %d", v)
	}
}

func TestALedgerStaysWithinItsBounds(t *testing.T) {
	p, err := workload.Compile(spec.Workload{Requests: 1, Operations: map[string]float64{"set": 1}, Keys: spec.Keys{ClientUUID: true}}, true, 0)
	if err != nil {
		t.Fatal(err)
	}
	const most = 1 << 12
	ledgers := []*Ledger{NewLedger(p, most), NewLedger(p, most)}
	for key := range uint64(100_000) {
		ledgers[key%2].Acknowledged(&workload.Item{Key: key, Tag: key, Command: set}, key+1)
		if key < 1000 { // one thread fills up later
			ledgers[0].Acknowledged(&workload.Item{Key: key, Tag: key, Command: set}, key+1)
		}
	}
	for _, l := range ledgers {
		if len(l.table) > most || l.level == 0 {
			t.Errorf("%d places, level %d", len(l.table), l.level)
		}
	}
	all := Merge(ledgers)
	kept := 0
	for key := range uint64(100_000) {
		if e := all.entry(key); e != nil && e.is(written) {
			kept++
		}
	}
	if want := 100_000 >> all.level; kept < want*9/10 || kept > want*11/10 {
		t.Errorf("%d keys are kept, want about %d", kept, want)
	}
}

func TestAnEntryKeepsItsTimes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		acknowledged := rapid.Uint64Range(1, 1<<timeBits-1).Draw(t, "acknowledged")
		floor := rapid.Uint64Range(1, acknowledged).Draw(t, "floor")
		e := entryOf(floor, acknowledged, written|deleted)
		if e.acknowledged() != acknowledged || e.state() != written|deleted {
			t.Fatalf("%x: acknowledged %d, state %d", e, e.acknowledged(), e.state())
		}
		if early := floor - e.floor(); e.floor() > floor || early > (acknowledged-floor)>>(mantissaBits-1) {
			t.Fatalf("%x: the floor is %d, want %d", e, e.floor(), floor)
		}
	})
}

func BenchmarkAcknowledged(b *testing.B) {
	p, err := workload.Compile(spec.Workload{Requests: 1, Keys: spec.Keys{Maximum: 1_000_000}}, true, 0)
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
