//go:build linux

package cluster_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	"github.com/redis/go-redis/v9"

	"github.com/redisfleet/terraform-provider-redis/internal/provider/acctest"
)

// somebodysCluster makes a cluster on the ports of place as people do: processes
// started by hand, with all their files in one directory, and redis-cli.
func somebodysCluster(t *testing.T, place acctest.Place, conf string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	args := []string{"--cluster", "create"}
	for _, port := range place.Ports {
		file := filepath.Join(dir, fmt.Sprintf("redis-%d.conf", port))
		text := fmt.Sprintf("port %[1]d\nbind 0.0.0.0\nprotected-mode no\ncluster-enabled yes\ncluster-config-file nodes-%[1]d.conf\n"+
			"appendonly yes\nappendfilename appendonly-%[1]d.aof\ndbfilename dump-%[1]d.rdb\nlogfile redis-%[1]d.log\n%[2]s", port, conf)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		server := exec.Command("redis-server", file) //nolint:noctx // It is to outlive the step.
		server.Dir = dir
		if err := server.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() {
			_ = server.Wait()
			close(ended)
		}()
		t.Cleanup(func() {
			_ = server.Process.Kill()
			<-ended
		})
		address := fmt.Sprintf("127.0.0.1:%d", port)
		until(t, func() bool { return client(t, address, "").Ping(context.Background()).Err() == nil })
		args = append(args, address)
	}
	args = append(args, "--cluster-replicas", "1", "--cluster-yes")
	if out, err := exec.CommandContext(t.Context(), "redis-cli", args...).CombinedOutput(); err != nil { //nolint:gosec // G204: our own arguments.
		t.Fatalf("%v: %s", err, out)
	}
	until(t, func() bool {
		for i := range place.Ports {
			c := client(t, addressOf(place, i), "")
			info, err := c.ClusterInfo(context.Background()).Result()
			replication, replicationErr := c.Info(context.Background(), "replication").Result()
			linked := strings.Contains(replication, "role:master") || strings.Contains(replication, "master_link_status:up")
			if err != nil || replicationErr != nil || !strings.Contains(info, "cluster_state:ok") || !linked || primaries(c) != 3 {
				return false
			}
		}
		return true
	})
	return dir
}

// runIDs are those of all processes: they change with a restart.
func runIDs(t *testing.T, place acctest.Place) string {
	t.Helper()
	var ids []string
	for i := range place.Ports {
		info, err := client(t, addressOf(place, i), "").Info(context.Background(), "server").Result()
		if err != nil {
			t.Error(err)
		}
		ids = append(ids, regexp.MustCompile(`run_id:\w+`).FindString(info))
	}
	return strings.Join(ids, " ")
}

// keyed writes or reads a few hundred keys.
func keyed(place acctest.Place, do func(c *redis.ClusterClient, key string) error) error {
	c := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{addressOf(place, 0)}})
	defer func() { _ = c.Close() }()
	for i := range 300 {
		if err := do(c, fmt.Sprint("key", i)); err != nil {
			return err
		}
	}
	return nil
}

func TestAccSomebodysClusterIsImportedAndTakenOver(t *testing.T) {
	t.Parallel()
	place := acctest.NewPlace(t, 6)
	dir := somebodysCluster(t, place, "cluster-node-timeout 4000\nmaxmemory 64mb\n")
	if err := keyed(place, func(c *redis.ClusterClient, key string) error { return c.Set(context.Background(), key, key, 0).Err() }); err != nil {
		t.Fatal(err)
	}
	complete := func() error {
		return keyed(place, func(c *redis.ClusterClient, key string) error {
			got, err := c.Get(context.Background(), key).Result()
			if err == nil && got != key {
				err = fmt.Errorf("%s is %q", key, got)
			}
			return err
		})
	}
	var nodes strings.Builder
	for _, port := range place.Ports {
		fmt.Fprintf(&nodes, "    \"127.0.0.1-%d\" = { address = \"127.0.0.1\", port = %d, transport = \"local\" }\n", port, port)
	}
	config := func(directives, more string) string {
		return strings.Replace(place.ClusterOf("nodes = {\n"+nodes.String()+"}", fmt.Sprintf(`
  config = {
    "cluster-node-timeout" = "4000"
    %s
  }
  allow_unauthenticated = true
  %s`, directives, more)), "deletion_protection = false", "", 1)
	}
	before := runIDs(t, place)
	kept := func(*terraform.State) error {
		if now := runIDs(t, place); now != before {
			return fmt.Errorf("processes were restarted: %s became %s", before, now)
		}
		return complete()
	}
	updated := resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectResourceAction(this, plancheck.ResourceActionUpdate)}}
	ok := []statecheck.StateCheck{has("status", knownvalue.StringExact("ok")), has("shards", knownvalue.ListSizeExact(3))}
	same := config(`"maxmemory" = "67108864"`, "")
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Providers(),
		Steps: []resource.TestStep{
			{
				Config: same, ResourceName: this, ImportState: true, ImportStatePersist: true,
				ImportStateId: addressOf(place, 0) + place.BaseDir + "/test",
			},
			{Config: same, ConfigPlanChecks: nothing(), ConfigStateChecks: ok},
			{Config: config(`"maxmemory" = "67108864"`, "take_over = true"), ConfigPlanChecks: updated, ConfigStateChecks: ok, Check: kept},
			{Config: config(`"maxmemory" = "67108864"`, "take_over = true"), ConfigPlanChecks: nothing()},
			underTraffic(t, place, resource.TestStep{
				// It is read at start only: this is when our own service takes each of them over.
				Config: config(`"io-threads" = "2"`, "deletion_protection = false"), ConfigPlanChecks: updated, ConfigStateChecks: ok,
				Check: func(*terraform.State) error {
					if now := runIDs(t, place); now == before {
						return fmt.Errorf("nothing was restarted")
					}
					return complete()
				},
			}),
			{Config: config(`"io-threads" = "2"`, "deletion_protection = false"), ConfigPlanChecks: nothing()},
		},
	})
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range left {
		if name := filepath.Base(file); !strings.HasPrefix(name, "redis-") {
			t.Errorf("%s is left of the data", name)
		}
	}
	if len(left) != 2*len(place.Ports) {
		t.Errorf("configuration and logs are not the provider's to delete; left are %v", left)
	}
}
