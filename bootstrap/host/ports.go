//go:build linux

package host

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/host/proc"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/host/service"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// checkPorts refuses ports that another process holds, and addresses that this host does not have.
func (a *apply) checkPorts(context.Context) error {
	ports := map[int]bool{}
	for _, p := range a.processes {
		if err := checkAddress(p.node); err != nil {
			return err
		}
		ports[p.node.Port], ports[p.node.BusPort] = true, true
	}
	var taken []string
	// A process that ends while it is looked for leaves a listener behind that is
	// nobody's: it is gone at the next look. Others' listeners stay nobody's if we may not see whose they are.
	for range 5 {
		listeners, err := proc.Listeners(ports)
		if err != nil {
			return err
		}
		var ghosts int
		if taken, ghosts = a.taken(listeners); len(taken) == 0 {
			return nil
		}
		if ghosts == 0 {
			break
		}
	}
	return &spec.Failure{
		Cause:  strings.Join(taken, "\n"),
		Advice: "Stop the process that holds the port, or give the node another port (and bus_port).",
	}
}

// taken says which ports others hold, and of how many of those the process cannot be seen.
func (a *apply) taken(listeners []proc.Listener) (taken []string, ghosts int) {
	for _, p := range a.processes {
		for _, port := range []int{p.node.Port, p.node.BusPort} {
			l, ok := a.foreign(listeners, p, port)
			if !ok {
				continue
			}
			taken = append(taken, fmt.Sprintf("node %s: port %d on %s is taken by %s", p.node.Name, port, l.IP, l))
			if l.Process == nil {
				ghosts++
			}
		}
	}
	return taken, ghosts
}

// foreign finds a listener in the way of p on port that is none of our processes.
func (a *apply) foreign(listeners []proc.Listener, p *process, port int) (proc.Listener, bool) {
	for _, address := range bindAddresses(p.node.Address) {
		for _, l := range listeners {
			if l.Covers(net.ParseIP(address), port) && !a.ours(l) {
				return l, true
			}
		}
	}
	return proc.Listener{}, false
}

// ours says whether l is a server of one of this request's processes, whoever started it.
func (a *apply) ours(l proc.Listener) bool {
	return l.Process != nil && slices.ContainsFunc(a.processes, func(p *process) bool {
		return l.Process.PID == p.state.PID || service.ServerOf(p.def)(*l.Process)
	})
}

func checkAddress(n spec.Node) error {
	ip := net.ParseIP(n.Address)
	if ip.IsLoopback() {
		return nil
	}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return fmt.Errorf("list this host's addresses: %w", err)
	}
	var have []string
	for _, address := range addresses {
		if network, ok := address.(*net.IPNet); ok {
			if network.IP.Equal(ip) {
				return nil
			}
			have = append(have, network.IP.String())
		}
	}
	return &spec.Failure{
		Cause:  fmt.Sprintf("node %s: %s is no address of this host, which has %s", n.Name, n.Address, strings.Join(have, ", ")),
		Advice: "Set address of the node to the private address of its host, and ssh_host to the one that reaches it from here.",
	}
}
