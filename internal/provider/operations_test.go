//go:build linux

package provider_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/redisfleet/terraform-provider-redis/internal/provider/acctest"
)

// The example of a cluster's life shows what it says: a spare replica, what
// somebody changed by hand, and a fourth shard that the spare one becomes part of.
func TestAccOperationsExampleRuns(t *testing.T) {
	t.Parallel()
	place := acctest.NewPlace(t, 8)
	w := newWorkspace(t, "")
	text, err := os.ReadFile("../../examples/operations/main.tf")
	if err != nil {
		t.Fatal(err)
	}
	ports := strings.Join(strings.Fields(fmt.Sprint(place.Ports)), ", ")
	example := strings.Replace(string(text), "7160 + i", ports+"[i]", 1)
	if !strings.Contains(example, ports) {
		t.Fatalf("the example does not look as expected:\n%s", text)
	}
	if err := os.WriteFile(filepath.Join(w.dir, "main.tf"), []byte(example), 0o600); err != nil {
		t.Fatal(err)
	}
	// sizes are how many shards have so many replicas.
	sizes := func() string {
		t.Helper()
		var shards map[string][]string
		if err := json.Unmarshal([]byte(w.run(t, "output", "-json", "shards")), &shards); err != nil {
			t.Fatal(err)
		}
		count := map[int]int{}
		for _, replicas := range shards {
			count[len(replicas)]++
		}
		return fmt.Sprint(count)
	}
	w.run(t, "apply", "-auto-approve")
	defer w.run(t, "destroy", "-auto-approve")
	if got := sizes(); got != "map[1:2 2:1]" {
		t.Errorf("shards by replicas: %s, want one with two", got)
	}
	c := redis.NewClient(&redis.Options{Addr: fmt.Sprintf("127.0.0.1:%d", place.Ports[0])})
	defer func() { _ = c.Close() }()
	if err := c.ConfigSet(context.Background(), "maxmemory", "1mb").Err(); err != nil {
		t.Fatal(err)
	}
	const drift = `- "node-1: set maxmemory to 67108864 (it is 1048576)"`
	if out := w.run(t, "plan"); !strings.Contains(out, drift) {
		t.Errorf("the plan does not say %s:\n%s", drift, out)
	}
	w.run(t, "apply", "-auto-approve", "-var=nodes=8")
	if got := sizes(); got != "map[1:4]" {
		t.Errorf("shards by replicas: %s, want four with one each", got)
	}
}
