// Package measure records what a load meets: every reply's latency, errors by
// kind, and the times in which a shard answered nothing. Each thread records on
// its own; once a second it hands an interval to the collector.
package measure

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Histograms hold microseconds from 1 to an hour with three significant digits.
const (
	lowest  = 1
	highest = int64(time.Hour / time.Microsecond)
	digits  = 3
)

// NewHistogram makes an empty histogram of the kind that all results use.
func NewHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(lowest, highest, digits) }

// micros is a time in nanoseconds rounded to a value that histograms hold.
func micros(ns int64) int64 { return min(max((ns+500)/1000, lowest), highest) }

// record adds a time in nanoseconds.
func record(h *hdrhistogram.Histogram, ns int64) {
	_ = h.RecordValue(micros(ns)) // it can't fail, because the value is within the limits
}

// Shape is what a load's intervals have in them.
type Shape struct {
	Threads, Commands, Shards int
	// OpenLoop has service times and schedule slip recorded besides latencies.
	OpenLoop bool
	// Histograms has every second keep its latencies by command.
	Histograms bool
}

// Interval is what one thread measured in one second, or in its part of a stage.
type Interval struct {
	// Second counts from the start of the measurement; Stage is the workload's.
	Second, Stage int
	// Last says that the thread's second is over.
	Last     bool
	Commands []Command
	// Shards counts operations by shard.
	Shards []int64
	// Errors counts error replies and broken attempts by kind.
	Errors map[string]int64
	// Slip is how late commands were sent in open loop.
	Slip *hdrhistogram.Histogram
	// Bytes is what went over the wire, both ways.
	Bytes int64
	// Failed counts operations that did not succeed in the end.
	Failed int64
	// Indeterminate counts writes that were under way when a connection broke.
	Indeterminate int64
}

// Command is the part of an interval that belongs to one command.
type Command struct {
	// Latency counts from the intended send time; its total count is that of the operations.
	Latency *hdrhistogram.Histogram
	// Service counts from the actual send; nil in closed loop, where the two are one.
	Service        *hdrhistogram.Histogram
	Errors, Misses int64
	// run is a number of equal latencies that are still to be added to Latency.
	run struct{ ns, count int64 }
}

// settle adds what is still to be added, and begins a run of latencies of ns.
func (c *Command) settle(ns int64) {
	if c.run.count > 0 {
		_ = c.Latency.RecordValues(micros(c.run.ns), c.run.count)
	}
	c.run.ns, c.run.count = ns, 0
}

func newInterval(s Shape) *Interval {
	iv := &Interval{Commands: make([]Command, s.Commands), Shards: make([]int64, s.Shards), Errors: map[string]int64{}}
	for i := range iv.Commands {
		iv.Commands[i].Latency = NewHistogram()
		if s.OpenLoop {
			iv.Commands[i].Service = NewHistogram()
		}
	}
	if s.OpenLoop {
		iv.Slip = NewHistogram()
	}
	return iv
}

func (iv *Interval) reset() {
	for i := range iv.Commands {
		c := &iv.Commands[i]
		c.Latency.Reset()
		if c.Service != nil {
			c.Service.Reset()
		}
		c.Errors, c.Misses, c.run.count = 0, 0, 0
	}
	if iv.Slip != nil {
		iv.Slip.Reset()
	}
	clear(iv.Shards)
	clear(iv.Errors)
	*iv = Interval{Commands: iv.Commands, Shards: iv.Shards, Errors: iv.Errors, Slip: iv.Slip}
}
