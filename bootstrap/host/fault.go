//go:build linux

package host

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/host/proc"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/host/service"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// The words of FaultEvent.
const (
	eventInjected  = "injected"
	eventRecovered = "recovered"
)

// mendTimeout bounds the mending of a fault.
const mendTimeout = time.Minute

// Fault has a watchdog break a process and mend it, and passes its events on to
// out. The watchdog mends early when ctx is cancelled, when hangup is closed,
// and when this process dies; should the watchdog die, this process mends.
func Fault(ctx context.Context, req spec.HostFault, hangup <-chan struct{}, out io.Writer) error {
	f, err := newFault(ctx, req)
	if err != nil {
		return failure(req.HostName, faultStep(req), err)
	}
	if err := f.watch(ctx, hangup, out); err != nil {
		return failure(req.HostName, faultStep(req), err)
	}
	return nil
}

func faultStep(req spec.HostFault) string { return fmt.Sprintf("%s node %s", req.Kind, req.Node.Name) }

// WatchdogCommand are the arguments that make this program call Watchdog.
func WatchdogCommand() []string { return []string{"host", "watchdog"} }

// watch runs the watchdog and relays what it says.
func (f *fault) watch(ctx context.Context, hangup <-chan struct{}, out io.Writer) error {
	cmd := exec.Command("/proc/self/exe", WatchdogCommand()...)
	cmd.Args[0], cmd.Env = "redis-bootstrap", os.Environ()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the watchdog: %w", err)
	}
	done := make(chan struct{})
	defer close(done)
	go func() {
		select {
		case <-ctx.Done():
		case <-hangup:
		case <-done:
		}
		_ = stdin.Close()
	}()
	sendErr := json.NewEncoder(stdin).Encode(f.req)
	said, relayErr := relay(stdout, out)
	waitErr := cmd.Wait()
	if said.failure != nil {
		return said.failure
	}
	if said.injected && !said.recovered {
		// The watchdog died over it.
		if err := f.mend(); err != nil {
			return errors.Join(waitErr, err)
		}
		return errors.Join(writeEvent(out, eventRecovered), relayErr)
	}
	return errors.Join(sendErr, waitErr, relayErr)
}

// said is what the watchdog said.
type said struct {
	injected, recovered bool
	failure             *spec.Failure
}

// relay passes the watchdog's events on as they come.
func relay(r io.Reader, out io.Writer) (said, error) {
	var s said
	lines := bufio.NewScanner(r)
	var writeErr error
	for lines.Scan() {
		var line struct {
			spec.FaultEvent
			Failure *spec.Failure `json:"failure"`
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return s, fmt.Errorf("the watchdog said %q: %w", lines.Text(), err)
		}
		if s.failure = line.Failure; s.failure != nil {
			continue
		}
		s.injected = s.injected || line.Event == eventInjected
		s.recovered = s.recovered || line.Event == eventRecovered
		if _, err := fmt.Fprintln(out, lines.Text()); err != nil {
			writeErr = err
		}
	}
	return s, errors.Join(lines.Err(), writeErr)
}

// Watchdog injects the fault, and mends it when its time is up, ctx is
// cancelled or hangup is closed. It writes both events to out.
func Watchdog(ctx context.Context, req spec.HostFault, hangup <-chan struct{}, out io.Writer) error {
	f, err := newFault(ctx, req)
	if err != nil {
		return err
	}
	// It is said before it is done: an orderly stop takes a while, in which the
	// server answers nobody any more, and whoever reads this counts from here.
	lost := writeEvent(out, eventInjected)
	if err := f.inject(ctx); err != nil {
		return errors.Join(fmt.Errorf("inject the fault: %w", err), f.mend())
	}
	timer := time.NewTimer(req.RecoverAfter.D())
	defer timer.Stop()
	if lost == nil {
		select {
		case <-ctx.Done():
		case <-hangup:
		case <-timer.C:
		}
	}
	if err := f.mend(); err != nil {
		return fmt.Errorf("mend the fault: %w", err)
	}
	// Whoever would read this may be gone, which is why it was mended.
	_ = writeEvent(out, eventRecovered)
	return nil
}

