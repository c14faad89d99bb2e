// Package cluster forms Redis Clusters and changes them: Observe, Plan (a pure
// function), execute, and verify on every node.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// restoreTimeout bounds putting parameters back after the work was cancelled.
const restoreTimeout = 10 * time.Second

// Result is what Apply did and what came of it.
type Result struct {
	// Steps were begun, in this order; all were done if Apply returned no error.
	Steps  []Step
	Status spec.ClusterStatus
}

// Apply brings the running nodes of d into the wanted topology and verifies it
// on every node. f holds the nodes of d, former ones included. Apply may be
// cancelled or killed at any time; calling it again goes on from there.
func Apply(ctx context.Context, log hclog.Logger, f *Fleet, d Desired) (Result, error) {
	e := newExecutor(f, log, d)
	t := e.tempo
	var res Result
	o, err := e.apply(ctx, d, t, &res)
	restoreCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), restoreTimeout)
	defer cancel()
	if restoreErr := t.restore(restoreCtx); restoreErr != nil {
		err = errors.Join(err, failure("put parameters back", restoreErr))
	}
	if err != nil {
		o = Observe(restoreCtx, f)
	}
	res.Status = Summarize(o, d.ReplicasPerShard)
	return res, err
}

// apply plans and executes until there is nothing to do. One round does, unless
// the cluster changes under it.
func (e *executor) apply(ctx context.Context, d Desired, t *tempo, res *Result) (Observed, error) {
	const rounds = 4
	o, err := e.awaitAnswers(ctx)
	if err != nil {
		return o, failure("reach the nodes", err)
	}
	t.mend(e.only(o))
	for range rounds {
		var steps []Step
		if steps, err = Plan(o, d); err != nil {
			return o, err
		}
		if len(steps) == 0 && len(Problems(e.only(o), d.ReplicasPerShard)) == 0 {
			break
		}
		if waited, err := e.awaitMovers(ctx, o, steps); err != nil {
			return o, failure("wait for others who move slots", err)
		} else if waited {
			o = e.observe(ctx, e.f.names())
			continue
		}
		if first := anew(steps); len(first) > 0 {
			res.Steps = append(res.Steps, first...)
			if err := e.execute(ctx, first); err != nil {
				return o, failure("change the cluster", err)
			}
			o = e.observe(ctx, e.f.names())
			if steps, err = Plan(o, d); err != nil {
				return o, err
			}
		}
		e.donor = donor(o)
		if forms(steps) {
			if err := t.quicken(ctx, o, steps); err != nil {
				return o, failure("quicken the forming", err)
			}
		}
		if syncs(steps) {
			if err := t.hasten(ctx, reachableNames(o)); err != nil {
				return o, failure("quicken replication", err)
			}
		}
		d.Restart = nil // once; another round is for what else may have changed
		res.Steps = append(res.Steps, steps...)
		if o, err = e.carryOut(ctx, steps, d.Create); err != nil {
			return o, err
		}
		if len(d.Former) > 0 { // a slow change may outlast the ban of those who left
			o = e.observe(ctx, e.f.names())
		}
	}
	if err := e.retire(ctx, o); err != nil {
		return o, failure("retire the nodes that left", err)
	}
	o = e.only(o)
	if err := e.probe(ctx, o); err != nil {
		return o, failure("write and read through the cluster", err)
	}
	return o, nil
}

// only is what was observed of the wanted nodes.
func (e *executor) only(o Observed) Observed {
	o.Members = slices.DeleteFunc(slices.Clone(o.Members), func(m Member) bool { return !e.isWanted(m.Node.Name) })
	return o
}

// retire keeps nodes that have left from coming back by themselves: Valkey from
// 8.1 on introduces itself anew to those that have stopped talking to it for a
// node timeout, and their ban ends. They are given a day, in which their hosts
// stop them, and go on leading clients to the new owners. The mark that the
// forming timeouts have too has the timeout put back should the node return.
func (e *executor) retire(ctx context.Context, o Observed) error {
	const aDay = 24*60*60*1000 + markTimeout
	var leavers []string
	for _, m := range o.reachable() {
		comesBack := m.Stats.Flavor == flavorValkey && compareVersions(m.Stats.Version, "8.1") >= 0
		if comesBack && !e.isWanted(m.Node.Name) && len(m.Slots) == 0 {
			leavers = append(leavers, m.Node.Name)
		}
	}
	return each(ctx, leavers, func(ctx context.Context, name string) error {
		return e.f.client(name).ConfigSet(ctx, nodeTimeout, strconv.Itoa(aDay)).Err()
	})
}

