package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// Heights of the plots, in their own units and, but for print, in pixels.
const (
	tall  = 210
	strip = 44
)

// markedEverywhere is the number of faults up to which a shard's strip shows
// those of other shards too.
const markedEverywhere = 3

// The tables that hold the exact values of charts.
const (
	secondsID     = "seconds"
	percentilesID = "distribution"
)

// timeCharts are the charts that share a time axis, and the table of their values.
type timeCharts struct {
	Main, Shards []chart
	Table        table
	// Folded says in words that a point stands for several seconds.
	Folded string
	// Omitted says in words which shards have no chart.
	Omitted string
}

// plotter draws the charts of one result over one time axis.
type plotter struct {
	res     spec.LoadResult
	line    timeline
	base    *timeline
	moments []moment
	table   table
}

// plotTime draws everything that goes over time.
func plotTime(res spec.LoadResult, baseline *spec.LoadResult) timeCharts {
	p := plotter{res: res, line: fold(res.Timeline, res.ElapsedSeconds)}
	if baseline != nil && len(baseline.Timeline) > 0 {
		b := fold(baseline.Timeline, baseline.ElapsedSeconds)
		p.base = &b
	}
	p.moments = slices.Concat(stageMoments(res.Stages), moments(res.Faults), lostMoments(res.Runners))
	slices.SortStableFunc(p.moments, func(a, b moment) int { return cmp.Compare(a.Second, b.Second) })
	p.startTable()
	if len(p.line.points) == 0 {
		return timeCharts{Table: p.table}
	}
	out := timeCharts{Main: []chart{p.throughput(), p.latency()}}
	if p.line.largest(errorsOf) > 0 {
		out.Main = append(out.Main, p.errors())
	}
	out.Shards, out.Omitted = p.shards()
	out.Table = p.table
	if p.line.folded() {
		out.Folded = "Each point is " + strings.Replace(seconds(p.line.every), ".0"+nbsp, nbsp, 1) +
			" of the load: latency and errors are those of its worst second, a shard's throughput is that of its slowest."
	}
	return out
}

// startTable makes the rows, a point each, with their time.
func (p *plotter) startTable() {
	p.table = table{ID: secondsID, Head: words("Time")}
	for _, pt := range p.line.points {
		middle := (p.line.x(pt.from) + p.line.x(pt.to)) / 2
		long := p.line.end > 120
		text := clock(pt.from, long) + " – " + clock(pt.to, long)
		p.table.Rows = append(p.table.Rows, row{X: tenths(middle), Cells: figures(text)})
	}
}

// column adds a figure to the table and returns the column's number.
func (p *plotter) column(name string, figure func(point) string) string {
	p.table.Head = append(p.table.Head, column{Name: name, Number: true})
	for i, pt := range p.line.points {
		p.table.Rows[i].Cells = append(p.table.Rows[i].Cells, cell{Text: figure(pt)})
	}
	return fmt.Sprint(len(p.table.Head) - 1)
}

// baselineColumn adds a figure of the baseline, at the same time.
func (p *plotter) baselineColumn(name string, figure func(point) string) string {
	return p.column(name, func(pt point) string {
		middle := (pt.from + pt.to) / 2
		for _, b := range p.base.points {
			if b.from <= middle && middle < b.to {
				return figure(b)
			}
		}
		return none
	})
}

// frame is a chart with the time axis, grid and faults, and no data.
func (p *plotter) frame(class, title string, height int, s scale, format func(float64) string) chart {
	return chart{
		Class: class, Title: title, Height: height, Table: secondsID,
		Shades: shades(p.res.Faults, p.res.Outages, p.line, height), Lines: lines(p.moments, p.line, height),
		X: p.line.axis(), Y: s.labels(format), Grid: s.grid(height),
	}
}

func (p *plotter) throughput() chart {
	peak := p.line.largest(mostOf)
	if p.base != nil {
		peak = max(peak, p.base.largest(rateOf))
	}
	s := linear(peak)
	c := p.frame("tall", "Throughput", tall, s, short)
	c.Note = "operations per second"
	c.Labels, c.Lane = lane(p.moments, p.line)
	c.Label = fmt.Sprintf("Throughput over time, %s operations per second on average, %s at most", rate(p.res.ThroughputOPS), rate(p.line.largest(mostOf)))
	columns := []string{p.column("Throughput, ops/s", func(pt point) string { return rate(pt.rate) })}
	if p.line.folded() {
		top := p.line.spans(p.line, tall, s, mostOf)
		bottom := p.line.spans(p.line, tall, s, lowestOf)
		c.Series = append(c.Series, series{Class: "band", Path: area(top, bottom), Name: "slowest to fastest second"})
		columns = append(columns, p.column("Slowest second", func(pt point) string { return rate(pt.lowest) }))
	} else {
		top := p.line.spans(p.line, tall, s, rateOf)
		c.Series = append(c.Series, series{Class: "fill", Path: area(top, floor(top, tall)), Unlisted: true})
	}
	c.Series = append(c.Series, series{Class: "rate", Name: "this run", Path: steps(p.line.spans(p.line, tall, s, rateOf))})
	columns = append(columns, p.column("Errors", func(pt point) string { return count(pt.errors) }))
	if p.base != nil {
		c.Series = append(c.Series, series{Class: "baseline", Name: "baseline", Path: steps(p.base.spans(p.line, tall, s, rateOf))})
		columns = append(columns, p.baselineColumn("Baseline, ops/s", func(b point) string { return rate(b.rate) }))
	}
	c.Columns = strings.Join(columns, " ")
	return c
}

