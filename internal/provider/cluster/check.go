package cluster

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
	"github.com/redisfleet/terraform-provider-redis/internal/provider/connection"
)

// minShards is how many primaries a cluster needs so that a majority of them is
// left when one fails.
const minShards = 3

// input is a configuration as far as it is known: a plan is made before the VMs
// exist that it speaks of.
type input struct {
	nodes    map[string]nodeModel
	replicas types.Int64
	spare    types.Int64
	config   map[string]string
	server   serverModel
	// password says whether there is one, or may be one.
	password             bool
	allowUnauthenticated types.Bool
}

// problem is one thing that is wrong with a configuration.
type problem struct {
	path    path.Path
	summary string
	detail  string
}

// check finds what is wrong with in, whatever can be said of it by now.
func check(in input) []problem {
	return slices.Concat(checkConfig(in), checkAddresses(in), checkPorts(in), checkCount(in), checkPassword(in), checkServer(in))
}

func checkConfig(in input) []problem {
	var problems []problem
	for _, p := range spec.CheckConfig(in.config) {
		problems = append(problems, problem{
			path:    path.Root("config").AtMapKey(p.Directive),
			summary: "Invalid Redis Directive",
			detail:  strings.TrimSpace(fmt.Sprintf("config[%q]: %s %s", p.Directive, p.Reason, p.Advice)),
		})
	}
	return problems
}

func checkAddresses(in input) []problem {
	var problems []problem
	for _, name := range in.names() {
		n := in.nodes[name]
		at := path.Root("nodes").AtMapKey(name)
		if n.Address.IsNull() && n.Instance.IsNull() {
			problems = append(problems, problem{at.AtName("address"), "Node Address Missing", fmt.Sprintf(
				"nodes[%q] has neither address nor instance. Set address to its private IP address, or instance to the self link of its Compute Engine instance.", name)})
		} else if ip, err := netip.ParseAddr(n.Address.ValueString()); unsettled(n.Address) {
			// Not known yet: the VM is still to be made.
		} else if err != nil || ip.IsUnspecified() || ip.IsMulticast() || ip.Zone() != "" {
			problems = append(problems, problem{at.AtName("address"), "Invalid Node Address", fmt.Sprintf(
				"nodes[%q].address is %q, and a node announces one IP address, such as 10.128.0.2. Give the private address; a name to reach the host by goes into ssh_host.",
				name, n.Address.ValueString())})
		}
		if n.transport() == connection.TransportLocal && !n.Transport.IsUnknown() && (!n.SSHHost.IsNull() || !n.HostKey.IsNull() || !n.Instance.IsNull()) {
			problems = append(problems, problem{at.AtName("transport"), "Contradicting Transport", fmt.Sprintf(
				"nodes[%q] is on the machine that Terraform runs on (transport = \"local\"), so that ssh_host, host_key and instance mean nothing. Remove them, or remove transport.", name)})
		}
	}
	return problems
}

// use is one port in use.
type use struct {
	what string
	path path.Path
}

// checkPorts finds ports out of range, and ports that two listeners would share.
func checkPorts(in input) []problem {
	var problems []problem
	uses := make(map[netip.AddrPort]use)
	take := func(address types.String, port int, u use) (free bool) {
		ip, err := netip.ParseAddr(address.ValueString())
		if err != nil || port < 1 || port > 65535 {
			return true
		}
		endpoint := netip.AddrPortFrom(ip, uint16(port)) //nolint:gosec // G115: it was just checked.
		if other, taken := uses[endpoint]; taken {
			problems = append(problems, problem{u.path, "Port Used Twice", fmt.Sprintf(
				"The %s is %s, and so is the %s. Give one of them another port.", u.what, endpoint, other.what)})
			return false
		}
		uses[endpoint] = u
		return true
	}
	// A node on another one's client port is on its bus port too: one message will do.
	clashing := make(map[string]bool)
	names := in.names()
	for _, name := range names {
		n := in.nodes[name]
		if n.Port.IsUnknown() || n.Processes.IsUnknown() {
			continue
		}
		at := path.Root("nodes").AtMapKey(name)
		if last := n.port() + n.processes() - 1; last > 65535 {
			problems = append(problems, problem{at.AtName("port"), "Port Out of Range", fmt.Sprintf(
				"nodes[%q]: %d processes from port %d on would end at port %d, and 65535 is the last one. Take a lower port.", name, n.processes(), n.port(), last)})
		}
		for i := range n.processes() {
			if !take(n.Address, n.port()+i, use{fmt.Sprintf("client port of nodes[%q]", name), at.AtName("port")}) {
				clashing[name] = true
				break
			}
		}
	}
	for _, name := range names {
		n := in.nodes[name]
		if n.Port.IsUnknown() || n.Processes.IsUnknown() || n.BusPort.IsUnknown() || clashing[name] {
			continue
		}
		at := path.Root("nodes").AtMapKey(name).AtName("bus_port")
		if last := n.busPort() + n.processes() - 1; last > 65535 {
			problems = append(problems, problem{at, "Bus Port Out of Range", fmt.Sprintf(
				"nodes[%q]: the bus port would be %d (it is port + %d unless bus_port is set), and 65535 is the last one. Set bus_port, or take a port below %d.",
				name, last, spec.BusPortOffset, 65536-spec.BusPortOffset)})
		}
		for i := range n.processes() {
			if !take(n.Address, n.busPort()+i, use{fmt.Sprintf("bus port of nodes[%q]", name), at}) {
				break
			}
		}
	}
	return problems
}

