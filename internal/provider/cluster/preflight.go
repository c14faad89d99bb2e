package cluster

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
	"github.com/redisfleet/terraform-provider-redis/internal/fleet"
	"github.com/redisfleet/terraform-provider-redis/internal/gce"
	"github.com/redisfleet/terraform-provider-redis/internal/provider/connection"
)

// mostClosed is how many closed ports an error lists.
const mostClosed = 10

// checkFirewalls has Compute Engine's rules judged before anything is touched:
// nodes that cannot talk to each other would wait for each other in vain. What
// the rules don't tell (policies of an organisation, a lack of permission to
// read them, firewalls on the hosts) is left to probe.
func checkFirewalls(ctx context.Context, s *fleet.Session, groups []connection.Group) error {
	cloud := s.GCE()
	if cloud == nil {
		return nil
	}
	machines := make([]*walled, len(groups))
	var asking errgroup.Group
	asking.SetLimit(lookups)
	for i, g := range groups {
		if g.Machine.Target.Instance == "" {
			continue
		}
		asking.Go(func() error {
			machines[i] = wallsOf(ctx, cloud, g)
			return nil
		})
	}
	_ = asking.Wait()
	var closed []string
	for _, to := range machines {
		for _, from := range machines {
			if to == nil || from == nil || from == to || from.instance.Network != to.instance.Network {
				continue
			}
			for _, n := range to.nodes {
				for _, port := range []int{n.Port, n.BusPort} {
					if blocked, ok := gce.Check(to.rules, from.instance, to.instance, port); !ok {
						closed = append(closed, blocked.String())
					}
				}
			}
		}
	}
	return closedPorts("check firewall rules", closed)
}

// walled is a machine and the firewall rules around it.
type walled struct {
	instance gce.Instance
	rules    []gce.Rule
	nodes    []spec.Node
}

// wallsOf asks for the rules around a machine; nil if they cannot be told.
func wallsOf(ctx context.Context, cloud *gce.Client, g connection.Group) *walled {
	ref, err := cloud.Ref(g.Machine.Target.Instance)
	if err != nil {
		return nil
	}
	w := &walled{nodes: g.Nodes}
	if w.instance, err = cloud.Instance(ctx, ref); err != nil {
		return nil
	}
	rules, whole, err := cloud.Rules(ctx, ref)
	if err != nil || !whole {
		return nil
	}
	w.rules = rules
	return w
}

// probe has every host connect to the ports of all nodes that are on others.
func probe(ctx context.Context, s *fleet.Session, groups []connection.Group) error {
	if len(groups) < 2 {
		return nil
	}
	machines := make([]fleet.Machine, len(groups))
	for i, g := range groups {
		machines[i] = g.Machine
	}
	results, err := fleet.Each(ctx, s, machines, func(ctx context.Context, h *fleet.Host) (spec.HostProbeResult, error) {
		req := spec.HostProbe{Versioned: spec.V(), HostName: h.Name}
		for _, g := range groups {
			if g.Machine != h.Machine {
				req.Nodes = append(req.Nodes, g.Nodes...)
			}
		}
		return fleet.Call[spec.HostProbeResult](ctx, h, "host probe", req)
	})
	if err != nil {
		return err
	}
	var closed []string
	for i, r := range results {
		for _, c := range r.Closed {
			why := "nothing came back, as if a firewall dropped it"
			if c.Refused {
				why = "nobody listens there, or a firewall refuses it"
			}
			closed = append(closed, fmt.Sprintf("%s (%s) cannot be reached from %s (%s) on tcp/%d: %s",
				c.Address, c.Node, groups[i].Nodes[0].Address, machines[i].Name, c.Port, why))
		}
	}
	return closedPorts("connect the hosts to each other", closed)
}

// closedPorts makes one error of all that is closed.
func closedPorts(step string, closed []string) error {
	if len(closed) == 0 {
		return nil
	}
	slices.Sort(closed)
	shown := closed[:min(len(closed), mostClosed)]
	cause := strings.Join(shown, "\n")
	if more := len(closed) - len(shown); more > 0 {
		cause += fmt.Sprintf("\nand %d more", more)
	}
	return &spec.Failure{
		Step: step, Cause: cause,
		Advice: "Open the client port and the bus port (port + 10000 unless bus_port is set) of every node to all other nodes, in the network's firewall and on the hosts, and apply again.",
	}
}