func (p *plotter) latency() chart {
	least, most := p.line.smallest(p50Of), p.line.largest(peakOf)
	if p.base != nil {
		most = max(most, p.base.largest(p99Of))
	}
	s := spread(least, most)
	c := p.frame("tall", "Latency", tall, s, axisLatency)
	c.Note = "per second"
	if s.log {
		c.Note += ", logarithmic scale"
	}
	c.Label = fmt.Sprintf("Latency over time; over the whole load the median is %s, the 99th percentile %s, the maximum %s",
		latency(p.res.Latency.P50), latency(p.res.Latency.P99), latency(p.res.Latency.Max))
	var columns []string
	for _, l := range []struct {
		class, name string
		figure      func(point) float64
	}{{"peak", "max", peakOf}, {"p99", "p99", p99Of}, {"p50", "p50", p50Of}} {
		c.Series = append(c.Series, series{Class: l.class, Name: l.name, Path: steps(p.line.spans(p.line, tall, s, l.figure))})
		columns = append(columns, p.column("Latency, "+l.name, func(pt point) string { return latency(l.figure(pt)) }))
	}
	if p.base != nil {
		c.Series = append(c.Series, series{Class: "baseline", Name: "baseline, p99", Path: steps(p.base.spans(p.line, tall, s, p99Of))})
		columns = append(columns, p.baselineColumn("Baseline, p99", func(b point) string { return latency(p99Of(b)) }))
	}
	c.Columns = strings.Join(columns, " ")
	return c
}

// errors is the chart of errors per second; their column is in the table already.
func (p *plotter) errors() chart {
	s := linear(p.line.largest(errorsOf))
	s.ticks = []float64{0, s.hi}
	c := p.frame("strip", "Errors", strip, s, short)
	c.Note = "per second"
	c.Label = "Errors per second over time"
	top := p.line.spans(p.line, strip, s, errorsOf)
	c.Series = []series{{Class: "errors", Path: area(top, floor(top, strip)), Unlisted: true}}
	for i, h := range p.table.Head {
		if h.Name == "Errors" {
			c.Columns = fmt.Sprint(i)
		}
	}
	return c
}

// shards draws a strip per shard, all on one scale, so that they can be compared.
func (p *plotter) shards() (strips []chart, omitted string) {
	n := len(p.res.Server.Shards)
	for _, pt := range p.line.points {
		n = max(n, len(pt.shards))
	}
	chosen := p.line.strips(n)
	peak := 0.0
	for _, i := range chosen {
		peak = max(peak, p.line.largest(func(pt point) float64 { return pt.shard(i) }))
	}
	if peak == 0 {
		return nil, ""
	}
	s := linear(peak)
	s.ticks = []float64{0, s.hi}
	for place, i := range chosen {
		c := p.frame("strip", fmt.Sprintf("Shard %d", i), strip, s, short)
		c.Label = fmt.Sprintf("Throughput of shard %d over time", i)
		mine := p.faultsOf(i)
		c.Shades = shades(mine, outagesOf(i, p.res.Outages), p.line, strip)
		if len(p.res.Faults) > markedEverywhere {
			c.Lines = lines(moments(mine), p.line, strip)
		}
		if i < len(p.res.Server.Shards) {
			sh := p.res.Server.Shards[i]
			c.Note = "slots " + cut(sh.Slots, 40) + ", " + cut(sh.Primary, 40)
			c.Label += ", primary " + cut(sh.Primary, 40)
		}
		if place < len(chosen)-1 {
			c.X = nil
		}
		of := func(pt point) float64 { return pt.shard(i) }
		top := p.line.spans(p.line, strip, s, of)
		c.Series = []series{{Class: "solid", Path: area(top, floor(top, strip)), Unlisted: true}}
		c.Columns = p.column(c.Title+", ops/s", func(pt point) string { return rate(of(pt)) })
		strips = append(strips, c)
	}
	if n > len(chosen) {
		omitted = fmt.Sprintf("%d of %s are drawn: those with the slowest seconds.", len(chosen), plural(int64(n), "shard"))
	}
	return strips, omitted
}

// faultsOf are the faults that hit a node of shard i.
func (p *plotter) faultsOf(i int) []spec.FaultResult {
	var fs []spec.FaultResult
	for _, f := range p.res.Faults {
		if slices.Contains(f.Shards, i) || len(f.Shards) == 0 && shardOf(p.res.Server, f.Node) == i {
			fs = append(fs, f)
		}
	}
	return fs
}

