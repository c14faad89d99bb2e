//go:build linux

package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	"github.com/redis/go-redis/v9"

	"github.com/redisfleet/terraform-provider-redis/internal/provider/acctest"
)

// What somebody changes by hand is seen by a refresh, which names the node, and
// is put right by the next apply, after which nothing is left to do.
func TestAccDriftIsSeenAndPutRight(t *testing.T) {
	t.Parallel()
	place := acctest.NewPlace(t, 6)
	config := place.Cluster(`config = { "maxmemory" = "64mb" }`)
	steps := []resource.TestStep{{Config: config, ConfigStateChecks: healthy()}}
	for _, change := range []struct {
		by   func(t *testing.T)
		seen []string
		// right checks that the apply has put it right.
		right func() error
	}{
		{
			by: func(t *testing.T) {
				configSet(t, place, 1, "maxmemory", "1mb")
				edit(t, confOf(place, 2), "maxmemory 64mb", "maxmemory 2mb")
				undefine(t, place, 3)
			},
			seen: []string{`^n1: set maxmemory to 67108864 \(it is 1048576\)$`, `^n2: rewrite redis.conf: maxmemory$`, `^n3: define the service$`},
			right: func() error {
				_, err := os.Stat(filepath.Join(dirOf(place, 3), "service.json"))
				if !strings.Contains(read(t, confOf(place, 2)), "maxmemory 64mb") {
					err = errors.Join(err, errors.New("redis.conf is as somebody left it"))
				}
				return errors.Join(err, configIs(t, place, 1, "maxmemory", "67108864"))
			},
		},
		{by: func(t *testing.T) { reset(t, place) }, seen: []string{`n\d`}, right: func() error { return nil }},
		{by: func(t *testing.T) { moveReplica(t, place) }, seen: []string{`(?i)^make n\d a replica of n\d`}, right: func() error { return nil }},
	} {
		steps = append(steps,
			resource.TestStep{
				PreConfig:    func() { change.by(t) },
				RefreshState: true, ExpectNonEmptyPlan: true,
				Check: func(s *terraform.State) error {
					return noted(s.RootModule().Resources[this].Primary.Attributes, change.seen)
				},
			},
			resource.TestStep{
				Config: config, ConfigStateChecks: healthy(),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectResourceAction(this, plancheck.ResourceActionUpdate)}},
				Check:            func(*terraform.State) error { return change.right() },
			},
		)
	}
	resource.Test(t, resource.TestCase{ProtoV6ProviderFactories: acctest.Providers(), Steps: steps})
}

// noted finds each of what was seen among the drift and the problems of the state.
func noted(attributes map[string]string, seen []string) error {
	var all []string
	for name, value := range attributes {
		if strings.HasPrefix(name, "drift.") || strings.HasPrefix(name, "problems.") {
			all = append(all, value)
		}
	}
	for _, pattern := range seen {
		if !slices.ContainsFunc(all, regexp.MustCompile(pattern).MatchString) {
			return fmt.Errorf("%s is not among %q", pattern, all)
		}
	}
	return nil
}

func addressOf(place acctest.Place, i int) string {
	return fmt.Sprintf("127.0.0.1:%d", place.Ports[i])
}

func dirOf(place acctest.Place, i int) string {
	return filepath.Join(place.BaseDir, "test", fmt.Sprint(place.Ports[i]))
}

func confOf(place acctest.Place, i int) string { return filepath.Join(dirOf(place, i), "redis.conf") }

func configSet(t *testing.T, place acctest.Place, i int, name, value string) {
	t.Helper()
	if err := client(t, addressOf(place, i), "").ConfigSet(context.Background(), name, value).Err(); err != nil {
		t.Fatal(err)
	}
}

func configIs(t *testing.T, place acctest.Place, i int, name, want string) error {
	t.Helper()
	got, err := client(t, addressOf(place, i), "").ConfigGet(context.Background(), name).Result()
	if err == nil && got[name] != want {
		err = fmt.Errorf("n%d has %s %q, and %q is wanted", i, name, got[name], want)
	}
	return err
}

func edit(t *testing.T, file, before, after string) {
	t.Helper()
	text := read(t, file)
	if !strings.Contains(text, before) {
		t.Fatalf("%s has no %q", file, before)
	}
	if err := os.WriteFile(file, []byte(strings.Replace(text, before, after, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// undefine takes the definition of a process's service away.
func undefine(t *testing.T, place acctest.Place, i int) {
	t.Helper()
	if err := os.Remove(filepath.Join(dirOf(place, i), "service.json")); err != nil {
		t.Fatal(err)
	}
}

// replica gives a node that replicates another one.
func replica(t *testing.T, place acctest.Place) (int, *redis.Client) {
	t.Helper()
	for i := range place.Ports {
		c := client(t, addressOf(place, i), "")
		if info, err := c.Info(context.Background(), "replication").Result(); err == nil && strings.Contains(info, "role:slave") {
			return i, c
		}
	}
	t.Fatal("there is no replica")
	return 0, nil
}

// reset has a replica leave the cluster.
func reset(t *testing.T, place acctest.Place) {
	t.Helper()
	_, c := replica(t, place)
	if err := c.ClusterResetHard(context.Background()).Err(); err != nil {
		t.Fatal(err)
	}
}

// moveReplica has a replica follow the primary of another shard.
func moveReplica(t *testing.T, place acctest.Place) {
	t.Helper()
	i, c := replica(t, place)
	for j := range place.Ports {
		other := client(t, addressOf(place, j), "")
		id, err := other.Do(context.Background(), "CLUSTER", "MYID").Text()
		if err != nil || i == j {
			continue
		}
		own, err := c.ClusterNodes(context.Background()).Result()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(own, "myself,slave "+id) || !strings.Contains(own, "master") || c.ClusterReplicate(context.Background(), id).Err() != nil {
			continue // Its own primary, or no primary.
		}
		return
	}
	t.Fatalf("n%d could not be moved", i)
}
