//go:build linux

package gceapi

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"maps"
	"net/http"
	"net/netip"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/proto"

	"github.com/redisfleet/terraform-provider-redis/internal/lab"
)

// instance is a virtual machine: what the API tells of it, and the host that it is.
type instance struct {
	*computepb.Instance
	disk *computepb.Disk
	host *lab.Host
	// published says that the host has booted and told its SSH host keys.
	published bool
}

func (i *instance) tagged(tag string) bool { return slices.Contains(i.Tags.GetItems(), tag) }

// metadata is the value of a metadata key.
func (i *instance) metadata(key string) string {
	for _, item := range i.Metadata.GetItems() {
		if item.GetKey() == key {
			return item.GetValue()
		}
	}
	return ""
}

// users are those of the metadata's ssh-keys: lines of "user:key".
func (i *instance) users() map[string][]string {
	users := make(map[string][]string)
	for line := range strings.Lines(i.metadata("ssh-keys")) {
		if user, key, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			users[user] = append(users[user], key)
		}
	}
	return users
}

func (a *API) instance(r *http.Request) (*instance, string, error) {
	path := zonePath(r, "instances/") + r.PathValue("name")
	i, err := find(a.instances, path)
	return i, path, err
}

func (a *API) listInstances(r *http.Request) (proto.Message, error) {
	list := &computepb.InstanceList{Kind: proto.String("compute#instanceList")}
	for _, i := range under(a.instances, zonePath(r, "instances/")) {
		list.Items = append(list.Items, i.Instance)
	}
	return proto.Clone(list), nil
}

func (a *API) getInstance(r *http.Request) (proto.Message, error) {
	i, _, err := a.instance(r)
	if err != nil {
		return nil, err
	}
	return proto.Clone(i.Instance), nil
}

func (a *API) getDisk(r *http.Request) (proto.Message, error) {
	path := zonePath(r, "disks/") + r.PathValue("name")
	for _, i := range a.instances {
		if i.disk.GetSelfLink() == link(path) {
			return proto.Clone(i.disk), nil
		}
	}
	return nil, notFound(path)
}

var validName = regexp.MustCompile(`^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$`)

func (a *API) insertInstance(r *http.Request) (proto.Message, error) {
	pb, err := body(r, &computepb.Instance{})
	if err != nil {
		return nil, err
	}
	zone := r.PathValue("zone")
	target := zonePath(r, "instances/") + pb.GetName()
	if _, ok := a.instances[target]; ok {
		return nil, conflict(target)
	}
	if !validName.MatchString(pb.GetName()) {
		return nil, invalid("Invalid value for field 'resource.name': '%s'.", pb.GetName())
	}
	if err := checkZone(zone); err != nil {
		return nil, err
	}
	if err := checkMachineType(pb.GetMachineType()); err != nil {
		return nil, err
	}
	i := &instance{Instance: pb}
	boots, err := i.attachDisk(a, zone)
	if err != nil {
		return nil, err
	}
	if boots != a.lab.Image() {
		return nil, invalid("This lab boots %s, and the instance wants %s.", a.lab.Image(), boots)
	}
	if err := a.attachNetwork(i); err != nil {
		return nil, err
	}
	i.complete(a, zone, target)
	a.instances[target] = i
	return a.begin("insert", target, i.Id, func(ctx context.Context) error { return a.boot(ctx, i, target) }), nil
}

// attachDisk makes the boot disk, and says what is on it.
func (i *instance) attachDisk(a *API, zone string) (lab.Image, error) {
	if len(i.Disks) == 0 || i.Disks[0].GetInitializeParams().GetSourceImage() == "" {
		return "", invalid("Invalid value for field 'resource.disks': a boot disk with a source image is required.")
	}
	d, params := i.Disks[0], i.Disks[0].GetInitializeParams()
	source := params.GetSourceImage()
	at := slices.IndexFunc(images, func(i image) bool { return path.Base(source) == i.name || path.Base(source) == i.family })
	if at < 0 {
		return "", invalid("Invalid value for field 'resource.disks[0].initializeParams.sourceImage': '%s'. The referenced image resource cannot be found.", source)
	}
	image := images[at].pb()
	disk := "zones/" + zone + "/disks/" + i.GetName()
	size := cmp.Or(params.GetDiskSizeGb(), d.GetDiskSizeGb(), 10)
	i.disk = &computepb.Disk{
		Kind: proto.String("compute#disk"), Id: a.id(), Name: i.Name, SelfLink: proto.String(link(disk)), Zone: proto.String(link("zones/" + zone)),
		SizeGb: &size, Status: proto.String("READY"), SourceImage: image.SelfLink, SourceImageId: proto.String(idString(image.Id)),
		Type:   proto.String(link("zones/" + zone + "/diskTypes/" + cmp.Or(path.Base(params.GetDiskType()), "pd-standard"))),
		Labels: params.GetLabels(), LabelFingerprint: proto.String(fingerprint()), PhysicalBlockSizeBytes: proto.Int64(4096),
		Users: []string{link("zones/" + zone + "/instances/" + i.GetName())}, CreationTimestamp: proto.String(timestamp()),
	}
	if params.GetDiskType() == "" {
		i.disk.Type = proto.String(link("zones/" + zone + "/diskTypes/pd-standard"))
	}
	d.Kind, d.Source, d.DiskSizeGb, d.Index = proto.String("compute#attachedDisk"), i.disk.SelfLink, &size, proto.Int32(0)
	d.DeviceName = proto.String(cmp.Or(d.GetDeviceName(), "persistent-disk-0"))
	d.Mode, d.Type, d.Interface = proto.String(cmp.Or(d.GetMode(), "READ_WRITE")), proto.String("PERSISTENT"), proto.String("SCSI")
	d.Boot, d.InitializeParams = proto.Bool(true), nil
	return images[at].boots, nil
}

