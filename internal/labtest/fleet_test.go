//go:build linux

package labtest_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
	"github.com/redisfleet/terraform-provider-redis/internal/embedded"
	"github.com/redisfleet/terraform-provider-redis/internal/fleet"
	"github.com/redisfleet/terraform-provider-redis/internal/lab"
	"github.com/redisfleet/terraform-provider-redis/internal/reach"
)

// packed builds redis-bootstrap from this tree, once, as `make build` does.
var packed = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "labtest-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	bin := filepath.Join(dir, "redis-bootstrap")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", bin, "../../bootstrap")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return nil, err
	}
	program, err := os.ReadFile(bin)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(program); err != nil {
		return nil, err
	}
	err = w.Close()
	return out.Bytes(), err
})

func builds(t testing.TB) *embedded.Builds {
	t.Helper()
	b, err := packed()
	if err != nil {
		t.Fatal(err)
	}
	return embedded.From(fstest.MapFS{"builds/redis-bootstrap-linux-" + runtime.GOARCH + ".gz": {Data: b}})
}

const baseDir = "/var/lib/redis-cluster"

// site is a lab and the fleet that reaches it, as the provider would.
type site struct {
	t       *testing.T
	ctx     context.Context
	lab     *lab.Lab
	fleet   *fleet.Fleet
	session *fleet.Session
}

func newSite(t *testing.T, o lab.Options) *site {
	t.Helper()
	o.Log = t.Output()
	l := lab.ForTest(t, o)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	s := &site{t: t, ctx: ctx, lab: l, fleet: &fleet.Fleet{
		SSH:    reach.SSHConfig{User: lab.Admin, PrivateKey: spec.Secret(l.Key.Private), Dial: l.DialContext},
		Builds: builds(t),
	}}
	s.session = s.fleet.Session()
	t.Cleanup(func() { _ = s.session.Close() })
	return s
}

// subtest is t.Run of a test that uses s: what fails then is the subtest.
func (s *site) subtest(t *testing.T, name string, test func(*testing.T)) {
	t.Helper()
	t.Run(name, func(sub *testing.T) {
		s.t = sub
		defer func() { s.t = t }()
		test(sub)
	})
}

// machine is how to reach h.
func machine(h *lab.Host) fleet.Machine {
	return fleet.Machine{
		Name: h.Name, BaseDir: baseDir,
		Target: reach.Target{Name: h.Name, Address: h.Addr, HostKey: h.HostKey},
	}
}

// call sends a request to one host; the test fails where it does.
func call[Res any](s *site, h *lab.Host, verb string, req any) Res {
	s.t.Helper()
	res, err := try[Res](s, h, verb, req)
	if err != nil {
		s.t.Fatalf("%s: %s: %v", h.Name, verb, err)
	}
	return res
}

func try[Res any](s *site, h *lab.Host, verb string, req any) (Res, error) {
	s.t.Helper()
	host, err := s.session.Host(s.ctx, machine(h))
	if err != nil {
		var none Res
		return none, err
	}
	return fleet.Call[Res](s.ctx, host, verb, req)
}

// nodes are processes ports on every host.
func (s *site) nodes(ports ...int) []spec.Node {
	var nodes []spec.Node
	for _, h := range s.lab.Hosts {
		nodes = append(nodes, s.nodesOn(h, ports...)...)
	}
	return nodes
}

func (s *site) nodesOn(h *lab.Host, ports ...int) []spec.Node {
	var nodes []spec.Node
	for _, port := range ports {
		nodes = append(nodes, spec.Node{
			Name: h.Name + "/" + spec.Place{}.Unit(port), Address: h.Addr, Port: port, BusPort: port + spec.BusPortOffset,
			Host: h.Name, Zone: h.Zone,
		})
	}
	return nodes
}

// apply is a request for one process per port on h.
func (s *site) apply(h *lab.Host, ports ...int) spec.HostApply {
	return spec.HostApply{
		Versioned: spec.V(), Place: spec.Place{BaseDir: baseDir, Cluster: "c"}, HostName: h.Name,
		Nodes:    s.nodesOn(h, ports...),
		Server:   spec.Server{Flavor: spec.FlavorRedis, Install: spec.InstallPackage},
		Password: "correct horse", TuneOS: true,
		Config: map[string]string{"appendonly": "yes"},
	}
}

func wants(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q does not say %q", err, w)
		}
	}
}