func writeEvent(out io.Writer, event string) error {
	return json.NewEncoder(out).Encode(spec.FaultEvent{Event: event, UnixTimeMS: time.Now().UnixMilli()})
}

// fault breaks and mends one process.
type fault struct {
	req     spec.HostFault
	control service.Control
	def     service.Definition
}

func newFault(ctx context.Context, req spec.HostFault) (*fault, error) {
	if err := checkPlace(req.Place); err != nil {
		return nil, err
	}
	facts, err := gatherFacts()
	if err != nil {
		return nil, err
	}
	def, err := definitionAt(req.Place, req.Node.Port)
	if err != nil {
		return nil, err
	}
	f := &fault{req: req, control: controlOf(facts), def: def}
	switch req.Kind {
	case spec.FaultStop, spec.FaultKill, spec.FaultPause:
	case spec.FaultIsolate:
		if err := canIsolate(ctx, facts, req.Node); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("a host has no fault %q: it has %q, %q, %q and %q", req.Kind,
			spec.FaultStop, spec.FaultKill, spec.FaultPause, spec.FaultIsolate)
	}
	return f, f.checkRunning(ctx)
}

// checkRunning refuses to break what is broken already: the result would say nothing.
func (f *fault) checkRunning(ctx context.Context) error {
	pid, err := f.pid(ctx)
	if err != nil {
		return err
	}
	if pid == 0 {
		return &spec.Failure{
			Cause:  fmt.Sprintf("the process of node %s does not run", f.req.Node.Name),
			Advice: "Apply the cluster first, or choose another target.",
		}
	}
	return nil
}

func (f *fault) pid(ctx context.Context) (int, error) {
	states, err := f.control.Observe(ctx, []service.Definition{f.def})
	if err != nil {
		return 0, err
	}
	return states[0].PID, nil
}

// unit is the one that the process runs in: of one that was taken over, that may
// still be the one that started it.
func (f *fault) unit(ctx context.Context) (string, error) {
	if f.def.Data == "" {
		return f.def.Unit, nil
	}
	pid, err := f.pid(ctx)
	if err != nil || pid == 0 {
		return f.def.Unit, err
	}
	unit, err := service.UnitOf(ctx, pid)
	return cmp.Or(unit, f.def.Unit), err
}

func (f *fault) inject(ctx context.Context) error {
	switch f.req.Kind {
	case spec.FaultStop:
		return f.control.Stop(ctx, []service.Definition{f.def})
	case spec.FaultKill:
		return f.control.Kill(ctx, f.def)
	case spec.FaultPause:
		return f.signal(ctx, syscall.SIGSTOP)
	case spec.FaultIsolate:
		unit, err := f.unit(ctx)
		if err != nil {
			return err
		}
		return isolate(ctx, f.req.Node, unit)
	default:
		return fmt.Errorf("fault %q", f.req.Kind)
	}
}

// mend undoes inject, wholly or partly done. It goes on when the caller's context has ended.
func (f *fault) mend() error {
	ctx, cancel := context.WithTimeout(context.Background(), mendTimeout)
	defer cancel()
	switch f.req.Kind {
	case spec.FaultStop, spec.FaultKill:
		return f.control.Start(ctx, []service.Definition{f.def})
	case spec.FaultPause:
		return f.signal(ctx, syscall.SIGCONT)
	case spec.FaultIsolate:
		return rejoin(ctx, f.req.Node)
	default:
		return fmt.Errorf("fault %q", f.req.Kind)
	}
}

// signal signals the server, once it is sure that it is the server.
func (f *fault) signal(ctx context.Context, sig syscall.Signal) error {
	pid, err := f.pid(ctx)
	if err != nil || pid == 0 {
		return err
	}
	p, err := os.FindProcess(pid)
	if err != nil {
		return err
	}
	defer func() { _ = p.Release() }()
	if now, err := proc.Get(pid); err != nil || !service.ServerOf(f.def)(now) {
		return fmt.Errorf("process %d is not the server any more", pid)
	}
	if err := p.Signal(sig); err != nil || sig != syscall.SIGSTOP {
		return err
	}
	return proc.AwaitStopped(ctx, pid)
}