// floor is the bottom of an area that stands on the axis.
func floor(top []span, height int) []span {
	out := slices.Clone(top)
	for i := range out {
		out[i].y = float64(height)
	}
	return out
}

// plotPercentiles draws the distribution as HdrHistogram does: the axis is
// log(1/(1−p)), so that each further nine has as much room as the one before.
func plotPercentiles(res spec.LoadResult, baseline *spec.LoadResult) (chart, table) {
	points := distribution(res)
	t := table{ID: percentilesID, Head: append(words("Percentile"), numbers("Latency")...)}
	if len(points) == 0 {
		return chart{}, t
	}
	nines, most := 1.0, 0.0
	for _, p := range points {
		nines, most = max(nines, p.nines), max(most, p.ms)
	}
	least := points[0].ms
	var base []quantile
	if baseline != nil {
		if base = distribution(*baseline); len(base) > 0 {
			most, least = max(most, base[len(base)-1].ms), min(least, base[0].ms)
			t.Head = append(t.Head, numbers("Baseline")...)
		}
	}
	s := spread(least, most)
	x := func(q quantile) float64 { return q.nines / nines * plotWidth }
	draw := func(qs []quantile) string {
		var spans []span
		for _, q := range qs {
			if q.nines <= nines {
				spans = append(spans, span{x1: x(q), y: tall * (1 - s.at(q.ms))})
			}
		}
		return curve(spans)
	}
	c := chart{
		Class: "tall", Title: "Latency by percentile", Note: "each step to the right is one nine more", Height: tall,
		Table: percentilesID, Columns: "1", Y: s.labels(axisLatency), Grid: s.grid(tall),
		Label:  "Latency by percentile, on a scale in which each nine has the same width",
		Series: []series{{Class: "p99", Name: "this run", Path: draw(points)}},
	}
	if s.log {
		c.Note += "; logarithmic scale"
	}
	if len(base) > 0 {
		c.Columns = "1 2"
		c.Series = append(c.Series, series{Class: "baseline", Name: "baseline", Path: draw(base)})
	}
	for _, q := range points {
		cells := figures(trim(q.percentile, 5)+nbsp+"%", latency(q.ms))
		if len(base) > 0 {
			i, _ := slices.BinarySearchFunc(base, q.percentile, func(b quantile, p float64) int { return cmp.Compare(b.percentile, p) })
			cells = append(cells, cell{Text: latency(base[min(i, len(base)-1)].ms)})
		}
		t.Rows = append(t.Rows, row{X: tenths(x(q)), Cells: cells})
	}
	c.X = percentileAxis(nines)
	return c, t
}

// quantile is a point of a distribution; nines is log₁₀(1/(1−p)): 1 for 90 %, 2 for 99 %.
type quantile struct{ percentile, ms, nines float64 }

// maxQuantiles bounds the points of a distribution.
const maxQuantiles = 100

// distribution is a result's distribution, rising, and thinned so that of
// neighbours the slower one stays. The maximum stands where the last of that
// many operations does.
func distribution(res spec.LoadResult) []quantile {
	if res.Operations == 0 {
		return nil
	}
	source := res.Percentiles
	if len(source) == 0 {
		l := res.Latency
		source = []spec.Percentile{{Percentile: 0, MS: l.Min}, {Percentile: 50, MS: l.P50}, {Percentile: 90, MS: l.P90}, {Percentile: 95, MS: l.P95}, {Percentile: 99, MS: l.P99}, {Percentile: 99.9, MS: l.P999}, {Percentile: 100, MS: l.Max}}
	}
	last := max(math.Log10(float64(res.Operations)), 0.3)
	var qs []quantile
	for _, p := range source {
		if p.MS <= 0 || !finite(p.MS) || !finite(p.Percentile) || p.Percentile < 0 || p.Percentile > 100 {
			continue
		}
		n := last
		if p.Percentile < 100 {
			n = min(-math.Log10(1-p.Percentile/100), last)
		}
		qs = append(qs, quantile{p.Percentile, p.MS, n})
	}
	slices.SortStableFunc(qs, func(a, b quantile) int { return cmp.Compare(a.percentile, b.percentile) })
	var out []quantile
	for _, q := range qs {
		place := math.Floor(q.nines / last * maxQuantiles)
		if n := len(out); n > 1 && math.Floor(out[n-1].nines/last*maxQuantiles) == place {
			out[n-1] = q
			continue
		}
		out = append(out, q)
	}
	return out
}

func percentileAxis(nines float64) []tick {
	ts := []tick{{0, "0" + nbsp + "%"}}
	if nines <= 5 {
		ts = append(ts, tick{tenths(100 * math.Log10(2) / nines), "50" + nbsp + "%"})
	}
	for n := 1; float64(n) <= nines; n++ {
		label := "90"
		if n > 1 {
			label = "99"
		}
		if n > 2 {
			label += "." + strings.Repeat("9", n-2)
		}
		ts = append(ts, tick{tenths(100 * float64(n) / nines), label + nbsp + "%"})
	}
	return ts
}
