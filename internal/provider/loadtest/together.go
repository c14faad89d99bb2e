package loadtest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
	"github.com/redisfleet/terraform-provider-redis/internal/fleet"
)

// errNotBegun is why runners stop that wait for one which failed.
var errNotBegun = errors.New("another runner failed before the test began")

// together runs t on all its runners at once: they start when all of them are
// connected. One that fails before ends the test; one that is lost later does not.
func (t test) together(ctx context.Context, s *fleet.Session, requests []spec.LoadRun) (spec.LoadResult, error) {
	ctx, abandon := context.WithCancelCause(ctx)
	defer abandon(nil)
	start := make(chan struct{})
	var waiting, running sync.WaitGroup
	waiting.Add(len(requests))
	reports := make([]spec.RunnerReport, len(requests))
	errs := make([]error, len(requests))
	for i, m := range t.runners {
		running.Go(func() {
			ready := sync.OnceFunc(waiting.Done)
			defer ready() // one that failed must not be waited for
			var began time.Time
			host, err := s.Host(ctx, m)
			var res spec.LoadResult
			if err == nil {
				res, err = t.runOn(ctx, s, host, requests[i], part{ready: ready, start: start, started: func() { began = time.Now() }})
			}
			reports[i] = spec.RunnerReport{Name: m.Name}
			switch {
			case err == nil:
				reports[i].Result = &res
			case began.IsZero():
				errs[i] = err
				abandon(errNotBegun)
			default:
				reports[i].Error, reports[i].LostAtSeconds = strings.Join(strings.Fields(err.Error()), " "), time.Since(began).Seconds()
				s.Progress().Say(ctx, m.Name, "lost: "+reports[i].Error)
			}
		})
	}
	waiting.Wait()
	if ctx.Err() == nil {
		close(start)
	}
	running.Wait()
	if err := t.failure(ctx, reports, errs); err != nil {
		return spec.LoadResult{}, err
	}
	return t.merge(ctx, s, spec.LoadMerge{Versioned: spec.V(), Run: t.whole(requests[0]), Runners: reports})
}

// failure is why there is nothing to merge.
func (t test) failure(ctx context.Context, reports []spec.RunnerReport, errs []error) error {
	var first []error
	for _, err := range errs {
		if err != nil && !errors.Is(err, errNotBegun) && !errors.Is(err, context.Canceled) {
			first = append(first, err)
		}
	}
	if len(first) > 0 {
		return errors.Join(first...)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var lost []error
	for _, r := range reports {
		if r.Result != nil {
			return nil
		}
		lost = append(lost, fmt.Errorf("%s: %s", r.Name, r.Error))
	}
	return errors.Join(lost...)
}

// whole is the request as if one runner had run all of it, for the report.
func (t test) whole(first spec.LoadRun) spec.LoadRun {
	first.Workload, first.Report, first.Auth = t.workload, t.report, spec.Auth{}
	return first
}

// merge has the first runner that can add the results up.
func (t test) merge(ctx context.Context, s *fleet.Session, m spec.LoadMerge) (spec.LoadResult, error) {
	var errs []error
	for i, r := range m.Runners {
		if r.Result == nil {
			continue
		}
		host, err := s.Host(ctx, t.runners[i])
		if err == nil {
			var res spec.LoadResult
			if res, err = fleet.Call[spec.LoadResult](ctx, host, "load merge", m); err == nil {
				return res, nil
			}
		}
		errs = append(errs, err)
	}
	return spec.LoadResult{}, errors.Join(errs...)
}