// attachNetwork gives the instance its address.
func (a *API) attachNetwork(i *instance) error {
	if len(i.NetworkInterfaces) != 1 {
		return invalid("Invalid value for field 'resource.networkInterfaces': the lab attaches exactly one interface.")
	}
	nic := i.NetworkInterfaces[0]
	var subnet *subnetwork
	for _, s := range under(a.subnets, "regions/"+Region) {
		named := nic.GetSubnetwork() != "" && s.GetSelfLink() == link(pathOf(nic.GetSubnetwork(), "regions/"+Region+"/subnetworks"))
		inNetwork := nic.GetSubnetwork() == "" && s.GetNetwork() == link(pathOf(cmp.Or(nic.GetNetwork(), "default"), "global/networks"))
		if named || inNetwork {
			subnet = s
		}
	}
	if subnet == nil {
		return invalid("Invalid value for field 'resource.networkInterfaces[0].subnetwork': '%s' (network '%s'). The referenced subnetwork resource cannot be found.", nic.GetSubnetwork(), nic.GetNetwork())
	}
	taken := make(map[string]bool)
	for _, other := range a.instances {
		taken[other.NetworkInterfaces[0].GetNetworkIP()] = true
	}
	addr := nic.GetNetworkIP()
	for next := netip.MustParseAddr(lab.Bridge).Next(); addr == ""; next = next.Next() {
		if !taken[next.String()] {
			addr = next.String()
		}
	}
	if taken[addr] {
		return invalid("IP address '%s' is already being used by another resource.", addr)
	}
	nic.Kind, nic.Name, nic.Fingerprint = proto.String("compute#networkInterface"), proto.String("nic0"), proto.String(fingerprint())
	nic.Network, nic.Subnetwork, nic.NetworkIP, nic.StackType = subnet.Network, subnet.SelfLink, &addr, proto.String("IPV4_ONLY")
	for _, c := range nic.AccessConfigs {
		// Nothing translates addresses here: inside is outside.
		c.Kind, c.NatIP = proto.String("compute#accessConfig"), &addr
		c.Name, c.Type = proto.String(cmp.Or(c.GetName(), "external-nat")), proto.String("ONE_TO_ONE_NAT")
		c.NetworkTier = proto.String(cmp.Or(c.GetNetworkTier(), "PREMIUM"))
	}
	return nil
}

// complete sets what the service sets.
func (i *instance) complete(a *API, zone, target string) {
	i.Kind, i.Id, i.SelfLink = proto.String("compute#instance"), a.id(), proto.String(link(target))
	i.Zone = proto.String(link("zones/" + zone))
	i.setMachineType(i.GetMachineType())
	i.CreationTimestamp, i.CpuPlatform = proto.String(timestamp()), proto.String("Intel Broadwell")
	i.Status, i.Fingerprint, i.LabelFingerprint = proto.String("PROVISIONING"), proto.String(fingerprint()), proto.String(fingerprint())
	i.StartRestricted, i.DeletionProtection = proto.Bool(false), proto.Bool(i.GetDeletionProtection())
	if i.Metadata == nil {
		i.Metadata = &computepb.Metadata{}
	}
	i.Metadata.Kind, i.Metadata.Fingerprint = proto.String("compute#metadata"), proto.String(fingerprint())
	if i.Tags == nil {
		i.Tags = &computepb.Tags{}
	}
	i.Tags.Fingerprint = proto.String(fingerprint())
	if i.Scheduling == nil {
		i.Scheduling = &computepb.Scheduling{}
	}
	if i.Scheduling.AutomaticRestart == nil {
		i.Scheduling.AutomaticRestart = proto.Bool(true)
	}
	i.Scheduling.OnHostMaintenance = proto.String(cmp.Or(i.Scheduling.GetOnHostMaintenance(), "MIGRATE"))
	i.Scheduling.ProvisioningModel = proto.String(cmp.Or(i.Scheduling.GetProvisioningModel(), "STANDARD"))
	i.Scheduling.Preemptible = proto.Bool(i.Scheduling.GetPreemptible())
}

