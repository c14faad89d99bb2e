package loadtest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
	"github.com/redisfleet/terraform-provider-redis/internal/fleet"
	"github.com/redisfleet/terraform-provider-redis/internal/provider/connection"
	"github.com/redisfleet/terraform-provider-redis/internal/reach"
)

// test is one load test, all of it known.
type test struct {
	cluster    connection.Connection
	runners    []fleet.Machine
	workload   spec.Workload
	verify     bool
	faults     []spec.Fault
	objectives spec.Objectives
	report     bool
	// baseline is the result of an earlier run, for the report to compare with.
	baseline *spec.LoadResult
}

// run runs t: its runners start together, its faults are injected when they
// are due, and its results become one.
func (t test) run(ctx context.Context, s *fleet.Session) (spec.LoadResult, error) {
	if err := t.prepare(ctx, s); err != nil {
		return spec.LoadResult{}, err
	}
	requests := make([]spec.LoadRun, len(t.runners))
	for i, m := range t.runners {
		auth, err := t.auth(ctx, s, m)
		if err != nil {
			return spec.LoadResult{}, err
		}
		requests[i] = t.request(i, auth)
	}
	if len(t.runners) > 1 {
		return t.together(ctx, s, requests)
	}
	host, err := s.Host(ctx, t.runners[0])
	if err != nil {
		return spec.LoadResult{}, err
	}
	return t.runOn(ctx, s, host, requests[0], part{})
}

