package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path"
	"regexp"
	"strconv"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
	"github.com/redisfleet/terraform-provider-redis/internal/fleet"
	"github.com/redisfleet/terraform-provider-redis/internal/provider/connection"
	"github.com/redisfleet/terraform-provider-redis/internal/reach"
)

// importID names a cluster and one of its hosts: "local:/base_dir/name" or
// "HOST:/base_dir/name" for one that this provider made, "HOST:PORT" for one
// that somebody else made, which may have "/base_dir/name" or "/name" behind it.
type importID struct {
	spec.Place
	transport string
	// host is the name or address to dial.
	host string
	// port is that of a node of somebody else's cluster; else 0.
	port int
}

// strangersName is the name of a cluster whose import gave it none.
const strangersName = "redis"

// endpointID is an id of the second kind.
var endpointID = regexp.MustCompile(`^(.+):(\d{1,5})(/.*)?$`)

func parseImportID(id string) (importID, error) {
	if m := endpointID.FindStringSubmatch(id); m != nil {
		return parseEndpointID(id, m[1], m[2], m[3])
	}
	host, dir, found := strings.Cut(id, ":/")
	dir = path.Clean("/" + dir)
	base, name := path.Dir(dir), path.Base(dir)
	if !found || host == "" || base == "/" || !clusterName.MatchString(name) {
		return importID{}, fmt.Errorf("%q is no id of a cluster. Write HOST:/BASE_DIR/NAME, such as 10.128.0.2:%s/kv, or local:/BASE_DIR/NAME for this machine; HOST is reached over SSH. For a cluster that was not made by this provider write HOST:PORT of one of its nodes, and /NAME or /BASE_DIR/NAME behind it if you like", id, defaultBaseDir)
	}
	parsed := importID{Place: spec.Place{BaseDir: base, Cluster: name}, transport: connection.TransportSSH, host: strings.Trim(host, "[]")}
	if host == connection.TransportLocal {
		parsed.transport, parsed.host = connection.TransportLocal, ""
	}
	return parsed, nil
}

func parseEndpointID(id, host, port, dir string) (importID, error) {
	parsed := importID{Place: spec.Place{BaseDir: defaultBaseDir, Cluster: strangersName}, transport: connection.TransportSSH, host: strings.Trim(host, "[]")}
	parsed.port, _ = strconv.Atoi(port) // five digits
	if dir != "" {
		dir = path.Clean(dir)
		parsed.Cluster = path.Base(dir)
		if base := path.Dir(dir); base != "/" {
			parsed.BaseDir = base
		}
	}
	if ip, err := netip.ParseAddr(parsed.host); parsed.host == connection.TransportLocal || parsed.host == "localhost" || err == nil && ip.IsLoopback() {
		parsed.transport = connection.TransportLocal
		if err != nil {
			parsed.host = "127.0.0.1"
		}
	}
	if parsed.port < 1 || parsed.port > 65535 || !clusterName.MatchString(parsed.Cluster) {
		return importID{}, fmt.Errorf("%q is no id of a cluster. Write HOST:PORT of one of its nodes, such as 10.128.0.2:6379, and /NAME or /BASE_DIR/NAME behind it if you like; a name is lower case letters, digits and hyphens", id)
	}
	return parsed, nil
}

// machine gives the machine that id names.
func (id importID) machine() fleet.Machine {
	name := id.host
	if id.transport == connection.TransportLocal {
		name = connection.TransportLocal
	}
	return fleet.Machine{
		Name: name, Local: id.transport == connection.TransportLocal, BaseDir: id.BaseDir,
		Target: target(id, name),
	}
}

func target(id importID, name string) (t reach.Target) {
	if id.transport == connection.TransportSSH {
		t.Name, t.Address = name, id.host
	}
	return t
}

// foundCluster is a cluster as it was discovered.
type foundCluster struct {
	importID
	status spec.ClusterStatus
	// strangers are its processes, if somebody else made it, by endpoint.
	strangers map[string]spec.Found
}