// forms says whether a plan has nodes meet or attach, which tempo speeds up.
func forms(steps []Step) bool {
	return slices.ContainsFunc(steps, func(s Step) bool {
		return s.Kind == Meet || s.Kind == Replicate || s.Kind == Claim || s.Kind == Reset
	})
}

// carryOut does the steps and waits until every node agrees.
func (e *executor) carryOut(ctx context.Context, steps []Step, create bool) (Observed, error) {
	// Before a split is mended its halves must not meet.
	n := 1 + lastYield(steps)
	if err := e.execute(ctx, steps[:n]); err != nil {
		return Observed{}, failure("change the cluster", err)
	}
	if !create { // on a new cluster nobody can have been told to forget anybody
		introducing, stop := context.WithCancel(ctx)
		again := &executor{f: e.f, log: e.log, ids: maps.Clone(e.ids), busPorts: maps.Clone(e.busPorts)}
		var done sync.WaitGroup
		done.Go(func() { again.introduceAgain(introducing, steps) })
		defer done.Wait()
		defer stop()
	}
	if err := e.execute(ctx, steps[n:]); err != nil {
		return Observed{}, failure("change the cluster", err)
	}
	o, err := e.verify(ctx)
	if err != nil {
		return o, failure("verify the cluster", err)
	}
	return o, nil
}

// lastYield is the index of the last step that gives slots up, -1 without one.
func lastYield(steps []Step) int {
	for i, s := range slices.Backward(steps) {
		if s.Kind == Yield {
			return i
		}
	}
	return -1
}

// syncs says whether replicas may have to copy their primary's data.
func syncs(steps []Step) bool {
	return slices.ContainsFunc(steps, func(s Step) bool { return s.Kind == Replicate || s.Kind == Restart })
}

// donor is a node that owns slots, if there is one.
func donor(o Observed) string {
	for _, m := range o.reachable() {
		if len(m.Slots) > 0 {
			return m.Node.Name
		}
	}
	return ""
}

func reachableNames(o Observed) (names []string) {
	for _, m := range o.reachable() {
		names = append(names, m.Node.Name)
	}
	return names
}

// awaitAnswers observes until every wanted node answers: one that loads its data
// is waited for, one that is just being started too. Who does not answer then, Plan refuses.
func (e *executor) awaitAnswers(ctx context.Context) (o Observed, err error) {
	const starting = 3 * time.Second
	began := time.Now()
	err = poll(ctx, syncTimeout, func(ctx context.Context) error {
		o = e.observe(ctx, e.f.names())
		for i := range o.Members {
			m := &o.Members[i]
			switch {
			case m.Reachable() || !e.isWanted(m.Node.Name) || slices.Contains(e.absent, m.Node.Name):
			case errors.Is(m.Err, errLoading), isDialError(m.Err) && time.Since(began) < starting:
				return again(fmt.Errorf("%s: %w", m.Node.Name, m.Err))
			}
		}
		return nil
	})
	return o, err
}

func isDialError(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// observe asks the nodes and learns their ids.
func (e *executor) observe(ctx context.Context, names []string) Observed {
	o := observeNodes(ctx, e.f, names)
	for _, m := range o.reachable() {
		e.ids[m.Node.Name], e.busPorts[m.Node.Name] = m.ID, m.BusPort
		e.stats[m.Node.Name] = m.Stats
	}
	return o
}

// failure puts a step's name to an error. What it says to do next holds for
// every step: each may be done again.
func failure(step string, err error) error {
	var f *spec.Failure
	if errors.As(err, &f) {
		return err
	}
	return &spec.Failure{Step: step, Cause: err.Error(),
		Advice: "Nothing that was done has to be undone: mend the cause and apply again, it goes on from here."}
}
