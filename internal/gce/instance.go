package gce

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path"
	"strconv"
	"strings"

	compute "cloud.google.com/go/compute/apiv1"
	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/api/googleapi"
)

// Instance is what is known of a virtual machine.
type Instance struct {
	Ref
	// ID is the number that no other instance has ever had, in decimal digits.
	ID string
	// Address is the primary private address; ExternalAddress is empty if it has none.
	Address, ExternalAddress string
	// Status is Google's word: RUNNING, TERMINATED, ….
	Status string
	// Network is the self link of its first interface's network.
	Network string
	Tags    []string
	// ServiceAccounts are the e-mail addresses that it runs as.
	ServiceAccounts []string
	// GuestAttributes says that it may publish its SSH host keys.
	GuestAttributes bool
}

// Down says whether it does not run, nor will unless somebody starts it.
// https://cloud.google.com/compute/docs/instances/instance-lifecycle names the states.
func (i Instance) Down() bool {
	switch i.Status {
	case "STOPPING", "STOPPED", "TERMINATED", "SUSPENDING", "SUSPENDED", "DEPROVISIONING":
		return true
	}
	return false
}

// Ref reads a self link; one without a project means the configured project.
func (c *Client) Ref(link string) (Ref, error) { return ParseRef(link, c.config.Project) }

// Instance looks an instance up. One that does not exist is a *NotFoundError.
func (c *Client) Instance(ctx context.Context, ref Ref) (Instance, error) {
	api, err := c.open()
	if err != nil {
		return Instance{}, err
	}
	got, err := api.Get(ctx, &computepb.GetInstanceRequest{Project: ref.Project, Zone: ref.Zone, Instance: ref.Name})
	if err != nil {
		return Instance{}, explain(ref, "look up", err)
	}
	if len(got.GetNetworkInterfaces()) == 0 {
		return Instance{}, fmt.Errorf("%s has no network interface", ref)
	}
	nic := got.GetNetworkInterfaces()[0]
	i := Instance{
		Ref: ref, ID: strconv.FormatUint(got.GetId(), 10), Status: got.GetStatus(),
		Address: nic.GetNetworkIP(), Network: nic.GetNetwork(), Tags: got.GetTags().GetItems(),
	}
	i.Zone = path.Base(got.GetZone())
	for _, access := range nic.GetAccessConfigs() {
		i.ExternalAddress = access.GetNatIP()
	}
	for _, account := range got.GetServiceAccounts() {
		i.ServiceAccounts = append(i.ServiceAccounts, account.GetEmail())
	}
	for _, item := range got.GetMetadata().GetItems() {
		if item.GetKey() == "enable-guest-attributes" {
			i.GuestAttributes = strings.EqualFold(item.GetValue(), "true")
		}
	}
	return i, nil
}

// HostKeys are the SSH host keys that the guest published, as lines of an
// authorized_keys file. None means that it has not done so yet; a guest that
// must not is an error.
func (c *Client) HostKeys(ctx context.Context, ref Ref) ([]string, error) {
	api, err := c.open()
	if err != nil {
		return nil, err
	}
	query := "hostkeys/"
	got, err := api.GetGuestAttributes(ctx, &computepb.GetGuestAttributesInstanceRequest{
		Project: ref.Project, Zone: ref.Zone, Instance: ref.Name, QueryPath: &query,
	})
	if answer := new(googleapi.Error); errors.As(err, &answer) && answer.Code == http.StatusNotFound {
		return nil, c.mayPublish(ctx, ref)
	}
	if err != nil {
		return nil, explain(ref, "read the guest attributes of", err)
	}
	var keys []string
	for _, item := range got.GetQueryValue().GetItems() {
		keys = append(keys, item.GetKey()+" "+item.GetValue())
	}
	return keys, nil
}

// mayPublish is an error if waiting for the guest's keys is in vain.
func (c *Client) mayPublish(ctx context.Context, ref Ref) error {
	i, err := c.Instance(ctx, ref)
	if err != nil {
		return err
	}
	if !i.GuestAttributes {
		return &UnpublishedError{Ref: ref}
	}
	return nil
}

// UnpublishedError is an instance that does not publish its host keys.
type UnpublishedError struct{ Ref Ref }

// Error implements error.
func (e *UnpublishedError) Error() string {
	return fmt.Sprintf("%s does not publish its SSH host keys: set the instance's metadata enable-guest-attributes = \"TRUE\", or the node's host_key", e.Ref)
}

// Console is the end of what the instance wrote on its first serial port, at
// most limit bytes.
func (c *Client) Console(ctx context.Context, ref Ref, limit int) (string, error) {
	api, err := c.open()
	if err != nil {
		return "", err
	}
	got, err := api.GetSerialPortOutput(ctx, &computepb.GetSerialPortOutputInstanceRequest{Project: ref.Project, Zone: ref.Zone, Instance: ref.Name})
	if err != nil {
		return "", explain(ref, "read the console of", err)
	}
	text := got.GetContents()
	return strings.ToValidUTF8(text[max(0, len(text)-limit):], ""), nil
}

// Stop shuts the instance down and waits until it is.
func (c *Client) Stop(ctx context.Context, ref Ref) error {
	return c.power(ctx, ref, "stop", func(api *compute.InstancesClient) (*compute.Operation, error) {
		return api.Stop(ctx, &computepb.StopInstanceRequest{Project: ref.Project, Zone: ref.Zone, Instance: ref.Name})
	})
}

// Start starts a stopped instance and waits until it runs, which is before it has booted.
func (c *Client) Start(ctx context.Context, ref Ref) error {
	return c.power(ctx, ref, "start", func(api *compute.InstancesClient) (*compute.Operation, error) {
		return api.Start(ctx, &computepb.StartInstanceRequest{Project: ref.Project, Zone: ref.Zone, Instance: ref.Name})
	})
}

// Reset is the reset button: the instance starts again without having shut down.
func (c *Client) Reset(ctx context.Context, ref Ref) error {
	return c.power(ctx, ref, "reset", func(api *compute.InstancesClient) (*compute.Operation, error) {
		return api.Reset(ctx, &computepb.ResetInstanceRequest{Project: ref.Project, Zone: ref.Zone, Instance: ref.Name})
	})
}

func (c *Client) power(ctx context.Context, ref Ref, doing string, begin func(*compute.InstancesClient) (*compute.Operation, error)) error {
	api, err := c.open()
	if err != nil {
		return err
	}
	op, err := begin(api)
	if err == nil {
		err = op.Wait(ctx)
	}
	return explain(ref, doing, err)
}
