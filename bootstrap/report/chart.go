package report

import (
	"math"
	"slices"
	"strconv"
)

// Every chart's plot is this wide in its own units and is stretched to the
// width of the page; only lines are drawn in it, so that nothing is distorted.
// All text stands beside it as HTML, placed in per cent.
const plotWidth = 1000

// chart is a plot with its axes, ready to be written.
type chart struct {
	// Class is "tall" or "strip".
	Class, Title, Note string
	// Label is what a screen reader says.
	Label  string
	Height int
	// Table is the id of the table that holds the exact values, a row per point;
	// Columns are its columns that belong to this chart.
	Table, Columns string
	// Labels stand above the plot, in Lane rows.
	Labels []mark
	Lane   int
	// Shades lie behind the grid, Lines before all else.
	Shades, Series, Lines []series
	X, Y                  []tick
	Grid                  []float64
}

// series is one line or area. Class gives it its colour and stroke.
type series struct {
	Class, Name, Path string
	// Unlisted keeps it out of the legend.
	Unlisted bool
}

// tick is a label on an axis, in per cent of its length from the left or the top.
type tick struct {
	At    float64
	Label string
}

// scale maps values to heights.
type scale struct {
	lo, hi float64
	log    bool
	ticks  []float64
}

// linear is a scale from 0 to a round number at or above peak.
func linear(peak float64) scale {
	if !finite(peak) || peak <= 0 {
		peak = 1
	}
	step := roundUp(peak / 4)
	s := scale{hi: step * math.Ceil(peak/step-1e-9)}
	for i := 0; float64(i)*step <= s.hi*(1+1e-9); i++ {
		s.ticks = append(s.ticks, float64(i)*step)
	}
	return s
}

// spread is a scale for values of lo to hi, both above 0: logarithmic where the
// largest would else press the smallest flat.
func spread(lo, hi float64) scale {
	if lo <= 0 || hi/lo < 20 {
		return linear(hi)
	}
	s := scale{log: true, lo: math.Inf(1), hi: math.Inf(-1)}
	decades := math.Log10(hi / lo)
	for exp := math.Floor(math.Log10(lo)); exp <= math.Ceil(math.Log10(hi)); exp++ {
		for _, m := range []float64{1, 2, 5} {
			s.ticks = append(s.ticks, m*math.Pow(10, exp))
		}
	}
	// The scale ends at the ticks next to the values.
	first, last := 0, len(s.ticks)-1
	for first+1 < len(s.ticks) && s.ticks[first+1] <= lo*(1+1e-9) {
		first++
	}
	for last > first+1 && s.ticks[last-1] >= hi*(1-1e-9) {
		last--
	}
	s.lo, s.hi = s.ticks[first], s.ticks[last]
	s.ticks = slices.DeleteFunc(s.ticks[first:last+1], func(v float64) bool {
		m := v / math.Pow(10, math.Floor(math.Log10(v)+1e-9))
		return m > 1.5 && (decades > 3 || m > 2.5 && decades > 2)
	})
	return s
}

// at is the height of v, 0 at the bottom and 1 at the top; NaN where v can't be drawn.
func (s scale) at(v float64) float64 {
	if !finite(v) || s.log && v <= 0 {
		return math.NaN()
	}
	if s.log {
		return min(max(math.Log(v/s.lo)/math.Log(s.hi/s.lo), 0), 1)
	}
	return min(max((v-s.lo)/(s.hi-s.lo), 0), 1)
}

// labels are the ticks of the axis with format's words.
func (s scale) labels(format func(float64) string) []tick {
	ts := make([]tick, len(s.ticks))
	for i, v := range s.ticks {
		ts[i] = tick{At: tenths(100 * (1 - s.at(v))), Label: format(v)}
	}
	return ts
}

// grid are the heights of the ticks in the plot.
func (s scale) grid(height int) []float64 {
	g := make([]float64, len(s.ticks))
	for i, v := range s.ticks {
		g[i] = tenths(float64(height) * (1 - s.at(v)))
	}
	return g
}

