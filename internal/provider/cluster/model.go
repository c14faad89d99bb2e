package cluster

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strconv"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
	"github.com/redisfleet/terraform-provider-redis/internal/provider/connection"
	"github.com/redisfleet/terraform-provider-redis/internal/provider/known"
)

// model is the resource in Terraform's types.
type model struct {
	ID                   types.String   `tfsdk:"id"`
	Name                 types.String   `tfsdk:"name"`
	BaseDir              types.String   `tfsdk:"base_dir"`
	Nodes                types.Map      `tfsdk:"nodes"`
	ReplicasPerShard     types.Int64    `tfsdk:"replicas_per_shard"`
	SpareReplicas        types.Int64    `tfsdk:"spare_replicas"`
	Server               types.Object   `tfsdk:"server"`
	Config               types.Map      `tfsdk:"config"`
	PasswordWO           types.String   `tfsdk:"password_wo"`
	PasswordWOVersion    types.Int64    `tfsdk:"password_wo_version"`
	AllowUnauthenticated types.Bool     `tfsdk:"allow_unauthenticated"`
	TuneOS               types.Bool     `tfsdk:"tune_os"`
	AcceptDataLoss       types.Bool     `tfsdk:"accept_data_loss"`
	DeletionProtection   types.Bool     `tfsdk:"deletion_protection"`
	TakeOver             types.Bool     `tfsdk:"take_over"`
	SSH                  types.Object   `tfsdk:"ssh"`
	Timeouts             timeouts.Value `tfsdk:"timeouts"`

	Formed     types.Bool   `tfsdk:"formed"`
	Drift      types.List   `tfsdk:"drift"`
	Endpoints  types.List   `tfsdk:"endpoints"`
	Connection types.Object `tfsdk:"connection_info"`
	topologyModel
}

// topologyModel is what the cluster itself says, in Terraform's types.
type topologyModel struct {
	Status        types.String `tfsdk:"status"`
	Problems      types.List   `tfsdk:"problems"`
	Shards        types.List   `tfsdk:"shards"`
	NodeStatus    types.Map    `tfsdk:"node_status"`
	SlotsAssigned types.Int64  `tfsdk:"slots_assigned"`
	SlotsOK       types.Int64  `tfsdk:"slots_ok"`
	CurrentEpoch  types.Int64  `tfsdk:"current_epoch"`
	ServerVersion types.String `tfsdk:"server_version"`
	ServerFlavor  types.String `tfsdk:"server_flavor"`
}

// nodeModel is a value of nodes.
type nodeModel struct {
	Address    types.String `tfsdk:"address"`
	Port       types.Int64  `tfsdk:"port"`
	BusPort    types.Int64  `tfsdk:"bus_port"`
	Processes  types.Int64  `tfsdk:"processes"`
	Transport  types.String `tfsdk:"transport"`
	SSHHost    types.String `tfsdk:"ssh_host"`
	HostKey    types.String `tfsdk:"host_key"`
	Instance   types.String `tfsdk:"instance"`
	InstanceID types.String `tfsdk:"instance_id"`
	Zone       types.String `tfsdk:"zone"`
}

type serverModel struct {
	Flavor    types.String `tfsdk:"flavor"`
	Install   types.String `tfsdk:"install"`
	Version   types.String `tfsdk:"version"`
	SourceURL types.String `tfsdk:"source_url"`
	SHA256    types.String `tfsdk:"sha256"`
	Path      types.String `tfsdk:"path"`
}

type shardModel struct {
	Slots     types.String `tfsdk:"slots"`
	SlotCount types.Int64  `tfsdk:"slot_count"`
	Primary   types.String `tfsdk:"primary"`
	Replicas  types.List   `tfsdk:"replicas"`
}

type nodeStatusModel struct {
	Address   types.String `tfsdk:"address"`
	ID        types.String `tfsdk:"id"`
	Reachable types.Bool   `tfsdk:"reachable"`
	Error     types.String `tfsdk:"error"`
	Role      types.String `tfsdk:"role"`
	Primary   types.String `tfsdk:"primary"`
	Slots     types.String `tfsdk:"slots"`
}

func nodeTypes() map[string]attr.Type {
	return map[string]attr.Type{
		"address": types.StringType, "port": types.Int64Type, "bus_port": types.Int64Type, "processes": types.Int64Type,
		"transport": types.StringType, "ssh_host": types.StringType, "host_key": types.StringType,
		"instance": types.StringType, "instance_id": types.StringType, "zone": types.StringType,
	}
}

