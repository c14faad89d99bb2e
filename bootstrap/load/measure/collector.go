package measure

import (
	"sync"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// intervalBuffer is how many intervals each thread may be ahead of the collector.
const intervalBuffer = 4

// Collector adds the threads' intervals up.
type Collector struct {
	shape   Shape
	full    chan *Interval
	free    chan *Interval
	outages *Outages
	done    chan struct{}
	// onSecond is called for every second that all threads have finished.
	onSecond func(Second)

	mu      sync.Mutex
	total   Totals
	stages  map[int]*Totals
	seconds []*Second
	// spare are histograms of seconds that are over.
	spare []*hdrhistogram.Histogram
}

// Totals are the sums of many intervals.
type Totals struct {
	Commands                     []Command
	Errors                       map[string]int64
	Slip                         *hdrhistogram.Histogram
	Bytes, Failed, Indeterminate int64
}

// NewCollector makes a collector and starts it. Close ends it.
func NewCollector(shape Shape, stages int, onSecond func(Second)) *Collector {
	c := &Collector{
		shape:    shape,
		full:     make(chan *Interval, intervalBuffer*shape.Threads),
		free:     make(chan *Interval, intervalBuffer*shape.Threads),
		outages:  newOutages(shape.Shards),
		done:     make(chan struct{}),
		onSecond: onSecond,
		total:    newTotals(shape),
		stages:   map[int]*Totals{},
	}
	for i := range stages {
		t := newTotals(shape)
		c.stages[i] = &t
	}
	go func() {
		defer close(c.done)
		for iv := range c.full {
			c.add(iv)
		}
	}()
	return c
}

func newTotals(s Shape) Totals {
	iv := newInterval(s)
	return Totals{Commands: iv.Commands, Errors: iv.Errors, Slip: iv.Slip}
}

// Recorder makes the recorder of one thread.
func (c *Collector) Recorder() *Recorder {
	return &Recorder{
		now: newInterval(c.shape), shape: c.shape, full: c.full, free: c.free,
		shards: make([]access, 2*c.shape.Shards), shared: c.outages,
	}
}

// Close waits until everything handed over is added up. No recorder may be used after it.
func (c *Collector) Close() {
	close(c.full)
	<-c.done
	for _, s := range c.seconds {
		c.finish(s)
	}
}

// Outages are the outages seen so far.
func (c *Collector) Outages() *Outages { return c.outages }

func (c *Collector) add(iv *Interval) {
	c.mu.Lock()
	c.total.add(iv)
	if t := c.stages[iv.Stage]; t != nil {
		t.add(iv)
	}
	var finished *Second
	s := c.second(iv.Second)
	s.add(iv)
	if iv.Last {
		if s.threads++; s.threads == c.shape.Threads {
			c.finish(s)
			finished = s
		}
	}
	c.mu.Unlock()
	if finished != nil && c.onSecond != nil {
		c.onSecond(*finished)
	}
	iv.reset()
	select {
	case c.free <- iv:
	default:
	}
}

func (c *Collector) second(index int) *Second {
	for len(c.seconds) <= index {
		c.seconds = append(c.seconds, c.open(len(c.seconds)))
	}
	return c.seconds[index]
}

func (t *Totals) add(iv *Interval) {
	for i := range iv.Commands {
		from, to := &iv.Commands[i], &t.Commands[i]
		to.Latency.Merge(from.Latency)
		if from.Service != nil {
			to.Service.Merge(from.Service)
		}
		to.Errors += from.Errors
		to.Misses += from.Misses
	}
	for kind, n := range iv.Errors {
		t.Errors[kind] += n
	}
	if iv.Slip != nil {
		t.Slip.Merge(iv.Slip)
	}
	t.Bytes += iv.Bytes
	t.Failed += iv.Failed
	t.Indeterminate += iv.Indeterminate
}

// Total is the sum of everything. Call it after Close.
func (c *Collector) Total() *Totals { return &c.total }

// Stage is the sum of stage i. Call it after Close.
func (c *Collector) Stage(i int) *Totals { return c.stages[i] }

// Seconds are the sums by second. Call it after Close.
func (c *Collector) Seconds() []*Second { return c.seconds }
