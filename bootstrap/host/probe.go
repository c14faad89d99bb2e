//go:build linux

package host

import (
	"cmp"
	"context"
	"errors"
	"net"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

const (
	probeTimeout = 3 * time.Second
	// probesAtOnce bounds the open connections.
	probesAtOnce = 128
)

// Probe connects to the ports of nodes from this host. Firewalls on the way, and
// on the hosts themselves, show in no other way.
func Probe(ctx context.Context, req spec.HostProbe) (spec.HostProbeResult, error) {
	type port struct {
		node   spec.Node
		number int
	}
	var ports []port
	for _, n := range req.Nodes {
		ports = append(ports, port{n, n.Port}, port{n, n.BusPort})
	}
	dialer := net.Dialer{Timeout: cmp.Or(req.Timeout.D(), probeTimeout)}
	closed := make([]*spec.ClosedPort, len(ports))
	var group errgroup.Group
	group.SetLimit(probesAtOnce)
	for i, p := range ports {
		group.Go(func() error {
			conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(p.node.Address, strconv.Itoa(p.number)))
			if err == nil {
				return conn.Close()
			}
			closed[i] = &spec.ClosedPort{
				Node: p.node.Name, Address: p.node.Address, Port: p.number,
				Refused: errors.Is(err, syscall.ECONNREFUSED), Error: err.Error(),
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return spec.HostProbeResult{}, err
	}
	var result spec.HostProbeResult
	for _, c := range closed {
		if c != nil {
			result.Closed = append(result.Closed, *c)
		}
	}
	return result, ctx.Err()
}