// setMachineType sets what ref names, in the instance's zone.
func (i *instance) setMachineType(ref string) {
	i.MachineType = proto.String(i.GetZone() + "/machineTypes/" + path.Base(ref))
}

// boot makes the host. The operation ends when it is powered on, as Google's
// does: SSH comes later, and the host keys in guest attributes later still.
func (a *API) boot(ctx context.Context, i *instance, target string) error {
	if err := a.enforce(ctx); err != nil {
		return err
	}
	h, err := a.lab.AddHost(ctx, lab.HostOptions{
		Name: i.GetName(), Addr: i.NetworkInterfaces[0].GetNetworkIP(), Zone: path.Base(i.GetZone()),
		Users: i.users(), NoLabKey: true, NoWait: true, StartupScript: i.metadata("startup-script"),
	})
	a.mu.Lock()
	defer a.mu.Unlock()
	if err != nil {
		delete(a.instances, target)
		return err
	}
	i.host = h
	a.running(i)
	return nil
}

// running records that i was powered on, and has its host keys published when it has booted.
func (a *API) running(i *instance) {
	i.Status, i.LastStartTimestamp = proto.String("RUNNING"), proto.String(timestamp())
	a.work.Go(func() {
		if i.host.WaitSSH(a.ctx) == nil {
			a.mu.Lock()
			i.published = i.metadata("enable-guest-attributes") == "TRUE"
			a.mu.Unlock()
		}
	})
}

