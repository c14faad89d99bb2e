//go:build linux

package gceapi_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	compute "cloud.google.com/go/compute/apiv1"
	"cloud.google.com/go/compute/apiv1/computepb"
	"golang.org/x/oauth2"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/option"
	"google.golang.org/protobuf/proto"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
	"github.com/redisfleet/terraform-provider-redis/internal/gce"
	"github.com/redisfleet/terraform-provider-redis/internal/lab"
	"github.com/redisfleet/terraform-provider-redis/internal/lab/gceapi"
	"github.com/redisfleet/terraform-provider-redis/internal/reach"
)

// cloud is a lab with the API, and Google's own clients for it.
type cloud struct {
	t         *testing.T
	ctx       context.Context
	lab       *lab.Lab
	instances *compute.InstancesClient
	networks  *compute.NetworksClient
	subnets   *compute.SubnetworksClient
	firewalls *compute.FirewallsClient
	images    *compute.ImagesClient
	// gce is what the provider asks with, at endpoint.
	gce      *gce.Client
	endpoint string
}

func newCloud(t *testing.T) *cloud {
	t.Helper()
	l := lab.ForTest(t, lab.Options{Log: t.Output()})
	api := gceapi.New(l)
	t.Cleanup(api.Close)
	// The test itself is not in the lab's network: it talks to the same API on loopback.
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: api, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	endpoint := "http://" + listener.Addr().String()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)

	c := &cloud{t: t, ctx: ctx, lab: l, endpoint: endpoint, gce: gce.New(gce.Config{AccessToken: gceapi.Token, Project: gceapi.Project, ComputeCustomEndpoint: endpoint + "/compute/v1/"})}
	options := []option.ClientOption{option.WithEndpoint(endpoint), option.WithTokenSource(oauth2.StaticTokenSource(&oauth2.Token{AccessToken: gceapi.Token}))}
	var errs [5]error
	c.instances, errs[0] = compute.NewInstancesRESTClient(ctx, options...)
	c.networks, errs[1] = compute.NewNetworksRESTClient(ctx, options...)
	c.subnets, errs[2] = compute.NewSubnetworksRESTClient(ctx, options...)
	c.firewalls, errs[3] = compute.NewFirewallsRESTClient(ctx, options...)
	c.images, errs[4] = compute.NewImagesRESTClient(ctx, options...)
	if err := errors.Join(errs[:]...); err != nil {
		t.Fatal(err)
	}
	return c
}

