package provider_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/redisfleet/terraform-provider-redis/internal/provider/acctest"
)

// TestAccPlanShowsTheSteps has a plan say what an apply would do to a cluster,
// with nodes in it that are not there yet.
func TestAccPlanShowsTheSteps(t *testing.T) {
	place := acctest.NewPlace(t, 8)
	w := newWorkspace(t, place.ClusterOf(place.Nodes(0, 6), "")+status)
	w.run(t, "apply", "-auto-approve")
	c := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{fmt.Sprintf("127.0.0.1:%d", place.Ports[0])}})
	defer func() { _ = c.Close() }()
	pipe := c.Pipeline()
	for i := range 20_000 {
		pipe.Set(t.Context(), fmt.Sprint("k", i), strings.Repeat("x", 1000), 0)
	}
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	plan := func(nodes, more string) string {
		t.Helper()
		w.configure(t, place.ClusterOf(nodes, more)+status)
		return strings.Join(strings.Fields(w.run(t, "plan")), " ") // the CLI wraps lines
	}
	says := func(plan string, words ...string) {
		t.Helper()
		for _, word := range words {
			if !strings.Contains(plan, word) {
				t.Errorf("%q is missing in %s", word, plan)
			}
		}
	}
	says(plan(place.Nodes(0, 8), ""),
		"n6: start the process", "introduce n6, n7 to the others", "make n7 a replica of n6",
		"move 4096 slots with about ", " MB) from n0, n1, n2 to n6", "In all: 4,096 slots with about ", " MB) move.")
	says(plan(place.Nodes(0, 6), "config = { \"io-threads\" = \"2\" }"),
		"restart 6 nodes one at a time, with 3 failovers", "In all: 6 nodes restart, one at a time; 3 shards fail over.")
	w.run(t, "destroy", "-auto-approve")
}
