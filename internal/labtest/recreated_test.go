//go:build linux

package labtest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/compute/apiv1/computepb"
	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
	"github.com/redisfleet/terraform-provider-redis/internal/lab"
	"github.com/redisfleet/terraform-provider-redis/internal/lab/gceapi"
)

const recreatedConfig = `
terraform {
  required_providers {
    redis = { source = "redisfleet/redis" }
  }
}

variable "nodes" { type = map(string) }
variable "ssh_private_key_file" { type = string }
variable "redis_password" {
  type      = string
  sensitive = true
  ephemeral = true
}

provider "redis" {
  ssh = { user = "terraform", private_key_file = var.ssh_private_key_file }
}

resource "redis_cluster" "this" {
  name                = "kv"
  nodes               = { for name, link in var.nodes : name => { instance = link } }
  config              = { "cluster-node-timeout" = "600000" } # The apply has to act before the cluster does.
  password_wo         = var.redis_password
  password_wo_version = 1
  deletion_protection = false
}

output "status" { value = redis_cluster.this.status }
output "node_status" { value = redis_cluster.this.node_status }
`

// Two VMs with primaries of different shards are made anew at once, under their
// names and addresses, with empty disks. That leaves no majority, so that nobody
// takes over by himself, and started too early they would have their replicas
// copy the void.
func TestRecreatedInstances(t *testing.T) {
	t.Parallel()
	l := lab.ForTest(t, lab.Options{Log: t.Output()})
	api, err := gceapi.Start(l)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(api.Close)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	t.Cleanup(cancel)
	addrs := map[string]string{
		"n1": "10.128.0.2", "n2": "10.128.0.3", "n3": "10.128.0.4", "n4": "10.128.0.5", "n5": "10.128.0.6", "n6": "10.128.0.7",
	}
	links := makeInstances(t, ctx, l, addrs)
	w := newWorkspace(t, ctx, l)
	w.env = append(w.env, "TF_VAR_"+variable(t, "nodes", links))
	write(t, filepath.Join(w.dir, "main.tf"), recreatedConfig)
	w.run("init", "-no-color")
	w.apply()

	data := newDataSet(t, l, "10.128.0.2:6379")
	var primaries, replicas []string
	for name, n := range output[map[string]map[string]any](w, "node_status") {
		if n["role"] == "primary" {
			primaries = append(primaries, name)
		} else {
			replicas = append(replicas, name)
		}
	}
	load := startLoad(t, ctx, hostAt(t, l, addrs[replicas[0]]), addrs[replicas[0]]+":6379")
	data.awaitMore()
	again := make(map[string]string)
	var group errgroup.Group
	c := instancesClient(t, ctx, l)
	for _, name := range primaries[:2] {
		again[name] = addrs[name]
		group.Go(func() error {
			op, err := c.Delete(ctx, &computepb.DeleteInstanceRequest{Project: gceapi.Project, Zone: "us-central1-a", Instance: "vm-" + name})
			if err != nil {
				return err
			}
			return op.Wait(ctx)
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	makeInstances(t, ctx, l, again)

	began := time.Now()
	w.apply()
	t.Logf("%s and %s were replaced in %s", primaries[0], primaries[1], time.Since(began).Round(100*time.Millisecond))
	data.check()
	seen := load.stop()
	t.Logf("the load: %d operations, %d failed, %d writes lost, %d in doubt, %.0f ms unavailable",
		seen.Operations, seen.FailedOperations, seen.LostWrites, seen.IndeterminateWrites, seen.UnavailableMS)
	if seen.LostWrites > 0 || seen.Operations == 0 {
		t.Errorf("%d of %d operations lost: %q", seen.LostWrites, seen.Operations, seen.LostKeys)
	}
	status := output[map[string]map[string]any](w, "node_status")
	for _, name := range primaries[:2] {
		if status[name]["role"] != "replica" {
			t.Errorf("%s is a %v now", name, status[name]["role"])
		}
	}
	if status := output[string](w, "status"); status != "ok" {
		t.Errorf("status %q", status)
	}
	w.plansNothing()

	// With create_before_destroy both instances are there when the node goes from one to the other.
	w.subtest(t, "another instance under a node's name", func(t *testing.T) {
		data := dataSet{t, data.client}
		moving := ""
		for name, n := range status {
			if n["role"] == "primary" {
				moving = name
			}
		}
		links[moving] = makeInstances(t, ctx, l, map[string]string{moving + "-new": "10.128.0.30"})[moving+"-new"]
		w.env = append(w.env, "TF_VAR_"+variable(t, "nodes", links))
		load := startLoad(t, ctx, hostAt(t, l, addrs[primaries[0]]), addrs[primaries[0]]+":6379")
		w.apply()
		data.check()
		if seen := load.stop(); seen.LostWrites > 0 || seen.Operations == 0 {
			t.Errorf("%d of %d operations lost: %q", seen.LostWrites, seen.Operations, seen.LostKeys)
		}
		if left := run(t, hostAt(t, l, addrs[moving]), `ls -d /var/lib/redis-cluster 2>/dev/null || :; pgrep -a redis-server || :`); left != "" {
			t.Errorf("left behind where the node was: %s", left)
		}
		w.plansNothing()
	})
	w.keepsSecrets()
	w.run("destroy", "-auto-approve", "-no-color")
}

// dataSet is keys whose values are known.
type dataSet struct {
	t      *testing.T
	client *redis.ClusterClient
}

const dataSetKeys = 5000

// newDataSet writes the keys, and waits until each is on a replica too.
func newDataSet(t *testing.T, l *lab.Lab, addr string) dataSet {
	t.Helper()
	d := dataSet{t: t, client: redis.NewClusterClient(&redis.ClusterOptions{
		Addrs: []string{addr}, Password: password, MaxRedirects: 10,
		Dialer: func(ctx context.Context, network, addr string) (net.Conn, error) {
			return l.DialContext(ctx, network, addr)
		},
	})}
	t.Cleanup(func() { _ = d.client.Close() })
	pipe := d.client.Pipeline()
	for i := range dataSetKeys {
		pipe.Set(t.Context(), fmt.Sprint("data:", i), i, 0)
	}
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := d.client.ForEachMaster(t.Context(), func(ctx context.Context, c *redis.Client) error {
		return c.Wait(ctx, 1, 10*time.Second).Err()
	}); err != nil {
		t.Fatal(err)
	}
	return d
}

// awaitMore waits until somebody else has written something.
func (d dataSet) awaitMore() {
	d.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if n, err := d.client.DBSize(d.t.Context()).Result(); n > dataSetKeys {
			return
		} else if time.Now().After(deadline) {
			d.t.Fatalf("the load does not begin: there are %d keys, %v", n, err)
		}
	}
}

// check reads all keys.
func (d dataSet) check() {
	d.t.Helper()
	d.client.ReloadState(d.t.Context())
	missing := 0
	for i := range dataSetKeys {
		if got, err := d.client.Get(d.t.Context(), fmt.Sprint("data:", i)).Result(); err != nil || got != fmt.Sprint(i) {
			if missing++; missing == 1 {
				d.t.Errorf("data:%d is %q (%v)", i, got, err)
			}
		}
	}
	if missing > 0 {
		d.t.Errorf("%d of %d keys are gone", missing, dataSetKeys)
	}
}

// hostLoad is a verifying load that runs on a host until it is stopped.
type hostLoad struct {
	t    *testing.T
	stop func() spec.LoadResult
}

func startLoad(t *testing.T, ctx context.Context, h *lab.Host, addr string) hostLoad { //nolint:revive // t comes first in tests.
	t.Helper()
	return startLoadWith(t, ctx, h, addr, password)
}

func startLoadWith(t *testing.T, ctx context.Context, h *lab.Host, addr, password string) hostLoad { //nolint:revive // t comes first in tests.
	t.Helper()
	cmd, err := h.Command(ctx, "sh", "-c", "echo $$ >/run/load.pid; exec "+baseDir+"/bin/redis-bootstrap load --verify --json --duration 10m "+
		"--rate 300 --clients 4 --key-prefix load: --key-maximum 500 --password-file - "+addr)
	if err != nil {
		t.Fatal(err)
	}
	var out, said bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(password+"\n"), &out, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return hostLoad{t: t, stop: func() spec.LoadResult {
		t.Helper()
		run(t, h, "kill -INT $(cat /run/load.pid) || :") // one that has ended by itself says why
		err := cmd.Wait()
		var res spec.LoadResult
		if jsonErr := json.Unmarshal(out.Bytes(), &res); jsonErr != nil {
			t.Fatalf("the load: %v, %v\n%s%s", err, jsonErr, &out, &said)
		}
		return res
	}}
}
