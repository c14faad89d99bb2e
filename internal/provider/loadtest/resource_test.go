package loadtest_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/redisfleet/terraform-provider-redis/internal/provider/acctest"
)

func TestMain(m *testing.M) { os.Exit(acctest.Main(m)) }

const this = "redis_loadtest.test"

// loadTest writes a redis_loadtest "test" of the cluster "test".
func loadTest(more string) string {
	return fmt.Sprintf(`
resource "redis_loadtest" "test" {
  cluster = redis_cluster.test.connection_info
  %s
}
`, more)
}

// short is a workload of two seconds.
const short = `workload = {
    duration = "2s"
    clients  = 4
    keys     = { maximum = 1000 }
  }
`

func at(path tfjsonpath.Path, value knownvalue.Check) statecheck.StateCheck {
	return statecheck.ExpectKnownValue(this, path, value)
}

func nothing() resource.ConfigPlanChecks {
	return resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}}
}

func action(a plancheck.ResourceActionType) resource.ConfigPlanChecks {
	return resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectResourceAction(this, a)}}
}

func TestAccLoadTestGoesThroughAFailover(t *testing.T) {
	place := acctest.NewPlace(t, 6)
	reports := t.TempDir()
	config := place.Cluster(`config = { "cluster-node-timeout" = "1000" }`) + loadTest(fmt.Sprintf(`
  workload = {
    duration  = "8s"
    clients   = 8
    data_size = 32
    keys      = { maximum = 10000 }
  }
  verify = true
  faults = [{ at = "2s", kind = "kill", target = "primary:0", recover_after = "3s" }]
  report_dir = %q
`, reports))
	fault := tfjsonpath.New("fault_results").AtSliceIndex(0)
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Providers(),
		Steps: []resource.TestStep{
			{
				Config: config,
				ConfigStateChecks: []statecheck.StateCheck{
					at(fault.AtMapKey("node"), knownvalue.StringExact("n0")),
					at(fault.AtMapKey("promoted"), knownvalue.StringExact("n3")),
					at(fault.AtMapKey("rejoined_as"), knownvalue.StringExact("replica")),
					at(fault.AtMapKey("promoted_ms"), positive()),
					at(fault.AtMapKey("rejoined_ms"), positive()),
					at(fault.AtMapKey("error"), knownvalue.Null()),
					at(tfjsonpath.New("unavailable_ms"), positive()),
					at(tfjsonpath.New("throughput_ops_per_second"), positive()),
					at(tfjsonpath.New("latency_ms").AtMapKey("p99"), positive()),
					at(tfjsonpath.New("verified_writes"), knownvalue.NotNull()),
					at(tfjsonpath.New("timeline"), knownvalue.ListSizeExact(8)),
					at(tfjsonpath.New("by_command"), knownvalue.ListSizeExact(2)),
					at(tfjsonpath.New("passed"), knownvalue.Bool(true)),
				},
				Check: func(s *terraform.State) error {
					file := s.RootModule().Resources[this].Primary.Attributes["report_html"]
					html, err := os.ReadFile(file)
					if err != nil || filepath.Dir(file) != reports || !strings.Contains(string(html), "</html>") {
						return fmt.Errorf("report %q of %d bytes: %w", file, len(html), err)
					}
					return nil
				},
			},
			{Config: config, ConfigPlanChecks: nothing()},
		},
	})
}

// positive checks for a number above zero.
func positive() knownvalue.Check {
	return knownvalue.Float64Func(func(v float64) error {
		if v <= 0 {
			return fmt.Errorf("%g is not positive", v)
		}
		return nil
	})
}

