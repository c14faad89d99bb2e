package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	tfpath "github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
	"github.com/redisfleet/terraform-provider-redis/internal/fleet"
	"github.com/redisfleet/terraform-provider-redis/internal/provider/connection"
	"github.com/redisfleet/terraform-provider-redis/internal/provider/diagnose"
	"github.com/redisfleet/terraform-provider-redis/internal/reach"
)

// foreignKey marks, in the private part of the state, a cluster that somebody
// else made and whose processes are still to be taken over.
const foreignKey = "foreign"

// private is the private part of the state.
type private interface {
	GetKey(ctx context.Context, key string) ([]byte, diag.Diagnostics)
}

// foreign gives the node ids of the members that are still to be taken over, by
// endpoint; nil if there are none.
func (m *model) foreign(ctx context.Context, p private) map[string]string {
	mark, _ := p.GetKey(ctx, foreignKey)
	if string(mark) != "true" {
		return nil
	}
	ids := make(map[string]string)
	var nodes map[string]nodeStatusModel
	if m.NodeStatus.ElementsAs(ctx, &nodes, false).HasError() {
		return ids
	}
	for _, n := range nodes {
		ids[n.Address.ValueString()] = n.ID.ValueString()
	}
	return ids
}

// lookAt is observe for a cluster of which nothing of ours is on its hosts yet.
func lookAt(ctx context.Context, s *fleet.Session, c connection.Connection) (spec.ClusterStatus, error) {
	group := c.Groups()[0]
	host, err := s.Host(ctx, group.Machine)
	if u := new(reach.UnreachableError); errors.As(err, &u) {
		return spec.ClusterStatus{Health: spec.HealthUnreachable, Problems: []string{u.Error()}}, nil
	}
	if err != nil {
		return spec.ClusterStatus{}, err
	}
	return fleet.Call[spec.ClusterStatus](ctx, host, "cluster inspect", spec.ClusterInspect{
		Versioned: spec.V(), Nodes: c.Nodes(), Auth: c.Auth(group),
	})
}

// discoverStrangers finds a cluster that somebody else made, through one of its
// nodes, and how its processes are configured, on the host of each.
func discoverStrangers(ctx context.Context, s *fleet.Session, host *fleet.Host, id importID) (foundCluster, error) {
	found := foundCluster{importID: id, strangers: make(map[string]spec.Found)}
	address := id.host
	if _, err := netip.ParseAddr(address); err != nil {
		address = "127.0.0.1" // It is asked from its own host.
	}
	endpoint := net.JoinHostPort(address, strconv.Itoa(id.port))
	var err error
	found.status, err = fleet.Call[spec.ClusterStatus](ctx, host, "cluster inspect", spec.ClusterInspect{
		Versioned: spec.V(), Discover: true, Auth: spec.Auth{FromHost: &spec.ConfRef{Place: id.Place, Port: id.port}},
		Nodes: []spec.Node{{Name: endpoint, Address: address, Port: id.port, BusPort: id.port + spec.BusPortOffset, Host: host.Name}},
	})
	if err == nil && len(found.status.Shards) == 0 {
		err = errors.New(endpoint + " is in no cluster: " + strings.Join(found.status.Problems, "; "))
	}
	if err != nil {
		return found, err
	}
	found.status.Nodes = slices.DeleteFunc(found.status.Nodes, func(n spec.NodeStatus) bool { return !n.Reachable })
	machines, ports := found.machines()
	results, err := fleet.Each(ctx, s, machines, func(ctx context.Context, h *fleet.Host) (spec.HostFound, error) {
		return fleet.Call[spec.HostFound](ctx, h, "host find", spec.HostFind{Versioned: spec.V(), HostName: h.Name, Ports: ports[h.Machine]})
	})
	if err != nil {
		return found, err
	}
	for i, r := range results {
		for _, p := range r.Processes {
			for _, n := range found.status.Nodes {
				if n.ID == p.ID && strings.HasSuffix(n.Address, ":"+strconv.Itoa(p.Port)) && found.machineOf(n) == machines[i] {
					found.strangers[n.Address] = p
				}
			}
		}
	}
	return found, nil
}

// machines gives the hosts of the nodes, and the ports that nodes have on each.
func (f foundCluster) machines() ([]fleet.Machine, map[fleet.Machine][]int) {
	var machines []fleet.Machine
	ports := make(map[fleet.Machine][]int)
	for _, n := range f.status.Nodes {
		endpoint, err := netip.ParseAddrPort(n.Address)
		if err != nil {
			continue
		}
		m := f.machineOf(n)
		if ports[m] == nil {
			machines = append(machines, m)
		}
		ports[m] = append(ports[m], int(endpoint.Port()))
	}
	return machines, ports
}

// machineOf gives the host of a node: its own address, or this machine.
func (f foundCluster) machineOf(n spec.NodeStatus) fleet.Machine {
	endpoint, err := netip.ParseAddrPort(n.Address)
	if err != nil {
		return f.machine()
	}
	id := f.importID
	id.host, id.transport = endpoint.Addr().String(), transportOf(endpoint.Addr(), id)
	return id.machine()
}

