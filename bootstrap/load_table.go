//go:build linux

package main

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// writeLoadTable writes a result for a person.
func writeLoadTable(w io.Writer, run spec.LoadRun, res spec.LoadResult) error {
	var out bytes.Buffer
	t := tabwriter.NewWriter(&out, 0, 0, 2, ' ', tabwriter.AlignRight)
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(t, format, args...) }
	line("\tops\tops/s\tmisses\terrors\tmean ms\tp50\tp90\tp99\tp99.9\tmax\t\n")
	row := func(c spec.CommandResult) {
		l := c.Latency
		line("%s\t%d\t%.0f\t%d\t%d\t%.3f\t%.3f\t%.3f\t%.3f\t%.3f\t%.3f\t\n", shorten(c.Command), c.Operations, c.ThroughputOPS, c.Misses, c.Errors, l.Mean, l.P50, l.P90, l.P99, l.P999, l.Max)
	}
	total := spec.CommandResult{Command: "all", Operations: res.Operations, ThroughputOPS: res.ThroughputOPS, Latency: res.Latency}
	for _, c := range res.ByCommand {
		row(c)
		total.Misses += c.Misses
		total.Errors += c.Errors
	}
	row(total)
	for _, st := range res.Stages {
		for _, c := range st.ByCommand {
			c.Command = st.Name + " " + c.Command
			row(c)
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	writeLoadNotes(&out, run, res)
	_, err := w.Write(out.Bytes())
	return err
}

// shorten keeps the table narrow.
func shorten(command string) string {
	const width = 28
	if len(command) > width {
		return command[:width-1] + "…"
	}
	return command
}

// writeLoadNotes writes what does not fit the table.
func writeLoadNotes(w io.Writer, run spec.LoadRun, res spec.LoadResult) {
	note := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format, args...) }
	note("\n%.1f s, %d clients, pipeline %d, %.1f MB/s; %s %s, %d nodes, %d shards\n", res.ElapsedSeconds, run.Workload.Clients, run.Workload.Pipeline,
		res.ThroughputMBPerSecond, res.Server.Flavor, res.Server.Version, res.Server.Nodes, len(res.Server.Shards))
	if len(res.Errors) > 0 || res.FailedOperations > 0 {
		note("errors:")
		for _, kind := range slices.Sorted(maps.Keys(res.Errors)) {
			note(" %s %d", kind, res.Errors[kind])
		}
		note("; %d operations failed\n", res.FailedOperations)
	}
	if res.UnavailableMS > 0 {
		note("longest outage of a shard: %.0f ms\n", res.UnavailableMS)
	}
	if res.IndeterminateWrites > 0 {
		note("writes that were under way when a connection broke: %d\n", res.IndeterminateWrites)
	}
	if run.Verify {
		note("verified writes: %d; lost %d, stale %d, corrupt %d\n", res.VerifiedWrites, res.LostWrites, res.StaleWrites, res.CorruptWrites)
		for _, key := range res.LostKeys {
			note("  lost: %s\n", key)
		}
	}
	g := res.Generator
	if run.Workload.Rate > 0 || g.Unsent > 0 || g.ScheduleSlipMS > 0 {
		note("service time p99 %.3f ms; commands were sent up to %.3f ms late (p99), %d not at all\n", res.ServiceTime.P99, g.ScheduleSlipMS, g.Unsent)
	}
	note("generator: %.2f µs of processor time per operation, %.0f %% of this host, by %s", g.CPUMicrosPerOperation, 100*g.CPU, g.IO)
	if g.Saturated {
		note("; it was busy all the time, so these figures are its limit")
	}
	note("\n")
	if res.Interrupted {
		note("interrupted before its end\n")
	}
	for _, b := range res.Breaches {
		note("MISSED %s\n", b)
	}
}
