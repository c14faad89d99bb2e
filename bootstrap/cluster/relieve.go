package cluster

import (
	"context"
	"fmt"
	"slices"

	"github.com/hashicorp/go-hclog"
)

// Relieve makes it safe to start the processes of d.Absent, which were members
// and have lost their data: a replica takes over from each that was a primary,
// and none is left that would follow its address. Until then a process that is
// started there empty has its replicas copy that, and all keys of the shard are
// gone. Slots that nobody else has a copy of are an error unless the loss is
// accepted: then nothing can be done for them.
func Relieve(ctx context.Context, log hclog.Logger, f *Fleet, d Desired) ([]Step, error) {
	e := newExecutor(f, log, d)
	o, err := e.awaitAnswers(ctx)
	if err != nil {
		return nil, failure("reach the nodes", err)
	}
	steps, err := planRelief(o, d)
	if err != nil {
		return nil, err
	}
	if err := e.execute(ctx, steps); err != nil {
		return steps, failure("have replicas take over", err)
	}
	if err := e.awaitRelief(ctx, d); err != nil {
		return steps, failure("wait until replicas follow their new primary", err)
	}
	return steps, nil
}

// planRelief is the part of a plan that has to be done before absent nodes run.
func planRelief(o Observed, d Desired) ([]Step, error) {
	p := newPlanner(&o, d)
	if err := p.refuseUnreachable(); err != nil {
		return nil, err
	}
	p.takeOver()
	for _, g := range p.ghosts() {
		lost := g.slots
		for _, slots := range p.owned {
			lost = lost.Minus(slots)
		}
		if len(lost) > 0 && !d.AcceptDataLoss {
			return nil, lostSlots(g, lost)
		}
	}
	return p.steps, nil
}

// awaitRelief waits until no node with keys follows a member that is gone.
func (e *executor) awaitRelief(ctx context.Context, d Desired) error {
	return poll(ctx, formTimeout, func(ctx context.Context) error {
		o := e.observe(ctx, e.f.names())
		p := newPlanner(&o, d)
		for _, m := range p.members {
			gone := slices.ContainsFunc(p.ghosts(), func(g ghost) bool { return g.id == m.PrimaryID })
			if gone && m.Keys > 0 {
				return again(fmt.Errorf("%s still follows %s, which is gone", m.Node.Name, m.PrimaryID))
			}
		}
		return nil
	})
}

// imagine puts blank nodes in the place of absent ones that do not answer, for
// a plan of what happens once they run.
func (o *Observed) imagine(absent []string) {
	for i := range o.Members {
		m := &o.Members[i]
		if !m.Reachable() && slices.Contains(absent, m.Node.Name) {
			*m = Member{Node: m.Node, ID: fmt.Sprintf("absent-%033d", i), BusPort: m.Node.BusPort}
		}
	}
}

// Foresee is Plan for when the nodes of desired.Absent run, which are then blank.
func Foresee(observed Observed, desired Desired) ([]Step, error) {
	observed.Members = slices.Clone(observed.Members)
	observed.imagine(desired.Absent)
	desired.Absent = nil
	return Plan(observed, desired)
}
