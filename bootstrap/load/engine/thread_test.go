//go:build linux

package engine

import (
	"testing"
	"time"
)

func TestAThreadKnowsWhenItIsBusy(t *testing.T) {
	thread := newThread()
	defer thread.end()
	const length = 100 * time.Millisecond
	busy := func(do func()) (busy, elapsed time.Duration) {
		before, start := thread.busy(), time.Now()
		thread.run(do)
		return thread.busy() - before, time.Since(start)
	}
	// A thread that always has something to do is busy all the time, even while
	// others have its processor. The kernel counts as it goes, not to the end.
	spun, elapsed := busy(func() {
		for start := time.Now(); time.Since(start) < length; {
		}
	})
	if spun < elapsed*9/10 || spun > elapsed+length/10 {
		t.Errorf("busy for %v of %v of spinning", spun, elapsed)
	}
	slept, elapsed := busy(func() { time.Sleep(length) })
	if slept > elapsed/2 {
		t.Errorf("busy for %v of %v of sleep", slept, elapsed)
	}
}