// done waits for an operation.
func (c *cloud) done(op *compute.Operation, err error) {
	c.t.Helper()
	if err == nil {
		err = op.Wait(c.ctx)
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

const zone = "us-central1-b"

func (c *cloud) ref(name string) gce.Ref {
	return gce.Ref{Project: gceapi.Project, Zone: zone, Name: name}
}

func (c *cloud) allow(name, ports string) {
	c.t.Helper()
	c.done(c.firewalls.Insert(c.ctx, &computepb.InsertFirewallRequest{Project: gceapi.Project, FirewallResource: &computepb.Firewall{
		Name: &name, Network: proto.String("global/networks/redis"), SourceRanges: []string{"10.128.0.0/24"}, TargetTags: []string{"redis"},
		Allowed: []*computepb.Allowed{{IPProtocol: proto.String("tcp"), Ports: []string{ports}}},
	}}))
}

func (c *cloud) insert(name, addr string) {
	c.t.Helper()
	c.done(c.instances.Insert(c.ctx, &computepb.InsertInstanceRequest{Project: gceapi.Project, Zone: zone, InstanceResource: c.machine(name, addr)}))
}

func (c *cloud) machine(name, addr string) *computepb.Instance {
	nic := &computepb.NetworkInterface{Subnetwork: proto.String("regions/us-central1/subnetworks/redis")}
	if addr != "" {
		nic.NetworkIP = &addr
	}
	return &computepb.Instance{
		Name: &name, MachineType: proto.String("zones/" + zone + "/machineTypes/e2-medium"), Tags: &computepb.Tags{Items: []string{"redis"}},
		Disks: []*computepb.AttachedDisk{{Boot: proto.Bool(true), InitializeParams: &computepb.AttachedDiskInitializeParams{
			SourceImage: proto.String("projects/debian-cloud/global/images/family/debian-12"),
		}}},
		NetworkInterfaces: []*computepb.NetworkInterface{nic},
		Metadata: &computepb.Metadata{Items: []*computepb.Items{
			{Key: proto.String("ssh-keys"), Value: proto.String("eve:" + c.lab.Key.Public)},
			{Key: proto.String("enable-guest-attributes"), Value: proto.String("TRUE")},
			{Key: proto.String("startup-script"), Value: proto.String("#!/bin/sh\necho hello from the startup script\n")},
		}},
	}
}

func TestCloudThatBootsAndBlocks(t *testing.T) {
	c := newCloud(t)
	c.done(c.networks.Insert(c.ctx, &computepb.InsertNetworkRequest{Project: gceapi.Project, NetworkResource: &computepb.Network{
		Name: proto.String("redis"), AutoCreateSubnetworks: proto.Bool(false),
	}}))
	c.done(c.subnets.Insert(c.ctx, &computepb.InsertSubnetworkRequest{Project: gceapi.Project, Region: gceapi.Region, SubnetworkResource: &computepb.Subnetwork{
		Name: proto.String("redis"), Network: proto.String("global/networks/redis"), IpCidrRange: proto.String("10.128.0.0/24"),
	}}))
	c.allow("ssh", "22")
	c.insert("a", "")
	c.insert("b", "10.128.0.20")

	a, err := c.gce.Instance(c.ctx, c.ref("a"))
	if err != nil {
		t.Fatal(err)
	}
	if a.Address != "10.128.0.2" || a.Zone != zone || len(a.ID) < 10 || a.Status != "RUNNING" || !a.GuestAttributes {
		t.Errorf("instance a is %+v", a)
	}
	b, err := c.gce.Instance(c.ctx, c.ref("b"))
	if err != nil || b.Address != "10.128.0.20" || b.ID == a.ID {
		t.Errorf("instance b is %+v, %v", b, err)
	}

	// The user of the metadata logs in, and the host keys come from guest attributes.
	cfg := reach.SSHConfig{
		User: "eve", PrivateKey: spec.Secret(c.lab.Key.Private), Dial: c.lab.DialContext, KnownHostsFile: t.TempDir() + "/none",
		HostKeys: func(ctx context.Context, _ reach.Target) ([]string, error) { return c.gce.HostKeys(ctx, c.ref("b")) },
	}
	host, err := reach.DialSSH(c.ctx, cfg, reach.Target{Name: "b", Address: b.Address, Instance: c.ref("b").String()})
	if err != nil {
		t.Fatal(err)
	}
	listen := reach.Command{Root: true, Args: []string{"systemd-run", "--unit=echo", "python3", "-c",
		"import socketserver; socketserver.TCPServer(('', 16379), socketserver.BaseRequestHandler).serve_forever()"}}
	if err := host.Run(c.ctx, listen); err != nil {
		t.Fatal(err)
	}
	_ = host.Close()

	// The port is closed until a rule opens it, for who may ask and who can say why.
	reaches := func() bool {
		for range 20 {
			out, err := c.host("a").Run(c.ctx, `timeout 1 python3 -c "import socket; socket.create_connection(('10.128.0.20', 16379))" 2>&1 || echo closed: $?`)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(out, "refused") {
				return !strings.Contains(out, "closed")
			}
			time.Sleep(100 * time.Millisecond) // it does not listen yet
		}
		return false
	}
	if reaches() {
		t.Error("b is reached on a port that no rule opens")
	}
	rules, whole, err := c.gce.Rules(c.ctx, c.ref("b"))
	if err != nil || !whole {
		t.Fatal(whole, err)
	}
	if blocked, ok := gce.Check(rules, a, b, 16379); ok || !strings.Contains(blocked.String(), "10.128.0.20 (b) cannot be reached from 10.128.0.2 (a) on tcp/16379") {
		t.Errorf("the rules say %v, %s", ok, blocked)
	}
	c.allow("bus", "16379-16389")
	if !reaches() {
		t.Error("b is not reached on a port that a rule opens")
	}
	rules, _, err = c.gce.Rules(c.ctx, c.ref("b"))
	if _, ok := gce.Check(rules, a, b, 16379); err != nil || !ok {
		t.Errorf("the rules say no, %v", err)
	}
	c.done(c.firewalls.Delete(c.ctx, &computepb.DeleteFirewallRequest{Project: gceapi.Project, Firewall: "bus"}))
	if reaches() {
		t.Error("b is still reached after the rule was deleted")
	}

	console := ""
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(console, "hello from the startup script") && time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if console, err = c.gce.Console(c.ctx, c.ref("b"), 20_000); err != nil {
			t.Fatal(err)
		}
	}
	if !strings.Contains(console, "hello from the startup script") {
		t.Errorf("the console says %q", console)
	}

	if err := c.gce.Stop(c.ctx, c.ref("b")); err != nil {
		t.Fatal(err)
	}
	if b, err := c.gce.Instance(c.ctx, c.ref("b")); err != nil || b.Status != "TERMINATED" || c.host("b").Running() {
		t.Errorf("stopped: %+v, %v", b, err)
	}
	if err := c.gce.Start(c.ctx, c.ref("b")); err != nil {
		t.Fatal(err)
	}
	if err := c.gce.Reset(c.ctx, c.ref("b")); err != nil {
		t.Fatal(err)
	}
	if err := c.host("b").WaitSSH(c.ctx); err != nil {
		t.Error(err)
	}
	c.done(c.instances.Delete(c.ctx, &computepb.DeleteInstanceRequest{Project: gceapi.Project, Zone: zone, Instance: "b"}))
	_, err = c.gce.Instance(c.ctx, c.ref("b"))
	if gone := new(gce.NotFoundError); !errors.As(err, &gone) {
		t.Errorf("a deleted instance is %v", err)
	}
	if len(c.lab.Hosts) != 1 {
		t.Errorf("%d hosts are left", len(c.lab.Hosts))
	}
}

func (c *cloud) host(name string) *lab.Host {
	c.t.Helper()
	for _, h := range c.lab.Hosts {
		if h.Name == name {
			return h
		}
	}
	c.t.Fatal("no host ", name)
	return nil
}

// Errors are those that Google's clients know.
func TestErrorsAsGooglesClientsReadThem(t *testing.T) {
	c := newCloud(t)
	code := func(err error) int {
		answer := new(googleapi.Error)
		if !errors.As(err, &answer) {
			t.Fatalf("%v is no error of the API", err)
		}
		return answer.Code
	}
	_, err := c.images.Get(c.ctx, &computepb.GetImageRequest{Project: "debian-cloud", Image: "debian-12"})
	if code(err) != http.StatusNotFound {
		t.Errorf("a family's name as an image: %v", err)
	}
	image, err := c.images.GetFromFamily(c.ctx, &computepb.GetFromFamilyImageRequest{Project: "debian-cloud", Family: "debian-12"})
	if err != nil || !strings.HasPrefix(image.GetSelfLink(), "https://www.googleapis.com/compute/v1/projects/debian-cloud/global/images/debian-12") {
		t.Errorf("image %v, %v", image, err)
	}
	network := func(name string) error {
		op, err := c.networks.Insert(c.ctx, &computepb.InsertNetworkRequest{Project: gceapi.Project, NetworkResource: &computepb.Network{Name: &name}})
		if err == nil {
			err = op.Wait(c.ctx)
		}
		return err
	}
	if err := network("redis"); err != nil {
		t.Fatal(err)
	}
	if err := network("redis"); code(err) != http.StatusConflict {
		t.Errorf("a network twice: %v", err)
	}
	c.allow("ssh", "22")
	if _, err := c.networks.Delete(c.ctx, &computepb.DeleteNetworkRequest{Project: gceapi.Project, Network: "redis"}); code(err) != http.StatusBadRequest || !strings.Contains(err.Error(), "already being used by") {
		t.Errorf("deleting a network with rules: %v", err)
	}
	for name, change := range map[string]func(*computepb.Instance){
		"no image": func(i *computepb.Instance) {
			i.Disks[0].InitializeParams.SourceImage = proto.String("projects/x/global/images/none")
		},
		"another system": func(i *computepb.Instance) {
			i.Disks[0].InitializeParams.SourceImage = proto.String("projects/debian-cloud/global/images/family/debian-13")
		},
		"no machine type": func(i *computepb.Instance) { i.MachineType = proto.String("zones/us-central1-b/machineTypes/none") },
		"bad name":        func(i *computepb.Instance) { i.Name = proto.String("Capital") },
		"no such subnet": func(i *computepb.Instance) {
			i.NetworkInterfaces[0].Subnetwork = proto.String("regions/us-central1/subnetworks/none")
		},
		"no disk at start": func(i *computepb.Instance) { i.Disks = nil },
	} {
		i := c.machine("a", "")
		change(i)
		if _, err := c.instances.Insert(c.ctx, &computepb.InsertInstanceRequest{Project: gceapi.Project, Zone: zone, InstanceResource: i}); code(err) != http.StatusBadRequest {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err = c.gce.Instance(c.ctx, c.ref("nobody"))
	if gone := new(gce.NotFoundError); !errors.As(err, &gone) || !strings.Contains(err.Error(), "instances/nobody") {
		t.Errorf("an instance that never was: %v", err)
	}
	anonymous := gce.New(gce.Config{AccessToken: "wrong", Project: gceapi.Project, ComputeCustomEndpoint: c.endpoint + "/compute/v1/"})
	if _, err := anonymous.Instance(c.ctx, c.ref("a")); err == nil || !strings.Contains(err.Error(), "credentials") {
		t.Errorf("a wrong token: %v", err)
	}
}
