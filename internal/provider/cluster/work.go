package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
	"github.com/redisfleet/terraform-provider-redis/internal/fleet"
	"github.com/redisfleet/terraform-provider-redis/internal/provider/connection"
	"github.com/redisfleet/terraform-provider-redis/internal/provider/diagnose"
	"github.com/redisfleet/terraform-provider-redis/internal/reach"
)

// password is what an apply knows of the cluster's password.
type password struct {
	value spec.Secret
	// keep has the hosts keep the one that they have; value is for new processes.
	keep bool
}

// order is one apply: what is wanted, and where it starts from.
type order struct {
	want desired
	// former are the processes that the last apply knew of and that are wanted no longer.
	former []connection.Process
	// staying names the wanted processes that the last apply knew of.
	staying []string
	// create says that the cluster is not known to exist.
	create   bool
	password password
	// adopt has the node ids of members that are still to be taken over, by endpoint.
	adopt map[string]string
}

// outcome is what an apply, or the plan of one, came to.
type outcome struct {
	status spec.ClusterStatus
	steps  []string
	// inAll sums the steps up.
	inAll    string
	warnings []string
	// begun says that hosts may have been changed.
	begun bool
}

// converge is the way of one apply: every host, then the cluster, then what is
// wanted no longer. Each part may be repeated, so that a converge which was cut
// off is continued by the next one.
func converge(ctx context.Context, s *fleet.Session, o order) (outcome, error) {
	var out outcome
	groups := o.want.Groups()
	// Nothing is touched unless every host can be reached.
	if _, err := fleet.Each(ctx, s, o.want.Machines(), func(context.Context, *fleet.Host) (struct{}, error) {
		return struct{}{}, nil
	}); err != nil {
		return out, err
	}
	if err := checkFirewalls(ctx, s, groups); err != nil {
		return out, err
	}
	out.begun = true
	results, err := fleet.Each(ctx, s, o.want.Machines(), func(ctx context.Context, h *fleet.Host) (spec.HostResult, error) {
		r, err := fleet.Call[spec.HostResult](ctx, h, "host apply", o.host(groups, h, o.staying, false))
		if w := h.ClockWarning(); w != "" {
			r.Warnings = append(r.Warnings, w)
		}
		return r, err
	})
	if err == nil {
		err = o.release(ctx, s, groups, results, &out)
	}
	for i, r := range results {
		for _, w := range r.Warnings {
			out.warnings = append(out.warnings, groups[i].Machine.Name+": "+w)
		}
	}
	if err != nil {
		return out, err
	}
	if err := probe(ctx, s, groups); err != nil {
		return out, err
	}
	coordinator, err := s.Host(ctx, groups[0].Machine)
	if err != nil {
		return out, err
	}
	request := o.cluster(groups[0], false)
	request.Restart = restarts(results)
	formed, err := fleet.Call[spec.ClusterResult](ctx, coordinator, "cluster apply", request)
	if err != nil {
		return out, err
	}
	out.status, out.steps = formed.Status, append(out.steps, formed.Steps...)
	warnings, err := retire(ctx, s, o)
	out.warnings = append(out.warnings, warnings...)
	return out, err
}

// release starts the processes that were held back because they have no data,
// once replicas have taken over from them. results are replaced by those of the start.
func (o order) release(ctx context.Context, s *fleet.Session, groups []connection.Group, results []spec.HostResult, out *outcome) error {
	var machines []fleet.Machine
	var at []int
	request := o.cluster(groups[0], false)
	for i, r := range results {
		held := heldBack(r)
		if request.Absent = append(request.Absent, held...); len(held) > 0 {
			machines, at = append(machines, groups[i].Machine), append(at, i)
		}
	}
	if len(machines) == 0 {
		return nil
	}
	coordinator, err := s.Host(ctx, groups[0].Machine)
	if err != nil {
		return err
	}
	relieved, err := fleet.Call[spec.ClusterResult](ctx, coordinator, "cluster relieve", request)
	out.steps = append(out.steps, relieved.Steps...)
	if err != nil {
		return err
	}
	started, err := fleet.Each(ctx, s, machines, func(ctx context.Context, h *fleet.Host) (spec.HostResult, error) {
		return fleet.Call[spec.HostResult](ctx, h, "host apply", o.host(groups, h, nil, false))
	})
	for i, r := range started {
		r.Warnings = results[at[i]].Warnings
		results[at[i]] = r
	}
	return err
}