func serverTypes() map[string]attr.Type {
	return map[string]attr.Type{
		"flavor": types.StringType, "install": types.StringType, "version": types.StringType,
		"source_url": types.StringType, "sha256": types.StringType, "path": types.StringType,
	}
}

func shardTypes() map[string]attr.Type {
	return map[string]attr.Type{
		"slots": types.StringType, "slot_count": types.Int64Type, "primary": types.StringType,
		"replicas": types.ListType{ElemType: types.StringType},
	}
}

func nodeStatusTypes() map[string]attr.Type {
	return map[string]attr.Type{
		"address": types.StringType, "id": types.StringType, "reachable": types.BoolType, "error": types.StringType,
		"role": types.StringType, "primary": types.StringType, "slots": types.StringType,
	}
}

// desired is the cluster as the user wants it, in the words of the spec. All of
// it is known.
type desired struct {
	connection.Connection
	ReplicasPerShard     int
	SpareReplicas        int
	Server               spec.Server
	Config               map[string]string
	AllowUnauthenticated bool
	TuneOS               bool
	AcceptDataLoss       bool
}

// known says whether all that a cluster is made of is known by now.
func (m model) known() bool {
	return known.Wholly(m.Name, m.BaseDir, m.Nodes, m.ReplicasPerShard, m.SpareReplicas, m.Server, m.Config, m.AllowUnauthenticated, m.TuneOS, m.AcceptDataLoss)
}

// desired gives m in the words of the spec; m is known.
func (m model) desired(ctx context.Context) (desired, diag.Diagnostics) {
	d := desired{
		Connection: connection.Connection{Place: spec.Place{
			BaseDir: cmp.Or(m.BaseDir.ValueString(), defaultBaseDir), Cluster: m.Name.ValueString(),
		}},
		ReplicasPerShard:     int(m.ReplicasPerShard.ValueInt64()),
		SpareReplicas:        int(m.SpareReplicas.ValueInt64()),
		AllowUnauthenticated: m.AllowUnauthenticated.ValueBool(),
		TuneOS:               m.TuneOS.ValueBool(),
		AcceptDataLoss:       m.AcceptDataLoss.ValueBool(),
		Server:               spec.Server{Flavor: spec.FlavorRedis, Install: spec.InstallPackage},
	}
	var nodes map[string]nodeModel
	diags := m.Nodes.ElementsAs(ctx, &nodes, false)
	if !m.Config.IsNull() {
		diags.Append(m.Config.ElementsAs(ctx, &d.Config, false)...)
	}
	if !m.Server.IsNull() {
		var s serverModel
		diags.Append(m.Server.As(ctx, &s, basetypes.ObjectAsOptions{})...)
		d.Server = spec.Server{
			Flavor:  cmp.Or(spec.Flavor(s.Flavor.ValueString()), spec.FlavorRedis),
			Install: cmp.Or(spec.Install(s.Install.ValueString()), spec.InstallPackage),
			Version: s.Version.ValueString(), SourceURL: s.SourceURL.ValueString(), SHA256: s.SHA256.ValueString(), Path: s.Path.ValueString(),
		}
	}
	d.Processes = expand(nodes)
	return d, diags
}

// expand gives the processes of nodes in the natural order of their names.
func expand(nodes map[string]nodeModel) []connection.Process {
	sharing := make(map[string]int)
	for _, n := range nodes {
		if n.transport() == connection.TransportSSH {
			sharing[n.dial()]++
		}
	}
	var processes []connection.Process
	for _, name := range slices.SortedFunc(maps.Keys(nodes), connection.Natural) {
		n := nodes[name]
		machine := name
		switch {
		case n.transport() == connection.TransportLocal:
			machine = connection.TransportLocal
		case sharing[n.dial()] > 1:
			machine = n.dial()
		}
		for i := range n.processes() {
			p := connection.Process{
				Node: spec.Node{
					Name: name, Address: n.Address.ValueString(), Port: n.port() + i, BusPort: n.busPort() + i,
					Host: cmp.Or(n.InstanceID.ValueString(), n.Address.ValueString()), Zone: n.Zone.ValueString(),
				},
				Machine: machine, Transport: n.transport(), SSHHost: n.SSHHost.ValueString(), HostKey: n.HostKey.ValueString(), Instance: n.Instance.ValueString(),
			}
			if n.processes() > 1 {
				p.Name = name + ":" + strconv.Itoa(p.Port)
			}
			processes = append(processes, p)
		}
	}
	return processes
}