// prepare brings redis-bootstrap to all hosts that will need it, before any
// clock is running.
func (t test) prepare(ctx context.Context, s *fleet.Session) error {
	machines := slices.Clone(t.runners)
	if len(t.faults) > 0 {
		machines = append(machines, t.cluster.Machines()...)
	}
	slices.SortStableFunc(machines, func(a, b fleet.Machine) int { return cmp.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	_, err := fleet.Each(ctx, s, slices.Compact(machines), func(ctx context.Context, h *fleet.Host) (struct{}, error) {
		return struct{}{}, h.Prepare(ctx)
	})
	return err
}

// auth gives the credentials for the runner m. A host of the cluster reads its
// own; any other is told, through this process's memory only.
func (t test) auth(ctx context.Context, s *fleet.Session, m fleet.Machine) (spec.Auth, error) {
	var errs []error
	groups := t.cluster.Groups()
	for _, g := range groups {
		if g.Machine.Local && m.Local || !m.Local && g.Machine.Target.Address == m.Target.Address {
			return t.cluster.Auth(g), nil
		}
	}
	for _, g := range groups {
		host, err := s.Host(ctx, g.Machine)
		if err == nil {
			var auth spec.Auth
			ref := spec.ConfRef{Place: t.cluster.Place, Port: g.Nodes[0].Port}
			if auth, err = fleet.Call[spec.Auth](ctx, host, "host credentials", spec.HostCredentials{Versioned: spec.V(), ConfRef: ref}); err == nil {
				return auth, nil
			}
		}
		errs = append(errs, err)
	}
	return spec.Auth{}, errors.Join(errs...)
}

// request is what runner number i is told: its share of the requests, and all
// else as it is for the whole test.
func (t test) request(i int, auth spec.Auth) spec.LoadRun {
	names := make(map[string]string, len(t.cluster.Processes))
	zones := make(map[string]string)
	for _, p := range t.cluster.Processes {
		names[p.Addr()] = p.Name
		if p.Zone != "" {
			zones[p.Addr()] = p.Zone
		}
	}
	r := spec.LoadRun{
		Versioned: spec.V(), Endpoints: t.cluster.Endpoints(), Names: names, Zones: zones, Auth: auth,
		Workload: t.workload, Verify: t.verify, Objectives: t.objectives,
		Runner: i, Runners: len(t.runners), Await: len(t.runners) > 1, Attached: true,
		Report: t.report && len(t.runners) == 1, Baseline: t.baseline, Title: "Load test of " + t.cluster.Cluster,
	}
	if n := int64(len(t.runners)); n > 1 && t.workload.Requests > 0 {
		r.Workload.Requests = t.workload.Requests / n
		if int64(i) < t.workload.Requests%n {
			r.Workload.Requests++
		}
	}
	if i == 0 {
		r.Faults = t.faults // One runner says when they are due.
	}
	return r
}

// part is how one of several runners keeps step with the others.
type part struct {
	// ready is called when it is connected; start is closed when all are.
	ready func()
	start <-chan struct{}
	// started is called when its measurement begins.
	started func()
}

// runOn runs the load on h and does what it asks for meanwhile.
func (t test) runOn(ctx context.Context, s *fleet.Session, h *fleet.Host, request spec.LoadRun, p part) (spec.LoadResult, error) {
	// The end of the load ends what faults are still on, which mends them.
	loading, over := context.WithCancel(ctx)
	control := make(chan any)
	say := func(c spec.LoadControl) {
		select {
		case control <- c:
		case <-loading.Done():
		}
	}
	var errands sync.WaitGroup
	result, err := fleet.Attach[spec.LoadResult](ctx, h, "load run", request, fleet.Attached{
		Control: control,
		OnEvent: func(e fleet.Event) {
			switch e.Name {
			case spec.EventLoadReady:
				p.ready()
				errands.Go(func() {
					select {
					case <-p.start:
						say(spec.LoadControl{Start: true})
					case <-loading.Done():
					}
				})
			case spec.EventLoadStarted:
				if p.started != nil {
					p.started()
				}
			case spec.EventFaultDue:
				if fault, node, ok := due(e); ok {
					errands.Go(func() { t.injectAndSay(loading, s, fault, node, say) })
				}
			}
		},
	})
	over()
	errands.Wait()
	return result, err
}

// injectAndSay does a fault, and tells the load if that cannot be.
func (t test) injectAndSay(ctx context.Context, s *fleet.Session, fault int, node string, say func(spec.LoadControl)) {
	if err := t.inject(ctx, s, fault, node, say); err != nil {
		say(spec.LoadControl{Fault: fault, FaultFailed: err.Error()})
	}
}

// due reads a fault_due event: the number of the fault and the address of the node.
func due(e fleet.Event) (fault int, node string, ok bool) {
	number, numbered := e.Fields["fault"].(float64)
	node, named := e.Fields["node"].(string)
	return int(number), node, numbered && named
}

// inject does fault number fault to the node at addr, waits until it is mended,
// and says both.
func (t test) inject(ctx context.Context, s *fleet.Session, fault int, addr string, say func(spec.LoadControl)) error {
	at := slices.IndexFunc(t.cluster.Processes, func(p connection.Process) bool { return p.Addr() == addr })
	if at < 0 || fault < 0 || fault >= len(t.faults) {
		return fmt.Errorf("%s is no node of %s", addr, t.cluster.Cluster)
	}
	process, planned := t.cluster.Processes[at], t.faults[fault]
	if planned.Kind == spec.FaultVMStop || planned.Kind == spec.FaultVMReset {
		return breakVM(ctx, s, process, planned, func(c spec.LoadControl) { c.Fault = fault; say(c) })
	}
	host, err := s.Host(ctx, process.On(t.cluster.BaseDir))
	if err != nil {
		return err
	}
	_, err = fleet.Attach[spec.FaultEvent](ctx, host, "host fault", spec.HostFault{
		Versioned: spec.V(), Place: t.cluster.Place, HostName: host.Name,
		Node: process.Node, Kind: planned.Kind, RecoverAfter: planned.RecoverAfter,
	}, fleet.Attached{OnLine: func(line []byte) {
		var e spec.FaultEvent
		if json.Unmarshal(line, &e) != nil {
			return
		}
		switch e.Event {
		case "injected":
			s.Progress().Say(ctx, process.Name, fmt.Sprintf("%s for %s", planned.Kind, planned.RecoverAfter))
			say(spec.LoadControl{Fault: fault, FaultInjected: true})
		case "recovered":
			s.Progress().Say(ctx, process.Name, "recovered from "+string(planned.Kind))
			say(spec.LoadControl{Fault: fault, FaultRecovered: true})
		}
	}})
	return err
}

// machines gives the hosts that send the load: those of runners, or the host of
// the cluster's first node.
func machines(c connection.Connection, runners map[string]runnerModel) []fleet.Machine {
	if len(runners) == 0 {
		return c.Machines()[:1]
	}
	var found []fleet.Machine
	for _, name := range slices.SortedFunc(maps.Keys(runners), connection.Natural) {
		r := runners[name]
		m := fleet.Machine{Name: name, BaseDir: c.BaseDir, Local: r.Transport == connection.TransportLocal}
		if !m.Local {
			m.Target = reach.Target{Name: name, Address: cmp.Or(r.SSHHost, r.Address), HostKey: r.HostKey, Instance: r.Instance}
		}
		found = append(found, m)
	}
	return found
}
