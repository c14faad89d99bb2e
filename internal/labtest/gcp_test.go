//go:build linux

package labtest_test

import (
	"bytes"
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/compute/apiv1/computepb"

	"github.com/redisfleet/terraform-provider-redis/internal/lab"
	"github.com/redisfleet/terraform-provider-redis/internal/lab/gceapi"
)

// The example for Google Cloud as it stands, with the google provider as it is,
// against an API that boots hosts.
func TestGCPExample(t *testing.T) {
	t.Parallel()
	if googleMirror() == "" {
		t.Skip("no hashicorp/google on this machine (GOOGLE_PROVIDER_MIRROR or the CLI's plugin directories); TestInstancesByTheirAPI tells the same story without it")
	}
	l := lab.ForTest(t, lab.Options{Log: t.Output()})
	api, err := gceapi.Start(l)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(api.Close)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	t.Cleanup(cancel)
	w := newWorkspace(t, ctx, l)
	if err := os.CopyFS(w.dir, os.DirFS("../../examples/gcp")); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(filepath.Dir(w.dir), "modules"), os.DirFS("../../examples/modules")); err != nil {
		t.Fatal(err)
	}
	// The lab is no Google: nobody is to be asked who we are.
	write(t, filepath.Join(w.dir, "lab_override.tf"), `provider "google" {
  universe_domain = "lab.test"
  poll_interval   = "1s"
}
`)
	w.env = append(w.env, "TF_VAR_load_duration=5s", "TF_VAR_deletion_protection=false")

	w.run("init", "-no-color")
	stop := w.watchArguments()
	w.apply()
	stop()
	if status := output[string](w, "status"); status != "ok" {
		t.Errorf("status %q", status)
	}
	if rate := output[float64](w, "throughput_ops_per_second"); rate < 100 {
		t.Errorf("%v ops/s", rate)
	}
	if endpoints := output[[]string](w, "endpoints"); len(endpoints) != 6 || !strings.HasSuffix(endpoints[0], ":6379") {
		t.Errorf("endpoints %q", endpoints)
	}
	w.plansNothing()
	w.keepsSecrets()
	onlyWhatRulesOpen(t, ctx, l)

	if err := l.Hosts[0].Reboot(ctx); err != nil {
		t.Fatal(err)
	}
	w.awaitOK()
	w.plansNothing()

	changeUnderLoad(t, ctx, w)

	w.run("destroy", "-auto-approve", "-no-color")
	if len(l.Hosts) > 0 {
		t.Errorf("%d hosts are left", len(l.Hosts))
	}
}

// onlyWhatRulesOpen checks that the example's rules let in what they name, and
// nothing else: SSH from where Terraform runs, Redis from nodes.
func onlyWhatRulesOpen(t *testing.T, ctx context.Context, l *lab.Lab) { //nolint:revive // t comes first in tests.
	t.Helper()
	fromOutside := func(port string) bool {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		conn, err := l.DialContext(ctx, "tcp", net.JoinHostPort(l.Hosts[1].Addr, port))
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	}
	fromNode := func(port string) bool {
		_, err := l.Hosts[0].Run(ctx, `timeout 1 python3 -c 'import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])))' "$@"`, l.Hosts[1].Addr, port)
		return err == nil
	}
	for _, c := range []struct {
		port                string
		outside, amongNodes bool
	}{{"22", true, false}, {"6379", false, true}, {"16379", false, true}} {
		if got := fromOutside(c.port); got != c.outside {
			t.Errorf("port %s reached from outside: %v", c.port, got)
		}
		if got := fromNode(c.port); got != c.amongNodes {
			t.Errorf("port %s reached from a node: %v", c.port, got)
		}
	}
}

// changeUnderLoad makes the changes that the example has variables for, while
// one of its runners writes and verifies.
func changeUnderLoad(t *testing.T, ctx context.Context, w *workspace) { //nolint:revive // t comes first in tests.
	t.Helper()
	l := w.lab
	apply := func(variable, value string, hosts int) {
		t.Helper()
		w.env = append(w.env, "TF_VAR_"+variable+"="+value)
		began := time.Now()
		w.apply()
		t.Logf("%s = %s took %s", variable, value, time.Since(began).Round(100*time.Millisecond))
		if len(l.Hosts) != hosts {
			t.Errorf("%s = %s: %d hosts, want %d", variable, value, len(l.Hosts), hosts)
		}
		if status := output[string](w, "status"); status != "ok" {
			t.Errorf("%s = %s: status %q", variable, value, status)
		}
		w.plansNothing()
	}
	named := func(prefix string) *lab.Host {
		t.Helper()
		for _, h := range l.Hosts {
			if strings.HasPrefix(h.Name, prefix) {
				return h
			}
		}
		t.Fatal("no host ", prefix)
		return nil
	}

	apply("runners", "2", 8)
	runner := named("kv-runner-1")
	push(t, ctx, runner)
	load := startLoad(t, ctx, runner, named("kv-2-").Addr+":6379")
	apply("generations", `{"kv-1"=1}`, 8)
	apply("size", "8", 10)
	apply("size", "6", 8)
	apply("machine_type", "e2-small", 8)
	apply("ssh_source_ranges", `["`+lab.Bridge+`/32","10.0.0.0/8"]`, 8)

	op, err := instancesClient(t, ctx, l).Delete(ctx, &computepb.DeleteInstanceRequest{Project: gceapi.Project, Zone: "us-central1-b", Instance: named("kv-2-").Name})
	if err == nil {
		err = op.Wait(ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
	apply("load_duration", "4s", 8) // and a VM that was deleted by hand is made again

	seen := load.stop()
	t.Logf("the load: %d operations, %d failed, %d writes lost, %d in doubt, %.0f ms unavailable",
		seen.Operations, seen.FailedOperations, seen.LostWrites, seen.IndeterminateWrites, seen.UnavailableMS)
	if seen.LostWrites > 0 || seen.Operations == 0 {
		t.Errorf("%d of %d operations lost: %q", seen.LostWrites, seen.Operations, seen.LostKeys)
	}
	w.keepsSecrets()
}

// push puts redis-bootstrap on h, where startLoad expects it.
func push(t *testing.T, ctx context.Context, h *lab.Host) { //nolint:revive // t comes first in tests.
	t.Helper()
	program, err := packed()
	if err != nil {
		t.Fatal(err)
	}
	cmd, err := h.Command(ctx, "sh", "-euc", "mkdir -p "+baseDir+"/bin; cd "+baseDir+"/bin; gunzip >redis-bootstrap; chmod +x redis-bootstrap")
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdin = bytes.NewReader(program)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// awaitOK waits until a refresh finds the cluster well.
func (w *workspace) awaitOK() {
	w.t.Helper()
	status := ""
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		w.apply("-refresh-only")
		if status = output[string](w, "status"); status == "ok" {
			return
		}
	}
	w.t.Errorf("the cluster is %s after a minute", status)
}
