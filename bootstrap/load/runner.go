//go:build linux

package load

import (
	"fmt"
	"slices"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// account says in res what each runner did, and what is missing of one that was lost.
func account(res *spec.LoadResult, m spec.LoadMerge) {
	res.Runners = nil
	share := 1 / float64(len(m.Runners))
	for i, r := range m.Runners {
		one := spec.RunnerResult{Name: r.Name, Share: share, Error: r.Error}
		if r.Result != nil {
			one.Operations, one.ThroughputOPS = r.Result.Operations, r.Result.ThroughputOPS
			one.CPU, one.Saturated = r.Result.Generator.CPU, r.Result.Generator.Saturated
		} else {
			at := r.LostAtSeconds
			one.LostAtSeconds = &at
			res.Warnings = append(res.Warnings, lost(one, len(m.Runners), m.Run.Verify))
			if i == 0 {
				res.Faults = unwatched(m.Run.Faults, r.Name)
			}
		}
		res.Runners = append(res.Runners, one)
	}
}

// lost says in words what the loss of a runner means.
func lost(r spec.RunnerResult, runners int, verify bool) string {
	text := fmt.Sprintf("the runner %s was lost %.1f s after the start (%s): its share, 1 of %d or %.0f %% of the load, was not sent from then on, and what it had measured until then is missing from all figures",
		r.Name, *r.LostAtSeconds, r.Error, runners, 100*r.Share)
	if verify {
		text += "; nor were its writes read back"
	}
	return text
}

// unwatched are the results of faults whose times were kept by a runner that was lost.
func unwatched(faults []spec.Fault, runner string) []spec.FaultResult {
	var out []spec.FaultResult
	for _, f := range faults {
		out = append(out, spec.FaultResult{
			Kind: f.Kind, Target: f.Target, AtSeconds: f.At.D().Seconds(),
			Error: fmt.Sprintf("the runner %s, which said when faults were due and watched what came of them, was lost", runner),
		})
	}
	return out
}

// warnings are those of all runners: once what all say, else with the runner's name.
func warnings(runners []spec.RunnerReport) []string {
	var all []string
	for _, r := range runners {
		if r.Result == nil {
			continue
		}
		for _, w := range r.Result.Warnings {
			if !everybody(runners, w) {
				w = r.Name + ": " + w
			}
			if !slices.Contains(all, w) {
				all = append(all, w)
			}
		}
	}
	return all
}

func everybody(runners []spec.RunnerReport, warning string) bool {
	for _, r := range runners {
		if r.Result != nil && !slices.Contains(r.Result.Warnings, warning) {
			return false
		}
	}
	return true
}
