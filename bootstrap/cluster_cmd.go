package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/cluster"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

func newClusterCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "cluster", Short: "Form, change and check Redis clusters"}
	cmd.AddCommand(
		newClusterCreateCommand(),
		newClusterStatusCommand(),
		newClusterCheckCommand(),
		serve("apply", "Bring running nodes into the wanted topology (JSON)", spec.Decode[spec.ClusterApply], clusterApply),
		serve("relieve", "Have replicas take over from members that are about to start without data (JSON)", spec.Decode[spec.ClusterApply], clusterRelieve),
		serve("inspect", "Report the state of a cluster (JSON)", spec.Decode[spec.ClusterInspect], clusterInspect),
	)
	return cmd
}

func newClusterCreateCommand() *cobra.Command {
	var a access
	var replicas int
	var dryRun, asJSON bool
	cmd := &cobra.Command{
		Use:   "create [flags] host:port…",
		Short: "Make one cluster of blank running nodes, and verify it on each of them",
		Long: `Make one cluster of blank running nodes, and verify it on each of them.

The number of nodes is shards × (1 + replicas), with at least 3 shards. A node
that holds keys or belongs to another cluster is refused and left as it is.
A create that was interrupted goes on when it is called again.`,
		Example: `  redis-bootstrap cluster create --replicas 1 10.0.0.1:6379 10.0.0.2:6379 10.0.0.3:6379 10.0.0.4:6379 10.0.0.5:6379 10.0.0.6:6379`,
		Args:    someNodes,
		RunE: func(cmd *cobra.Command, args []string) error {
			nodes, err := parseNodes(args)
			if err != nil {
				return err
			}
			auth, tls, err := a.resolve(cmd.InOrStdin())
			if err != nil {
				return err
			}
			req := spec.ClusterApply{Versioned: spec.V(), Nodes: nodes, ReplicasPerShard: replicas, Auth: auth, TLS: tls, Create: true, PlanOnly: dryRun}
			res, err := clusterApply(cmd.Context(), plainLog(cmd.ErrOrStderr()), req, nil)
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(cmd.OutOrStdout(), res)
			}
			if dryRun {
				_, err := fmt.Fprintln(cmd.OutOrStdout(), strings.Join(res.Steps, "\n"))
				return err
			}
			return writeStatus(cmd.OutOrStdout(), res.Status)
		},
	}
	a.register(cmd)
	cmd.Flags().IntVar(&replicas, "replicas", 0, "replicas of each shard")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "print the steps and do nothing")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the result as JSON")
	return cmd
}

func newClusterStatusCommand() *cobra.Command {
	var asJSON bool
	cmd := inspectCommand("status host:port…", "Show a cluster's shards and nodes, as all its nodes see them",
		func(w io.Writer, status spec.ClusterStatus) error {
			if asJSON {
				return writeJSON(w, status)
			}
			return writeStatus(w, status)
		})
	cmd.Flags().BoolVar(&asJSON, "json", false, "print it as JSON")
	return cmd
}

func newClusterCheckCommand() *cobra.Command {
	var asJSON bool
	cmd := inspectCommand("check host:port…", "Say what is wrong with a cluster; exit with 0 only if nothing is",
		func(w io.Writer, status spec.ClusterStatus) error {
			write := func() error { return writeProblems(w, status) }
			if asJSON {
				write = func() error { return writeJSON(w, status) }
			}
			if err := write(); err != nil {
				return err
			}
			if status.Health != spec.HealthOK {
				return exitCode(1)
			}
			return nil
		})
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the whole state as JSON")
	return cmd
}

// inspectCommand is a command that asks a cluster, all of whose members are
// found through any of them, for its state.
func inspectCommand(use, short string, show func(io.Writer, spec.ClusterStatus) error) *cobra.Command {
	var a access
	cmd := &cobra.Command{
		Use: use, Short: short, Args: someNodes,
		RunE: func(cmd *cobra.Command, args []string) error {
			nodes, err := parseNodes(args)
			if err != nil {
				return err
			}
			auth, tls, err := a.resolve(cmd.InOrStdin())
			if err != nil {
				return err
			}
			req := spec.ClusterInspect{Versioned: spec.V(), Nodes: nodes, Discover: true, Auth: auth, TLS: tls}
			status, err := clusterInspect(cmd.Context(), hclog.NewNullLogger(), req, nil)
			if err != nil {
				return err
			}
			return show(cmd.OutOrStdout(), status)
		},
	}
	a.register(cmd)
	return cmd
}