// power begins an operation that changes the power of the instance's host.
func (a *API) power(r *http.Request, kind, meanwhile, after string, work func(context.Context, *lab.Host) error) (proto.Message, error) {
	i, path, err := a.instance(r)
	if err != nil {
		return nil, err
	}
	if i.host == nil {
		return nil, &apiError{http.StatusBadRequest, "resourceNotReady", "The resource '" + path + "' is not ready"}
	}
	i.Status = &meanwhile
	return a.begin(kind, path, i.Id, func(ctx context.Context) error {
		if err := work(ctx, i.host); err != nil {
			return err
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		i.Status = &after
		if after == "RUNNING" {
			a.running(i)
		} else {
			i.LastStopTimestamp = proto.String(timestamp())
		}
		return nil
	}), nil
}

func (a *API) startInstance(r *http.Request) (proto.Message, error) {
	return a.power(r, "start", "STAGING", "RUNNING", func(ctx context.Context, h *lab.Host) error { return h.PowerOn(ctx) })
}

func (a *API) stopInstance(r *http.Request) (proto.Message, error) {
	return a.power(r, "stop", "STOPPING", "TERMINATED", shutDown)
}

func (a *API) resetInstance(r *http.Request) (proto.Message, error) {
	return a.power(r, "reset", "RUNNING", "RUNNING", pressReset)
}

// pressReset takes the power away for a moment.
func pressReset(ctx context.Context, h *lab.Host) error {
	if err := h.Kill(ctx); err != nil {
		return err
	}
	return h.PowerOn(ctx)
}

// shutDown asks the host to power off, and takes the power away if it does not.
func shutDown(ctx context.Context, h *lab.Host) error {
	const patience = 15 * time.Second
	asked, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if h.Stop(asked) == nil {
		return nil
	}
	return h.Kill(ctx)
}

func (a *API) deleteInstance(r *http.Request) (proto.Message, error) {
	i, path, err := a.instance(r)
	if err != nil {
		return nil, err
	}
	if i.GetDeletionProtection() {
		return nil, invalid("Invalid resource usage: 'Resource cannot be deleted if it's protected against deletion.'.")
	}
	i.Status = proto.String("STOPPING")
	return a.begin("delete", path, i.Id, func(ctx context.Context) error {
		if i.host != nil {
			if err := shutDown(ctx, i.host); err != nil {
				return err
			}
			if err := a.lab.RemoveHost(ctx, i.host); err != nil {
				return err
			}
		}
		a.mu.Lock()
		delete(a.instances, path)
		a.mu.Unlock()
		return a.enforce(ctx)
	}), nil
}

func (a *API) setMetadata(r *http.Request) (proto.Message, error) {
	i, path, err := a.instance(r)
	if err != nil {
		return nil, err
	}
	m, err := body(r, &computepb.Metadata{})
	if err != nil {
		return nil, err
	}
	if m.GetFingerprint() != i.Metadata.GetFingerprint() {
		return nil, staleFingerprint()
	}
	before := i.users()
	m.Kind, m.Fingerprint = i.Metadata.Kind, proto.String(fingerprint())
	i.Metadata = m
	after := i.users()
	return a.begin("setMetadata", path, i.Id, func(ctx context.Context) error {
		for _, user := range slices.Sorted(maps.Keys(before)) {
			if _, ok := after[user]; !ok {
				after[user] = nil
			}
		}
		for user, keys := range after {
			if i.host != nil && i.host.Running() && !slices.Equal(keys, before[user]) {
				if err := i.host.SetUser(ctx, user, keys); err != nil {
					return err
				}
			}
		}
		return nil
	}), nil
}

func (a *API) setTags(r *http.Request) (proto.Message, error) {
	i, path, err := a.instance(r)
	if err != nil {
		return nil, err
	}
	t, err := body(r, &computepb.Tags{})
	if err != nil {
		return nil, err
	}
	if t.GetFingerprint() != i.Tags.GetFingerprint() {
		return nil, staleFingerprint()
	}
	t.Fingerprint = proto.String(fingerprint())
	i.Tags = t
	return a.begin("setTags", path, i.Id, a.enforce), nil
}

func (a *API) setLabels(r *http.Request) (proto.Message, error) {
	i, path, err := a.instance(r)
	if err != nil {
		return nil, err
	}
	l, err := body(r, &computepb.InstancesSetLabelsRequest{})
	if err != nil {
		return nil, err
	}
	if l.GetLabelFingerprint() != i.GetLabelFingerprint() {
		return nil, staleFingerprint()
	}
	i.Labels, i.LabelFingerprint = l.Labels, proto.String(fingerprint())
	return a.begin("setLabels", path, i.Id, nothing), nil
}

func (a *API) setMachineType(r *http.Request) (proto.Message, error) {
	i, path, err := a.instance(r)
	if err != nil {
		return nil, err
	}
	m, err := body(r, &computepb.InstancesSetMachineTypeRequest{})
	if err != nil {
		return nil, err
	}
	if err := checkMachineType(m.GetMachineType()); err != nil {
		return nil, err
	}
	if i.GetStatus() != "TERMINATED" {
		return nil, invalid("Invalid resource usage: 'Instance must be stopped to change its machine type.'.")
	}
	i.setMachineType(m.GetMachineType())
	return a.begin("setMachineType", path, i.Id, nothing), nil
}

func (a *API) getSerialPort(r *http.Request) (proto.Message, error) {
	i, path, err := a.instance(r)
	if err != nil {
		return nil, err
	}
	contents := ""
	if i.host != nil {
		contents = i.host.Console(1 << 20)
	}
	start, _ := strconv.ParseInt(r.URL.Query().Get("start"), 10, 64)
	start = min(max(start, 0), int64(len(contents)))
	return &computepb.SerialPortOutput{
		Kind: proto.String("compute#serialPortOutput"), SelfLink: proto.String(link(path + "/serialPort")),
		Contents: proto.String(strings.ToValidUTF8(contents[start:], "?")), Start: &start, Next: proto.Int64(int64(len(contents))),
	}, nil
}

func (a *API) getGuestAttributes(r *http.Request) (proto.Message, error) {
	i, path, err := a.instance(r)
	if err != nil {
		return nil, err
	}
	query := r.URL.Query().Get("queryPath")
	if !i.published || query != "hostkeys/" {
		return nil, notFound(path + "/guestAttributes/" + query)
	}
	kind, key, _ := strings.Cut(i.host.HostKey, " ")
	key, _, _ = strings.Cut(key, " ")
	return &computepb.GuestAttributes{
		Kind: proto.String("compute#guestAttributes"), QueryPath: &query, SelfLink: proto.String(link(path + "/guestAttributes/" + query)),
		QueryValue: &computepb.GuestAttributesValue{Items: []*computepb.GuestAttributesEntry{
			{Namespace: proto.String("hostkeys"), Key: &kind, Value: &key},
		}},
	}, nil
}

func (a *API) getEffectiveFirewalls(r *http.Request) (proto.Message, error) {
	i, _, err := a.instance(r)
	if err != nil {
		return nil, err
	}
	answer := &computepb.InstancesGetEffectiveFirewallsResponse{}
	for _, f := range a.ingress(i) {
		answer.Firewalls = append(answer.Firewalls, proto.Clone(f).(*computepb.Firewall))
	}
	return answer, nil
}

// fingerprint is a value that an update has to name, to say what it has seen.
func fingerprint() string {
	b := make([]byte, 8)
	_, _ = rand.Read(b)
	return base64.StdEncoding.EncodeToString(b)
}

func staleFingerprint() error {
	return &apiError{http.StatusPreconditionFailed, "conditionNotMet", "Supplied fingerprint does not match current metadata fingerprint."}
}

func idString(id *uint64) string { return strconv.FormatUint(*id, 10) }
