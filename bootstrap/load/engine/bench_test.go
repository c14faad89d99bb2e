//go:build linux

package engine

import (
	"fmt"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/load/measure"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/load/topology"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/load/workload"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// noKernel is a transport whose servers answer at once, at little cost.
type noKernel struct {
	loop *loop
	// answers are by command.
	answers []string
	// sent are the connections that have sent something that was not answered.
	sent  []*conn
	input []byte
}

func (*noKernel) watch(*conn) error { return nil }
func (*noKernel) forget(*conn)      {}
func (*noKernel) close() error      { return nil }

func (n *noKernel) flush() error {
	l := n.loop
	for _, c := range l.dirty {
		c.dirty = false
		l.wrote(c, len(c.out))
		n.sent = append(n.sent, c)
	}
	l.dirty = l.dirty[:0]
	return nil
}

func (n *noKernel) wait(time.Duration) error {
	_ = n.flush()
	l := n.loop
	sent := n.sent
	n.sent = nil
	for _, c := range sent {
		l.now = l.clock()
		n.input = n.input[:0]
		for i := range c.pending.length {
			n.input = append(n.input, n.answers[c.pending.at(i).item.Command]...)
		}
		l.received(c, n.input)
		if len(l.dirty) >= 16 {
			_ = n.flush()
		}
	}
	return nil
}

type still struct{ view *topology.View }

func (s still) View() *topology.View { return s.view }
func (s still) Refresh()             {}

// withoutKernel makes the only loop of a load of three shards, connected to them
// through a noKernel. Its measurements go to the collector.
func withoutKernel(tb testing.TB, w spec.Workload) (*loop, *measure.Collector) {
	tb.Helper()
	view := &topology.View{Version: 1, Nodes: []topology.Node{{Addr: "a:1"}, {Addr: "b:1"}, {Addr: "c:1"}}}
	for slot := range view.Owner {
		view.Owner[slot] = int16(slot * len(view.Nodes) / spec.Slots)
	}
	w.Seed = 1
	w = w.WithDefaults()
	program, err := workload.Compile(w, false, 0)
	if err != nil {
		tb.Fatal(err)
	}
	collector := measure.NewCollector(measure.Shape{Threads: 1, Commands: len(program.Commands), Shards: len(view.Nodes), OpenLoop: w.Rate > 0}, 0, nil)
	e, err := New(Config{Workload: w, Program: program, Threads: 1, Topology: still{view}, Collector: collector})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(e.Close)
	l := e.loops[0]
	_ = l.io.close()
	io := &noKernel{loop: l, input: make([]byte, 0, 1<<10)}
	for i := range program.Commands {
		io.answers = append(io.answers, map[string]string{"SET": "+OK\r\n", "GET": "$16\r\n0123456789abcdef\r\n"}[program.Commands[i].Name])
	}
	l.io = io
	for i := range l.clients {
		for _, t := range l.serving() {
			c := l.clients[i].connTo(t)
			c.state, c.fd = ready, -1
			l.place(c)
		}
	}
	return l, collector
}

// processorTime is what the loop's thread has used, in nanoseconds.
func processorTime(tb testing.TB, l *loop) (ns int64) {
	tb.Helper()
	err := l.onThread(func(*loop) error {
		var ts unix.Timespec
		err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts)
		ns = ts.Nano()
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	return ns
}

// BenchmarkLoop measures what the engine itself does for an operation, in processor
// time: with a kernel beneath, half as much again, because that takes caches away.
func BenchmarkLoop(b *testing.B) {
	for _, pipeline := range []int{1, 16} {
		for name, operations := range map[string]map[string]float64{"set": {"set": 1}, "get": {"get": 1}, "set-get": {"set": 1, "get": 1}} {
			b.Run(fmt.Sprintf("%s/pipeline=%d", name, pipeline), func(b *testing.B) {
				l, collector := withoutKernel(b, spec.Workload{Clients: 48, Pipeline: pipeline, DataSize: 16, Requests: int64(b.N), Operations: operations, Keys: spec.Keys{Maximum: 1_000_000}})
				defer collector.Close()
				before := processorTime(b, l)
				if _, err := l.engine.Run(b.Context(), time.Now()); err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(processorTime(b, l)-before)/float64(b.N), "ns-cpu/op")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}
