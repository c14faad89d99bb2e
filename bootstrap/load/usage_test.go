//go:build linux

package load

import (
	"testing"
	"time"
)

func TestAGeneratorIsSaturatedWhenItsLoopsHaveNoRest(t *testing.T) {
	start := time.Now()
	for _, k := range []struct {
		threads   int
		busy      time.Duration
		saturated bool
	}{
		{1, 9400 * time.Millisecond, false},
		{1, 9600 * time.Millisecond, true},
		{4, 9600 * time.Millisecond, false},
		{4, 38400 * time.Millisecond, true},
		{1, 0, false},
	} {
		u := usage{before: reading{at: start, busy: time.Hour}, after: reading{at: start.Add(10 * time.Second), busy: time.Hour + k.busy}}
		if g := u.report(1000, k.threads); g.Saturated != k.saturated {
			t.Errorf("%d threads busy for %v of 10 s: saturated is %t", k.threads, k.busy, g.Saturated)
		}
	}
}
