//go:build linux

// Package load runs a workload against a cluster and says what it met.
package load

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/load/engine"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/load/measure"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/load/topology"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/load/trace"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/load/verify"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/load/workload"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// Hooks are what a running load says, and is told. Every function may be nil;
// they are called from other goroutines, one call of each at a time.
type Hooks struct {
	// Ready: a load that awaits its start may now be started.
	Ready func()
	// Started: the measurement has begun.
	Started func()
	// Progress is called once a second.
	Progress func(Progress)
	// FaultDue says that fault number fault is due on the node at addr.
	FaultDue func(fault int, addr string)
	// Warn says what the reader of the figures should know.
	Warn func(message string)
	// Phase names what is done after the load, for a person who waits.
	Phase func(what string)
	// Controls are the messages to the load.
	Controls <-chan spec.LoadControl
}

// Progress is how far a load is.
type Progress struct {
	Elapsed time.Duration
	// Total is how long it will take; 0 if Requests are counted.
	Total time.Duration
	// Requests are to be done in all; 0 if the duration is given. Operations
	// and Errors have been done so far.
	Requests, Operations, Errors int64
	// OPS and P99 are those of the last second; P99 is in milliseconds.
	OPS float64
	P99 float64
}

// drainTimeout bounds what follows the load: the end of faults, asking the nodes.
const drainTimeout = 30 * time.Second

// session is one load from preparation to result.
type session struct {
	run     spec.LoadRun
	hooks   Hooks
	watcher *topology.Watcher
	program *workload.Program
	engine  *engine.Engine
	measure *measure.Collector
	faults  *faults
	ledgers []*verify.Ledger
	replay  *trace.Replay // nil for a made workload
	usage   usage
	base    time.Time
	server  spec.LoadServer

	mu       sync.Mutex
	warnings []string
}

// Run runs the load that run describes, with the credentials in run.Auth, and
// returns what came of it. When ctx ends the load ends early, and the result
// covers what was measured. An error means that there is nothing to report.
func Run(ctx context.Context, run spec.LoadRun, hooks Hooks) (spec.LoadResult, error) {
	s := &session{run: run, hooks: hooks}
	if err := s.prepare(ctx); err != nil {
		return spec.LoadResult{}, err
	}
	defer func() { _ = s.watcher.Close() }()
	outcome, err := s.drive(ctx)
	if err != nil {
		return spec.LoadResult{}, err
	}
	res := s.result(outcome)
	if s.run.Verify && !outcome.Interrupted {
		s.readBack(ctx, &res)
	}
	res.Warnings = s.warnings
	res.Breaches = s.run.Objectives.Breaches(res)
	res.Passed = len(res.Breaches) == 0
	return res, nil
}

// drive runs the engine with everything that accompanies it.
func (s *session) drive(ctx context.Context) (engine.Outcome, error) {
	defer s.engine.Close()
	var background sync.WaitGroup
	// What watches the load outlives an interruption, up to the result.
	watching, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer background.Wait()
	defer stop()
	background.Go(func() { s.watcher.Run(watching) })
	background.Go(func() { s.feed(watching) })
	if err := s.engine.Connect(ctx); err != nil {
		return engine.Outcome{}, err
	}
	if err := s.await(ctx); err != nil {
		return engine.Outcome{}, err
	}
	s.base = time.Now()
	background.Go(func() { s.listen(watching) })
	background.Go(func() { s.attend(watching) })
	outcome, err := s.engine.Run(ctx, s.base)
	if err != nil {
		return outcome, err
	}
	s.usage.stop(s.engine)
	s.engine.Close()
	s.measure.Close()
	if !outcome.Interrupted {
		s.faults.settle(watching, drainTimeout)
	}
	return outcome, nil
}

// await waits for the word to start, if the load is one of several.
func (s *session) await(ctx context.Context) error {
	if !s.run.Await {
		return nil
	}
	if s.hooks.Ready != nil {
		s.hooks.Ready()
	}
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case c, ok := <-s.hooks.Controls:
			switch {
			case !ok || c.Stop:
				return &spec.Failure{Step: "wait for the other runners", Cause: "the test was stopped before it began"}
			case c.Start:
				return nil
			}
		}
	}
}

// listen acts on the messages to the load.
func (s *session) listen(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case c, ok := <-s.hooks.Controls:
			switch {
			case !ok:
				return
			case c.Stop:
				s.engine.Stop()
			default:
				s.faults.control(c, time.Now())
			}
		}
	}
}

// attend announces the beginning and the faults when their time has come.
func (s *session) attend(ctx context.Context) {
	start := s.start()
	if !until(ctx, start) {
		return
	}
	s.usage.start(s.engine)
	if s.hooks.Started != nil {
		s.hooks.Started()
	}
	s.faults.announce(ctx, start)
}

// start is when the measurement begins.
func (s *session) start() time.Time { return s.base.Add(s.run.Workload.Warmup.D()) }