// Values that a null attribute stands for; the schema's defaults put them into
// plans, but a configuration is seen without them.

func (n nodeModel) port() int {
	if n.Port.IsNull() {
		return defaultPort
	}
	return int(n.Port.ValueInt64())
}

func (n nodeModel) busPort() int {
	if n.BusPort.IsNull() {
		return n.port() + spec.BusPortOffset
	}
	return int(n.BusPort.ValueInt64())
}

func (n nodeModel) processes() int { return max(1, int(n.Processes.ValueInt64())) }

func (n nodeModel) transport() string {
	return cmp.Or(n.Transport.ValueString(), connection.TransportSSH)
}

func (n nodeModel) dial() string { return cmp.Or(n.SSHHost.ValueString(), n.Address.ValueString()) }

// derive sets what follows from the inputs alone; m is known.
func (m *model) derive(ctx context.Context) diag.Diagnostics {
	d, diags := m.desired(ctx)
	var more diag.Diagnostics
	m.ID = m.Name
	m.Endpoints, more = types.ListValueFrom(ctx, types.StringType, d.Endpoints())
	diags.Append(more...)
	m.Connection, more = types.ObjectValueFrom(ctx, connection.AttrTypes(), d.Model())
	diags.Append(more...)
	return diags
}

// topology gives what a cluster said of itself in Terraform's types.
func topology(ctx context.Context, s spec.ClusterStatus) (topologyModel, diag.Diagnostics) {
	t := topologyModel{
		Status:        types.StringValue(string(s.Health)),
		SlotsAssigned: types.Int64Value(int64(s.SlotsAssigned)),
		SlotsOK:       types.Int64Value(int64(s.SlotsOK)),
		CurrentEpoch:  types.Int64Value(s.CurrentEpoch),
		ServerVersion: types.StringValue(s.ServerVersion),
		ServerFlavor:  types.StringValue(s.ServerFlavor),
	}
	var diags, more diag.Diagnostics
	t.Problems, diags = types.ListValueFrom(ctx, types.StringType, append([]string{}, s.Problems...))

	shards := make([]shardModel, len(s.Shards))
	for i, shard := range s.Shards {
		shards[i] = shardModel{Slots: types.StringValue(shard.Slots), SlotCount: types.Int64Value(int64(shard.SlotCount)), Primary: types.StringValue(shard.Primary)}
		shards[i].Replicas, more = types.ListValueFrom(ctx, types.StringType, append([]string{}, shard.Replicas...))
		diags.Append(more...)
	}
	t.Shards, more = types.ListValueFrom(ctx, types.ObjectType{AttrTypes: shardTypes()}, shards)
	diags.Append(more...)

	nodes := make(map[string]nodeStatusModel, len(s.Nodes))
	for _, n := range s.Nodes {
		nodes[n.Name] = nodeStatusModel{
			Address: types.StringValue(n.Address), ID: types.StringValue(n.ID), Reachable: types.BoolValue(n.Reachable), Error: types.StringValue(n.Error),
			Role: types.StringValue(n.Role), Primary: types.StringValue(n.Primary), Slots: types.StringValue(n.Slots),
		}
	}
	t.NodeStatus, more = types.MapValueFrom(ctx, types.ObjectType{AttrTypes: nodeStatusTypes()}, nodes)
	diags.Append(more...)
	return t, diags
}

// unknownTopology is the topology that an apply will find out.
func unknownTopology() topologyModel {
	return topologyModel{
		Status:        types.StringUnknown(),
		Problems:      types.ListUnknown(types.StringType),
		Shards:        types.ListUnknown(types.ObjectType{AttrTypes: shardTypes()}),
		NodeStatus:    types.MapUnknown(types.ObjectType{AttrTypes: nodeStatusTypes()}),
		SlotsAssigned: types.Int64Unknown(),
		SlotsOK:       types.Int64Unknown(),
		CurrentEpoch:  types.Int64Unknown(),
		ServerVersion: types.StringUnknown(),
		ServerFlavor:  types.StringUnknown(),
	}
}

// noDrift is how an apply leaves a cluster.
func noDrift() types.List { return types.ListValueMust(types.StringType, []attr.Value{}) }
