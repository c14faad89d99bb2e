package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// serve makes a hidden subcommand of handle: its request comes as JSON on
// stdin, its result goes as JSON to stdout, its log as JSON lines to stderr.
// handle gets the decoder too, for requests that are followed by messages.
// A failure is written as {"failure": …} and ends with exit code 1.
func serve[Req, Res any](use, short string,
	decode func(*json.Decoder) (Req, error),
	handle func(context.Context, hclog.Logger, Req, *json.Decoder) (Res, error),
) *cobra.Command {
	var attendedWithin time.Duration
	cmd := &cobra.Command{
		Use:    use,
		Short:  short,
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log := hclog.New(&hclog.LoggerOptions{Name: "redis-bootstrap", JSONFormat: true, Output: cmd.ErrOrStderr(), Level: hclog.Debug})
			dec := json.NewDecoder(cmd.InOrStdin())
			req, err := decode(dec)
			var res Res
			if err == nil {
				ctx := cmd.Context()
				if attendedWithin > 0 {
					// What is said to a caller that is gone must not end us before things are in order.
					signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
					var leave context.CancelFunc
					ctx, leave = attended(ctx, cmd.InOrStdin(), attendedWithin)
					defer leave()
				}
				res, err = handle(ctx, log, req, dec)
			}
			if err != nil {
				return writeFailure(cmd.OutOrStdout(), err)
			}
			return json.NewEncoder(cmd.OutOrStdout()).Encode(res)
		},
	}
	cmd.Flags().DurationVar(&attendedWithin, spec.AttendedFlag, 0, "stop when stdin ends, or nothing comes on it for so long")
	return cmd
}

func writeFailure(w io.Writer, err error) error {
	f := new(spec.Failure)
	if !errors.As(err, &f) {
		f = &spec.Failure{Cause: err.Error()}
	}
	if err := json.NewEncoder(w).Encode(map[string]*spec.Failure{"failure": f}); err != nil {
		return err
	}
	return exitCode(1)
}

// printError writes err for a person: what failed, and what to do about it.
func printError(w io.Writer, err error) {
	_, _ = fmt.Fprintln(w, "redis-bootstrap:", err)
	if f := new(spec.Failure); errors.As(err, &f) && f.Advice != "" {
		_, _ = fmt.Fprintln(w, f.Advice)
	}
}
