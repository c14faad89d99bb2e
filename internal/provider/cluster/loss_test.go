//go:build linux

package cluster_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	"github.com/redis/go-redis/v9"

	"github.com/redisfleet/terraform-provider-redis/internal/provider/acctest"
)

// TestAccMembersLostTheirDisks recreates members empty before the cluster has
// noticed that they were gone: first two primaries at once, which leaves no
// majority, then all that there is of one shard.
func TestAccMembersLostTheirDisks(t *testing.T) {
	t.Parallel()
	place := acctest.NewPlace(t, 6)
	// Nothing is noticed while the test runs.
	const config = `config = { "cluster-node-timeout" = "3600000" }` + "\n"
	keep := place.Cluster(config)
	const keys = 500
	var shard []int
	var lost int64
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Providers(),
		Steps: []resource.TestStep{
			{Config: keep, ConfigStateChecks: healthy()},
			{
				PreConfig: func() {
					c := clusterClient(place)
					defer func() { _ = c.Close() }()
					for i := range keys {
						if err := c.Set(context.Background(), fmt.Sprint("k", i), fmt.Sprint("v", i), 0).Err(); err != nil {
							t.Fatal(err)
						}
					}
					primaries, _ := shards(t, place)
					wipe(t, place, primaries[:2])
				},
				Config: keep, ConfigStateChecks: healthy(),
				Check: func(*terraform.State) error { return complete(place, keys) },
			},
			{
				PreConfig: func() {
					primaries, replica := shards(t, place)
					shard = []int{primaries[1], replica[primaries[1]]}
					size, err := client(t, fmt.Sprintf("127.0.0.1:%d", place.Ports[shard[0]]), "").DBSize(context.Background()).Result()
					if err != nil || size == 0 {
						t.Fatalf("%d keys to lose (%v)", size, err)
					}
					lost = size
					wipe(t, place, shard)
				},
				Config: keep, ExpectError: regexp.MustCompile(`(?s)only\s+owner\s+of\s+546\d\s+slots.*accept_data_loss`),
			},
			{
				Config:            place.Cluster(config + "accept_data_loss = true"),
				ConfigStateChecks: healthy(),
				Check: func(*terraform.State) error {
					var total int64
					primaries, _ := shards(t, place)
					for _, i := range primaries {
						total += client(t, fmt.Sprintf("127.0.0.1:%d", place.Ports[i]), "").DBSize(context.Background()).Val()
					}
					if total != keys-lost {
						return fmt.Errorf("%d keys are left, want %d", total, keys-lost)
					}
					return nil
				},
			},
		},
	})
}

func clusterClient(place acctest.Place) *redis.ClusterClient {
	var addrs []string
	for _, port := range place.Ports {
		addrs = append(addrs, fmt.Sprintf("127.0.0.1:%d", port))
	}
	return redis.NewClusterClient(&redis.ClusterOptions{Addrs: addrs})
}

// complete says which of the keys is not as it was written.
func complete(place acctest.Place, keys int) error {
	c := clusterClient(place)
	defer func() { _ = c.Close() }()
	for i := range keys {
		if got, err := c.Get(context.Background(), fmt.Sprint("k", i)).Result(); err != nil || got != fmt.Sprint("v", i) {
			return fmt.Errorf("k%d is %q, %w", i, got, err)
		}
	}
	return nil
}

// shards gives the primaries, by number of their process, and a replica of each.
func shards(t *testing.T, place acctest.Place) (primaries []int, replica map[int]int) {
	t.Helper()
	ids := make(map[string]int)
	following := make(map[int]string)
	for i, port := range place.Ports {
		c := client(t, fmt.Sprintf("127.0.0.1:%d", port), "")
		ids[c.ClusterMyID(context.Background()).Val()] = i
		for line := range strings.Lines(c.ClusterNodes(context.Background()).Val()) {
			f := strings.Fields(line)
			switch {
			case !strings.Contains(f[2], "myself"):
			case strings.Contains(f[2], "master"):
				primaries = append(primaries, i)
			default:
				following[i] = f[3]
			}
		}
	}
	replica = make(map[int]int)
	for i, id := range following {
		replica[ids[id]] = i
	}
	return primaries, replica
}

// wipe takes processes away with all that they had, as when their machines were made anew.
func wipe(t *testing.T, place acctest.Place, which []int) {
	t.Helper()
	for _, i := range which {
		own := filepath.Join(place.BaseDir, "test", fmt.Sprint(place.Ports[i]))
		end(t, place, i)
		if err := os.RemoveAll(own); err != nil {
			t.Fatal(err)
		}
	}
}
