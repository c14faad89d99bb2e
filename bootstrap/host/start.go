//go:build linux

package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/host/service"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

const (
	// readyTimeout is how long a process may take to answer at all. Loading its data may take longer.
	readyTimeout = 30 * time.Second
	readyPoll    = 10 * time.Millisecond
	readyPollMax = 100 * time.Millisecond
	loadReport   = 5 * time.Second
)

// define writes the services that differ.
func (a *apply) define(ctx context.Context) error {
	var defs []service.Definition
	for _, p := range a.processes {
		p.def.User, p.def.Group = p.owner.user, p.owner.group
		if p.state.Defined && p.state.Enabled || p.held && !a.req.DryRun {
			continue // one that is held must not come up with its host either
		}
		what := "define the service"
		if p.state.Defined {
			what = "enable the service"
		}
		defs = append(defs, p.def)
		if err := a.do(ctx, spec.Change{Node: p.node.Name, What: what}, func(context.Context) error { return nil }); err != nil {
			return err
		}
	}
	if len(defs) == 0 || a.req.DryRun {
		return nil
	}
	return a.control.Define(ctx, defs)
}

// start starts the processes that do not run.
func (a *apply) start(ctx context.Context) error {
	var defs []service.Definition
	for _, p := range a.processes {
		if p.foreign() {
			defs = append(defs, p.def)
			what := fmt.Sprintf("take over the process that runs (%d), without a restart", p.state.PID)
			if err := a.do(ctx, spec.Change{Node: p.node.Name, What: what}, func(context.Context) error { return nil }); err != nil {
				return err
			}
		}
		if p.state.PID != 0 || p.held && !a.req.DryRun {
			continue
		}
		defs = append(defs, p.def)
		if st, err := os.Stat(p.def.Log()); err == nil {
			p.logged = st.Size()
		}
		what := "start the process"
		if p.snapshot {
			what = "start the process with its snapshot, and turn the append-only file on then"
		}
		if err := a.do(ctx, spec.Change{Node: p.node.Name, What: what}, func(context.Context) error { return nil }); err != nil {
			return err
		}
	}
	if len(defs) == 0 || a.req.DryRun {
		return nil
	}
	return a.control.Start(ctx, defs)
}

// foreign says whether the process runs and nobody keeps it running yet: it is about to be taken over.
func (p *process) foreign() bool { return p.adopted != nil && p.state.PID != 0 && !p.state.Active }

// awaitReady waits until the processes that were started serve.
func (a *apply) awaitReady(ctx context.Context) error {
	if a.req.DryRun {
		return nil
	}
	var waiting []*readiness
	for _, p := range a.processes {
		if p.state.PID == 0 && !p.held {
			waiting = append(waiting, newReadiness(a, p))
		}
	}
	// Each look costs a call of systemctl, which slows the start that it looks at.
	for wait := readyPoll; ; wait = min(wait*3/2, readyPollMax) {
		var err error
		if waiting, err = a.lookAtAll(ctx, waiting); err != nil || len(waiting) == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("node %s: %w; last: %w", waiting[0].p.node.Name, context.Cause(ctx), waiting[0].last)
		case <-time.After(wait):
		}
	}
}

// lookAtAll returns those that do not serve yet.
func (a *apply) lookAtAll(ctx context.Context, waiting []*readiness) ([]*readiness, error) {
	var defs []service.Definition
	for _, w := range waiting {
		defs = append(defs, w.p.def)
	}
	states, err := a.control.Observe(ctx, defs)
	if err != nil {
		return nil, err
	}
	done := make([]bool, len(waiting))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for i, w := range waiting {
		w.p.state = states[i]
		g.Go(func() (err error) {
			if done[i], err = w.look(gctx); err != nil && gctx.Err() == nil {
				return a.giveUp(ctx, w.p, err)
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	var rest []*readiness
	for i, w := range waiting {
		if !done[i] {
			rest = append(rest, w)
		}
	}
	return rest, nil
}

// giveUp stops a process that dies at start, so that it is not restarted for
// ever, and makes its own words the error.
func (a *apply) giveUp(ctx context.Context, p *process, err error) error {
	if stopErr := a.control.Stop(ctx, []service.Definition{p.def}); stopErr != nil {
		err = errors.Join(err, stopErr)
	}
	return &spec.Failure{
		Cause:  fmt.Sprintf("node %s: %v\n%s", p.node.Name, err, a.lastWords(ctx, p)),
		Advice: "The last lines of its log say why. Apply again once that is put right.",
	}
}

// readiness follows one process from its start until it serves.
type readiness struct {
	a        *apply
	p        *process
	deadline time.Time
	reported time.Time
	// last is why it was not ready the last time.
	last error
}

func newReadiness(a *apply, p *process) *readiness {
	now := time.Now()
	return &readiness{a: a, p: p, deadline: now.Add(readyTimeout), reported: now, last: errors.New("it was not asked yet")}
}

// look says whether the process serves; an error means that it is not going to.
func (w *readiness) look(ctx context.Context) (bool, error) {
	if s := w.p.state; s.Exits > 0 {
		return false, fmt.Errorf("the server ended at start (%s)", s.LastExit)
	}
	loading, err := w.ask(ctx)
	switch {
	case err == nil && !loading:
		return true, nil
	case loading:
		// Its size decides how long this takes; the caller's patience is the limit.
		w.deadline = time.Now().Add(readyTimeout)
	case refusesPassword(err):
		return false, fmt.Errorf("it refuses the password of its own redis.conf: %w", err)
	}
	if err != nil {
		w.last = err
	}
	if time.Now().After(w.deadline) {
		return false, fmt.Errorf("it does not answer after %s: %w", readyTimeout, w.last)
	}
	return false, nil
}

// ask says whether the process answers and whether it still loads its data.
func (w *readiness) ask(ctx context.Context) (loading bool, err error) {
	if w.p.state.PID == 0 {
		return false, errors.New("it has no process yet")
	}
	client := dial(w.p.node, w.p.conf.password)
	defer func() { _ = client.Close() }()
	pid, err := serverPID(ctx, client)
	if err != nil {
		return false, err
	}
	if pid != w.p.state.PID {
		return false, fmt.Errorf("process %d answers on its port", pid)
	}
	state, err := infoField(ctx, client, "persistence", "loading")
	if err != nil || state != "1" {
		return false, err
	}
	if time.Since(w.reported) > loadReport {
		w.reported = time.Now()
		percent, _ := infoField(ctx, client, "persistence", "loading_loaded_perc")
		w.a.log.Info(fmt.Sprintf("%s loads its data: %s%%", w.p.node.Name, percent), "node", w.p.node.Name)
	}
	return true, nil
}

// lastWords is the end of what the server logged since it was started, or where
// it did not get that far what was said about it.
func (a *apply) lastWords(ctx context.Context, p *process) string {
	if s := logSince(p.def.Log(), p.logged); s != "" {
		return s
	}
	return a.control.Words(ctx, p.def)
}

// tailBytes is enough for the words that a server dies with.
const tailBytes = 2000

// logSince returns the end of what file holds after its first bytes.
func logSince(file string, first int64) string {
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }()
	st, err := f.Stat()
	if err != nil {
		return ""
	}
	from := max(first, st.Size()-tailBytes)
	b, err := io.ReadAll(io.NewSectionReader(f, from, tailBytes))
	if err != nil {
		return ""
	}
	s := string(b)
	if from > first {
		_, s, _ = strings.Cut(s, "\n")
	}
	return strings.TrimSpace(s)
}
