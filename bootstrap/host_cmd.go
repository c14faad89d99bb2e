//go:build linux

package main

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/host"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/host/service"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

func newHostCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:    "host",
		Short:  "Install, configure and run the processes of this host",
		Hidden: true,
	}
	cmd.AddCommand(
		serve("apply", "Make this host run exactly these processes", spec.Decode[spec.HostApply],
			func(ctx context.Context, log hclog.Logger, req spec.HostApply, _ *json.Decoder) (spec.HostResult, error) {
				return host.Apply(ctx, log, req)
			}),
		serve("inspect", "Say what there is of these processes", spec.Decode[spec.HostInspect],
			func(ctx context.Context, _ hclog.Logger, req spec.HostInspect, _ *json.Decoder) (spec.HostResult, error) {
				return host.Inspect(ctx, req)
			}),
		serve("find", "Say how the servers are configured that somebody else started", spec.Decode[spec.HostFind],
			func(ctx context.Context, _ hclog.Logger, req spec.HostFind, _ *json.Decoder) (spec.HostFound, error) {
				return host.Find(ctx, req)
			}),
		serve("remove", "Stop these processes and delete their files", spec.Decode[spec.HostRemove],
			func(ctx context.Context, log hclog.Logger, req spec.HostRemove, _ *json.Decoder) (spec.HostRemoveResult, error) {
				return host.Remove(ctx, log, req)
			}),
		serve("credentials", "Read the password of a process", spec.Decode[spec.HostCredentials],
			func(_ context.Context, _ hclog.Logger, req spec.HostCredentials, _ *json.Decoder) (spec.Auth, error) {
				return host.Credentials(req)
			}),
		serve("probe", "Say which ports of other nodes can be connected to", spec.Decode[spec.HostProbe],
			func(ctx context.Context, _ hclog.Logger, req spec.HostProbe, _ *json.Decoder) (spec.HostProbeResult, error) {
				return host.Probe(ctx, req)
			}),
		newFaultCommand("fault", "Break a process, wait, and mend it", host.Fault),
		newFaultCommand("watchdog", "Break and mend a process for host fault", host.Watchdog),
		newSuperviseCommand(),
		&cobra.Command{
			Use:    "await DIR DATA",
			Short:  "Wait for the end of a server that somebody else started, whose place this process takes",
			Hidden: true,
			Args:   cobra.ExactArgs(2),
			RunE:   func(cmd *cobra.Command, args []string) error { return host.Await(cmd.Context(), args[0], args[1]) },
		},
	)
	return cmd
}

// clusterTurn waits until nobody else changes the cluster of place from this host.
func clusterTurn(ctx context.Context, log hclog.Logger, place *spec.Place) (end func(), err error) {
	if place == nil {
		return func() {}, nil
	}
	return host.ClusterTurn(ctx, log, *place)
}

// newFaultCommand makes a subcommand whose results come one by one, and whose
// request stays open on stdin: its end is the caller's.
func newFaultCommand(use, short string, run func(context.Context, spec.HostFault, <-chan struct{}, io.Writer) error) *cobra.Command {
	return &cobra.Command{
		Use:    use,
		Short:  short,
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			// A caller that is gone must not end us before the fault is mended.
			signal.Ignore(syscall.SIGPIPE)
			dec := json.NewDecoder(cmd.InOrStdin())
			req, err := spec.Decode[spec.HostFault](dec)
			if err == nil {
				err = run(cmd.Context(), req, closedAtEnd(dec), cmd.OutOrStdout())
			}
			if err != nil {
				return writeFailure(cmd.OutOrStdout(), err)
			}
			return nil
		},
	}
}

// closedAtEnd returns a channel that is closed when the stream of dec has ended.
func closedAtEnd(dec *json.Decoder) <-chan struct{} {
	end := make(chan struct{})
	go func() {
		defer close(end)
		var rest json.RawMessage
		for dec.Decode(&rest) == nil {
		}
	}()
	return end
}

func newSuperviseCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "supervise DIR",
		Short:  "Run the server of a process directory, and restart it when it ends",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			started := service.StartedPipe()
			if _, err := started.Stat(); err != nil {
				started = os.NewFile(uintptr(syscall.Stderr), "stderr") // started by hand
			}
			return service.Supervise(cmd.Context(), args[0], started)
		},
	}
}
