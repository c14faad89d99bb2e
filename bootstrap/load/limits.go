//go:build linux

package load

import (
	"context"
	"fmt"
	"strconv"

	"golang.org/x/sync/errgroup"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// asked is how many nodes are asked for their limits at a time.
const asked = 16

// checkMaxClients makes sure that the servers take as many connections as there
// are clients. A user who may not ask for the limit is left to find out.
func (s *session) checkMaxClients(ctx context.Context, w spec.Workload) error {
	view := s.watcher.View()
	need := w.Clients * max(1, s.run.Runners)
	var g errgroup.Group
	g.SetLimit(asked)
	for i := range view.Nodes {
		if w.ReadFrom != spec.FromReplica && view.SlotsOf(int16(i)).Count() == 0 {
			continue // nobody connects to it
		}
		g.Go(func() error {
			client := s.watcher.Client(view.Nodes[i].Addr)
			limit, err := strconv.Atoi(client.ConfigGet(ctx, "maxclients").Val()["maxclients"])
			if known := err == nil; !known || need <= limit {
				return nil
			}
			return &spec.Failure{Host: s.name(view.Nodes[i].Addr), Step: "check the limits of the servers",
				Cause:  fmt.Sprintf("%d clients need a connection each, and this node's maxclients is %d", need, limit),
				Advice: "Raise maxclients in the cluster's config, or use fewer clients with a longer pipeline."}
		})
	}
	return g.Wait()
}