func TestAccLoadTestIsJudgedAnewWithoutARun(t *testing.T) {
	place := acctest.NewPlace(t, 6)
	cluster := place.Cluster("")
	var started string
	sameRun := func(s *terraform.State) error {
		now := s.RootModule().Resources[this].Primary.Attributes["started_at"]
		if started != "" && now != started {
			return fmt.Errorf("the test ran again: at %s and at %s", started, now)
		}
		started = now
		return nil
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Providers(),
		Steps: []resource.TestStep{
			{Config: cluster + loadTest(short), Check: sameRun, ConfigStateChecks: []statecheck.StateCheck{at(tfjsonpath.New("report_html"), knownvalue.Null())}},
			{
				Config: cluster + loadTest(short+`objectives = { throughput_ops_per_second = 1e12 }`+"\n  on_breach = \"warn\""), Check: sameRun,
				ConfigPlanChecks: action(plancheck.ResourceActionUpdate),
				ConfigStateChecks: []statecheck.StateCheck{
					at(tfjsonpath.New("passed"), knownvalue.Bool(false)), at(tfjsonpath.New("breaches"), knownvalue.ListSizeExact(1)),
				},
			},
			{
				Config:      cluster + loadTest(short+`objectives = { throughput_ops_per_second = 1e12 }`),
				ExpectError: regexp.MustCompile(`throughput_ops_per_second: the\s+throughput\s+is`),
			},
			{
				Config: cluster + loadTest(short+`objectives = { error_ratio = 0.5 }`), Check: sameRun,
				ConfigStateChecks: []statecheck.StateCheck{at(tfjsonpath.New("passed"), knownvalue.Bool(true))},
			},
			{
				Config:           cluster + loadTest(short+`triggers = { again = "yes" }`),
				ConfigPlanChecks: action(plancheck.ResourceActionReplace),
			},
		},
	})
}

func TestAccLoadTestFailsOnABreach(t *testing.T) {
	place := acctest.NewPlace(t, 6)
	cluster := place.Cluster("")
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Providers(),
		Steps: []resource.TestStep{
			{
				Config:      cluster + loadTest(short+`objectives = { p99_ms = 0 }`),
				ExpectError: regexp.MustCompile(`(?s)Breached Its Objectives.*p99_ms:`),
			},
			{
				// The results were kept, and the next apply runs the test anew.
				Config: cluster + loadTest(short), ConfigPlanChecks: action(plancheck.ResourceActionReplace),
				ConfigStateChecks: []statecheck.StateCheck{at(tfjsonpath.New("passed"), knownvalue.Bool(true))},
			},
		},
	})
}

func TestAccSeveralRunnersAddUp(t *testing.T) {
	place := acctest.NewPlace(t, 6)
	config := place.Cluster("") + loadTest(`
  workload = { requests = 20000, clients = 4, keys = { maximum = 1000 } }
  runners  = { a = { transport = "local" }, b = { transport = "local" } }
`)
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Providers(),
		Steps: []resource.TestStep{{
			Config: config,
			ConfigStateChecks: []statecheck.StateCheck{
				at(tfjsonpath.New("operations"), knownvalue.Int64Exact(20000)),
			},
		}},
	})
}

func TestAccBadWorkloadIsRefusedByThePlan(t *testing.T) {
	place := acctest.NewPlace(t, 6)
	tests := map[string]struct{ config, refusal string }{
		"no end":              {`workload = { clients = 1 }`, `duration is missing`},
		"two ends":            {`workload = { duration = "1s", requests = 1 }`, `requests is set together with duration`},
		"not a duration":      {`workload = { duration = "soon" }`, `(?s)workload.duration.*length of time`},
		"unknown operation":   {`workload = { duration = "1s", operations = { sett = 1 } }`, `operations.sett is no operation`},
		"maximum":             {`workload = { duration = "1s", keys = { minimum = 5, maximum = 1 } }`, `keys.maximum is 1`},
		"pattern":             {`workload = { duration = "1s", keys = { pattern = "odd" } }`, `(?s)workload.keys.pattern.*uniform`},
		"fault after the end": {`workload = { duration = "1s" }` + "\n" + `faults = [{ at = "2s", kind = "stop", target = "primary:0", recover_after = "1s" }]`, `(?s)due at 2s.*load of\s+1s`},
		"fault on nobody":     {`workload = { duration = "9s" }` + "\n" + `faults = [{ at = "2s", kind = "stop", target = "node:x", recover_after = "1s" }]`, `no node "x"`},
		"fault target":        {`workload = { duration = "9s" }` + "\n" + `faults = [{ at = "2s", kind = "stop", target = "all", recover_after = "1s" }]`, `primary:0`},
		"lost writes":         {`workload = { duration = "1s" }` + "\n" + `objectives = { lost_writes = 0 }`, `(?s)verify\s+=\s+true`},
		"runner":              {`workload = { duration = "1s" }` + "\n" + `runners = { a = {} }`, `runners\["a"\]`},
		"verify without set":  {`workload = { duration = "1s", operations = { get = 1 } }` + "\n" + `verify = true`, `checks what SET wrote`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			resource.Test(t, resource.TestCase{
				ProtoV6ProviderFactories: acctest.Providers(),
				Steps:                    []resource.TestStep{{Config: place.Cluster("") + loadTest(test.config), PlanOnly: true, ExpectError: regexp.MustCompile(test.refusal)}},
			})
		})
	}
}
