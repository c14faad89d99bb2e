//go:build linux

package provider_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redisfleet/terraform-provider-redis/internal/provider/acctest"
)

// shorter makes an example of a load test last for seconds.
var shorter = strings.NewReplacer(`"60s"`, `"2s"`, `"30s"`, `"2s"`, `"1m"`, `"1s"`, "50000", "500")

// Each example of a load test runs as it is, but for its length and its ports.
func TestAccLoadTestExamplesRun(t *testing.T) {
	files, err := filepath.Glob("../../examples/loadtest-*/main.tf")
	if err != nil || len(files) < 4 {
		t.Fatalf("examples %q, %v", files, err)
	}
	port := regexp.MustCompile(`port( *)= \d+ \+ i`)
	w := newWorkspace(t, "")
	for _, file := range files {
		t.Run(filepath.Base(filepath.Dir(file)), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			place := acctest.NewPlace(t, 6)
			ports := strings.Join(strings.Fields(fmt.Sprint(place.Ports)), ", ")
			example := port.ReplaceAllString(shorter.Replace(string(text)), "port$1= "+ports+"[i]")
			if example == string(text) || !strings.Contains(example, ports) {
				t.Fatalf("the example does not look as expected:\n%s", text)
			}
			if err := os.WriteFile(filepath.Join(w.dir, "main.tf"), []byte(example), 0o600); err != nil {
				t.Fatal(err)
			}
			w.run(t, "apply", "-auto-approve")
			var outputs struct {
				Throughput struct{ Value float64 }                  `json:"throughput_ops_per_second"`
				Report     struct{ Value string }                   `json:"report_html"`
				Latency    struct{ Value struct{ P99 float64 } }    `json:"latency_ms"`
				ByCommand  struct{ Value []struct{ Errors int64 } } `json:"by_command"`
			}
			if err := json.Unmarshal([]byte(w.run(t, "output", "-json")), &outputs); err != nil {
				t.Fatal(err)
			}
			if info, err := os.Stat(outputs.Report.Value); outputs.Throughput.Value < 1 || err != nil || info.Size() < 10_000 {
				t.Errorf("outputs %+v, report %v", outputs, err)
			}
			w.run(t, "destroy", "-auto-approve")
		})
	}
}

// Terraform and the provider are killed while a fault is on: nobody is left to
// mend it but what watches on the host.
func TestAccAFaultIsMendedWhenTerraformIsKilled(t *testing.T) {
	place := acctest.NewPlace(t, 3)
	progress := filepath.Join(t.TempDir(), "progress")
	w := newWorkspace(t, fmt.Sprintf("provider \"redis\" {\n  progress_file = %q\n}\n", progress)+place.Cluster("replicas_per_shard = 0")+`
resource "redis_loadtest" "test" {
  cluster  = redis_cluster.test.connection_info
  workload = { duration = "10m", clients = 4, keys = { maximum = 1000 } }
  faults   = [{ at = "500ms", kind = "pause", target = "node:n1", recover_after = "9m" }]
}
`)
	cmd := w.command(t.Context(), "apply", "-auto-approve")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	const patience = 3 * time.Minute
	wait(t, patience, "the fault is injected", func() bool {
		said, _ := os.ReadFile(progress)
		return strings.Contains(string(said), "pause for 9m")
	})
	server := place.Server(t, 1)
	if !stopped(t, server) {
		t.Error("the server of n1 is not stopped")
	}
	if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); err != nil {
		t.Error(err)
	}
	_ = cmd.Wait()
	wait(t, patience, "the fault is mended", func() bool { return !stopped(t, server) })
	wait(t, patience, "the load has ended", func() bool {
		for _, command := range place.Processes(t) {
			if !strings.Contains(command, "redis-server") && !strings.Contains(command, "supervise") {
				return false
			}
		}
		return true
	})
	w.run(t, "destroy", "-auto-approve")
}

// stopped says whether a process is stopped by a signal.
func stopped(t *testing.T, pid int) bool {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, state, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(state, "T")
}

func wait(t *testing.T, patience time.Duration, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("timed out: %s", what)
		}
	}
}