// discover finds the members of the cluster that id names, through the
// processes that its host has.
func discover(ctx context.Context, s *fleet.Session, id importID) (foundCluster, error) {
	host, err := s.Host(ctx, id.machine())
	if err != nil {
		return foundCluster{}, err
	}
	if id.port != 0 {
		return discoverStrangers(ctx, s, host, id)
	}
	ports, err := host.Ports(ctx, id.ClusterDir())
	if err != nil {
		return foundCluster{}, err
	}
	if len(ports) == 0 {
		return foundCluster{}, &spec.Failure{Host: host.Name, Step: "look for processes",
			Cause:  "there is no process of a cluster in " + id.ClusterDir(),
			Advice: "Give the base_dir and name that the cluster was made with. One that was not made by this provider is imported by HOST:PORT of one of its nodes."}
	}
	var nodes []spec.Node
	for _, port := range ports {
		// Every node listens on loopback too, and says itself which address it announces.
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		nodes = append(nodes, spec.Node{Name: addr, Address: "127.0.0.1", Port: port, BusPort: port + spec.BusPortOffset, Host: host.Name})
	}
	status, err := fleet.Call[spec.ClusterStatus](ctx, host, "cluster inspect", spec.ClusterInspect{
		Versioned: spec.V(), Nodes: nodes, Discover: true,
		Auth: spec.Auth{FromHost: &spec.ConfRef{Place: id.Place, Port: ports[0]}},
	})
	if err == nil && len(status.Shards) == 0 {
		err = errors.New("its processes form no cluster: " + strings.Join(status.Problems, "; "))
	}
	return foundCluster{importID: id, status: status}, err
}

// imported gives the attributes that a discovered cluster stands for. Each node
// is called by its address and port with a hyphen between.
func imported(ctx context.Context, found foundCluster) (map[string]attr.Value, diag.Diagnostics) {
	nodes := make(map[string]nodeModel, len(found.status.Nodes))
	var first stranger
	for _, n := range found.status.Nodes {
		endpoint, err := netip.ParseAddrPort(n.Address)
		if err != nil {
			continue
		}
		name := strings.NewReplacer(":", "-").Replace(endpoint.Addr().String()) + "-" + strconv.Itoa(int(endpoint.Port()))
		node := nodeModel{
			Address: types.StringValue(endpoint.Addr().String()), Port: types.Int64Value(int64(endpoint.Port())),
			Processes: types.Int64Value(1), Transport: types.StringValue(found.transport),
		}
		if n.BusPort != 0 && n.BusPort != int(endpoint.Port())+spec.BusPortOffset {
			node.BusPort = types.Int64Value(int64(n.BusPort))
		}
		if found.port != 0 {
			node.Transport = types.StringValue(transportOf(endpoint.Addr(), found.importID))
			if first.Port == 0 {
				first = stranger{found.strangers[n.Address]}
			}
		}
		nodes[name] = node
	}
	nodeMap, diags := types.MapValueFrom(ctx, types.ObjectType{AttrTypes: nodeTypes()}, nodes)
	replicas, spare := 0, types.Int64Null()
	if shards := len(found.status.Shards); shards > 0 {
		replicas = len(found.status.Nodes)/shards - 1
		if more := len(found.status.Nodes) % shards; more > 0 {
			spare = types.Int64Value(int64(more))
		}
	}
	values := map[string]attr.Value{
		"name":                  types.StringValue(found.Cluster),
		"base_dir":              types.StringValue(found.BaseDir),
		"nodes":                 nodeMap,
		"replicas_per_shard":    types.Int64Value(int64(max(0, replicas))),
		"spare_replicas":        spare,
		"formed":                types.BoolValue(true),
		"allow_unauthenticated": types.BoolValue(false),
		"tune_os":               types.BoolValue(true),
		"accept_data_loss":      types.BoolValue(false),
		"deletion_protection":   types.BoolValue(true),
	}
	if found.port != 0 {
		diags.Append(first.settings(ctx, values)...)
	}
	return values, diags
}
