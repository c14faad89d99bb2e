package cluster

import (
	"errors"
	"testing"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
	"github.com/redisfleet/terraform-provider-redis/internal/reach"
)

// What is not reached is never taken for gone.
func TestConclude(t *testing.T) {
	away := &reach.UnreachableError{Host: "kv-2", Err: errors.New("timed out")}
	broken := errors.New("no space left")
	nothing, stopped := finding{reached: true}, finding{reached: true, present: true, problem: "kv-1 is stopped"}
	tests := map[string]struct {
		found    []finding
		err      error
		want     spec.Health
		wantErr  error
		problems int
	}{
		"all absent":               {found: []finding{nothing, nothing}, wantErr: errGone},
		"absent and unreachable":   {found: []finding{nothing, {}}, err: errors.Join(away), want: spec.HealthUnreachable, problems: 1},
		"all unreachable":          {found: []finding{{}, {}}, err: errors.Join(away, away), want: spec.HealthUnreachable, problems: 2},
		"stopped and absent":       {found: []finding{stopped, nothing}, want: spec.HealthDown, problems: 1},
		"stopped and unreachable":  {found: []finding{stopped, {}}, err: errors.Join(away), want: spec.HealthUnreachable, problems: 2},
		"reached and then failing": {found: []finding{nothing, {}}, err: errors.Join(away, broken), wantErr: broken},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			status, err := conclude(test.found, test.err)
			if !errors.Is(err, test.wantErr) || status.Health != test.want || len(status.Problems) != test.problems {
				t.Errorf("got %+v, %v", status, err)
			}
		})
	}
}
