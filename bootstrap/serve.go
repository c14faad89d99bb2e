package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

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
	return &cobra.Command{
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
				res, err = handle(cmd.Context(), log, req, dec)
			}
			if err != nil {
				return writeFailure(cmd.OutOrStdout(), err)
			}
			return json.NewEncoder(cmd.OutOrStdout()).Encode(res)
		},
	}
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
