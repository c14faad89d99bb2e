package report

import (
	"cmp"
	"math"
	"slices"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

const (
	// maxPoints bounds the points of a chart: more than this is neither seen on a
	// screen nor worth the bytes.
	maxPoints = 180
	// maxStrips bounds the shards that get a chart of their own.
	maxStrips = 8
	// shred is the part of a second, cut off by the end of the load, below which
	// a rate of its own would be noise.
	shred = 0.25
)

// timeline is a load's seconds, folded to at most maxPoints.
type timeline struct {
	points []point
	// every is the seconds in a point.
	every float64
	// end is where the axis ends, in seconds.
	end float64
}

// point is one or several seconds. Times are in seconds, latencies in
// milliseconds and the worst of the point's seconds, so that a spike survives
// folding; rates are per second.
type point struct {
	from, to     float64
	operations   int64
	errors       int64
	rate         float64
	lowest, most float64
	// worst is the number of errors in the second that had the most.
	worst          int64
	p50, p99, peak float64
	// shards holds the lowest rate of each shard.
	shards []float64
}

// fold makes a timeline of the intervals of a load that took elapsed seconds.
func fold(intervals []spec.Interval, elapsed float64) timeline {
	intervals = slices.SortedStableFunc(slices.Values(intervals), func(a, b spec.Interval) int {
		return cmp.Compare(a.Second, b.Second)
	})
	if !finite(elapsed) {
		elapsed = 0
	}
	t := timeline{every: foldBy(len(intervals)), end: max(elapsed, 1)}
	if n := len(intervals); n > 0 {
		t.end = max(t.end, intervals[n-1].Second+shred)
	}
	for i, in := range intervals {
		width := 1.0
		if i == len(intervals)-1 && elapsed > in.Second {
			width = min(width, elapsed-in.Second)
		}
		bucket := math.Floor(in.Second/t.every) * t.every
		last := len(t.points) - 1
		if last >= 0 && (t.points[last].from == bucket || width < shred) {
			t.points[last].add(in, width)
			continue
		}
		p := point{from: bucket, to: in.Second, lowest: math.Inf(1)}
		p.add(in, width)
		t.points = append(t.points, p)
	}
	for i := range t.points {
		t.points[i].rate = float64(t.points[i].operations) / max(t.points[i].to-t.points[i].from, shred)
	}
	return t
}

// foldBy is how many seconds a point of n seconds of load has to hold.
func foldBy(n int) float64 {
	for _, by := range []int{1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1800} {
		if n <= by*maxPoints {
			return float64(by)
		}
	}
	return math.Ceil(float64(n)/maxPoints/3600) * 3600
}

// add takes an interval into the point. One that was cut short counts in full
// but is not held for a slow second.
func (p *point) add(in spec.Interval, width float64) {
	p.operations += in.Operations
	p.errors += in.Errors
	p.worst = max(p.worst, in.Errors)
	p.p50, p.p99, p.peak = max(p.p50, in.P50), max(p.p99, in.P99), max(p.peak, in.Max)
	p.to = max(p.to, in.Second+width)
	if width < shred && !math.IsInf(p.lowest, 1) {
		return
	}
	perSecond := float64(in.Operations) / max(width, shred)
	p.lowest, p.most = min(p.lowest, perSecond), max(p.most, perSecond)
	for i, n := range in.ByShard {
		if i == len(p.shards) {
			p.shards = append(p.shards, math.Inf(1))
		}
		p.shards[i] = min(p.shards[i], float64(n)/max(width, shred))
	}
}

// folded says whether a point is more than one second.
func (t timeline) folded() bool { return t.every > 1 }

// x is where second s stands in the plot.
func (t timeline) x(s float64) float64 { return min(max(s/t.end, 0), 1) * plotWidth }

// spans places a figure of each point into a plot of that height and of axis's
// time. Seconds that are missing are a gap.
func (t timeline) spans(axis timeline, height int, s scale, figure func(point) float64) []span {
	out := make([]span, 0, len(t.points))
	end := 0.0
	for _, p := range t.points {
		if p.from >= axis.end {
			break
		}
		if p.from > end+shred {
			out = append(out, span{x1: axis.x(end), x2: axis.x(p.from), y: math.NaN()})
		}
		end = p.to
		out = append(out, span{x1: axis.x(p.from), x2: axis.x(p.to), y: float64(height) * (1 - s.at(figure(p)))})
	}
	return out
}

// largest is the largest of a figure over all points.
func (t timeline) largest(figure func(point) float64) float64 {
	most := 0.0
	for _, p := range t.points {
		if v := figure(p); finite(v) {
			most = max(most, v)
		}
	}
	return most
}

// smallest is the smallest above 0, or 0 if there is none.
func (t timeline) smallest(figure func(point) float64) float64 {
	least := math.Inf(1)
	for _, p := range t.points {
		if v := figure(p); v > 0 {
			least = min(least, v)
		}
	}
	if math.IsInf(least, 1) {
		return 0
	}
	return least
}

// axis labels the time.
func (t timeline) axis() []tick {
	step := 1.0
	for _, s := range []float64{0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400} {
		if step = s; t.end/s <= 12 {
			break
		}
	}
	step *= math.Ceil(t.end / step / 20) // days
	var ts []tick
	for i := 0; float64(i)*step <= t.end*(1+1e-9); i++ {
		s := float64(i) * step
		ts = append(ts, tick{At: tenths(100 * s / t.end), Label: clock(s, t.end > 120)})
	}
	return ts
}

// strips are the shards that get a chart: all of them, or of many those with
// the slowest seconds, in the order of the shards.
func (t timeline) strips(shards int) []int {
	worst := make([]float64, shards)
	order := make([]int, shards)
	for i := range shards {
		order[i], worst[i] = i, math.Inf(1)
		for _, p := range t.points {
			worst[i] = min(worst[i], p.shard(i))
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(worst[a], worst[b]) })
	order = order[:min(shards, maxStrips)]
	slices.Sort(order)
	return order
}

// shard is the rate of shard i; 0 if it has none.
func (p point) shard(i int) float64 {
	if i >= len(p.shards) || !finite(p.shards[i]) {
		return 0
	}
	return p.shards[i]
}

// The figures of a point that charts draw. A point without an answer has no latency.

func rateOf(p point) float64   { return p.rate }
func lowestOf(p point) float64 { return p.lowest }
func mostOf(p point) float64   { return p.most }
func errorsOf(p point) float64 { return float64(p.worst) }
func p50Of(p point) float64    { return positive(p.p50) }
func p99Of(p point) float64    { return positive(p.p99) }
func peakOf(p point) float64   { return positive(p.peak) }

func positive(v float64) float64 {
	if v > 0 {
		return v
	}
	return math.NaN()
}
