//go:build linux

package host

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// clusterName keeps a cluster's name fit for a directory and a unit.
var clusterName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$`)

// checkPlace refuses a place whose directories could be somebody else's.
func checkPlace(p spec.Place) error {
	switch {
	case !filepath.IsAbs(p.BaseDir):
		return fmt.Errorf("base_dir %q is not an absolute path", p.BaseDir)
	case filepath.Clean(p.BaseDir) != p.BaseDir || p.BaseDir == "/":
		return fmt.Errorf("base_dir %q is not a directory of its own in its shortest form", p.BaseDir)
	case !clusterName.MatchString(p.Cluster), reservedName(p.Cluster):
		return fmt.Errorf("the cluster's name %q cannot name a directory: letters, digits, \"-\", \"_\" and \".\" can, from a letter or digit on, and %q and %q are taken",
			p.Cluster, binDir, serversDir)
	}
	return nil
}

// What a base directory holds besides clusters.
const (
	// binDir holds the redis-bootstrap that was pushed here.
	binDir = "bin"
	// serversDir holds servers built from source.
	serversDir = "servers"
)

func reservedName(cluster string) bool { return cluster == binDir || cluster == serversDir }

func (a *apply) checkRequest(context.Context) error {
	if err := checkPlace(a.req.Place); err != nil {
		return err
	}
	if err := checkNodes(a.req.Nodes); err != nil {
		return err
	}
	if problems := spec.CheckConfig(a.req.Config); len(problems) > 0 {
		var lines []string
		for _, p := range problems {
			lines = append(lines, fmt.Sprintf("config[%q]: %s %s", p.Directive, p.Reason, p.Advice))
		}
		return errors.New(strings.Join(lines, "\n"))
	}
	switch a.req.Server.Flavor {
	case spec.FlavorRedis, spec.FlavorValkey:
	default:
		return fmt.Errorf("there is no server flavor %q: it is %q or %q", a.req.Server.Flavor, spec.FlavorRedis, spec.FlavorValkey)
	}
	switch a.req.Server.Install {
	case spec.InstallPackage, spec.InstallSource, spec.InstallPreinstalled:
	default:
		return fmt.Errorf("there is no way to install %q: it is %q, %q or %q", a.req.Server.Install,
			spec.InstallPackage, spec.InstallSource, spec.InstallPreinstalled)
	}
	return nil
}

// checkNodes refuses nodes that could not run beside one another.
func checkNodes(nodes []spec.Node) error {
	if len(nodes) == 0 {
		return errors.New("the request has no nodes")
	}
	taken := map[int]string{}
	for _, n := range nodes {
		if _, err := netip.ParseAddr(n.Address); err != nil {
			return fmt.Errorf("node %s: the address %q is not an IP address", n.Name, n.Address)
		}
		for _, port := range []int{n.Port, n.BusPort} {
			if port < 1 || port > 65535 {
				return fmt.Errorf("node %s: port %d is out of range: ports are 1 to 65535, and the bus port is port + %d unless bus_port says otherwise",
					n.Name, port, spec.BusPortOffset)
			}
			if other, ok := taken[port]; ok {
				return fmt.Errorf("node %s: port %d is also a port of node %s on the same host", n.Name, port, other)
			}
			taken[port] = n.Name
		}
	}
	return nil
}
