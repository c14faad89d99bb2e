// Package connection is what redis_cluster gives out and redis_loadtest and the
// data source take in: all that is needed to reach a cluster, and no secret.
package connection

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
	"github.com/redisfleet/terraform-provider-redis/internal/fleet"
	"github.com/redisfleet/terraform-provider-redis/internal/reach"
)

// The ways to reach a host.
const (
	TransportSSH   = "ssh"
	TransportLocal = "local"
)

// Connection is a cluster and the way to its hosts.
type Connection struct {
	spec.Place
	// Processes are in the natural order of their names.
	Processes []Process
}

// Process is one Redis process and the way to its host.
type Process struct {
	spec.Node
	// Machine is how the user calls its host.
	Machine   string
	Transport string
	// SSHHost is the name or address to dial; empty means the node's address.
	SSHHost string
	HostKey string
	// Instance is the self link of its VM in Compute Engine; empty if it is not in one.
	Instance string
}

// On gives the machine that p runs on, with its clusters in baseDir.
func (p Process) On(baseDir string) fleet.Machine {
	if p.Transport == TransportLocal {
		return fleet.Machine{Name: p.Machine, Local: true, BaseDir: baseDir}
	}
	return fleet.Machine{
		Name: p.Machine, BaseDir: baseDir,
		Target: reach.Target{Name: p.Machine, Address: cmp.Or(p.SSHHost, p.Address), HostKey: p.HostKey, Instance: p.Instance},
	}
}

// Group is the processes of one machine.
type Group struct {
	Machine fleet.Machine
	Nodes   []spec.Node
}

// Groups gives the processes by machine, in the order of their first process.
func (c Connection) Groups() []Group {
	var groups []Group
	at := make(map[fleet.Machine]int)
	for _, p := range c.Processes {
		m := p.On(c.BaseDir)
		i, ok := at[m]
		if !ok {
			i = len(groups)
			at[m] = i
			groups = append(groups, Group{Machine: m})
		}
		groups[i].Nodes = append(groups[i].Nodes, p.Node)
	}
	return groups
}

// Machines gives the machines in the order of Groups.
func (c Connection) Machines() []fleet.Machine {
	var machines []fleet.Machine
	for _, g := range c.Groups() {
		machines = append(machines, g.Machine)
	}
	return machines
}

// Nodes gives the processes as redis-bootstrap knows them.
func (c Connection) Nodes() []spec.Node {
	nodes := make([]spec.Node, len(c.Processes))
	for i, p := range c.Processes {
		nodes[i] = p.Node
	}
	return nodes
}

// Endpoints gives address:port of every process.
func (c Connection) Endpoints() []string {
	endpoints := make([]string, len(c.Processes))
	for i, p := range c.Processes {
		endpoints[i] = p.Addr()
	}
	return endpoints
}

// Auth logs in with the password in the redis.conf of g's first process, which
// the host that g is on reads itself: no secret has to pass through Terraform.
func (c Connection) Auth(g Group) spec.Auth {
	return spec.Auth{FromHost: &spec.ConfRef{Place: c.Place, Port: g.Nodes[0].Port}}
}

// Model is a Connection in Terraform's types.
type Model struct {
	Cluster types.String            `tfsdk:"cluster"`
	BaseDir types.String            `tfsdk:"base_dir"`
	Nodes   map[string]ProcessModel `tfsdk:"nodes"`
}

// ProcessModel is a Process in Terraform's types.
type ProcessModel struct {
	Address   types.String `tfsdk:"address"`
	Port      types.Int64  `tfsdk:"port"`
	BusPort   types.Int64  `tfsdk:"bus_port"`
	Host      types.String `tfsdk:"host"`
	Zone      types.String `tfsdk:"zone"`
	Machine   types.String `tfsdk:"machine"`
	Transport types.String `tfsdk:"transport"`
	SSHHost   types.String `tfsdk:"ssh_host"`
	HostKey   types.String `tfsdk:"host_key"`
	Instance  types.String `tfsdk:"instance"`
}

// AttrTypes are the attributes of the object.
func AttrTypes() map[string]attr.Type {
	return map[string]attr.Type{
		"cluster":  types.StringType,
		"base_dir": types.StringType,
		"nodes": types.MapType{ElemType: types.ObjectType{AttrTypes: map[string]attr.Type{
			"address":   types.StringType,
			"port":      types.Int64Type,
			"bus_port":  types.Int64Type,
			"host":      types.StringType,
			"zone":      types.StringType,
			"machine":   types.StringType,
			"transport": types.StringType,
			"ssh_host":  types.StringType,
			"host_key":  types.StringType,
			"instance":  types.StringType,
		}}},
	}
}

// Model gives c in Terraform's types.
func (c Connection) Model() Model {
	m := Model{Cluster: types.StringValue(c.Cluster), BaseDir: types.StringValue(c.BaseDir), Nodes: make(map[string]ProcessModel, len(c.Processes))}
	for _, p := range c.Processes {
		m.Nodes[p.Name] = ProcessModel{
			Address: types.StringValue(p.Address), Port: types.Int64Value(int64(p.Port)), BusPort: types.Int64Value(int64(p.BusPort)),
			Host: types.StringValue(p.Host), Zone: types.StringValue(p.Zone), Machine: types.StringValue(p.Machine),
			Transport: types.StringValue(p.Transport), SSHHost: types.StringValue(p.SSHHost), HostKey: types.StringValue(p.HostKey), Instance: types.StringValue(p.Instance),
		}
	}
	return m
}

// Connection gives m, all of which is known.
func (m Model) Connection() Connection {
	c := Connection{Place: spec.Place{BaseDir: m.BaseDir.ValueString(), Cluster: m.Cluster.ValueString()}}
	for _, name := range slices.SortedFunc(maps.Keys(m.Nodes), Natural) {
		p := m.Nodes[name]
		c.Processes = append(c.Processes, Process{
			Node: spec.Node{
				Name: name, Address: p.Address.ValueString(),
				Port: int(p.Port.ValueInt64()), BusPort: int(p.BusPort.ValueInt64()),
				Host: p.Host.ValueString(), Zone: p.Zone.ValueString(),
			},
			Machine: p.Machine.ValueString(), Transport: p.Transport.ValueString(),
			SSHHost: p.SSHHost.ValueString(), HostKey: p.HostKey.ValueString(), Instance: p.Instance.ValueString(),
		})
	}
	return c
}

// Natural compares names with the numbers in them taken as numbers: kv-2 comes
// before kv-10. A map of Terraform has no order of its own, and this is the one
// that its writer means.
func Natural(a, b string) int {
	restA, restB := a, b
	for restA != "" && restB != "" {
		partA, partB := part(restA), part(restB)
		restA, restB = restA[len(partA):], restB[len(partB):]
		if isDigit(partA[0]) && isDigit(partB[0]) {
			numberA, numberB := strings.TrimLeft(partA, "0"), strings.TrimLeft(partB, "0")
			if c := cmp.Or(cmp.Compare(len(numberA), len(numberB)), cmp.Compare(numberA, numberB)); c != 0 {
				return c
			}
		} else if c := cmp.Compare(partA, partB); c != 0 {
			return c
		}
	}
	return cmp.Or(cmp.Compare(restA, restB), cmp.Compare(a, b))
}

// part gives the run of digits, or of other bytes, that s begins with.
func part(s string) string {
	digits := isDigit(s[0])
	for i := range len(s) {
		if isDigit(s[i]) != digits {
			return s[:i]
		}
	}
	return s
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