// desiredOf is the topology that a request wants, and a fleet of all its nodes.
func desiredOf(req spec.ClusterApply) (cluster.Desired, *cluster.Fleet, error) {
	desired := cluster.Desired{
		Nodes: req.Nodes, Former: req.Former, ReplicasPerShard: req.ReplicasPerShard, SpareReplicas: req.SpareReplicas,
		Create: req.Create, AcceptDataLoss: req.AcceptDataLoss, Restart: req.Restart, Absent: req.Absent,
	}
	auth, err := credentials(req.Auth)
	if err != nil {
		return desired, nil, err
	}
	if err := desired.Validate(); err != nil {
		return desired, nil, err
	}
	fleet, err := cluster.NewFleet(append(req.Nodes[:len(req.Nodes):len(req.Nodes)], req.Former...), auth, req.TLS)
	return desired, fleet, err
}

func clusterRelieve(ctx context.Context, log hclog.Logger, req spec.ClusterApply, _ *json.Decoder) (spec.ClusterResult, error) {
	desired, fleet, err := desiredOf(req)
	if err != nil {
		return spec.ClusterResult{}, err
	}
	defer func() { _ = fleet.Close() }()
	end, err := clusterTurn(ctx, log, req.Place)
	if err != nil {
		return spec.ClusterResult{}, err
	}
	defer end()
	steps, err := cluster.Relieve(ctx, log, fleet, desired)
	return spec.ClusterResult{Steps: cluster.Words(steps), Work: cluster.Sum(steps)}, err
}

func clusterApply(ctx context.Context, log hclog.Logger, req spec.ClusterApply, _ *json.Decoder) (spec.ClusterResult, error) {
	desired, fleet, err := desiredOf(req)
	if err != nil {
		return spec.ClusterResult{}, err
	}
	defer func() { _ = fleet.Close() }()
	if req.PlanOnly {
		observed := cluster.Observe(ctx, fleet)
		steps, err := cluster.Foresee(observed, desired)
		return spec.ClusterResult{
			Steps: cluster.Words(steps), Work: cluster.Sum(steps), InAll: cluster.InAll(steps), Status: cluster.Summarize(observed, req.ReplicasPerShard),
		}, err
	}
	end, err := clusterTurn(ctx, log, req.Place)
	if err != nil {
		return spec.ClusterResult{}, err
	}
	defer end()
	result, err := cluster.Apply(ctx, log, fleet, desired)
	return spec.ClusterResult{Steps: cluster.Words(result.Steps), Work: cluster.Sum(result.Steps), Status: result.Status}, err
}

func clusterInspect(ctx context.Context, _ hclog.Logger, req spec.ClusterInspect, _ *json.Decoder) (spec.ClusterStatus, error) {
	auth, err := credentials(req.Auth)
	if err != nil {
		return spec.ClusterStatus{}, err
	}
	fleet, err := cluster.NewFleet(req.Nodes, auth, req.TLS)
	if err != nil {
		return spec.ClusterStatus{}, err
	}
	defer func() { _ = fleet.Close() }()
	const anyNumber = -1
	if req.Discover {
		return cluster.Summarize(cluster.Discover(ctx, fleet), anyNumber), nil
	}
	return cluster.Summarize(cluster.Observe(ctx, fleet), anyNumber), nil
}

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

func writeStatus(w io.Writer, s spec.ClusterStatus) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(table, "NODE\tROLE\tSLOTS\tKEYS\tSTATE\tID\n")
	for _, n := range s.Nodes {
		role := n.Role
		if n.Primary != "" {
			role += " of " + n.Primary
		}
		state := n.State
		if !n.Reachable {
			state = "unreachable"
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%s\t%s\n", n.Name, role, n.Slots, n.Keys, state, n.ID)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%s: %d shards, %d of %d slots served, epoch %d, %s %s\n",
		s.Health, len(s.Shards), s.SlotsOK, spec.Slots, s.CurrentEpoch, s.ServerFlavor, s.ServerVersion)
	if err != nil {
		return err
	}
	return writeProblemList(w, s.Problems)
}

func writeProblems(w io.Writer, s spec.ClusterStatus) error {
	if _, err := fmt.Fprintf(w, "%s: %d of %d slots served by %d shards\n", s.Health, s.SlotsOK, spec.Slots, len(s.Shards)); err != nil {
		return err
	}
	return writeProblemList(w, s.Problems)
}

func writeProblemList(w io.Writer, problems []string) error {
	for _, p := range problems {
		if _, err := fmt.Fprintf(w, "- %s\n", p); err != nil {
			return err
		}
	}
	return nil
}
