package cluster_test

import (
	"context"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
	"github.com/hashicorp/terraform-plugin-testing/tfversion"
	"github.com/redis/go-redis/v9"

	"github.com/redisfleet/terraform-provider-redis/internal/provider/acctest"
)

func TestMain(m *testing.M) { os.Exit(acctest.Main(m)) }

const this = "redis_cluster.test"

// has checks one attribute of the cluster.
func has(name string, value knownvalue.Check) statecheck.StateCheck {
	return statecheck.ExpectKnownValue(this, tfjsonpath.New(name), value)
}

// healthy checks that the cluster is well and whole.
func healthy() []statecheck.StateCheck {
	return []statecheck.StateCheck{
		has("status", knownvalue.StringExact("ok")),
		has("problems", knownvalue.ListSizeExact(0)),
		has("slots_assigned", knownvalue.Int64Exact(16384)),
		has("slots_ok", knownvalue.Int64Exact(16384)),
		has("shards", knownvalue.ListSizeExact(3)),
		has("server_flavor", knownvalue.StringExact("redis")),
	}
}

// nothing expects a plan of no changes. That the plan after an apply is one is
// checked by the library, after each step.
func nothing() resource.ConfigPlanChecks {
	return resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}}
}

func client(t *testing.T, address, password string) *redis.Client {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: address, Password: password})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestAccClusterIsFormedAndPlansNothingAfterwards(t *testing.T) {
	t.Parallel()
	place := acctest.NewPlace(t, 6)
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Providers(),
		Steps: []resource.TestStep{
			{
				Config:            place.Cluster(""),
				ConfigStateChecks: append(healthy(), has("id", knownvalue.StringExact("test")), has("endpoints", knownvalue.ListSizeExact(6))),
			},
			{
				// What concerns no host leaves the topology known.
				Config: place.Cluster("timeouts = { create = \"5m\" }"),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					plancheck.ExpectResourceAction(this, plancheck.ResourceActionUpdate),
					plancheck.ExpectKnownValue(this, tfjsonpath.New("status"), knownvalue.StringExact("ok")),
				}},
			},
			{
				Config:            place.Cluster(`config = { "maxmemory" = "64mb" }`),
				ConfigStateChecks: healthy(),
				Check: func(*terraform.State) error {
					for _, port := range place.Ports {
						got, err := client(t, fmt.Sprintf("127.0.0.1:%d", port), "").ConfigGet(context.Background(), "maxmemory").Result()
						if err != nil || got["maxmemory"] != "67108864" {
							return fmt.Errorf("port %d has maxmemory %v, %w", port, got, err)
						}
					}
					return nil
				},
			},
		},
	})
}

func TestAccClusterRepairsWhatWasStopped(t *testing.T) {
	t.Parallel()
	place := acctest.NewPlace(t, 6)
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Providers(),
		Steps: []resource.TestStep{
			{Config: place.Cluster(""), ConfigStateChecks: healthy()},
			{
				// Both the server and who would start it again are killed.
				PreConfig:          func() { killProcess(t, place, 5) },
				RefreshState:       true,
				ExpectNonEmptyPlan: true,
				Check: func(s *terraform.State) error {
					status := s.RootModule().Resources[this].Primary.Attributes["status"]
					problem := s.RootModule().Resources[this].Primary.Attributes["problems.0"]
					if status != "degraded" || !strings.Contains(problem, "n5") {
						return fmt.Errorf("status is %q and the problem %q", status, problem)
					}
					return nil
				},
			},
			{
				Config:            place.Cluster(""),
				ConfigStateChecks: healthy(),
				ConfigPlanChecks:  resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectResourceAction(this, plancheck.ResourceActionUpdate)}},
			},
		},
	})
}

// killProcess ends process number i, and waits until the cluster has noticed.
func killProcess(t *testing.T, place acctest.Place, i int) {
	t.Helper()
	end(t, place, i)
	c := client(t, fmt.Sprintf("127.0.0.1:%d", place.Ports[0]), "")
	until(t, func() bool {
		nodes, err := c.ClusterNodes(context.Background()).Result()
		return err == nil && strings.Contains(nodes, "fail")
	})
}

