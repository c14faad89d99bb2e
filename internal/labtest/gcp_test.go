//go:build linux

package labtest_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

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
	w.apply()
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

	if err := l.Hosts[0].Reboot(ctx); err != nil {
		t.Fatal(err)
	}
	w.awaitOK()
	w.plansNothing()

	w.run("destroy", "-auto-approve", "-no-color")
	if len(l.Hosts) > 0 {
		t.Errorf("%d hosts are left", len(l.Hosts))
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