func heldBack(r spec.HostResult) (names []string) {
	for _, p := range r.Processes {
		if p.Held {
			names = append(names, p.Node)
		}
	}
	return names
}

// preview says in words what converge would do, as far as it can be told by now.
func preview(ctx context.Context, s *fleet.Session, o order, machines []fleet.Machine) (outcome, error) {
	var out outcome
	groups := o.want.Groups()
	results, err := fleet.Each(ctx, s, machines, func(ctx context.Context, h *fleet.Host) (spec.HostResult, error) {
		return fleet.Call[spec.HostResult](ctx, h, "host apply", o.host(groups, h, o.staying, true))
	})
	for i, r := range results {
		for _, c := range r.Changes {
			out.steps = append(out.steps, strings.TrimPrefix(cmp.Or(c.Node, machines[i].Name)+": ", ": ")+c.What)
		}
	}
	if withoutUnreachable(err) != nil || o.create || len(machines) < len(groups) {
		return out, err
	}
	absent, told := o.absent(groups, results)
	at := slices.IndexFunc(results, func(r spec.HostResult) bool { return len(r.Processes) > 0 && r.Processes[0].State == running })
	if !told || at < 0 {
		return out, err
	}
	coordinator, openErr := s.Host(ctx, groups[at].Machine)
	if openErr != nil {
		return out, openErr
	}
	request := o.cluster(groups[at], true)
	request.Restart, request.Absent = restarts(results), absent
	planned, err := fleet.Call[spec.ClusterResult](ctx, coordinator, "cluster apply", request)
	out.steps, out.inAll = append(out.steps, planned.Steps...), planned.InAll
	return out, err
}

// running is the state of a process that runs.
const running = "running"

// absent names the processes that do not run and will start without data: new
// ones, and those that lost theirs. told is false where it cannot be said what
// will come up, because a host does not answer or a process has data to load.
func (o order) absent(groups []connection.Group, results []spec.HostResult) (names []string, told bool) {
	for i, g := range groups {
		states := make(map[string]spec.Process)
		for _, p := range results[i].Processes {
			states[p.Node] = p
		}
		for _, n := range g.Nodes {
			switch p := states[n.Name]; {
			case p.State == running:
			case p.Held, !slices.Contains(o.staying, n.Name):
				names = append(names, n.Name)
			default:
				return nil, false
			}
		}
	}
	return names, true
}

// restarts names the nodes that take up what has changed only when they are
// restarted. The cluster does that, which knows when a node may go.
func restarts(results []spec.HostResult) []string {
	names := make(map[string]bool)
	for _, r := range results {
		for _, p := range r.Processes {
			names[p.Node] = names[p.Node] || p.RestartNeeded
		}
		for _, c := range r.Changes { // what a dry run would have changed
			names[c.Node] = names[c.Node] || c.Restart && c.Node != ""
		}
	}
	maps.DeleteFunc(names, func(_ string, restart bool) bool { return !restart })
	return slices.Sorted(maps.Keys(names))
}

// host is the request to one host.
func (o order) host(groups []connection.Group, h *fleet.Host, hold []string, dryRun bool) spec.HostApply {
	at := slices.IndexFunc(groups, func(g connection.Group) bool { return g.Machine == h.Machine })
	return spec.HostApply{
		Versioned: spec.V(), Place: o.want.Place, HostName: h.Name, Nodes: groups[at].Nodes,
		Server: o.want.Server, Config: o.want.Config, Adopt: o.adopt,
		Password: o.password.value, KeepPassword: o.password.keep,
		AllowUnauthenticated: o.want.AllowUnauthenticated, Hold: hold, DryRun: dryRun,
		// Terraform's own machine is somebody's desk or a CI runner: its kernel is left alone.
		TuneOS: o.want.TuneOS && !h.Local,
	}
}

// cluster is the request to the coordinator, the host of group at.
func (o order) cluster(at connection.Group, planOnly bool) spec.ClusterApply {
	former := make([]spec.Node, len(o.former))
	for i, p := range o.former {
		former[i] = p.Node
		// Another machine may have its name by now, and both are asked.
		if slices.ContainsFunc(o.want.Processes, func(w connection.Process) bool { return w.Name == p.Name }) {
			former[i].Name += " at " + p.Addr()
		}
	}
	return spec.ClusterApply{
		Versioned: spec.V(), Name: o.want.Cluster, Place: &o.want.Place, Nodes: o.want.Nodes(), Former: former,
		ReplicasPerShard: o.want.ReplicasPerShard, SpareReplicas: o.want.SpareReplicas, Auth: o.want.Auth(at),
		Create: o.create, AcceptDataLoss: o.want.AcceptDataLoss, PlanOnly: planOnly,
	}
}