// end kills all processes that belong to process number i, who would start it
// again included, and waits until they are gone.
func end(t *testing.T, place acctest.Place, i int) {
	t.Helper()
	own := filepath.Join(place.BaseDir, "test", fmt.Sprint(place.Ports[i]))
	server := place.Server(t, i)
	for pid, line := range place.Processes(t) {
		if pid != server && !strings.Contains(line, own) {
			continue
		}
		process, err := os.FindProcess(pid)
		if err != nil {
			t.Fatal(err)
		}
		_ = process.Kill()
	}
	until(t, func() bool {
		left := place.Processes(t)
		return !slices.ContainsFunc(slices.Collect(maps.Values(left)), func(line string) bool {
			return strings.Contains(line, own) || strings.Contains(line, "redis-server") && strings.Contains(line, fmt.Sprint(":", place.Ports[i]))
		})
	})
}

func until(t *testing.T, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !holds(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("waited 60 s in vain")
		}
	}
}

func TestAccRolesThatSwapAreNoDiff(t *testing.T) {
	t.Parallel()
	place := acctest.NewPlace(t, 6)
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Providers(),
		Steps: []resource.TestStep{
			{Config: place.Cluster("")},
			{
				PreConfig: func() { failOver(t, place) },
				Config:    place.Cluster(""), ConfigPlanChecks: nothing(),
				ConfigStateChecks: healthy(),
			},
		},
	})
}

// failOver has some replica take over from its primary, and waits until every node knows.
func failOver(t *testing.T, place acctest.Place) {
	t.Helper()
	for _, port := range place.Ports {
		c := client(t, fmt.Sprintf("127.0.0.1:%d", port), "")
		if c.ClusterFailover(context.Background()).Err() != nil {
			continue // Not a replica.
		}
		until(t, func() bool {
			return !slices.ContainsFunc(place.Ports, func(port int) bool { return primaries(client(t, fmt.Sprintf("127.0.0.1:%d", port), "")) != 3 })
		})
		until(t, func() bool {
			info, err := c.Info(context.Background(), "replication").Result()
			return err == nil && strings.Contains(info, "role:master") && strings.Contains(info, "state=online")
		})
		return
	}
	t.Fatal("there is no replica")
}

// primaries counts the primaries in a node's view.
func primaries(c *redis.Client) int {
	nodes, err := c.ClusterNodes(context.Background()).Result()
	if err != nil {
		return 0
	}
	return strings.Count(nodes, "master")
}

func TestAccGoneIsPlannedAnew(t *testing.T) {
	t.Parallel()
	place := acctest.NewPlace(t, 6)
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Providers(),
		Steps: []resource.TestStep{
			{Config: place.Cluster("")},
			{
				PreConfig: func() {
					for pid := range place.Processes(t) {
						if process, err := os.FindProcess(pid); err == nil {
							_ = process.Kill()
						}
					}
					until(t, func() bool { return len(place.Processes(t)) == 0 })
					if err := os.RemoveAll(place.BaseDir); err != nil {
						t.Fatal(err)
					}
				},
				Config:            place.Cluster(""),
				ConfigPlanChecks:  resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectResourceAction(this, plancheck.ResourceActionCreate)}},
				ConfigStateChecks: healthy(),
			},
		},
	})
}

func TestAccDeletionProtection(t *testing.T) {
	t.Parallel()
	place := acctest.NewPlace(t, 6)
	protected := strings.Replace(place.Cluster(""), "deletion_protection = false", "deletion_protection = true", 1)
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Providers(),
		Steps: []resource.TestStep{
			{Config: protected},
			{Config: protected, Destroy: true, ExpectError: regexp.MustCompile(`deletion_protection = false`)},
			{Config: renamed(protected), PlanOnly: true, ExpectError: regexp.MustCompile(`(?s)Protected Against Replacement.*name makes a new cluster.*deletion_protection\s+=\s+false`)},
			{Config: place.Cluster("")},
			{
				Config: renamed(place.Cluster("")), ConfigStateChecks: healthy(),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectResourceAction(this, plancheck.ResourceActionReplace)}},
			},
		},
	})
}

