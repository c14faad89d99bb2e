package spec_test

import (
	"strings"
	"testing"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

func TestBreaches(t *testing.T) {
	one, tenth, none := 1.0, 0.1, int64(0)
	tests := map[string]struct {
		objectives spec.Objectives
		result     spec.LoadResult
		// want is what the only breach begins with; empty means that there is none.
		want string
	}{
		"none":              {},
		"p99 kept":          {spec.Objectives{P99MS: &one}, spec.LoadResult{Latency: spec.Latency{P99: 1}}, ""},
		"p99 breached":      {spec.Objectives{P99MS: &one}, spec.LoadResult{Latency: spec.Latency{P99: 1.1}}, "p99_ms:"},
		"throughput kept":   {spec.Objectives{ThroughputOPS: &one}, spec.LoadResult{ThroughputOPS: 1}, ""},
		"throughput low":    {spec.Objectives{ThroughputOPS: &one}, spec.LoadResult{ThroughputOPS: 0.9}, "throughput_ops_per_second:"},
		"errors kept":       {spec.Objectives{ErrorRatio: &tenth}, spec.LoadResult{Operations: 9, Errors: map[string]int64{"timeout": 1, "moved": 99}}, ""},
		"errors breached":   {spec.Objectives{ErrorRatio: &tenth}, spec.LoadResult{Operations: 8, Errors: map[string]int64{"timeout": 1}}, "error_ratio:"},
		"unavailable":       {spec.Objectives{UnavailableMS: &one}, spec.LoadResult{UnavailableMS: 2}, "unavailable_ms:"},
		"lost writes":       {spec.Objectives{LostWrites: &none}, spec.LoadResult{LostWrites: 1}, "lost_writes:"},
		"nothing was asked": {spec.Objectives{ErrorRatio: &tenth}, spec.LoadResult{}, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := test.objectives.Breaches(test.result)
			if test.want == "" && len(got) > 0 || test.want != "" && (len(got) != 1 || !strings.HasPrefix(got[0], test.want)) {
				t.Errorf("breaches %q, want one that begins with %q", got, test.want)
			}
		})
	}
}
