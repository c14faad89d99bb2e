//go:build linux

package load

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/load/topology"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/load/trace"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// Recording says what to record.
type Recording struct {
	// Endpoints are address:port of some nodes; the others are discovered.
	Endpoints []string
	Auth      spec.Auth
	TLS       *spec.TLS
	// MaxSize bounds the bytes that are written; 0 means no bound.
	MaxSize int64
	// KeepValues has values written as they are; else only their sizes are.
	KeepValues bool
}

// Recorded is what a recording came to.
type Recorded struct {
	trace.Captured
	Primaries int
	// CPUBefore and CPUDuring are the primaries' processor time per second, in
	// all, before and while they were recorded: what MONITOR cost them is the difference.
	CPUBefore, CPUDuring float64
}

const (
	// cpuSample is how long the primaries are watched before the recording.
	cpuSample = time.Second
	// shortWord is the longest word that is written as it is: keys, fields and
	// numbers, and values so small that leaving them out saves nothing.
	shortWord = 64
)

// Record writes what the cluster's primaries run to out, until ctx ends or the
// bound is reached.
func Record(ctx context.Context, r Recording, out io.Writer, progress func(trace.Captured)) (Recorded, error) {
	conf, err := r.TLS.Config()
	if err != nil {
		return Recorded{}, err
	}
	w := topology.NewWatcher(topology.Options{Endpoints: r.Endpoints, Username: r.Auth.Username, Password: r.Auth.Password.Reveal(), TLS: conf})
	defer func() { _ = w.Close() }()
	view, err := w.Discover(ctx)
	if err != nil {
		return Recorded{}, &spec.Failure{Step: "reach the cluster", Cause: err.Error(), Advice: discoverAdvice(err)}
	}
	var sources []trace.Source
	for _, p := range view.Primaries() {
		addr := view.Nodes[p].Addr
		sources = append(sources, trace.Source{Addr: addr, Username: r.Auth.Username, Password: r.Auth.Password.Reveal(), Dial: func(ctx context.Context) (net.Conn, error) {
			if conf == nil {
				return (&net.Dialer{}).DialContext(ctx, "tcp", addr)
			}
			return (&tls.Dialer{Config: conf}).DialContext(ctx, "tcp", addr)
		}})
	}
	done := Recorded{Primaries: len(sources)}
	start := processorTime(ctx, w, sources)
	if !until(ctx, time.Now().Add(cpuSample)) {
		return done, context.Cause(ctx)
	}
	began, before := time.Now(), processorTime(ctx, w, sources)
	done.CPUBefore = (before - start) / cpuSample.Seconds()
	done.Captured, err = trace.Capture(ctx, sources, out, trace.Limits{Size: r.MaxSize}, r.omit(), progress)
	after := processorTime(context.WithoutCancel(ctx), w, sources)
	done.CPUDuring = (after - before) / time.Since(began).Seconds()
	if err != nil {
		return done, &spec.Failure{Step: "record", Cause: err.Error(), Advice: "What was recorded until then is in the file and can be replayed."}
	}
	return done, nil
}

// omit says which words are values that are not kept.
func (r Recording) omit() func(int, []byte) bool {
	if r.KeepValues {
		return nil
	}
	return func(i int, word []byte) bool { return i > 1 && len(word) > shortWord }
}

// processorTime is what the primaries have used since they started, in seconds.
// A node that does not say is left out.
func processorTime(ctx context.Context, w *topology.Watcher, sources []trace.Source) (sum float64) {
	for _, s := range sources {
		info, err := w.Client(s.Addr).Info(ctx, "cpu").Result()
		if err != nil {
			continue
		}
		for _, name := range []string{"used_cpu_user", "used_cpu_sys"} {
			if v, err := strconv.ParseFloat(field(info, name), 64); err == nil {
				sum += v
			}
		}
	}
	return sum
}

// Summary says in a sentence what was recorded and what it cost.
func (r Recorded) Summary() string {
	s := fmt.Sprintf("%d commands of %d clients from %d primaries; their processors were %.0f %% busy before and %.0f %% while recording (100 %% is one core)",
		r.Commands, r.Clients, r.Primaries, 100*r.CPUBefore, 100*r.CPUDuring)
	if r.Full {
		s += "; it ended because the file had reached its bound"
	}
	return s
}