// transportOf is how the host at ip is reached.
func transportOf(ip netip.Addr, id importID) string {
	if ip.IsLoopback() {
		return id.transport
	}
	return connection.TransportSSH
}

// stranger is a process that somebody else started.
type stranger struct{ spec.Found }

// settings puts into values how a cluster of such processes is configured.
func (s stranger) settings(ctx context.Context, values map[string]attr.Value) diag.Diagnostics {
	config, diags := types.MapValueFrom(ctx, types.StringType, s.Config)
	if len(s.Config) == 0 {
		config = types.MapNull(types.StringType)
	}
	server := map[string]attr.Value{
		"flavor": types.StringValue(string(s.Server.Flavor)), "install": types.StringValue(string(s.Server.Install)), "path": types.StringNull(),
		"version": types.StringNull(), "source_url": types.StringNull(), "sha256": types.StringNull(),
	}
	if s.Server.Path != "" {
		server["path"] = types.StringValue(s.Server.Path)
	}
	object, more := types.ObjectValue(serverTypes(), server)
	diags.Append(more...)
	values["config"], values["server"] = config, object
	values["allow_unauthenticated"] = types.BoolValue(s.Open)
	if s.Password {
		values["password_wo_version"] = types.Int64Value(1)
	}
	return diags
}

// hcl writes the configuration that an imported cluster stands for.
func hcl(found foundCluster, values map[string]attr.Value, nodes map[string]nodeModel) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("resource \"redis_cluster\" \"this\" {")
	line("  name     = %q", found.Cluster)
	line("  base_dir = %q", found.BaseDir)
	line("")
	line("  nodes = {")
	for _, name := range slices.SortedFunc(maps.Keys(nodes), connection.Natural) {
		n := nodes[name]
		extra := ""
		if !n.BusPort.IsNull() {
			extra += fmt.Sprintf(", bus_port = %d", n.BusPort.ValueInt64())
		}
		if n.transport() == connection.TransportLocal {
			extra += `, transport = "local"`
		}
		line("    %q = { address = %q, port = %d%s }", name, n.Address.ValueString(), n.port(), extra)
	}
	line("  }")
	line("  replicas_per_shard = %s", values["replicas_per_shard"])
	if server, ok := values["server"].(types.Object); ok && !server.IsNull() {
		line("")
		line("  server = {")
		for _, name := range []string{"flavor", "install", "path"} {
			if v, ok := server.Attributes()[name].(types.String); ok && !v.IsNull() {
				line("    %-7s = %q", name, v.ValueString())
			}
		}
		line("  }")
	}
	if config, ok := values["config"].(types.Map); ok && len(config.Elements()) > 0 {
		line("")
		line("  config = {")
		for _, name := range slices.Sorted(maps.Keys(config.Elements())) {
			if v, ok := config.Elements()[name].(types.String); ok {
				line("    %q = %s", name, quoted(v.ValueString()))
			}
		}
		line("  }")
	}
	if open, ok := values["allow_unauthenticated"].(types.Bool); ok && open.ValueBool() {
		line("\n  allow_unauthenticated = true")
	}
	if version, ok := values["password_wo_version"].(types.Int64); ok && !version.IsNull() {
		line("\n  password_wo         = var.redis_password # the one that the cluster has")
		line("  password_wo_version = 1")
	}
	line("}")
	return b.String()
}

// quoted writes s as a string of HCL.
func quoted(s string) string {
	return strings.NewReplacer("${", "$${", "%{", "%%{").Replace(strconv.Quote(s))
}

// ImportState implements resource.ResourceWithImportState.
func (r *Resource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	id, err := parseImportID(req.ID)
	if err != nil {
		resp.Diagnostics.AddAttributeError(tfpath.Root("id"), cannotImport, err.Error())
		return
	}
	session := r.fleet.Session()
	defer closing(session, &resp.Diagnostics)
	found, err := discover(ctx, session, id)
	if err != nil {
		diagnose.Error(&resp.Diagnostics, cannotImport, err)
		return
	}
	values, diags := imported(ctx, found)
	resp.Diagnostics.Append(diags...)
	for name, value := range values {
		resp.Diagnostics.Append(resp.State.SetAttribute(ctx, tfpath.Root(name), value)...)
	}
	if found.port == 0 {
		return
	}
	resp.Diagnostics.Append(resp.Private.SetKey(ctx, foreignKey, []byte("true"))...)
	nodes := make(map[string]nodeModel)
	if m, ok := values["nodes"].(types.Map); ok {
		resp.Diagnostics.Append(m.ElementsAs(ctx, &nodes, false)...)
	}
	resp.Diagnostics.AddWarning("Redis Cluster Imported", "Nothing was changed on its hosts. This configuration stands for it as it is:\n\n"+hcl(found, values, nodes)+
		"\nWith it a plan has no changes. The first apply that changes something on the hosts takes the processes over, without a restart unless a setting needs one; set take_over = true to have that at once.")
}
