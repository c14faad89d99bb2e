//go:build linux

package engine

import (
	"fmt"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// thread is an operating system thread that runs nothing else until end, and whose
// timers are exact.
type thread struct {
	work chan func()
	done chan struct{}
	id   int
}

func newThread() *thread {
	t := &thread{work: make(chan func()), done: make(chan struct{})}
	started := make(chan struct{})
	go func() {
		// It goes back to Go's scheduler at the end. A thread that ended would take
		// along the processes that it has started with Pdeathsig.
		defer close(t.done)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		// A timer slack of 1 ns instead of 50 µs; without it open loop is a little late.
		_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
		defer func() { _ = unix.Prctl(unix.PR_SET_TIMERSLACK, 0, 0, 0, 0) }()
		t.id = unix.Gettid()
		close(started)
		for do := range t.work {
			do()
			t.done <- struct{}{}
		}
	}()
	<-started
	return t
}

// run runs do there, and returns when it has.
func (t *thread) run(do func()) {
	t.work <- do
	<-t.done
}

func (t *thread) end() {
	close(t.work)
	<-t.done
}

// busy is how long the thread has run, or could have but for others. Where the
// kernel does not say the latter (it needs CONFIG_SCHED_INFO), how long it has run.
func (t *thread) busy() time.Duration {
	var ran, waited, slices int64
	text, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/schedstat", t.id))
	if err == nil {
		if _, err = fmt.Sscan(string(text), &ran, &waited, &slices); err == nil {
			return time.Duration(ran + waited)
		}
	}
	const schedulerClock = 4 | 2 // CPUCLOCK_PERTHREAD_MASK | CPUCLOCK_SCHED
	var ts unix.Timespec
	if unix.ClockGettime(int32(^t.id<<3|schedulerClock), &ts) != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}
