package report

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// TestFold checks that folding neither loses nor invents: sums stay, and the
// worst second of the load is the worst second of some point.
func TestFold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 2000).Draw(t, "seconds")
		seed := rapid.Int64Range(1, 1e6).Draw(t, "seed")
		cutAt := rapid.Float64Range(0.01, 1).Draw(t, "last")
		var intervals []spec.Interval
		var operations, errors, worst int64
		peak, least := 0.0, math.Inf(1)
		elapsed := float64(n-1) + cutAt
		for i := range n {
			in := spec.Interval{Second: float64(i), Operations: 1000 + (seed*int64(i+1))%977, Errors: (seed * int64(i)) % 7, Max: 1 + float64(seed*int64(i)%89)}
			in.ByShard = []int64{in.Operations}
			if i == n-1 {
				in.Operations = int64(float64(in.Operations) * cutAt)
				in.ByShard[0] = in.Operations
			} else {
				least = min(least, float64(in.Operations))
			}
			operations, errors, worst, peak = operations+in.Operations, errors+in.Errors, max(worst, in.Errors), max(peak, in.Max)
			intervals = append(intervals, in)
		}
		f := fold(intervals, elapsed)
		if len(f.points) > maxPoints {
			t.Fatalf("%d points", len(f.points))
		}
		var gotOperations, gotErrors int64
		slowest := math.Inf(1)
		for i, p := range f.points {
			gotOperations += p.operations
			gotErrors += p.errors
			slowest = min(slowest, p.lowest)
			// The last point may hold the shred of a second, which has no say in the other two.
			if i < len(f.points)-1 && (p.rate < p.lowest*(1-1e-9) || p.rate > p.most*(1+1e-9)) {
				t.Fatalf("point %d: rate %v is not between %v and %v", i, p.rate, p.lowest, p.most)
			}
			if i > 0 && p.from < f.points[i-1].to-1e-9 {
				t.Fatalf("point %d begins at %v, within the one before", i, p.from)
			}
		}
		if gotOperations != operations || gotErrors != errors {
			t.Fatalf("%d operations and %d errors of %d and %d", gotOperations, gotErrors, operations, errors)
		}
		if f.largest(peakOf) != peak || f.largest(errorsOf) != float64(worst) {
			t.Fatalf("the worst second has been lost: %v of %v, %v of %v", f.largest(peakOf), peak, f.largest(errorsOf), worst)
		}
		if n > 1 && slowest > least {
			t.Fatalf("the slowest second, %v, shows as %v", least, slowest)
		}
	})
}

// TestFoldGaps checks that seconds that are missing are a gap and not a line.
func TestFoldGaps(t *testing.T) {
	line := fold([]spec.Interval{{Second: 4, Operations: 5, P50: 1}, {Second: 0, Operations: 7, P50: 1}}, 5)
	got := steps(line.spans(line, 10, linear(10), rateOf))
	if want := "M0 3H200M800 5H1000"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := area(line.spans(line, 10, linear(10), rateOf), floor(line.spans(line, 10, linear(10), rateOf), 10)); got != "M0 10V3H200V10H0ZM800 10V5H1000V10H800Z" {
		t.Errorf("got area %s", got)
	}
}

func TestAxis(t *testing.T) {
	for _, end := range []float64{1, 1.3, 2, 9.9, 20.004, 60, 121, 600, 3600, 86400, 1e7} {
		ts := timeline{end: end}.axis()
		if len(ts) < 3 || len(ts) > 22 {
			t.Errorf("%v s: %d ticks", end, len(ts))
		}
		for i, tick := range ts {
			if tick.At < 0 || tick.At > 100.1 || i > 0 && tick.Label == ts[i-1].Label {
				t.Errorf("%v s: ticks %v", end, ts)
			}
		}
	}
}

// TestDistribution checks that thinning keeps order and the maximum.
func TestDistribution(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		res := spec.LoadResult{Operations: rapid.Int64Range(1, 1e9).Draw(t, "operations")}
		ms := 0.01
		for p := 0.0; p < 100; p += (100 - p) / rapid.Float64Range(2, 40).Draw(t, "step") {
			if 100-p < 1e-7 {
				break
			}
			ms *= rapid.Float64Range(1, 1.1).Draw(t, "rise")
			res.Percentiles = append(res.Percentiles, spec.Percentile{Percentile: p, MS: ms})
		}
		res.Percentiles = append(res.Percentiles, spec.Percentile{Percentile: 100, MS: ms * 2})
		qs := distribution(res)
		if len(qs) > maxQuantiles+3 {
			t.Fatalf("%d points", len(qs))
		}
		if last := qs[len(qs)-1]; last.ms != ms*2 {
			t.Fatalf("the maximum %v shows as %v", ms*2, last.ms)
		}
		for i, q := range qs[1:] {
			if q.nines < qs[i].nines || q.ms < qs[i].ms {
				t.Fatalf("falls from %+v to %+v", qs[i], q)
			}
		}
	})
}
