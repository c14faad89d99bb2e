//go:build linux

package engine

import (
	"math"
	"math/rand/v2"
	"time"

	"golang.org/x/sys/unix"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/load/measure"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/load/resp"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/load/topology"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/load/workload"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

const (
	// tick is how often a loop looks after what no event announces: seconds that
	// are over, connections that are silent, gates.
	tick = 10 * time.Millisecond
	// busyTick is the same while something is amiss.
	busyTick = 2 * time.Millisecond
	// suspicion is how long a connection may be silent before the topology is
	// looked at again.
	suspicion = 100 * time.Millisecond
)

// loop is one thread of the engine. Nothing in it is shared.
type loop struct {
	engine    *Engine
	config    *Config
	index     int
	thread    *thread
	io        transport
	dialer    dialer
	generator *workload.Generator
	recorder  *measure.Recorder
	pacer     *pacer // nil in closed loop
	ledger    Ledger
	feed      Feed
	rng       *rand.Rand
	pipeline  int

	// now is the load's clock at the event that is being handled.
	now int64
	// start is when the measurement begins.
	start   int64
	clients []client
	// conns are the open ones, each in its place; vacant are the places between.
	conns   []*conn
	vacant  []int32
	targets []*target
	byAddr  map[string]*target
	gated   []*target
	// view is the version of the topology that the routes are of.
	view int
	// scratch is the operation that was drawn last, troubled the one that a reply
	// of its own was about.
	scratch, troubled operation
	slots             atlas
	replicas          [spec.Slots][]*target
	// fromReplica: reads go to replicas.
	fromReplica bool
	// writes has the access to shard 0 that each command is, shapes what the last
	// reply to it looked like.
	writes  []measure.Access
	shapes  []resp.Shape
	anySlot uint16

	greeting [][]byte
	buffers  [][]byte
	dirty    []*conn
	// idle are clients with room for a command, in open loop.
	idle ring
	// putOff are operations that are tried again at a time.
	putOff queue
	// upcoming is the recorded command that is due next, if there is one.
	upcoming    operation
	hasUpcoming bool
	upcomingAt  int64

	inFlight int
	// opening counts connections that are not ready to be used yet.
	opening    int
	generation int32
	lastDone   int64
	measuring  bool
	running    bool
	claimed    int64
	round      int64 // commands in a client's round
	finishing  bool
	keysUsedUp bool
	unsent     int64
	end        int64 // when to stop sending; 0 for never
	deadline   int64 // when to stop waiting; 0 for never
	finished   int64
	nextTick   int64
	nextCheck  int64
	second     int
	stage      int
	stageEnds  []int64
}

func newLoop(e *Engine, index int) (*loop, error) {
	c := &e.config
	w := &c.Workload
	share := workload.Share{Index: c.Runner*c.Threads + index, Count: max(1, c.Runners) * c.Threads}
	l := &loop{
		engine: e, config: c, index: index, thread: newThread(),
		dialer: newDialer(c.TLS), generator: c.Program.NewGenerator(share), recorder: c.Collector.Recorder(),
		rng: rand.New(rand.NewPCG(w.Seed, uint64(share.Index)<<32)), pipeline: w.Pipeline, round: int64(c.Program.Round()),
		byAddr: map[string]*target{}, start: c.Start.Nanoseconds(),
	}
	l.fromReplica = w.ReadFrom == spec.FromReplica
	l.shapes = make([]resp.Shape, len(c.Program.Commands))
	for i := range c.Program.Commands {
		l.writes = append(l.writes, measure.AccessTo(0, c.Program.Commands[i].Write))
	}
	if c.Ledgers != nil {
		l.ledger = c.Ledgers[index]
	}
	if c.Feeds != nil {
		l.feed = c.Feeds[index]
	}
	for i := index; i < w.Clients; i += c.Threads {
		l.clients = append(l.clients, client{number: int32(len(l.clients)), state: workload.Client{ID: int32(c.Runner*w.Clients + i)}})
	}
	l.greet(c)
	l.schedule(share)
	l.follow(c.Topology.View())
	l.initShards(c.Topology.View())
	err := l.onThread(func(l *loop) (err error) {
		l.io, err = newTransport(l, c.IO)
		return err
	})
	if err != nil {
		l.thread.end()
		return nil, err
	}
	return l, nil
}

// greet prepares what every connection begins with.
func (l *loop) greet(c *Config) {
	switch {
	case c.Password != "" && c.Username != "":
		l.greeting = append(l.greeting, resp.AppendCommand(nil, "AUTH", c.Username, c.Password))
	case c.Password != "":
		l.greeting = append(l.greeting, resp.AppendCommand(nil, "AUTH", c.Password))
	}
	if c.Workload.ReadFrom == spec.FromReplica && !c.Topology.View().Standalone {
		l.greeting = append(l.greeting, resp.AppendCommand(nil, "READONLY"))
	}
}

// schedule works out when what begins and ends.
func (l *loop) schedule(share workload.Share) {
	w, start := &l.config.Workload, l.config.Start
	if w.Duration > 0 {
		l.end = (start + w.Duration.D()).Nanoseconds()
	}
	at := start
	for _, s := range w.Stages {
		at += s.Duration.D()
		l.stageEnds = append(l.stageEnds, at.Nanoseconds())
	}
	if l.feed == nil && (w.Rate > 0 || len(w.Stages) > 0 && w.Stages[0].Rate > 0) {
		l.pacer = newPacer(*w, share, start)
	}
	if l.openLoop() {
		l.idle = newRing(len(l.clients) * l.pipeline)
		for range l.pipeline {
			for i := range l.clients {
				l.idle.push(&l.clients[i])
			}
		}
	}
}

func (l *loop) openLoop() bool { return l.pacer != nil || l.feed != nil }

func (l *loop) clock() int64 { return int64(time.Since(l.engine.base)) }

// onThread runs do on the loop's thread.
func (l *loop) onThread(do func(*loop) error) (err error) {
	l.thread.run(func() { err = do(l) })
	return err
}

// run sends the load and waits for its end.
func (l *loop) run() error {
	l.running = true
	l.now = l.clock()
	for l.now < 0 { // all runners start together
		time.Sleep(time.Duration(min(-l.now, int64(tick))))
		l.now = l.clock()
		if l.engine.stop.Load() {
			break
		}
	}
	l.nextTick = l.now
	if !l.openLoop() {
		for i := range l.clients {
			l.proceed(&l.clients[i])
			if err := l.io.flush(); err != nil {
				return err
			}
		}
	}
	for {
		l.now = l.clock()
		if l.now >= l.nextTick {
			l.lookAfter()
		}
		if l.finishing && (l.inFlight == 0 || l.deadline > 0 && l.now >= l.deadline) {
			break
		}
		l.dispatch()
		if err := l.io.wait(l.timeout()); err != nil {
			return err
		}
		l.dispatch()
	}
	l.finish()
	return nil
}

// timeout is how long the loop may sleep.
func (l *loop) timeout() time.Duration {
	until := l.nextTick
	if !l.finishing && l.idle.length > 0 {
		if l.pacer != nil {
			until = min(until, l.pacer.next)
		} else if l.hasUpcoming {
			until = min(until, l.upcomingAt)
		}
	}
	return time.Duration(until - l.now)
}

// lookAfter does what is due at a tick.
func (l *loop) lookAfter() {
	l.nextTick = l.now + tick.Nanoseconds()
	l.rotate()
	if l.engine.stop.Load() || l.expired() && l.caughtUp() {
		l.conclude()
	}
	if v := l.config.Topology.View(); v.Version != l.view {
		l.follow(v)
	}
	l.resume()
	l.probe()
	if l.now >= l.nextCheck {
		l.nextCheck = l.now + 2*tick.Nanoseconds()
		l.checkSilence()
	}
	if len(l.gated) > 0 || l.putOff.length > 0 {
		l.nextTick = l.now + busyTick.Nanoseconds()
	}
	l.nextTick = min(l.nextTick, l.nextBoundary())
	if l.config.Workload.Requests > 0 && l.claimed == 0 && l.engine.left.Load() <= 0 && l.unfinished() == 0 {
		l.finishing = true
	}
}

// nextBoundary is when the second, the stage or the load ends next.
func (l *loop) nextBoundary() int64 {
	next := l.start
	if l.measuring {
		next += int64(l.second+1) * int64(time.Second)
	}
	if l.stage < len(l.stageEnds) {
		next = min(next, l.stageEnds[l.stage])
	}
	if l.end > l.now {
		next = min(next, l.end)
	}
	if next <= l.now { // it is over, and waits for what is late
		return math.MaxInt64
	}
	return next
}

// unfinished counts what the clients have claimed or drawn, and not sent.
func (l *loop) unfinished() (n int64) {
	for i := range l.clients {
		n += int64(l.clients[i].drawn) + l.clients[i].paid
	}
	return n
}

// expired says whether the time for sending is over.
func (l *loop) expired() bool { return l.end > 0 && l.now >= l.end }

// caughtUp says whether the schedule has been sent to its end. What is late by
// then gets one tick more.
func (l *loop) caughtUp() bool {
	return l.pacer == nil || l.pacer.next >= l.end || l.now >= l.end+tick.Nanoseconds()
}

// conclude ends the sending. Replies are still awaited, for as long as a request may take.
func (l *loop) conclude() {
	if l.deadline == 0 {
		l.finishing = true
		l.deadline = l.now + l.config.Workload.RequestTimeout.D().Nanoseconds()
	}
}

// rotate hands the measurements over at the end of a second or stage.
func (l *loop) rotate() {
	if !l.measuring {
		if l.now < l.start {
			return
		}
		l.measuring = true
		l.recorder.Discard()
	}
	for l.stage < len(l.stageEnds)-1 && l.now >= l.stageEnds[l.stage] {
		l.stage++
		l.generator.SetStage(l.stage)
		l.recorder.Rotate(l.second, l.stage, false)
	}
	limit := l.now
	if l.end > l.start {
		limit = min(limit, l.end-1) // what is answered after the end belongs to the last second
	}
	for limit-l.start >= int64(l.second+1)*int64(time.Second) {
		l.second++
		l.recorder.Rotate(l.second, l.stage, true)
	}
}

// checkSilence gives connections up that owe a reply for too long, or whose node
// is no longer in charge.
func (l *loop) checkSilence() {
	for _, c := range l.conns {
		if c == nil || c.state == ready && c.pending.length == 0 && c.hello == 0 {
			continue
		}
		silent, tooLong := l.overdue(c)
		switch {
		case tooLong, silent > suspicion.Nanoseconds() && !c.target.serves:
			l.lose(c, "timeout")
		case silent > suspicion.Nanoseconds():
			l.suspect(c)
		}
	}
}

// finish accounts for what never came to an end.
func (l *loop) finish() {
	l.rotate()
	l.recorder.Finish(l.now)
	for range l.inFlight {
		l.recorder.Failed()
	}
	l.finished = max(l.lastDone, min(l.end, l.now))
	if l.pacer != nil && l.end > 0 && !l.keysUsedUp {
		for ; l.pacer.next < min(l.end, l.now); l.pacer.advance() {
			l.unsent++
		}
	}
	l.recorder.Rotate(l.second+1, l.stage, true)
}

func (l *loop) close() {
	_ = l.io.close()
	for _, c := range l.conns {
		if c != nil {
			_ = unix.Close(int(c.fd))
			c.state = closed
		}
	}
	l.conns = nil
	l.thread.end()
}

// initShards numbers the shards as the cluster stands now. Slots that nobody
// serves count for the first shard.
func (l *loop) initShards(v *topology.View) {
	number := make(map[int16]uint16)
	for i, p := range v.Primaries() {
		number[p] = uint16(i)
	}
	for slot, owner := range v.Owner {
		l.slots.setShard(slot, number[owner])
	}
}