// renamed gives the cluster another name, which makes it another cluster.
func renamed(config string) string {
	return strings.Replace(config, `= "test"`, `= "other"`, 1)
}

// What a creation that failed has left is removed by the next apply, also where
// the cluster is protected; but never keys, whoever put them there.
func TestAccFailedCreationIsReplaced(t *testing.T) {
	t.Parallel()
	place := acctest.NewPlace(t, 6)
	config := place.Cluster("")
	protected := strings.Replace(config, "deletion_protection = false", "deletion_protection = true", 1)
	address := fmt.Sprintf("127.0.0.1:%d", place.Ports[2])
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Providers(),
		Steps: []resource.TestStep{
			{
				PreConfig:   func() { leaveKey(t, place, 2) },
				Config:      protected,
				ExpectError: regexp.MustCompile(`(?s)Unable to Create Redis Cluster.*n2.*holds\s+1\s+keys`),
			},
			{Config: protected, ExpectError: regexp.MustCompile(`(?s)Unable to Delete Redis Cluster.*n2\s+holds\s+1\s+keys.*terraform\s+untaint`)},
			{
				PreConfig: func() {
					if err := client(t, address, "").FlushAll(context.Background()).Err(); err != nil {
						t.Fatal(err)
					}
				},
				Config: protected, ConfigStateChecks: healthy(),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectResourceAction(this, plancheck.ResourceActionReplace)}},
			},
			{Config: config},
		},
	})
}

// leaveKey puts the data of some other Redis, with one key in it, where
// process number i will find it.
func leaveKey(t *testing.T, place acctest.Place, i int) {
	t.Helper()
	dir := filepath.Join(place.BaseDir, "test", fmt.Sprint(place.Ports[i]))
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // G301: as the host has it.
		t.Fatal(err)
	}
	server := exec.CommandContext(t.Context(), "redis-server", "--port", fmt.Sprint(place.Ports[i]), "--bind", "127.0.0.1", "--dir", dir, "--save", "")
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	c := client(t, fmt.Sprintf("127.0.0.1:%d", place.Ports[i]), "")
	until(t, func() bool { return c.Set(context.Background(), "somebody", "else's", 0).Err() == nil })
	if err := c.Save(context.Background()).Err(); err != nil {
		t.Fatal(err)
	}
	_ = server.Process.Kill()
	_ = server.Wait()
}

func TestAccClusterGrowsAndShrinks(t *testing.T) {
	t.Parallel()
	place := acctest.NewPlace(t, 8)
	six, eight := place.ClusterOf(place.Nodes(0, 6), ""), place.Cluster("")
	first := fmt.Sprintf("127.0.0.1:%d", place.Ports[0])
	const keys = 500
	complete := func(*terraform.State) error {
		c := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{first}})
		defer func() { _ = c.Close() }()
		for i := range keys {
			if got, err := c.Get(context.Background(), fmt.Sprint("k", i)).Result(); err != nil || got != fmt.Sprint("v", i) {
				return fmt.Errorf("k%d is %q, %w", i, got, err)
			}
		}
		return nil
	}
	shards := func(n int) statecheck.StateCheck { return has("shards", knownvalue.ListSizeExact(n)) }
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Providers(),
		Steps: []resource.TestStep{
			{Config: six, ConfigStateChecks: []statecheck.StateCheck{shards(3)}},
			{
				PreConfig: func() {
					c := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{first}})
					defer func() { _ = c.Close() }()
					for i := range keys {
						if err := c.Set(context.Background(), fmt.Sprint("k", i), fmt.Sprint("v", i), 0).Err(); err != nil {
							t.Fatal(err)
						}
					}
				},
				Config: eight, ConfigStateChecks: []statecheck.StateCheck{shards(4)}, Check: complete,
			},
			{
				Config: six, ConfigStateChecks: []statecheck.StateCheck{shards(3)},
				Check: resource.ComposeAggregateTestCheckFunc(complete, func(*terraform.State) error {
					for pid, line := range place.Processes(t) {
						if strings.Contains(line, fmt.Sprint(":", place.Ports[6])) || strings.Contains(line, fmt.Sprint(":", place.Ports[7])) {
							return fmt.Errorf("process %d of a node that left still runs: %s", pid, line)
						}
					}
					return nil
				}),
			},
		},
	})
}

