package measure

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const ms = int64(time.Millisecond)

// done records an operation in open loop.
func done(r *Recorder, command, shard int, latency, service int64) {
	r.Done(command, latency)
	r.Served(command, service)
	r.Shard(shard, 1)
}

func TestIntervalsOfAllThreadsAddUp(t *testing.T) {
	var seconds []Second
	c := NewCollector(Shape{Threads: 2, Commands: 2, Shards: 3, OpenLoop: true, Histograms: true}, 2, func(s Second) { seconds = append(seconds, s) })
	a, b := c.Recorder(), c.Recorder()
	done(a, 0, 0, 5*ms, 2*ms)
	done(b, 1, 2, 1*ms, 1*ms)
	b.Missed(1)
	b.Error(1, "moved")
	a.Rotate(0, 1, false)
	a.Slip(3 * ms)
	done(a, 0, 0, 7*ms, 2*ms)
	a.Rotate(1, 1, true)
	b.Failed()
	b.Rotate(1, 1, true)
	c.Close()
	if len(seconds) != 1 || seconds[0].Operations != 3 || seconds[0].Errors != 1 || fmt.Sprint(seconds[0].Shards) != "[2 0 1]" {
		t.Errorf("seconds: %+v", seconds)
	}
	if s := c.Seconds()[0]; s.P50 < 5000 || s.P50 > 5005 || s.Max < 7000 || len(s.Histograms) != 2 {
		t.Errorf("first second: %+v", s)
	}
	total := c.Total()
	if got := total.Commands[0].Latency; got.TotalCount() != 2 || got.Max() < 7000 || got.Max() > 7007 {
		t.Errorf("total: %d operations, max %d", got.TotalCount(), got.Max())
	}
	if total.Failed != 1 || total.Commands[1].Misses != 1 || total.Slip.TotalCount() != 1 || total.Commands[0].Service.Max() > 2001 {
		t.Errorf("total: %+v", total)
	}
	if c.Stage(0).Commands[0].Latency.TotalCount() != 1 || c.Stage(1).Commands[0].Latency.TotalCount() != 1 {
		t.Error("the stages do not add up")
	}
}

func TestOutagesAreTimesOfWaitingWithoutAnyAnswer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := NewCollector(Shape{Threads: 2, Commands: 1, Shards: 1}, 0, nil)
		defer c.Close()
		recorders := []*Recorder{c.Recorder(), c.Recorder()}
		waiting := [2]int{}
		var now, answered, since int64 // the truth, at millisecond steps
		var want []span
		since = -1
		n := rapid.IntRange(1, 40).Draw(t, "events")
		for range n {
			now += rapid.Int64Range(2, 200).Draw(t, "later") * ms
			thread := rapid.IntRange(0, 1).Draw(t, "thread")
			a := AccessTo(0, true)
			if waiting[thread] > 0 && rapid.Bool().Draw(t, "answer") {
				recorders[thread].Answered(a, 1, now)
				waiting[thread]--
				if from := max(answered, since); now-from >= MinOutage.Nanoseconds() {
					want = append(want, span{from, now})
				}
				answered = now
				if waiting[0]+waiting[1] == 0 {
					since = -1
				}
			} else {
				recorders[thread].Waits(a, 1, now)
				if waiting[0]+waiting[1] == 0 {
					since = now
				}
				waiting[thread]++
			}
		}
		now += 10 * ms
		for _, r := range recorders {
			r.Finish(now)
		}
		if from := max(answered, since); since >= 0 && now-from >= MinOutage.Nanoseconds() {
			want = append(want, span{from, now})
		}
		var got []span
		for _, o := range c.Outages().List(0, now) {
			got = append(got, span{o.From, o.To})
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("got %v, want %v", got, want)
		}
	})
}

// Several loads, merged, see what one load with all their threads would have seen.
func TestMergedOutagesAreThoseOfOneLoad(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shape := Shape{Threads: 1, Commands: 1, Shards: 1}
		whole := NewCollector(Shape{Threads: 2, Commands: 1, Shards: 1}, 0, nil)
		defer whole.Close()
		var apart []*Collector
		var recorders [2][2]*Recorder
		for i := range recorders {
			c := NewCollector(shape, 0, nil)
			defer c.Close()
			apart, recorders[i] = append(apart, c), [2]*Recorder{c.Recorder(), whole.Recorder()}
		}
		now, waiting := int64(0), [2]int{}
		for range rapid.IntRange(1, 60).Draw(t, "events") {
			now += rapid.Int64Range(2, 200).Draw(t, "later") * ms
			i := rapid.IntRange(0, 1).Draw(t, "load")
			answer := waiting[i] > 0 && rapid.Bool().Draw(t, "answer")
			for _, r := range recorders[i] {
				if answer {
					r.Answered(AccessTo(0, true), 1, now)
				} else {
					r.Waits(AccessTo(0, true), 1, now)
				}
			}
			if waiting[i]++; answer {
				waiting[i] -= 2
			}
		}
		now += 10 * ms
		for i := range recorders {
			recorders[i][0].Finish(now)
			recorders[i][1].Finish(now)
		}
		var outages, silences [][]Outage
		for _, c := range apart {
			outages, silences = append(outages, c.Outages().List(0, now)), append(silences, c.Outages().Silences(0, now))
		}
		got := Merge(outages, silences)
		want := whole.Outages().List(0, now)
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("got %v, want %v", got, want)
		}
	})
}

func TestRecordingDoesNotAllocate(t *testing.T) {
	c := NewCollector(Shape{Threads: 1, Commands: 1, Shards: 1, OpenLoop: true}, 0, nil)
	defer c.Close()
	r := c.Recorder()
	now := int64(0)
	if n := testing.AllocsPerRun(1000, func() {
		now += ms / 10
		r.Waits(AccessTo(0, true), 1, now)
		r.Answered(AccessTo(0, true), 1, now)
		done(r, 0, 0, 1000, 1000)
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkRecord(b *testing.B) {
	c := NewCollector(Shape{Threads: 1, Commands: 1, Shards: 1, OpenLoop: true}, 0, nil)
	defer c.Close()
	r := c.Recorder()
	now := int64(0)
	for b.Loop() {
		now += 1000
		r.Waits(AccessTo(0, true), 1, now)
		r.Answered(AccessTo(0, true), 1, now)
		done(r, 0, 0, now&0xfffff, 1000)
	}
}
