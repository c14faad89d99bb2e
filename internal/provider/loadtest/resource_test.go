package loadtest_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

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
					return filesBeside(file)
				},
			},
			{Config: config, ConfigPlanChecks: nothing()},
		},
	})
}

// filesBeside checks that the result is beside its report in every format.
func filesBeside(report string) error {
	for _, end := range []string{".json", ".memtier.json", ".hlog", "_FULL.hgrm", "_SET.hgrm", "_GET.hgrm"} {
		if info, err := os.Stat(strings.TrimSuffix(report, ".html") + end); err != nil || info.Size() < 500 {
			return fmt.Errorf("the %s of the result: %v, %w", end, info, err)
		}
	}
	return nil
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
				at(tfjsonpath.New("generator").AtMapKey("io"), knownvalue.StringRegexp(regexp.MustCompile(`^(io_uring|epoll)$`))),
				at(tfjsonpath.New("runner_results").AtSliceIndex(0).AtMapKey("name"), knownvalue.StringExact("a")),
				at(tfjsonpath.New("runner_results").AtSliceIndex(1).AtMapKey("operations"), knownvalue.Int64Exact(10000)),
				at(tfjsonpath.New("runner_results").AtSliceIndex(1).AtMapKey("lost_at_seconds"), knownvalue.Null()),
			},
		}},
	})
}

// A runner's process is killed in the middle: the test goes on to its end without it.
func TestAccALostRunnerIsNamed(t *testing.T) {
	place := acctest.NewPlace(t, 3)
	progress, reports := filepath.Join(t.TempDir(), "progress"), t.TempDir()
	config := fmt.Sprintf("provider \"redis\" {\n  progress_file = %q\n}\n", progress) + place.Cluster("replicas_per_shard = 0") + loadTest(fmt.Sprintf(`
  workload   = { duration = "6s", clients = 4, keys = { maximum = 1000 } }
  runners    = { a = { transport = "local" }, b = { transport = "local" } }
  report_dir = %q
`, reports))
	killed := make(chan error, 1)
	go func() { killed <- killOneRunner(t, place, progress) }()
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Providers(),
		Steps: []resource.TestStep{{
			Config: config,
			ConfigStateChecks: []statecheck.StateCheck{
				at(tfjsonpath.New("timeline"), knownvalue.ListSizeExact(6)),
				at(tfjsonpath.New("operations"), knownvalue.NotNull()),
				at(tfjsonpath.New("warnings"), knownvalue.ListPartial(map[int]knownvalue.Check{0: knownvalue.StringRegexp(regexp.MustCompile(`the runner [ab] was lost .* its share, 1 of 2 or 50 % of the load`))})),
			},
			Check: func(s *terraform.State) error {
				got := s.RootModule().Resources[this].Primary.Attributes
				lost := 0
				for i := range 2 {
					of := func(name string) string { return got[fmt.Sprintf("runner_results.%d.%s", i, name)] }
					if of("lost_at_seconds") == "" {
						if of("operations") != got["operations"] {
							return fmt.Errorf("the one that is left did %s of %s operations", of("operations"), got["operations"])
						}
						continue
					}
					lost++
					if of("operations") != "0" || of("error") == "" || of("share") != "0.5" {
						return fmt.Errorf("runner %d: %s operations, %q", i, of("operations"), of("error"))
					}
				}
				if lost != 1 {
					return fmt.Errorf("%d runners were lost", lost)
				}
				return filesBeside(got["report_html"])
			},
		}},
	})
	if err := <-killed; err != nil {
		t.Error(err)
	}
}

