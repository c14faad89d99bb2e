//go:build linux

package load

import (
	"encoding/base64"
	"math"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/load/engine"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/load/measure"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// result puts everything together.
func (s *session) result(o engine.Outcome) spec.LoadResult {
	w := s.run.Workload
	start := w.Warmup.D()
	elapsed := max(o.End-start, 0).Seconds()
	total := s.measure.Total()
	res := spec.LoadResult{
		StartedAt: s.start(), ElapsedSeconds: elapsed, Errors: total.Errors, FailedOperations: total.Failed,
		IndeterminateWrites: total.Indeterminate, Workload: &w, Server: s.server, Interrupted: o.Interrupted,
	}
	s.latencies(&res, total, elapsed)
	for _, second := range s.measure.Seconds() {
		res.Timeline = append(res.Timeline, interval(second))
	}
	for i, st := range w.Stages {
		res.Stages = append(res.Stages, s.stage(i, st, elapsed))
	}
	outages := s.measure.Outages().List(start.Nanoseconds(), o.End.Nanoseconds())
	for _, out := range outages {
		res.Outages = append(res.Outages, outage(out, start))
		res.UnavailableMS = max(res.UnavailableMS, float64(out.To-out.From)/1e6)
	}
	if s.run.Runners > 1 {
		for _, quiet := range s.measure.Outages().Silences(start.Nanoseconds(), o.End.Nanoseconds()) {
			res.Silences = append(res.Silences, outage(quiet, start))
		}
	}
	res.Faults = s.faults.results(s.start(), outages, s.base)
	res.Generator = s.usage.report(res.Operations, s.engine.Threads())
	res.Generator.IO = s.engine.IO()
	res.Generator.Unsent = o.Unsent
	if total.Slip != nil {
		res.Generator.ScheduleSlipMS = milliseconds(total.Slip.ValueAtQuantile(99))
	}
	if o.KeysUsedUp {
		s.warn("every unique key had been used, so the load ended early")
	}
	if res.Generator.Saturated {
		s.warn("the generator was busy all the time: the figures are its limit rather than the cluster's; use more threads or more runners")
	}
	return res
}

// latencies fills in what comes from the histograms.
func (s *session) latencies(res *spec.LoadResult, total *measure.Totals, elapsed float64) {
	all, service := measure.NewHistogram(), measure.NewHistogram()
	for i, c := range total.Commands {
		all.Merge(c.Latency)
		if c.Service != nil {
			service.Merge(c.Service)
		}
		res.ByCommand = append(res.ByCommand, s.command(i, c, elapsed))
	}
	res.Operations = all.TotalCount()
	res.ThroughputOPS = ratio(float64(res.Operations), elapsed)
	res.ThroughputMBPerSecond = ratio(float64(total.Bytes)/1e6, elapsed)
	res.Latency, res.ServiceTime = latency(all), latency(all)
	if service.TotalCount() > 0 {
		res.ServiceTime = latency(service)
		res.ServiceHistogram = encode(service)
	}
	res.Histogram = encode(all)
	res.Percentiles = percentiles(all)
}

func (s *session) command(i int, c measure.Command, elapsed float64) spec.CommandResult {
	return spec.CommandResult{
		Command: s.program.Commands[i].Name, Operations: c.Latency.TotalCount(),
		ThroughputOPS: ratio(float64(c.Latency.TotalCount()), elapsed),
		Errors:        c.Errors, Misses: c.Misses, Latency: latency(c.Latency), Histogram: encode(c.Latency),
	}
}

// stage reports on stage i of a load that took elapsed seconds. The last stage
// goes on to the end.
func (s *session) stage(i int, st spec.Stage, elapsed float64) spec.StageResult {
	r := spec.StageResult{Name: st.Name}
	for _, before := range s.run.Workload.Stages[:i] {
		r.AtSeconds += before.Duration.D().Seconds()
	}
	r.ElapsedSeconds = max(0, elapsed-r.AtSeconds)
	if i < len(s.run.Workload.Stages)-1 {
		r.ElapsedSeconds = min(r.ElapsedSeconds, st.Duration.D().Seconds())
	}
	all := measure.NewHistogram()
	for j, c := range s.measure.Stage(i).Commands {
		all.Merge(c.Latency)
		r.ByCommand = append(r.ByCommand, s.command(j, c, r.ElapsedSeconds))
	}
	r.Operations = all.TotalCount()
	r.ThroughputOPS = ratio(float64(r.Operations), r.ElapsedSeconds)
	r.Latency = latency(all)
	return r
}

func interval(s *measure.Second) spec.Interval {
	return spec.Interval{
		Second: float64(s.Index), Operations: s.Operations, Errors: s.Errors, ByShard: s.Shards, Histograms: s.Histograms,
		P50: milliseconds(s.P50), P99: milliseconds(s.P99), Max: milliseconds(s.Max),
	}
}

// The words of spec.Outage.Access.
const (
	accessRead  = "read"
	accessWrite = "write"
)

func outage(o measure.Outage, start time.Duration) spec.Outage {
	access := accessRead
	if o.Write() {
		access = accessWrite
	}
	return spec.Outage{Shard: o.Shard(), Access: access, AtSeconds: (time.Duration(o.From) - start).Seconds(), DurationMS: float64(o.To-o.From) / 1e6}
}

func milliseconds(us int64) float64 { return float64(us) / 1000 }

func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

func latency(h *hdrhistogram.Histogram) spec.Latency {
	if h.TotalCount() == 0 {
		return spec.Latency{}
	}
	at := func(q float64) float64 { return milliseconds(h.ValueAtQuantile(q)) }
	return spec.Latency{
		Min: milliseconds(h.Min()), Mean: h.Mean() / 1000, P50: at(50), P90: at(90), P95: at(95), P99: at(99), P999: at(99.9), Max: milliseconds(h.Max()),
	}
}

// percentiles are points for a plot, closer together towards 100.
func percentiles(h *hdrhistogram.Histogram) []spec.Percentile {
	var points []spec.Percentile
	if h.TotalCount() == 0 {
		return points
	}
	const stepsPerHalving = 5
	for step := 0; ; step++ {
		rest := math.Pow(0.5, float64(step)/stepsPerHalving)
		if rest*float64(h.TotalCount()) < 1 {
			break
		}
		q := 100 * (1 - rest)
		points = append(points, spec.Percentile{Percentile: q, MS: milliseconds(h.ValueAtQuantile(q))})
	}
	return append(points, spec.Percentile{Percentile: 100, MS: milliseconds(h.Max())})
}

func encode(h *hdrhistogram.Histogram) string {
	text, err := h.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		return "" // only a histogram that is broken can't be encoded
	}
	return string(text)
}

// decode reads what encode wrote; an empty text is an empty histogram.
func decode(text string) (*hdrhistogram.Histogram, error) {
	if text == "" {
		return measure.NewHistogram(), nil
	}
	if _, err := base64.StdEncoding.DecodeString(text); err != nil {
		return nil, err
	}
	return hdrhistogram.Decode([]byte(text))
}