func TestAccPortInUseIsRefusedByThePlan(t *testing.T) {
	t.Parallel()
	place := acctest.NewPlace(t, 6)
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", place.Ports[3]))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Providers(),
		Steps: []resource.TestStep{{
			Config: place.Cluster(""), PlanOnly: true,
			ExpectError: regexp.MustCompile(fmt.Sprintf(`(?s)node n3: port %d on\s+127.0.0.1 is taken`, place.Ports[3])),
		}},
	})
}

func TestAccImport(t *testing.T) {
	t.Parallel()
	place := acctest.NewPlace(t, 6)
	// An import calls nodes by address and port.
	var nodes strings.Builder
	nodes.WriteString("nodes = {\n")
	for _, port := range place.Ports {
		fmt.Fprintf(&nodes, "    \"127.0.0.1-%d\" = { address = \"127.0.0.1\", port = %d, transport = \"local\" }\n", port, port)
	}
	nodes.WriteString("  }")
	config := place.ClusterOf(nodes.String(), "")
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Providers(),
		Steps: []resource.TestStep{
			{Config: config},
			{
				Config: config, ResourceName: this, ImportState: true,
				ImportStateId: "local:" + place.BaseDir + "/test", ImportStateVerify: true,
				// Neither is written on the hosts.
				ImportStateVerifyIgnore: []string{"deletion_protection", "server"},
			},
			{
				Config: config, ResourceName: this, ImportState: true,
				ImportStateId: "nonsense", ExpectError: regexp.MustCompile(`HOST:/BASE_DIR/NAME`),
			},
			{
				Config: config, ResourceName: this, ImportState: true,
				ImportStateId: "local:" + place.BaseDir + "/other", ExpectError: regexp.MustCompile(`there is no process of a\s+cluster`),
			},
		},
	})
}

func TestAccPasswordStaysSecret(t *testing.T) {
	const first, second = "a-first-Secret-7q", "a-second-Secret-9z"
	place := acctest.NewPlace(t, 6)
	logs := filepath.Join(t.TempDir(), "log")
	progress := filepath.Join(t.TempDir(), "progress")
	t.Setenv("REDIS_PROGRESS_FILE", progress)
	t.Setenv("TF_ACC_LOG_PATH", logs)
	t.Setenv("TF_LOG", "TRACE")
	unseen := func(s *terraform.State) error {
		for name, text := range map[string]string{"state": s.String(), "progress": read(t, progress)} {
			if strings.Contains(text, first) || strings.Contains(text, second) {
				return fmt.Errorf("the password is in the %s", name)
			}
		}
		if lines := strings.Join(slices.Collect(maps.Values(place.Processes(t))), "\n"); strings.Contains(lines, "-Secret-") {
			return fmt.Errorf("the password is in a command line: %s", lines)
		}
		return nil
	}
	opens := func(password string) resource.TestCheckFunc {
		return func(*terraform.State) error {
			for _, port := range place.Ports {
				address := fmt.Sprintf("127.0.0.1:%d", port)
				if err := client(t, address, password).Ping(context.Background()).Err(); err != nil {
					return fmt.Errorf("%s does not take the password: %w", address, err)
				}
				if client(t, address, "").Ping(context.Background()).Err() == nil {
					return fmt.Errorf("%s lets everybody in", address)
				}
			}
			return nil
		}
	}
	// From a file, since the testing library itself logs the configuration.
	with := func(password string, version int) string {
		file := filepath.Join(t.TempDir(), "password")
		if err := os.WriteFile(file, []byte(password), 0o600); err != nil {
			t.Fatal(err)
		}
		return place.Cluster(fmt.Sprintf("password_wo = file(%q)\n  password_wo_version = %d", file, version))
	}
	resource.Test(t, resource.TestCase{
		TerraformVersionChecks:   []tfversion.TerraformVersionCheck{tfversion.RequireAbove(tfversion.Version1_11_0)},
		ProtoV6ProviderFactories: acctest.Providers(),
		Steps: []resource.TestStep{
			{Config: with(first, 1), ConfigStateChecks: healthy(), Check: resource.ComposeAggregateTestCheckFunc(opens(first), unseen)},
			// Without a new version a new password is not looked at.
			{Config: with(second, 1), ConfigPlanChecks: nothing()},
			{Config: with(second, 2), ConfigStateChecks: healthy(), Check: resource.ComposeAggregateTestCheckFunc(opens(second), unseen)},
		},
	})
	if text := read(t, logs); text == "" || strings.Contains(text, first) || strings.Contains(text, second) {
		at := max(strings.Index(text, first), strings.Index(text, second))
		t.Errorf("the password is in the log of %d bytes: …%s…", len(text), text[max(0, at-1500):min(len(text), at+200)])
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Error(err)
	}
	return string(text)
}

