//go:build linux

package engine

import (
	"fmt"
	"slices"
	"testing"

	"github.com/HdrHistogram/hdrhistogram-go"
	"pgregory.net/rapid"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/load/measure"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// What is taken at a glance has to count as it does when it is looked at byte by byte.
func TestAGlanceSeesWhatIsThere(t *testing.T) {
	const commands, most = 2, 24
	rapid.Check(t, func(rt *rapid.T) {
		w := spec.Workload{Clients: 2, Pipeline: most, Requests: 1000, DataSize: 16}
		if rapid.Bool().Draw(rt, "open loop") {
			w.Rate = 1000
		}
		answers := rapid.SampledFrom([]string{"+OK\r\n", "$3\r\nabc\r\n", "$3\r\n\r\n+\r\n", "$0\r\n\r\n", "$-1\r\n", ":1\r\n", "*1\r\n+OK\r\n", "-ERR no\r\n", "$12\r\n$3\r\nabc\r\n+OK\r\n"})
		few := rapid.SliceOfN(answers, 1, 3).Draw(rt, "kinds of answers")
		var wire []byte
		var operations []operation
		for range rapid.IntRange(1, most).Draw(rt, "operations") {
			wire = append(wire, rapid.SampledFrom(few).Draw(rt, "answer")...)
			op := operation{intended: rapid.Int64Range(-2, 2).Draw(rt, "intended") * 1_000_000, sent: rapid.Int64Range(1, 2).Draw(rt, "sent") * 3_000_000}
			op.item.Command = uint16(rapid.IntRange(0, commands-1).Draw(rt, "command"))
			op.access = measure.AccessTo(rapid.IntRange(0, 1).Draw(rt, "shard"), op.item.Command == 0)
			if w.Rate > 0 && rapid.IntRange(0, 5).Draw(rt, "free") == 0 {
				op.state = detached
			}
			if len(operations) > 0 && rapid.Bool().Draw(rt, "alike") {
				op = operations[len(operations)-1]
			}
			operations = append(operations, op)
		}
		byByte := slices.Collect(slices.Chunk(wire, 1))
		var byCut [][]byte
		for rest := wire; len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(rt, "cut")
			byCut, rest = append(byCut, rest[:n]), rest[n:]
		}
		if got, want := countOf(t, w, operations, byCut), countOf(t, w, operations, byByte); got != want {
			rt.Fatalf("in pieces of %d bytes:\n%s\nbyte by byte:\n%s", sizes(byCut), got, want)
		}
	})
}

func sizes(pieces [][]byte) (list []int) {
	for _, p := range pieces {
		list = append(list, len(p))
	}
	return list
}

// countOf is what is counted when the operations of one connection are answered in pieces.
func countOf(t *testing.T, w spec.Workload, operations []operation, pieces [][]byte) string {
	l, collector := withoutKernel(t, w)
	defer l.engine.Close()
	l.finishing = true // nothing new is sent
	l.idle = newRing(len(operations))
	c := l.conns[0]
	for _, op := range operations {
		c.pending.push(&op)
		l.recorder.Waits(op.access, 1, 0)
	}
	l.inFlight, c.client.pending = len(operations), len(operations)
	l.now = 2 * measure.MinOutage.Nanoseconds()
	for _, p := range pieces {
		l.received(c, p)
	}
	l.recorder.Rotate(0, 0, true)
	collector.Close()
	total := collector.Total()
	text := fmt.Sprintf("under way %d, waiting %d, idle %d, left %d, failed %d, errors %v, shards %v, outages %v",
		l.inFlight, c.client.pending, l.idle.length, c.pending.length, total.Failed, total.Errors, collector.Seconds()[0].Shards, collector.Outages().List(0, l.now))
	for _, command := range total.Commands {
		text += fmt.Sprintf("\nmisses %d, latencies%s", command.Misses, bars(command.Latency))
		if command.Service != nil {
			text += ", service times" + bars(command.Service)
		}
	}
	return text
}

// bars are the values in h and how often they are.
func bars(h *hdrhistogram.Histogram) (text string) {
	for _, bar := range h.Distribution() {
		if bar.Count > 0 {
			text += fmt.Sprintf(" %d×%d", bar.Count, bar.From)
		}
	}
	return text
}