// until waits for a moment; it returns false if ctx ends before.
func until(ctx context.Context, moment time.Time) bool {
	timer := time.NewTimer(time.Until(moment))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

func (s *session) warn(format string, args ...any) {
	message := fmt.Sprintf(format, args...)
	s.mu.Lock()
	s.warnings = append(s.warnings, message)
	s.mu.Unlock()
	if s.hooks.Warn != nil {
		s.hooks.Warn(message)
	}
}

// prepare does all that can go wrong before the first request.
func (s *session) prepare(ctx context.Context) error {
	w := s.run.Workload.WithDefaults()
	if w.Seed == 0 {
		w.Seed = rand.Uint64()
	}
	s.run.Workload = w
	if err := s.refuse(); err != nil {
		return err
	}
	if err := s.discover(ctx); err != nil {
		return err
	}
	if err := s.compile(ctx); err != nil {
		return err
	}
	if err := s.askServer(ctx); err != nil {
		return err
	}
	faults, err := newFaults(s)
	if err != nil {
		return err
	}
	s.faults = faults
	s.watcher.Observe = s.faults.observe
	return s.assemble()
}

// compile makes the program, or opens the recording.
func (s *session) compile(ctx context.Context) error {
	if s.run.Workload.Trace != nil {
		return s.prepareReplay(ctx)
	}
	program, err := workload.Compile(s.run.Workload, s.run.Verify, s.run.Runner)
	if err != nil {
		return &spec.Failure{Step: "prepare the workload", Cause: err.Error()}
	}
	s.program = program
	return nil
}

// refuse checks what needs no server.
func (s *session) refuse() error {
	problems := s.run.Workload.Validate()
	if io := s.run.IO; io != "" && io != spec.IOUring && io != spec.IOEpoll {
		problems = append(problems, spec.Problem{Attribute: "io", Message: fmt.Sprintf("must be %s or %s, not %q", spec.IOUring, spec.IOEpoll, io)})
	}
	if s.run.Verify {
		problems = append(problems, s.run.Workload.ValidateVerify()...)
	}
	if len(problems) == 0 {
		return nil
	}
	var lines []string
	for _, p := range problems {
		lines = append(lines, p.Attribute+" "+p.Message)
	}
	return &spec.Failure{Step: "check the workload", Cause: strings.Join(lines, "\n")}
}

// assemble builds the engine and what measures it.
func (s *session) assemble() error {
	w := s.run.Workload
	threads := w.Threads
	if threads == 0 {
		threads = min(runtime.NumCPU(), w.Clients)
	}
	if err := s.checkDescriptors(w); err != nil {
		return err
	}
	tlsConfig, err := s.run.TLS.Config()
	if err != nil {
		return &spec.Failure{Step: "read the TLS certificates", Cause: err.Error()}
	}
	openLoop := w.Rate > 0 || w.Trace != nil || len(w.Stages) > 0 && w.Stages[0].Rate > 0
	shape := measure.Shape{Threads: threads, Commands: len(s.program.Commands), Shards: len(s.server.Shards), OpenLoop: openLoop, Histograms: s.run.Runners > 1 || s.run.Report}
	s.measure = measure.NewCollector(shape, len(w.Stages), s.progress())
	s.engine, err = engine.New(engine.Config{
		Workload: w, Program: s.program, Threads: threads, Runner: s.run.Runner, Runners: s.run.Runners,
		Username: s.run.Auth.Username, Password: s.run.Auth.Password.Reveal(), TLS: tlsConfig,
		Topology: s.watcher, Collector: s.measure, Start: w.Warmup.D(), IO: s.run.IO, Ledgers: s.newLedgers(threads), Feeds: s.feeds(threads),
	})
	if err != nil {
		return &spec.Failure{Step: "start the load", Cause: err.Error()}
	}
	return nil
}

// progress makes the function that is called when a second is over.
func (s *session) progress() func(measure.Second) {
	w := s.run.Workload
	p := Progress{Total: w.Duration.D(), Requests: w.Requests}
	return func(second measure.Second) {
		p.Elapsed = time.Duration(second.Index+1) * time.Second
		p.Operations += second.Operations
		p.Errors += second.Errors
		p.OPS = float64(second.Operations)
		p.P99 = milliseconds(second.P99)
		if s.hooks.Progress != nil {
			s.hooks.Progress(p)
		}
	}
}

// discover finds the nodes and what they serve.
func (s *session) discover(ctx context.Context) error {
	conf, err := s.run.TLS.Config()
	if err != nil {
		return &spec.Failure{Step: "read the TLS certificates", Cause: err.Error()}
	}
	s.watcher = topology.NewWatcher(topology.Options{
		Endpoints: s.run.Endpoints, Username: s.run.Auth.Username, Password: s.run.Auth.Password.Reveal(), TLS: conf,
	})
	view, err := s.watcher.Discover(ctx)
	if err != nil {
		return errors.Join(&spec.Failure{Step: "reach the cluster", Cause: err.Error(), Advice: discoverAdvice(err)}, s.watcher.Close())
	}
	if unserved := view.Unserved(); unserved > 0 {
		s.warn("%d of %d slots are served by nobody: commands for them wait until some node serves them", unserved, spec.Slots)
	}
	if len(view.Primaries()) == 0 {
		return &spec.Failure{Step: "reach the cluster", Cause: "no node serves any slot", Advice: "Form the cluster first (redis-bootstrap cluster create)."}
	}
	return nil
}

func discoverAdvice(err error) string {
	for _, word := range []string{"NOAUTH", "WRONGPASS"} {
		if strings.Contains(err.Error(), word) {
			return "Give the cluster's password."
		}
	}
	return "Check the addresses, and that this host may connect to them."
}
