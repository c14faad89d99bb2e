// Package acctest is what the acceptance tests stand on: the provider, a real
// Terraform CLI, a real redis-server, and clusters on free ports of loopback.
package acctest

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/clustertest/freeport"
	"github.com/redisfleet/terraform-provider-redis/internal/provider"
)

// Main runs the tests of a package. With TF_ACC set, what they need has to be
// there: a test that cannot run must not pass.
func Main(m *testing.M) int {
	if os.Getenv("TF_ACC") == "" {
		return m.Run()
	}
	// They wait for servers and for Terraform more than they work; -parallel, which
	// is read after this, has the last word.
	if err := flag.Set("test.parallel", strconv.Itoa(2*runtime.GOMAXPROCS(0))); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if _, err := exec.LookPath("redis-server"); err != nil {
		fmt.Fprintln(os.Stderr, "TF_ACC is set and redis-server cannot be found:", err)
		return 1
	}
	if os.Getenv(cliPath) != "" {
		return m.Run()
	}
	// Without a path the testing library would download a CLI.
	cli, err := exec.LookPath("terraform")
	if err == nil {
		err = os.Setenv(cliPath, cli)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "TF_ACC is set, %s is not, and terraform cannot be found: %v\n", cliPath, err)
		return 1
	}
	return m.Run()
}

// cliPath is the testing library's variable for the CLI to use.
const cliPath = "TF_ACC_TERRAFORM_PATH"

// Providers serves this build of the provider.
func Providers() map[string]func() (tfprotov6.ProviderServer, error) {
	return map[string]func() (tfprotov6.ProviderServer, error){
		"redis": providerserver.NewProtocol6WithError(provider.New("test")()),
	}
}

// Place is where one test has its cluster: a directory and ports of its own.
type Place struct {
	BaseDir string
	// Ports were free a moment ago, and so were their bus ports.
	Ports []int
}

// NewPlace finds a place for n processes. The test fails if something of the
// cluster is still there at its end; processes are ended then.
func NewPlace(t *testing.T, n int) Place {
	t.Helper()
	p := Place{BaseDir: filepath.Join(t.TempDir(), "redis"), Ports: freePorts(t, n)}
	t.Cleanup(func() {
		if left := p.Processes(t); len(left) > 0 {
			t.Errorf("processes are left: %v", left)
			for pid := range left {
				if process, err := os.FindProcess(pid); err == nil {
					_ = process.Kill()
				}
			}
		}
		if _, err := os.Stat(p.BaseDir); err == nil {
			t.Errorf("%s is left", p.BaseDir)
		}
	})
	return p
}

// freePorts gives n ports that are free, and their bus ports too.
func freePorts(t *testing.T, n int) []int {
	t.Helper()
	ports := make([]int, n)
	for i := range ports {
		ports[i] = freeport.New(t)
	}
	return ports
}

// Nodes writes the nodes attribute: the processes that from and to bound, named n0, n1, ….
func (p Place) Nodes(from, to int) string {
	var b strings.Builder
	b.WriteString("nodes = {\n")
	for i := from; i < to; i++ {
		fmt.Fprintf(&b, "    n%d = { address = \"127.0.0.1\", port = %d, transport = \"local\" }\n", i, p.Ports[i])
	}
	b.WriteString("  }")
	return b.String()
}

// Cluster writes a redis_cluster "test" with all the place's processes, and more attributes.
func (p Place) Cluster(more string) string { return p.ClusterOf(p.Nodes(0, len(p.Ports)), more) }

// ClusterOf is Cluster with other nodes.
func (p Place) ClusterOf(nodes, more string) string {
	return fmt.Sprintf(`
resource "redis_cluster" "test" {
  name                = "test"
  base_dir            = %q
  deletion_protection = false
  server              = { install = "preinstalled" }
  %s
  %s
}
`, p.BaseDir, nodes, more)
}

// Processes gives the command lines of the processes that mention the place's
// directory, or listen on its ports, by process id.
func (p Place) Processes(t *testing.T) map[int]string {
	t.Helper()
	dirs, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[int]string)
	for _, file := range dirs {
		raw, err := os.ReadFile(file)
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil || pid == os.Getpid() {
			continue
		}
		line := string(bytes.ReplaceAll(raw, []byte{0}, []byte{' '}))
		if strings.Contains(line, p.BaseDir) || p.serves(line) {
			found[pid] = strings.TrimSpace(line)
		}
	}
	return found
}

func (p Place) serves(line string) bool {
	for _, port := range p.Ports {
		if strings.Contains(line, "redis-server") && strings.Contains(line, ":"+strconv.Itoa(port)) {
			return true
		}
	}
	return false
}

// Server gives the process id of the redis-server on port number i.
func (p Place) Server(t *testing.T, i int) int {
	t.Helper()
	for pid, line := range p.Processes(t) {
		if strings.Contains(line, "redis-server") && strings.Contains(line, ":"+strconv.Itoa(p.Ports[i])) {
			return pid
		}
	}
	t.Fatalf("nothing serves port %d", p.Ports[i])
	return 0
}
