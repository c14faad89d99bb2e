//go:build linux

package labtest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	compute "cloud.google.com/go/compute/apiv1"
	"cloud.google.com/go/compute/apiv1/computepb"
	"golang.org/x/oauth2"
	"golang.org/x/sync/errgroup"
	"google.golang.org/api/option"
	"google.golang.org/protobuf/proto"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
	"github.com/redisfleet/terraform-provider-redis/internal/lab"
	"github.com/redisfleet/terraform-provider-redis/internal/lab/gceapi"
)

const instancesConfig = `
terraform {
  required_providers {
    redis = { source = "redisfleet/redis" }
  }
}

variable "nodes" { type = map(string) }
variable "runners" { type = map(string) }
variable "ssh_private_key_file" { type = string }
variable "connect_timeout" { default = "60s" }
variable "redis_password" {
  type      = string
  sensitive = true
  ephemeral = true
}

provider "redis" {
  ssh = { user = "terraform", private_key_file = var.ssh_private_key_file, connect_timeout = var.connect_timeout }
}

resource "redis_cluster" "this" {
  name                = "kv"
  nodes               = { for name, link in var.nodes : name => { instance = link } }
  config              = { "cluster-node-timeout" = "2000" }
  password_wo         = var.redis_password
  password_wo_version = 1
  deletion_protection = false
}

resource "redis_loadtest" "this" {
  cluster  = redis_cluster.this.connection_info
  runners  = { for name, link in var.runners : "r-${replace(name, ".", "-")}" => { address = name, instance = link } }
  verify   = true
  workload = { duration = "27s", clients = 8, keys = { minimum = 1, maximum = 1000 } }
  faults = [
    { at = "4s", kind = "vm_stop", target = "primary:0", recover_after = "6s" },
    { at = "15s", kind = "vm_reset", target = "primary:1", recover_after = "1s" },
  ]
}

output "status" { value = redis_cluster.this.status }
output "hosts" { value = redis_loadtest.this.generator.hosts }
output "lost_writes" { value = redis_loadtest.this.lost_writes }
output "faults" { value = redis_loadtest.this.fault_results }
`