func TestAccBadInputIsRefusedByThePlan(t *testing.T) {
	t.Parallel()
	place := acctest.NewPlace(t, 7)
	remote := `nodes = { for i in range(6) : "n${i}" => { address = "10.0.0.${i + 2}" } }`
	tests := map[string]struct{ config, refusal string }{
		"too few nodes":       {place.ClusterOf(place.Nodes(0, 4), ""), `(?s)nodes makes 4 processes.*Add 2`},
		"uneven":              {place.ClusterOf(place.Nodes(0, 7), ""), `(?s)no multiple\s+of 2`},
		"same address":        {place.ClusterOf(`nodes = { for i in range(6) : "n${i}" => { address = "127.0.0.1", transport = "local" } }`, ""), `(?s)client port of\s+nodes\["n1"\] is\s+127.0.0.1:6379`},
		"owned directive":     {place.ClusterOf(place.Nodes(0, 6), `config = { "requirepass" = "x" }`), `(?s)config\["requirepass"\].*password_wo`},
		"unknown directive":   {place.ClusterOf(place.Nodes(0, 6), `config = { "maxmemry" = "1gb" }`), `(?s)config\["maxmemry"\]:\s+Bad directive`},
		"malformed directive": {place.ClusterOf(place.Nodes(0, 6), `config = { "maxmemory" = "much" }`), `config\["maxmemory"\]`},
		"bus port too high":   {place.ClusterOf(`nodes = { for i in range(6) : "n${i}" => { address = "127.0.0.1", port = 60000 + i, transport = "local" } }`, ""), `(?s)bus_port`},
		"password missing":    {place.ClusterOf(remote, ""), `(?s)password_wo.*allow_unauthenticated`},
		"public and open":     {place.ClusterOf(strings.ReplaceAll(remote, "10.0.0.", "203.0.113."), "allow_unauthenticated = true"), `(?s)no\s+private\s+address`},
		"relative base_dir":   {strings.Replace(place.ClusterOf(place.Nodes(0, 6), ""), place.BaseDir, "redis", 1), `(?s)base_dir.*abspath`},
		"name":                {strings.Replace(place.ClusterOf(place.Nodes(0, 6), ""), `= "test"`, `= "../x"`, 1), `Attribute name`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			resource.Test(t, resource.TestCase{
				ProtoV6ProviderFactories: acctest.Providers(),
				Steps:                    []resource.TestStep{{Config: test.config, PlanOnly: true, ExpectError: regexp.MustCompile(test.refusal)}},
			})
		})
	}
}

func TestAccUnknownValuesAreNoError(t *testing.T) {
	t.Parallel()
	place := acctest.NewPlace(t, 6)
	config := `
resource "terraform_data" "vm" {
  input = "127.0.0.1"
}
` + strings.ReplaceAll(place.Cluster(`config = { "maxmemory" = terraform_data.vm.output == "127.0.0.1" ? "64mb" : "1mb" }`), `address = "127.0.0.1"`, "address = terraform_data.vm.output")
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Providers(),
		Steps: []resource.TestStep{
			{Config: config, ConfigStateChecks: healthy()},
		},
	})
}

