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
	"github.com/hashicorp/terraform-plugin-testing/tfversion"

	"github.com/redisfleet/terraform-provider-redis/internal/provider/acctest"
)

// A cluster with a password is imported without it, which its hosts know, and
// taken over with it, without a restart.
func TestAccSomebodysClusterWithAPasswordIsTakenOver(t *testing.T) {
	t.Parallel()
	const password = "somebody's-Secret-5k"
	place := acctest.NewPlace(t, 6)
	somebodysCluster(t, place, "cluster-node-timeout 4000\n")
	for i := range place.Ports {
		c := client(t, addressOf(place, i), "")
		for _, directive := range []string{"masterauth", "requirepass"} {
			if err := c.ConfigSet(context.Background(), directive, password).Err(); err != nil {
				t.Fatal(err)
			}
		}
		if err := client(t, addressOf(place, i), password).ConfigRewrite(context.Background()).Err(); err != nil {
			t.Fatal(err)
		}
	}
	runs := func() string {
		var ids []string
		for i := range place.Ports {
			info, err := client(t, addressOf(place, i), password).Info(context.Background(), "server").Result()
			if err != nil {
				t.Error(err)
			}
			ids = append(ids, regexp.MustCompile(`run_id:\w+`).FindString(info))
		}
		return strings.Join(ids, " ")
	}
	before := runs()
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(password), 0o600); err != nil {
		t.Fatal(err)
	}
	var nodes strings.Builder
	for _, port := range place.Ports {
		fmt.Fprintf(&nodes, "    \"127.0.0.1-%d\" = { address = \"127.0.0.1\", port = %d, transport = \"local\" }\n", port, port)
	}
	config := func(more string) string {
		return place.ClusterOf("nodes = {\n"+nodes.String()+"}", fmt.Sprintf(`
  config              = { "cluster-node-timeout" = "4000" }
  password_wo         = file(%q)
  password_wo_version = 1
  %s`, file, more))
	}
	taken := config("take_over = true")
	resource.Test(t, resource.TestCase{
		TerraformVersionChecks:   []tfversion.TerraformVersionCheck{tfversion.RequireAbove(tfversion.Version1_11_0)},
		ProtoV6ProviderFactories: acctest.Providers(),
		Steps: []resource.TestStep{
			{
				Config: config(""), ResourceName: this, ImportState: true, ImportStatePersist: true,
				ImportStateId: addressOf(place, 0) + place.BaseDir + "/test",
			},
			{
				Config: taken, ConfigStateChecks: healthy(),
				Check: func(s *terraform.State) error {
					if strings.Contains(s.String(), password) {
						return fmt.Errorf("the password is in the state")
					}
					if now := runs(); now != before {
						return fmt.Errorf("processes were restarted: %s became %s", before, now)
					}
					return nil
				},
			},
		},
	})
}
