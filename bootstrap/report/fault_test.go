package report

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

func TestTell(t *testing.T) {
	for name, c := range map[string]struct {
		fault spec.FaultResult
		want  string
	}{
		"never mended": {
			spec.FaultResult{Kind: spec.FaultKill, Node: "node-1", AtSeconds: 3, DetectedMS: ptr(900.0), UnavailableMS: 17_000},
			"node-1 was killed at 3.0 s; the cluster marked it as failed after 900 ms; no other node was promoted; its shard did not answer for 17.0 s; it had not been mended when the load ended.",
		},
		"replica": {
			spec.FaultResult{Kind: spec.FaultPause, Node: "node-3", AtSeconds: 3, RecoveredAtSeconds: ptr(5.0), RejoinedMS: ptr(2100.0), RejoinedAs: "replica"},
			"node-3 was frozen at 3.0 s; its shard answered all the time; it was thawed at 5.0 s and had rejoined as a replica 100 ms later.",
		},
		"zone": {
			spec.FaultResult{Kind: spec.FaultVMReset, Target: "zone:b", AtSeconds: 3, RecoveredAtSeconds: ptr(5.0)},
			"zone:b had its VM reset at 3.0 s; its shard answered all the time; it was up again at 5.0 s and had not rejoined when the load ended.",
		},
		"not mended cleanly": {
			spec.FaultResult{Kind: spec.FaultIsolate, Node: "node-3", AtSeconds: 3, UnavailableMS: 5, Error: "nft: exit code 1."},
			"node-3 was cut off from the network at 3.0 s; its shard did not answer for 5.00 ms; it had not been mended when the load ended. Error: nft: exit code 1.",
		},
		"unknown kind": {
			spec.FaultResult{Kind: "burn", Node: "node-3", AtSeconds: 3, RecoveredAtSeconds: ptr(4.0)},
			"node-3 was hit by the fault burn at 3.0 s; its shard answered all the time; it was mended at 4.0 s and had not rejoined when the load ended.",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := strings.ReplaceAll(tell(c.fault, sampleServer()), nbsp, " "); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// TestLane checks that no label covers another, and that none leaves the chart
// on the right.
func TestLane(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		line := timeline{end: 100}
		var ms []moment
		at := 0.0
		for range rapid.IntRange(0, 60).Draw(t, "moments") {
			at += rapid.Float64Range(0, 5).Draw(t, "gap")
			ms = append(ms, moment{Kind: "injected", Second: min(at, 100), Label: strings.Repeat("x", rapid.IntRange(1, 50).Draw(t, "length"))})
		}
		marks, rows := lane(ms, line)
		var ends [laneRows]float64
		for _, m := range marks {
			width := 0.8 * float64(len(m.Label))
			from, to := m.X, m.X+width
			if m.Flip {
				from, to = m.X-width, m.X
			}
			if m.Row >= rows || from < ends[m.Row]-0.1 && m.X > width {
				t.Fatalf("%+v begins at %v and the one before ends at %v", m, from, ends[m.Row])
			}
			if to > 100.1 {
				t.Fatalf("%+v ends at %v", m, to)
			}
			ends[m.Row] = to
		}
	})
}
