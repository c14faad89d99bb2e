package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
	"github.com/redisfleet/terraform-provider-redis/internal/fleet"
	"github.com/redisfleet/terraform-provider-redis/internal/provider/connection"
	"github.com/redisfleet/terraform-provider-redis/internal/provider/diagnose"
	"github.com/redisfleet/terraform-provider-redis/internal/reach"
)

// errGone is a cluster of which nothing is left on any of its hosts.
var errGone = errors.New("nothing is left of the cluster")

// A cluster that has just failed over is whole again a moment later. observe
// gives it that moment, so that a plan does not set out to repair what mends itself.
const (
	mendTime = 2 * time.Second
	mendPoll = 200 * time.Millisecond
)

// observe asks the cluster how it is, until it is well or has had time to mend.
func observe(ctx context.Context, s *fleet.Session, c connection.Connection) (spec.ClusterStatus, error) {
	deadline := time.Now().Add(mendTime)
	for {
		status, err := ask(ctx, s, c)
		if err != nil || status.Health != spec.HealthDegraded || time.Now().After(deadline) {
			return status, err
		}
		select {
		case <-ctx.Done():
			return status, nil
		case <-time.After(mendPoll):
		}
	}
}

// ask asks the cluster how it is, through its first host; only if that one
// cannot say are the others asked. A cluster of which no host can be reached is
// HealthUnreachable; errGone says that all hosts were reached and have nothing of it.
func ask(ctx context.Context, s *fleet.Session, c connection.Connection) (spec.ClusterStatus, error) {
	groups := c.Groups()
	first, err := s.Host(ctx, groups[0].Machine)
	if err == nil {
		status, err := inspect(ctx, first, c, groups[0])
		if err == nil && status.Health != spec.HealthUnreachable {
			return status, nil
		}
	}
	if ctx.Err() != nil {
		return spec.ClusterStatus{}, context.Cause(ctx)
	}
	found, err := survey(ctx, s, c)
	if at := slices.IndexFunc(found, func(f finding) bool { return f.running }); at >= 0 {
		host, err := s.Host(ctx, groups[at].Machine)
		if err != nil {
			return spec.ClusterStatus{}, err
		}
		return inspect(ctx, host, c, groups[at])
	}
	return conclude(found, err)
}

// inspect asks the cluster through h, the host of group g.
func inspect(ctx context.Context, h *fleet.Host, c connection.Connection, g connection.Group) (spec.ClusterStatus, error) {
	there, err := h.Has(ctx, c.ClusterDir())
	if err != nil || !there {
		// Asking would push the binary to where nothing of the cluster is.
		return spec.ClusterStatus{Health: spec.HealthUnreachable}, err
	}
	return fleet.Call[spec.ClusterStatus](ctx, h, "cluster inspect", spec.ClusterInspect{
		Versioned: spec.V(), Nodes: c.Nodes(), Auth: c.Auth(g),
	})
}

// finding is what one host has of a cluster.
type finding struct {
	reached bool
	// present: there are files of it; running: a process of it runs.
	present, running bool
	problem          string
}

// survey looks at the processes on all hosts.
func survey(ctx context.Context, s *fleet.Session, c connection.Connection) ([]finding, error) {
	groups := c.Groups()
	return fleet.Each(ctx, s, c.Machines(), func(ctx context.Context, h *fleet.Host) (finding, error) {
		f := finding{reached: true}
		there, err := h.Has(ctx, c.ClusterDir())
		if err != nil || !there {
			return f, err
		}
		at := slices.IndexFunc(groups, func(g connection.Group) bool { return g.Machine == h.Machine })
		f.present = true
		r, err := fleet.Call[spec.HostResult](ctx, h, "host inspect", spec.HostInspect{
			Versioned: spec.V(), Place: c.Place, HostName: h.Name, Nodes: groups[at].Nodes,
		})
		var down []string
		for _, p := range r.Processes {
			f.running = f.running || p.State == "running"
			if p.State != "running" {
				down = append(down, p.Node+" is "+p.State)
			}
		}
		f.problem = strings.Join(down, ", ")
		return f, err
	})
}

// conclude judges a cluster of which no process is known to run.
func conclude(found []finding, err error) (spec.ClusterStatus, error) {
	var problems []string
	present := false
	for _, f := range found {
		present = present || f.present
		if f.problem != "" {
			problems = append(problems, f.problem)
		}
	}
	unreachable := false
	for _, e := range diagnose.Each(err) {
		u := new(reach.UnreachableError)
		if !errors.As(e, &u) {
			return spec.ClusterStatus{}, err
		}
		unreachable = true
		problems = append(problems, fmt.Sprintf("%s cannot be reached: %v", u.Host, u.Err))
	}
	switch {
	case unreachable:
		return spec.ClusterStatus{Health: spec.HealthUnreachable, Problems: problems}, nil
	case !present:
		return spec.ClusterStatus{}, errGone
	}
	return spec.ClusterStatus{Health: spec.HealthDown, Problems: problems}, nil
}

// drift says in words what an apply of had would do, were nothing in the
// configuration changed: what has been changed by hand. Hosts that have nothing
// of the cluster are a matter of its status; those that cannot be asked are in unasked.
func drift(ctx context.Context, s *fleet.Session, had desired) (steps []string, unasked, err error) {
	machines := had.Machines()
	there, err := fleet.Each(ctx, s, machines, func(ctx context.Context, h *fleet.Host) (bool, error) {
		return h.Has(ctx, had.ClusterDir())
	})
	unasked = err
	if err = withoutUnreachable(err); err != nil {
		return nil, nil, err
	}
	var asked []fleet.Machine
	for i, present := range there {
		if present {
			asked = append(asked, machines[i])
		}
	}
	if len(asked) == 0 {
		return nil, unasked, nil
	}
	out, err := preview(ctx, s, order{want: had, staying: staying(had.Processes, had.Processes), password: password{keep: true}}, asked)
	for _, e := range diagnose.Each(withoutUnreachable(err)) {
		// What keeps an apply from going is found out again by the plan, which says it in full.
		out.steps = append(out.steps, firstLine(e.Error()))
	}
	return out.steps, unasked, nil
}
