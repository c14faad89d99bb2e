package spec

import "fmt"

// Breaches says which objectives res does not keep to, a sentence each that
// begins with the objective's name.
func (o Objectives) Breaches(res LoadResult) (breaches []string) {
	breach := func(broken bool, format string, args ...any) {
		if broken {
			breaches = append(breaches, fmt.Sprintf(format, args...))
		}
	}
	if o.P99MS != nil {
		breach(res.Latency.P99 > *o.P99MS, "p99_ms: the 99th percentile of the latency is %.3f ms, above %g ms", res.Latency.P99, *o.P99MS)
	}
	if o.ThroughputOPS != nil {
		breach(res.ThroughputOPS < *o.ThroughputOPS, "throughput_ops_per_second: the throughput is %.0f operations per second, below %g", res.ThroughputOPS, *o.ThroughputOPS)
	}
	if o.ErrorRatio != nil {
		breach(res.ErrorRatio() > *o.ErrorRatio, "error_ratio: the ratio of errors is %.6f, above %g", res.ErrorRatio(), *o.ErrorRatio)
	}
	if o.UnavailableMS != nil {
		breach(res.UnavailableMS > *o.UnavailableMS, "unavailable_ms: a shard did not answer for %.0f ms, longer than %g ms", res.UnavailableMS, *o.UnavailableMS)
	}
	if o.LostWrites != nil {
		breach(res.LostWrites > *o.LostWrites, "lost_writes: %d acknowledged writes are lost, more than %d", res.LostWrites, *o.LostWrites)
	}
	return breaches
}

// ErrorRatio is errors ÷ (operations + errors), 0–1. Redirections that were
// followed are part of how a cluster works and no errors.
func (r LoadResult) ErrorRatio() float64 {
	var errors int64
	for kind, n := range r.Errors {
		switch kind {
		case "moved", "ask", "tryagain":
		default:
			errors += n
		}
	}
	if errors == 0 {
		return 0
	}
	return float64(errors) / float64(r.Operations+errors)
}
