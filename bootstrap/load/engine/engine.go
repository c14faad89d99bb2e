//go:build linux

// Package engine sends a workload to a cluster and times every reply. It runs
// one event loop per thread; the loops share nothing but the topology and their
// place in the schedule.
package engine

import (
	"context"
	"crypto/tls"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/load/measure"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/load/topology"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/load/trace"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/load/workload"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// Config is all that an engine needs.
type Config struct {
	// Workload has its defaults filled in, and is valid.
	Workload spec.Workload
	Program  *workload.Program
	// Threads is the number of event loops.
	Threads int
	// Runner and Runners number this runner among those of the test.
	Runner, Runners    int
	Username, Password string
	TLS                *tls.Config
	Topology           Topology
	Collector          *measure.Collector
	// Start is when the measurement begins, by that clock; the warm-up lies before it.
	Start time.Duration
	// IO is spec.IOUring, spec.IOEpoll, or empty for the faster one that the kernel offers.
	IO string
	// Ledgers, one per thread, are told of the writes; nil without verification.
	Ledgers []Ledger
	// Feeds, one per thread, deliver a recorded workload; nil for a made one.
	Feeds []Feed
}

// Topology says where slots are served, and can be asked to look again.
type Topology interface {
	View() *topology.View
	Refresh()
}

// Ledger learns what became of one thread's writes. Times are microseconds on
// the load's clock, and Item.Tag is when a write was drawn.
type Ledger interface {
	// Acknowledged: the server said that the write is done.
	Acknowledged(it *workload.Item, now uint64)
	// Doubtful: the connection broke while the write was under way.
	Doubtful(it *workload.Item)
}

// Feed delivers the commands of a recorded workload to one thread, in the order
// of their times.
type Feed interface {
	// Next fills it in and returns the command's time from the start, or
	// trace.Untimed, and the number of the recorded client.
	Next(it *workload.Item) (at time.Duration, client int, state trace.State)
	// Append encodes the command that tag stands for at the end of buf.
	Append(buf []byte, tag uint64) []byte
	// Recycle takes back the memory of a command that is done.
	Recycle(tag uint64)
}

// Engine is a load under way.
type Engine struct {
	config Config
	base   time.Time
	loops  []*loop
	stop   atomic.Bool
	closed bool
	// left counts down the requests that no loop has taken yet.
	left atomic.Int64
}

// New prepares the loops. Nothing is dialled yet.
func New(c Config) (*Engine, error) {
	e := &Engine{config: c, base: time.Now()}
	e.left.Store(c.Workload.Requests)
	for i := range c.Threads {
		l, err := newLoop(e, i)
		if err != nil {
			e.Close()
			return nil, fmt.Errorf("thread %d: %w", i, err)
		}
		e.loops = append(e.loops, l)
	}
	return e, nil
}

// Threads is the number of event loops.
func (e *Engine) Threads() int { return len(e.loops) }

// Busy is how long the loops have had something to do, in all: the time that they
// ran, or were kept from it by others on the machine.
func (e *Engine) Busy() (sum time.Duration) {
	for _, l := range e.loops {
		sum += l.thread.busy()
	}
	return sum
}

// IO is how the loops speak with the kernel: spec.IOUring or spec.IOEpoll.
func (e *Engine) IO() string {
	if _, ok := e.loops[0].io.(*ioUring); ok {
		return spec.IOUring
	}
	return spec.IOEpoll
}

// Stop ends the load early.
func (e *Engine) Stop() { e.stop.Store(true) }

// Connect opens the clients' connections, as far as that makes sense before the
// load. A connection that fails is opened again when it is needed.
func (e *Engine) Connect(ctx context.Context) error { return e.each(ctx, (*loop).connectAll) }

// Run runs the load to its end, or until ctx ends or Stop. Base is the zero of
// its clock; it may be in the future.
func (e *Engine) Run(ctx context.Context, base time.Time) (Outcome, error) {
	e.base = base
	defer context.AfterFunc(ctx, e.Stop)()
	// A loop that sleeps keeps its place; the rest of the program needs others.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(runtime.NumCPU() + len(e.loops)))
	if err := e.each(ctx, (*loop).run); err != nil {
		return Outcome{}, err
	}
	var o Outcome
	for _, l := range e.loops {
		o.Unsent += l.unsent
		o.End = max(o.End, time.Duration(l.finished))
		o.KeysUsedUp = o.KeysUsedUp || l.keysUsedUp
	}
	o.Interrupted = e.stop.Load()
	return o, nil
}

// Outcome is how a load ended.
type Outcome struct {
	// End is when the last thread was done, by the load's clock.
	End time.Duration
	// Unsent is how many commands of the schedule were never sent.
	Unsent int64
	// Interrupted: the load was stopped before its end.
	Interrupted bool
	// KeysUsedUp: the load ended because every unique key had been used.
	KeysUsedUp bool
}

// each runs do on a thread per loop.
func (e *Engine) each(ctx context.Context, do func(*loop) error) error {
	g, _ := errgroup.WithContext(ctx)
	for _, l := range e.loops {
		g.Go(func() error { return l.onThread(do) })
	}
	return g.Wait()
}

// Close closes the connections and ends the threads. A second one does nothing.
func (e *Engine) Close() {
	if e.closed {
		return
	}
	e.closed = true
	for _, l := range e.loops {
		l.close()
	}
}

// roundsPerClaim is for how many rounds of a client a loop takes requests from
// the common stock at once, at most: few enough that the loops end together.
const roundsPerClaim = 64

// claim takes up to want requests from the common stock.
func (e *Engine) claim(want int64) int64 {
	left := e.left.Add(-want)
	return max(0, min(want, left+want))
}