// makeInstances makes instances through the API, and gives their self links by name or address.
func makeInstances(t *testing.T, ctx context.Context, l *lab.Lab, addrs map[string]string) map[string]string { //nolint:revive // t comes first in tests.
	t.Helper()
	c := instancesClient(t, ctx, l)
	links := make(map[string]string)
	var group errgroup.Group
	for name, addr := range addrs {
		instance := "vm-" + strings.ReplaceAll(name, ".", "-")
		links[name] = "https://www.googleapis.com/compute/v1/projects/" + gceapi.Project + "/zones/us-central1-a/instances/" + instance
		group.Go(func() error {
			op, err := c.Insert(ctx, &computepb.InsertInstanceRequest{Project: gceapi.Project, Zone: "us-central1-a", InstanceResource: &computepb.Instance{
				Name: &instance, MachineType: proto.String("zones/us-central1-a/machineTypes/e2-medium"),
				Disks: []*computepb.AttachedDisk{{InitializeParams: &computepb.AttachedDiskInitializeParams{
					SourceImage: proto.String("projects/debian-cloud/global/images/family/debian-12"),
				}}},
				NetworkInterfaces: []*computepb.NetworkInterface{{Network: proto.String("global/networks/default"), NetworkIP: &addr}},
				Metadata: &computepb.Metadata{Items: []*computepb.Items{
					{Key: proto.String("ssh-keys"), Value: proto.String("terraform:" + l.Key.Public)},
					{Key: proto.String("enable-guest-attributes"), Value: proto.String("TRUE")},
				}},
			}})
			if err == nil {
				err = op.Wait(ctx)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	return links
}

func clientOptions(l *lab.Lab) []option.ClientOption {
	return []option.ClientOption{
		option.WithEndpoint(strings.TrimSuffix(gceapi.Endpoint, "/compute/v1/")),
		option.WithHTTPClient(&http.Client{Transport: &oauth2.Transport{
			Source: oauth2.StaticTokenSource(&oauth2.Token{AccessToken: gceapi.Token}),
			Base:   &http.Transport{DialContext: l.DialContext},
		}}),
	}
}

func instancesClient(t *testing.T, ctx context.Context, l *lab.Lab) *compute.InstancesClient { //nolint:revive // t comes first in tests.
	t.Helper()
	c, err := compute.NewInstancesRESTClient(ctx, clientOptions(l)...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// The story of the example for Google Cloud where there is no google provider:
// instances are made through the API, and taken by their self links.
func TestInstancesByTheirAPI(t *testing.T) {
	t.Parallel()
	if googleMirror() == "" {
		t.Log("no hashicorp/google on this machine: this test makes the instances through the API itself, in its place")
	}
	l := lab.ForTest(t, lab.Options{Log: t.Output()})
	api, err := gceapi.Start(l)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(api.Close)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	t.Cleanup(cancel)
	nodes := makeInstances(t, ctx, l, map[string]string{
		"n1": "10.128.0.2", "n2": "10.128.0.3", "n3": "10.128.0.4", "n4": "10.128.0.5", "n5": "10.128.0.6", "n6": "10.128.0.7",
	})
	runners := makeInstances(t, ctx, l, map[string]string{"10.128.0.20": "10.128.0.20", "10.128.0.21": "10.128.0.21"})
	w := newWorkspace(t, ctx, l)
	for name, links := range map[string]map[string]string{"nodes": nodes, "runners": runners} {
		b, err := json.Marshal(links)
		if err != nil {
			t.Fatal(err)
		}
		w.env = append(w.env, "TF_VAR_"+name+"="+string(b))
	}
	write(t, filepath.Join(w.dir, "main.tf"), instancesConfig)
	w.run("init", "-no-color")

	w.subtest(t, "a rule that closes the bus", func(t *testing.T) {
		firewalls, err := compute.NewFirewallsRESTClient(ctx, clientOptions(l)...)
		if err != nil {
			t.Fatal(err)
		}
		op, err := firewalls.Insert(ctx, &computepb.InsertFirewallRequest{Project: gceapi.Project, FirewallResource: &computepb.Firewall{
			Name: proto.String("no-bus"), Network: proto.String("global/networks/default"), Priority: proto.Int32(100), SourceRanges: []string{"0.0.0.0/0"},
			Denied: []*computepb.Denied{{IPProtocol: proto.String("tcp"), Ports: []string{"16379"}}},
		}})
		if err == nil {
			err = op.Wait(ctx)
		}
		if err != nil {
			t.Fatal(err)
		}
		out, err := w.try("apply", "-auto-approve", "-no-color")
		says(t, out, err, "10.128.0.3 (vm-n2) cannot be reached from 10.128.0.2 (vm-n1) on", "tcp/16379", "no-bus denies it")
		if left := run(t, l.Hosts[0], `ls /var/lib/redis-cluster/kv 2>/dev/null || :`); left != "" {
			t.Errorf("the host was touched: %s", left)
		}
		op, err = firewalls.Delete(ctx, &computepb.DeleteFirewallRequest{Project: gceapi.Project, Firewall: "no-bus"})
		if err == nil {
			err = op.Wait(ctx)
		}
		if err != nil {
			t.Fatal(err)
		}
	})
	w.subtest(t, "a firewall on a host", func(t *testing.T) {
		at := hostAt(t, l, "10.128.0.4")
		run(t, at, `nft add table inet t; nft add chain inet t i '{ type filter hook input priority 0; }'; nft add rule inet t i iifname host0 tcp dport 16379 drop`)
		out, err := w.try("apply", "-auto-approve", "-no-color")
		says(t, out, err, "10.128.0.4 (n3) cannot be reached from 10.128.0.2 (n1) on", "tcp/16379", "firewall")
		run(t, at, `nft delete table inet t`)
	})
	w.subtest(t, "an instance whose SSH server does not come up", func(t *testing.T) {
		at := hostAt(t, l, "10.128.0.5")
		run(t, at, `systemctl --quiet stop ssh.socket ssh.service; echo "the last words of vm-n4" >/dev/console`)
		out, err := w.try("apply", "-auto-approve", "-no-color", "-var", "connect_timeout=3s")
		says(t, out, err, "Host: n4", "gave up after", "zones/us-central1-a/instances/vm-n4 is RUNNING. Its serial console ends in:", "the last words of vm-n4")
		run(t, at, `systemctl start ssh.service`)
	})

	stop := w.watchArguments()
	w.apply()
	stop()
	if status := output[string](w, "status"); status != "ok" {
		t.Errorf("status %q", status)
	}
	if hosts := output[[]string](w, "hosts"); len(hosts) != 2 {
		t.Errorf("the load came from %q", hosts)
	}
	for _, fault := range output[[]map[string]any](w, "faults") {
		t.Logf("%v", fault)
		// A VM that is reset may be back before anybody takes over from it.
		promoted := fault["promoted"] != nil || fault["kind"] == string(spec.FaultVMReset)
		if !promoted || fault["rejoined_ms"] == nil || fault["error"] != nil && fault["error"] != "" {
			t.Errorf("%s came to %v", fault["kind"], fault)
		}
	}
	if lost := output[float64](w, "lost_writes"); lost > 0 {
		t.Errorf("%v acknowledged writes are lost", lost)
	}
	w.awaitOK()
	w.plansNothing()
	w.keepsSecrets()
	w.subtest(t, "an instance that is stopped", func(t *testing.T) {
		instances := instancesClient(t, ctx, l)
		power := func(op *compute.Operation, err error) {
			t.Helper()
			if err == nil {
				err = op.Wait(ctx)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		power(instances.Stop(ctx, &computepb.StopInstanceRequest{Project: gceapi.Project, Zone: gceapi.Zones[0], Instance: "vm-n6"}))
		// Nobody waits for it: that would last longer than this test may.
		out, err := w.try("plan", "-no-color", "-var", "connect_timeout=1h")
		if err != nil {
			t.Error(err)
		}
		if flat := strings.Join(strings.Fields(out), " "); !strings.Contains(flat, "its machine does not run") {
			t.Errorf("it does not say that the machine does not run:\n%s", out)
		}
		power(instances.Start(ctx, &computepb.StartInstanceRequest{Project: gceapi.Project, Zone: gceapi.Zones[0], Instance: "vm-n6"}))
		w.awaitOK()
	})

	w.run("destroy", "-auto-approve", "-no-color")
	for _, h := range l.Hosts {
		if left := run(t, h, `ls -d /var/lib/redis-cluster 2>/dev/null || :; pgrep -a redis-server || :; systemctl list-unit-files 'redis-kv-*' --no-legend || :`); left != "" {
			t.Errorf("%s: left behind: %s", h.Name, left)
		}
	}
}

func hostAt(t *testing.T, l *lab.Lab, addr string) *lab.Host {
	t.Helper()
	for _, h := range l.Hosts {
		if h.Addr == addr {
			return h
		}
	}
	t.Fatal("no host at ", addr)
	return nil
}

// says checks that a terraform command failed, and what it said, however it was wrapped.
func says(t *testing.T, out string, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("it went well:\n%s", out)
	}
	flat := strings.Join(strings.Fields(strings.ReplaceAll(out, "│", " ")), " ")
	for _, w := range words {
		if !strings.Contains(flat, w) {
			t.Errorf("it does not say %q:\n%s", w, out)
		}
	}
}

// watchArguments looks at the arguments of every process, the hosts' too, until
// the function that it returns is called.
func (w *workspace) watchArguments() (stop func()) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
			for _, file := range lines {
				if b, err := os.ReadFile(file); err == nil && bytes.Contains(b, []byte(password)) {
					w.t.Errorf("a process has the password among its arguments: %q", b)
					return
				}
			}
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}()
	return func() {
		cancel()
		<-done
	}
}