func TestAccDataSourceSeesAnyCluster(t *testing.T) {
	t.Parallel()
	place := acctest.NewPlace(t, 6)
	config := place.Cluster("") + `
data "redis_cluster" "made" {
  cluster = redis_cluster.test.connection_info
}
data "redis_cluster" "any" {
  endpoints = [redis_cluster.test.endpoints[0]]
}
`
	seen := func(name string) []statecheck.StateCheck {
		var checks []statecheck.StateCheck
		for attribute, value := range map[string]knownvalue.Check{
			"healthy": knownvalue.Bool(true), "status": knownvalue.StringExact("ok"), "slots_ok": knownvalue.Int64Exact(16384),
			"shards": knownvalue.ListSizeExact(3), "node_status": knownvalue.MapSizeExact(6),
		} {
			checks = append(checks, statecheck.ExpectKnownValue("data.redis_cluster."+name, tfjsonpath.New(attribute), value))
		}
		return checks
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Providers(),
		Steps:                    []resource.TestStep{{Config: config, ConfigStateChecks: slices.Concat(seen("made"), seen("any"))}},
	})
}

func TestAccUnreachableSeedIsNoError(t *testing.T) {
	t.Parallel()
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Providers(),
		Steps: []resource.TestStep{{
			Config: `
data "redis_cluster" "nowhere" {
  endpoints = ["127.0.0.1:1"]
}
`,
			ConfigStateChecks: []statecheck.StateCheck{
				statecheck.ExpectKnownValue("data.redis_cluster.nowhere", tfjsonpath.New("status"), knownvalue.StringExact("unreachable")),
				statecheck.ExpectKnownValue("data.redis_cluster.nowhere", tfjsonpath.New("healthy"), knownvalue.Bool(false)),
			},
		}},
	})
}

// A host that lets nobody in stops an apply before any other host is touched.
func TestAccUnreachableHostStopsEverything(t *testing.T) {
	t.Parallel()
	place := acctest.NewPlace(t, 6)
	config := `
provider "redis" {
  ssh = {
    port            = 1
    connect_timeout = "2s"
  }
}
` + strings.Replace(place.Cluster(""), fmt.Sprintf(`port = %d, transport = "local"`, place.Ports[5]), fmt.Sprintf(`port = %d`, place.Ports[5]), 1)
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Providers(),
		Steps: []resource.TestStep{
			{Config: config, ExpectError: regexp.MustCompile(`(?s)Unable to Create Redis Cluster.*Host:\s+n5.*Step:\s+connect`)},
			{
				PreConfig: func() {
					if left := place.Processes(t); len(left) > 0 {
						t.Errorf("another host was touched: %v", left)
					}
				},
				Config: config, PlanOnly: true, ExpectNonEmptyPlan: true,
				ConfigPlanChecks: resource.ConfigPlanChecks{PostApplyPreRefresh: []plancheck.PlanCheck{plancheck.ExpectResourceAction(this, plancheck.ResourceActionCreate)}},
			},
		},
	})
}

// Over SSH: a host that cannot be reached says nothing of what is on it, so
// that all that is known stays, and nothing is planned.
func TestAccUnreachableIsNotGone(t *testing.T) {
	t.Parallel()
	server := acctest.NewSSHServer(t)
	place := acctest.NewPlace(t, 6)
	cluster := strings.ReplaceAll(place.Cluster(""), `transport = "local"`, fmt.Sprintf("host_key = %q", server.HostKey))
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Providers(),
		Steps: []resource.TestStep{
			{Config: server.Provider(0) + cluster, ConfigStateChecks: healthy()},
			{
				Config: server.Provider(1) + cluster, ConfigPlanChecks: nothing(),
				ConfigStateChecks: []statecheck.StateCheck{
					has("status", knownvalue.StringExact("unreachable")), has("shards", knownvalue.ListSizeExact(3)), has("slots_ok", knownvalue.Int64Exact(16384)),
				},
			},
			{Config: server.Provider(1) + cluster, Destroy: true, ExpectError: regexp.MustCompile(`(?s)Unable to Delete Redis Cluster.*Step:\s+connect.*terraform\s+state\s+rm`)},
			{Config: server.Provider(0) + cluster, ConfigPlanChecks: nothing(), ConfigStateChecks: healthy()},
		},
	})
}