func checkCount(in input) []problem {
	if len(in.nodes) == 0 || in.replicas.IsUnknown() || in.spare.IsUnknown() {
		return nil
	}
	replicas := 1
	if !in.replicas.IsNull() {
		replicas = max(0, int(in.replicas.ValueInt64()))
	}
	total := 0
	for _, n := range in.nodes {
		if n.Processes.IsUnknown() {
			return nil
		}
		total += n.processes()
	}
	spare := int(in.spare.ValueInt64())
	total -= spare
	besides := ""
	if spare > 0 {
		besides = fmt.Sprintf(" besides %d spare replicas", spare)
	}
	at, size := path.Root("nodes"), 1+replicas
	switch {
	case total < minShards*size:
		return []problem{{at, "Too Few Nodes", fmt.Sprintf(
			"nodes makes %d processes%s. A cluster needs at least %d shards, and with replicas_per_shard = %d each takes %d processes: %d in all. Add %d, or lower replicas_per_shard.",
			total, besides, minShards, replicas, size, minShards*size, minShards*size-total)}}
	case total%size != 0:
		return []problem{{at, "Uneven Number of Nodes", fmt.Sprintf(
			"nodes makes %d processes%s, which is no multiple of %d: with replicas_per_shard = %d each shard takes %d. Add %d, remove %d, or change replicas_per_shard.",
			total, besides, size, replicas, size, size-total%size, total%size)}}
	case spare >= total/size:
		return []problem{{path.Root("spare_replicas"), "Too Many Spare Replicas", fmt.Sprintf(
			"spare_replicas = %d with %d shards: it is for fewer replicas than there are shards. Raise replicas_per_shard instead.", spare, total/size)}}
	}
	return nil
}

// checkServer refuses to name a program for what installs one.
func checkServer(in input) []problem {
	if in.server.Path.IsNull() || in.server.Install.IsUnknown() || in.server.Install.ValueString() == string(spec.InstallPreinstalled) {
		return nil
	}
	return []problem{{path.Root("server").AtName("path"), "Path of an Installed Server",
		`server.path names a program that is on the hosts already, and server.install says how to get one there. Set install = "preinstalled", or remove path.`}}
}

// checkPassword has a cluster that other hosts can reach be closed, or be open
// because somebody said so.
func checkPassword(in input) []problem {
	if in.password || in.allowUnauthenticated.IsUnknown() {
		return nil
	}
	for _, name := range in.names() {
		n := in.nodes[name]
		ip, err := netip.ParseAddr(n.Address.ValueString())
		if err != nil || ip.IsLoopback() {
			continue
		}
		if !in.allowUnauthenticated.ValueBool() {
			return []problem{{path.Root("password_wo"), "Password Missing", fmt.Sprintf(
				"nodes[%q] is at %s, where other hosts can reach it, and Redis refuses other hosts while it has no password. "+
					"Set password_wo and password_wo_version (Terraform 1.11 or later), or, if everybody in that network may read and write all data, allow_unauthenticated = true.", name, ip)}}
		}
		if !ip.IsPrivate() && !ip.IsLinkLocalUnicast() {
			return []problem{{path.Root("allow_unauthenticated"), "Open Cluster on a Public Address", fmt.Sprintf(
				"nodes[%q] is at %s, which is no private address. A cluster without a password may be at private addresses only: set password_wo, or give the private address.", name, ip)}}
		}
	}
	return nil
}

// open says whether in is a cluster that other hosts may use without a password.
func open(in input) bool {
	return !in.password && in.allowUnauthenticated.ValueBool() && slices.ContainsFunc(slices.Collect(maps.Values(in.nodes)), func(n nodeModel) bool {
		ip, err := netip.ParseAddr(n.Address.ValueString())
		return err == nil && !ip.IsLoopback()
	})
}

// forgetful says what a crash costs where the configuration keeps writes from the
// disk; empty where it does not. A service starts its process again sooner than
// the others take it for failed, and its replicas copy what it then has.
func forgetful(in input) string {
	lower := make(map[string]string, len(in.config))
	for name, value := range in.config {
		lower[strings.ToLower(name)] = strings.ToLower(strings.TrimSpace(value))
	}
	if lower["appendonly"] != "no" {
		return ""
	}
	comesBack := "with its last snapshot"
	if save, set := lower["save"]; set && strings.Trim(save, `"`) == "" {
		comesBack = "empty"
	}
	return "Without an append-only file a primary that crashes is started again at once, " + comesBack + ", before a replica has taken over from it; " +
		"its replicas then copy that, and the shard has lost what was written since. Planned changes lose nothing. " +
		"For data that must survive a crash leave appendonly at its default, yes; for a cache ignore this."
}

func (in input) names() []string {
	return slices.SortedFunc(maps.Keys(in.nodes), connection.Natural)
}

// unsettled says whether there is no value to judge (yet).
func unsettled(v attr.Value) bool { return v.IsNull() || v.IsUnknown() }

// report adds problems to diags, each at its attribute.
func report(diags *diag.Diagnostics, problems []problem) {
	for _, p := range problems {
		diags.AddAttributeError(p.path, p.summary, p.detail)
	}
}
