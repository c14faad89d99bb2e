//go:build linux

package cluster_test

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"

	"github.com/redisfleet/terraform-provider-redis/internal/provider/acctest"
	"github.com/redisfleet/terraform-provider-redis/internal/releases"
)

// runs writes the cluster with the server at path.
func runs(place acctest.Place, flavor, path string) string {
	return strings.Replace(place.Cluster(""), `server              = { install = "preinstalled" }`,
		fmt.Sprintf(`server              = { install = "preinstalled", flavor = %q, path = %q }`, flavor, path), 1)
}

// upgraded checks that the cluster is well on its new server, and what the load saw.
func upgraded(flavor, version string) []statecheck.StateCheck {
	return []statecheck.StateCheck{
		has("status", knownvalue.StringExact("ok")), has("slots_ok", knownvalue.Int64Exact(16384)),
		has("server_flavor", knownvalue.StringExact(flavor)), has("server_version", knownvalue.StringRegexp(regexp.MustCompile(`^`+version))),
	}
}

// underTraffic is a step whose apply clients must not notice.
func underTraffic(t *testing.T, place acctest.Place, step resource.TestStep) resource.TestStep {
	var load *acctest.Traffic
	before, check := step.PreConfig, step.Check
	step.PreConfig = func() {
		if before != nil {
			before()
		}
		load = acctest.NewTraffic(t, fmt.Sprintf("127.0.0.1:%d", place.Ports[0]), fmt.Sprintf("127.0.0.1:%d", place.Ports[1]))
	}
	step.Check = func(s *terraform.State) error {
		if err := load.Stop(); err != nil {
			return err
		}
		t.Logf("clients saw %s", load)
		if check != nil {
			return check(s)
		}
		return nil
	}
	return step
}

func TestAccUpgradeToRedis8IsRollingAndHasNoWayBack(t *testing.T) {
	t.Parallel()
	servers := releases.Need(t, releases.Trixie)
	place := acctest.NewPlace(t, 6)
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Providers(),
		Steps: []resource.TestStep{
			{Config: place.Cluster(""), ConfigStateChecks: healthy()},
			underTraffic(t, place, resource.TestStep{
				Config: runs(place, "redis", servers.Redis), ConfigStateChecks: upgraded("redis", "8."),
			}),
			{
				// The old server is still there, and reads nothing of what the new one wrote.
				Config:      place.Cluster(""),
				ExpectError: regexp.MustCompile(`(?s)cannot\s+read\s+the\s+data.*node\s+n\d.*RDB\s+version\s+12.*Nothing\s+was\s+changed`),
			},
			{
				Config:      runs(place, "valkey", servers.Valkey),
				ExpectError: regexp.MustCompile(`(?s)valkey\s+8\.\d+\.\d+\s+cannot\s+read\s+the\s+data`),
			},
			{Config: runs(place, "redis", servers.Redis), ConfigPlanChecks: nothing(), ConfigStateChecks: upgraded("redis", "8.")},
		},
	})
}

func TestAccUpgradeToValkeyIsRolling(t *testing.T) {
	t.Parallel()
	servers := releases.Need(t, releases.Trixie)
	newest := releases.Need(t, releases.Sid)
	place := acctest.NewPlace(t, 6)
	first := fmt.Sprintf("127.0.0.1:%d", place.Ports[0])
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Providers(),
		Steps: []resource.TestStep{
			{Config: place.Cluster(`config = { "maxmemory" = "64mb" }`), ConfigStateChecks: healthy()},
			underTraffic(t, place, resource.TestStep{
				Config: runs(place, "valkey", servers.Valkey), ConfigStateChecks: upgraded("valkey", "8."),
				Check: func(*terraform.State) error {
					// A directive that was taken out has its default again.
					got, err := client(t, first, "").ConfigGet(context.Background(), "maxmemory").Result()
					if err != nil || got["maxmemory"] != "0" {
						return fmt.Errorf("maxmemory is %v, %w", got, err)
					}
					return nil
				},
			}),
			underTraffic(t, place, resource.TestStep{
				Config: runs(place, "valkey", newest.Valkey), ConfigStateChecks: upgraded("valkey", "9."),
			}),
		},
	})
}
