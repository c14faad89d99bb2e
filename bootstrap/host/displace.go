//go:build linux

package host

import (
	"context"
	"path/filepath"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/host/service"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// displace keeps the units that ran adopted processes from running them again,
// beside ours: not with the host, and not when the process ends for its restart.
// Ours are defined by then, so that there is no moment in which nobody would
// start them with the host.
func (a *apply) displace(ctx context.Context) error {
	var names []string
	var of []*process
	for _, p := range a.processes {
		if p.adopted != nil && p.adopted.Unit != "" {
			names, of = append(names, p.adopted.Unit), append(of, p)
		}
	}
	if len(names) == 0 {
		return nil
	}
	found, err := service.ObserveDisplaced(ctx, names)
	if err != nil {
		return err
	}
	var todo []service.Displaced
	for i, d := range found {
		if !d.Enabled && !d.Restarts {
			continue
		}
		what := "keep " + d.Unit + " from starting it again: its service is " + of[i].def.Unit
		if d.Enabled {
			what = "disable " + d.Unit + ", in whose place " + of[i].def.Unit + " starts with the host"
		}
		if err := a.do(ctx, spec.Change{Node: of[i].node.Name, What: what}, func(context.Context) error { return nil }); err != nil {
			return err
		}
		todo = append(todo, d)
	}
	if len(todo) == 0 || a.req.DryRun {
		return nil
	}
	return service.Displace(ctx, todo)
}

// awaitCommand has redis-bootstrap wait for a server that somebody else started.
func awaitCommand(place spec.Place) []string {
	return []string{filepath.Join(place.BaseDir, binDir, "redis-bootstrap"), "host", "await"}
}

// Await returns when the server of the process directory dir, whose data are in
// data, does not run any more.
func Await(ctx context.Context, dir, data string) error {
	return service.Await(ctx, service.Definition{Dir: dir, Data: data})
}
