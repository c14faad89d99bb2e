package measure

// Recorder takes one thread's measurements. It is not safe for concurrent use.
// All times are nanoseconds on the load's clock.
type Recorder struct {
	now    *Interval
	shape  Shape
	full   chan<- *Interval
	free   <-chan *Interval
	shards []access
	shared *Outages
}

// Done records an operation that succeeded.
func (r *Recorder) Done(command int, latency int64) {
	c := &r.now.Commands[command]
	// The replies to a pipeline come together, and so have the same latency.
	if latency != c.run.ns {
		c.settle(latency)
	}
	c.run.count++
}

// Served records the service time of an operation that succeeded, in open loop.
func (r *Recorder) Served(command int, ns int64) { record(r.now.Commands[command].Service, ns) }

// Missed counts a read that found nothing.
func (r *Recorder) Missed(command int) { r.now.Commands[command].Misses++ }

// Shard counts n operations on a shard.
func (r *Recorder) Shard(shard, n int) { r.now.Shards[shard] += int64(n) }

// Error counts an error reply or a broken attempt.
func (r *Recorder) Error(command int, kind string) {
	r.now.Errors[kind]++
	r.now.Commands[command].Errors++
}

// Failed counts an operation that will not be tried again.
func (r *Recorder) Failed() { r.now.Failed++ }

// Indeterminate counts a write that was under way when its connection broke.
func (r *Recorder) Indeterminate() { r.now.Indeterminate++ }

// Moved counts bytes sent or received.
func (r *Recorder) Moved(bytes int) { r.now.Bytes += int64(bytes) }

// Slip records how late a command was sent in open loop.
func (r *Recorder) Slip(ns int64) { record(r.now.Slip, ns) }

// Discard forgets what was recorded since the last Rotate: it was the warm-up.
func (r *Recorder) Discard() { r.now.reset() }

// Rotate hands what was recorded over and goes on with another second or stage.
// Last says that the second is over for this thread.
func (r *Recorder) Rotate(second, stage int, last bool) {
	r.now.Last = last
	for i := range r.now.Commands {
		r.now.Commands[i].settle(0)
	}
	r.full <- r.now
	select {
	case r.now = <-r.free:
	default:
		r.now = newInterval(r.shape)
	}
	r.now.Second, r.now.Stage = second, stage
}
