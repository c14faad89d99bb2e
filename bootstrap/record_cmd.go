//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/spf13/cobra"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/load"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/load/trace"
)

func newRecordCommand() *cobra.Command {
	var a access
	var r load.Recording
	var duration time.Duration
	var output string
	cmd := &cobra.Command{
		Use:   "record --output FILE [flags] host:port…",
		Short: "Record what a cluster's clients send, to replay it with load --trace",
		Long: `Record what a cluster's clients send, to replay it with load --trace.

Every primary runs MONITOR, whose cost on a busy server is considerable: it may
take a third of its throughput. The cost is measured and printed at the end.
Values of more than 64 bytes are recorded as their size alone, unless
--keep-values is given; keys are recorded as they are.`,
		Example: `  redis-bootstrap record --output morning.trace --duration 5m 10.0.0.1:6379
  redis-bootstrap load --trace morning.trace --trace-speed 2 10.0.1.1:6379`,
		Args: someNodes,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			r.Endpoints = args
			if r.Auth, r.TLS, err = a.resolve(cmd.InOrStdin()); err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), duration)
			defer cancel()
			return record(ctx, cmd, r, output)
		},
	}
	f := cmd.Flags()
	a.register(cmd)
	f.StringVarP(&output, "output", "o", "", "file to write")
	f.DurationVar(&duration, "duration", time.Minute, "how long to record")
	f.Int64Var(&r.MaxSize, "max-size", 1<<30, "end when the file has this many bytes")
	f.BoolVar(&r.KeepValues, "keep-values", false, "record values as they are, not just their sizes")
	if err := cmd.MarkFlagRequired("output"); err != nil {
		panic(err) // the flag is registered above
	}
	return cmd
}

func record(ctx context.Context, cmd *cobra.Command, r load.Recording, output string) (err error) {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt)
	defer stop()
	file, err := os.Create(output)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	lines := newProgressLines(cmd.ErrOrStderr())
	done, err := load.Record(ctx, r, file, func(c trace.Captured) {
		lines.show(fmt.Sprintf("%d commands", c.Commands))
	})
	lines.end()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", output, done.Summary())
	return err
}