// roundUp is the next of 1, 2, 2.5, 5 × 10ⁿ.
func roundUp(v float64) float64 {
	base := math.Pow(10, math.Floor(math.Log10(v)+1e-9))
	for _, m := range []float64{1, 2, 2.5, 5} {
		if v <= m*base*(1+1e-9) {
			return m * base
		}
	}
	return 10 * base
}

// span is a value that holds from one x to another, in the units of the plot.
type span struct{ x1, x2, y float64 }

// steps draws spans as a line of steps: a second's figure holds for the whole
// second, and a sloped line would begin to fall before the fault that felled
// it. A span without a y leaves a gap.
func steps(spans []span) string {
	var b path
	open := false
	for _, s := range spans {
		if math.IsNaN(s.y) {
			open = false
			continue
		}
		if !open {
			b.move(s.x1, s.y)
		} else {
			b.vertical(s.y)
		}
		b.horizontal(s.x2)
		open = true
	}
	return b.String()
}

// area fills between the steps of top and those of bottom, which have the same xs.
func area(top, bottom []span) string {
	var b path
	for from := 0; from < len(top); {
		if math.IsNaN(top[from].y) {
			from++
			continue
		}
		to := from
		for to < len(top) && !math.IsNaN(top[to].y) {
			to++
		}
		b.move(top[from].x1, bottom[from].y)
		for _, s := range top[from:to] {
			b.vertical(s.y)
			b.horizontal(s.x2)
		}
		for i := to - 1; i >= from; i-- {
			b.vertical(bottom[i].y)
			b.horizontal(bottom[i].x1)
		}
		b.close()
		from = to
	}
	return b.String()
}

// curve draws straight lines through points (x1, y).
func curve(points []span) string {
	var b path
	for i, p := range points {
		if i == 0 {
			b.move(p.x1, p.y)
		} else {
			b.line(p.x1, p.y)
		}
	}
	return b.String()
}

// path builds the d of an SVG path, with steps that go nowhere left out.
type path struct {
	buf  []byte
	x, y float64
	// wide is a horizontal step that is not written yet, so that the next can lengthen it.
	wide bool
}

func (p *path) move(x, y float64) {
	p.flush()
	p.x, p.y = tenths(x), tenths(y)
	p.write('M', p.x, p.y)
}

func (p *path) line(x, y float64) {
	p.flush()
	p.x, p.y = tenths(x), tenths(y)
	p.write('L', p.x, p.y)
}

func (p *path) horizontal(x float64) {
	if x = tenths(x); x != p.x {
		p.x, p.wide = x, true
	}
}

func (p *path) vertical(y float64) {
	if y = tenths(y); y != p.y {
		p.flush()
		p.y = y
		p.write('V', y)
	}
}

// rectangle fills the plot from x1 to x2; nothing where that is no way.
func (p *path) rectangle(x1, x2 float64, height int) {
	if tenths(x1) >= tenths(x2) {
		return
	}
	p.move(x1, 0)
	p.horizontal(x2)
	p.vertical(float64(height))
	p.horizontal(x1)
	p.close()
}

func (p *path) close() {
	p.flush()
	p.buf = append(p.buf, 'Z')
}

func (p *path) flush() {
	if p.wide {
		p.wide = false
		p.write('H', p.x)
	}
}

func (p *path) write(command byte, numbers ...float64) {
	p.buf = append(p.buf, command)
	for i, n := range numbers {
		if i > 0 {
			p.buf = append(p.buf, ' ')
		}
		p.buf = strconv.AppendFloat(p.buf, n, 'f', -1, 64)
	}
}

func (p *path) String() string {
	p.flush()
	return string(p.buf)
}

// tenths rounds to one decimal: finer than a screen shows, and short.
func tenths(v float64) float64 { return math.Round(v*10)/10 + 0 } // −0 + 0 = 0
