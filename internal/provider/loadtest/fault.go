package loadtest

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
	"github.com/redisfleet/terraform-provider-redis/internal/provider/connection"
	"github.com/redisfleet/terraform-provider-redis/internal/provider/known"
)

// checkFaults finds faults that would not happen, or hit nobody.
func (m model) checkFaults(ctx context.Context, faults []spec.Fault, w spec.Workload) diag.Diagnostics {
	var diags diag.Diagnostics
	var nodes []connection.Process
	if known.Wholly(m.Cluster) {
		c, more := m.cluster(ctx)
		diags.Append(more...)
		nodes = c.Processes
	}
	for i, f := range faults {
		at := path.Root("faults").AtListIndex(i)
		if total := w.WithDefaults().Duration; total > 0 && f.At >= total {
			diags.AddAttributeError(at.AtName("at"), "Fault After the End", fmt.Sprintf("The fault is due at %s, when the load of %s is over. Take an earlier time, or a longer duration.", f.At, total))
		}
		if f.RecoverAfter <= 0 {
			diags.AddAttributeError(at.AtName("recover_after"), "Fault Without a Length", "A fault has to last for some time, such as \"5s\".")
		}
		if len(nodes) == 0 {
			continue // not known yet; the load finds out before its first request
		}
		hit, why := targets(nodes, f.Target)
		if why != "" {
			diags.AddAttributeError(at.AtName("target"), "Fault on Nobody", why)
			continue
		}
		if why := impossible(f.Kind, hit); why != "" {
			diags.AddAttributeError(at.AtName("kind"), "Impossible Fault", why)
		}
	}
	return diags
}

// targets are the nodes that a fault's target may mean, or why there is none.
// Which of them are primaries only the running cluster knows.
func targets(nodes []connection.Process, target string) (hit []connection.Process, why string) {
	kind, which, _ := strings.Cut(target, ":")
	matches := func(connection.Process) bool { return true }
	switch kind {
	case "node":
		matches = func(p connection.Process) bool { return p.Name == which || p.Addr() == which }
		why = fmt.Sprintf("The cluster has no node %q. Its nodes are %s.", which, names(nodes, func(p connection.Process) string { return p.Name }))
	case "zone":
		matches = func(p connection.Process) bool { return p.Zone == which }
		why = fmt.Sprintf("No node is in the zone %q. The nodes' zones are: %s.", which, names(nodes, func(p connection.Process) string { return p.Zone }))
	default:
		if shard, err := strconv.Atoi(which); err == nil && shard >= len(nodes) {
			return nil, fmt.Sprintf("There is no shard %d: the cluster has %d nodes, and shards are numbered from 0.", shard, len(nodes))
		}
	}
	for _, p := range nodes {
		if matches(p) {
			hit = append(hit, p)
		}
	}
	if len(hit) > 0 {
		why = ""
	}
	return hit, why
}

// impossible says why a fault cannot be done to any, or to one, of the nodes that it hits.
func impossible(kind spec.FaultKind, hit []connection.Process) string {
	for _, p := range hit {
		switch {
		case (kind == spec.FaultVMStop || kind == spec.FaultVMReset) && p.Instance == "":
			return fmt.Sprintf("%s breaks a node's VM, and of %s none is known. Give the node by its instance.", kind, p.Name)
		case kind == spec.FaultIsolate && net.ParseIP(p.Address).IsLoopback():
			return fmt.Sprintf("%s is on loopback (%s), where there is no network to be cut off from. Take another kind of fault, such as pause.", p.Name, p.Address)
		}
	}
	return ""
}

// names lists what the nodes are called by of, each once.
func names(nodes []connection.Process, of func(connection.Process) string) string {
	const shown = 12
	var list []string
	for _, p := range nodes {
		if name := of(p); name != "" && !slices.Contains(list, name) {
			list = append(list, name)
		}
	}
	if len(list) > shown {
		list = append(list[:shown], "…")
	}
	if len(list) == 0 {
		return "none is given"
	}
	return strings.Join(list, ", ")
}