// killOneRunner kills a process that runs a load in place, once both do.
func killOneRunner(t *testing.T, place acctest.Place, progress string) error {
	started := regexp.MustCompile(`(?m) ([ab]): .*load started`)
	for deadline := time.Now().Add(3 * time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		said, _ := os.ReadFile(progress)
		runners := map[string]bool{}
		for _, match := range started.FindAllStringSubmatch(string(said), -1) {
			runners[match[1]] = true
		}
		if len(runners) < 2 {
			continue
		}
		for pid, command := range place.Processes(t) {
			if strings.Contains(command, "load") && strings.Contains(command, "run") && !strings.Contains(command, "redis-server") {
				return syscall.Kill(pid, syscall.SIGKILL)
			}
		}
		return errors.New("no runner's process was found")
	}
	return errors.New("the runners did not start")
}

func TestAccAReportHasAPlace(t *testing.T) {
	place := acctest.NewPlace(t, 3)
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("no result"), 0o600); err != nil {
		t.Fatal(err)
	}
	cluster := place.Cluster("replicas_per_shard = 0")
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.Providers(),
		Steps: []resource.TestStep{
			{Config: cluster + loadTest(short+fmt.Sprintf("report_dir = %q", filepath.Join(file, "reports"))), PlanOnly: true, ExpectError: regexp.MustCompile(`(?s)Report Directory Not Writable.*Nothing was run`)},
			{Config: cluster + loadTest(short+fmt.Sprintf("baseline = %q", file)), PlanOnly: true, ExpectError: regexp.MustCompile(`Unable to Read Baseline`)},
			{Config: cluster + loadTest(short+fmt.Sprintf("report_dir = %q", filepath.Join(dir, "first")))},
			{
				// It moves with all its files, and the next run's report compares with it.
				Config: cluster + loadTest(short+fmt.Sprintf("report_dir = %q", filepath.Join(dir, "second"))),
				Check: func(s *terraform.State) error {
					return filesBeside(s.RootModule().Resources[this].Primary.Attributes["report_html"])
				},
			},
			{
				PreConfig: func() {
					found, err := filepath.Glob(filepath.Join(dir, "second", "*[0-9].json"))
					if err != nil || len(found) != 1 {
						t.Fatalf("results: %v, %v", found, err)
					}
					if err := os.Rename(found[0], filepath.Join(dir, "earlier.json")); err != nil {
						t.Fatal(err)
					}
				},
				Config: cluster + loadTest(short+fmt.Sprintf("report_dir = %q\n  baseline = %q\n  triggers = { again = \"yes\" }", filepath.Join(dir, "second"), filepath.Join(dir, "earlier.json"))),
				Check: func(s *terraform.State) error {
					html, err := os.ReadFile(s.RootModule().Resources[this].Primary.Attributes["report_html"])
					if err != nil || !strings.Contains(string(html), "Baseline") {
						return fmt.Errorf("there is no comparison in the report: %w", err)
					}
					return nil
				},
			},
		},
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
		"fault on no zone":    {`workload = { duration = "9s" }` + "\n" + `faults = [{ at = "2s", kind = "stop", target = "zone:east", recover_after = "1s" }]`, `(?s)No node is in the zone\s+"east"`},
		"fault on no shard":   {`workload = { duration = "9s" }` + "\n" + `faults = [{ at = "2s", kind = "stop", target = "primary:6", recover_after = "1s" }]`, `no shard 6`},
		"fault on no VM":      {`workload = { duration = "9s" }` + "\n" + `faults = [{ at = "2s", kind = "vm_stop", target = "primary", recover_after = "1s" }]`, `breaks a node's VM`},
		"loopback cut off":    {`workload = { duration = "9s" }` + "\n" + `faults = [{ at = "2s", kind = "isolate", target = "node:n0", recover_after = "1s" }]`, `is on loopback`},
		"zero weights":        {`workload = { duration = "1s", operations = { set = 0 } }`, `(?s)weights\s+that\s+sum\s+to\s+zero`},
		"too big values":      {`workload = { duration = "1s", data_size = 536870913 }`, `proto-max-bulk-len`},
		"too few unique keys": {`workload = { duration = "10s", rate = 100, keys = { maximum = 500, pattern = "unique" } }`, `(?s)too\s+few\s+for\s+1000`},
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