// retire removes the former processes from their hosts, now that the cluster
// does without them. A host that is gone took them with it.
func retire(ctx context.Context, s *fleet.Session, o order) (warnings []string, err error) {
	gone := connection.Connection{Place: o.want.Place, Processes: slices.DeleteFunc(slices.Clone(o.former), o.remade)}
	groups := gone.Groups()
	var errs []error
	_, err = fleet.Each(ctx, s, gone.Machines(), func(ctx context.Context, h *fleet.Host) (struct{}, error) {
		at := slices.IndexFunc(groups, func(g connection.Group) bool { return g.Machine == h.Machine })
		stays := slices.ContainsFunc(o.want.Processes, func(p connection.Process) bool { return machineOf(p) == machineOf(o.processOf(groups[at])) })
		return struct{}{}, remove(ctx, h, o.want.Place, groups[at].Nodes, !stays)
	})
	for _, e := range diagnose.Each(err) {
		if unreachable := new(reach.UnreachableError); errors.As(e, &unreachable) {
			warnings = append(warnings, fmt.Sprintf("%s cannot be reached; if it still exists, the processes that left the cluster are still there: %v", unreachable.Host, unreachable.Err))
			continue
		}
		errs = append(errs, e)
	}
	return warnings, errors.Join(errs...)
}

// remade says whether p was on an instance that was made again under its name:
// there is no trace of it, and nobody answers at its address.
func (o order) remade(p connection.Process) bool {
	return p.Instance != "" && slices.ContainsFunc(o.want.Processes, func(w connection.Process) bool { return w.Instance == p.Instance && w.Host != p.Host })
}

// processOf gives a process of g.
func (o order) processOf(g connection.Group) connection.Process {
	at := slices.IndexFunc(o.former, func(p connection.Process) bool { return p.Node == g.Nodes[0] })
	return o.former[at]
}

// remove takes processes off h; with all, everything of the cluster.
func remove(ctx context.Context, h *fleet.Host, place spec.Place, nodes []spec.Node, all bool) error {
	there, err := h.Has(ctx, place.ClusterDir())
	if err != nil {
		return err
	}
	if there {
		if _, err := fleet.Call[spec.HostRemoveResult](ctx, h, "host remove", spec.HostRemove{
			Versioned: spec.V(), Place: place, HostName: h.Name, Nodes: nodes, All: all,
		}); err != nil {
			return err
		}
	}
	if all {
		return h.Leave(ctx)
	}
	return nil
}

// dismantle removes the cluster from all its hosts.
func dismantle(ctx context.Context, s *fleet.Session, c connection.Connection) error {
	groups := c.Groups()
	_, err := fleet.Each(ctx, s, c.Machines(), func(ctx context.Context, h *fleet.Host) (struct{}, error) {
		at := slices.IndexFunc(groups, func(g connection.Group) bool { return g.Machine == h.Machine })
		return struct{}{}, remove(ctx, h, c.Place, groups[at].Nodes, true)
	})
	return err
}

// machineID identifies a machine whatever it is called.
type machineID struct {
	transport, dial string
}

func machineOf(p connection.Process) machineID {
	if p.Transport == connection.TransportLocal {
		return machineID{transport: p.Transport}
	}
	return machineID{p.Transport, cmp.Or(p.SSHHost, p.Address)}
}

// staying names the processes of want that are in had too.
func staying(had, want []connection.Process) (names []string) {
	fresh := former(want, had)
	for _, p := range want {
		if !slices.Contains(fresh, p) {
			names = append(names, p.Name)
		}
	}
	return names
}

// former gives the processes of had that are not in want: a process is its
// machine and port, whatever it is called.
func former(had, want []connection.Process) []connection.Process {
	type identity struct {
		machineID
		port int
	}
	id := func(p connection.Process) identity { return identity{machineOf(p), p.Port} }
	return slices.DeleteFunc(slices.Clone(had), func(p connection.Process) bool {
		return slices.ContainsFunc(want, func(w connection.Process) bool { return id(w) == id(p) })
	})
}
