// Command redis-bootstrap installs Redis, forms and changes Redis clusters and
// runs load against them. The Terraform provider pushes it to every host and
// talks to it in package spec's JSON; people use it by hand.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/redis/go-redis/v9"
	"github.com/spf13/cobra"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// version is set by the linker.
var version = "dev"

func main() {
	redis.SetLogger(silent{}) // stderr carries our own lines only; go-redis returns what it logs
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	code := run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string) int {
	root := newRootCommand()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	var code exitCode
	switch {
	case err == nil:
		return 0
	case errors.As(err, &code):
		return int(code)
	default:
		printError(os.Stderr, err)
		return 1
	}
}

// silent is a go-redis logger that says nothing.
type silent struct{}

// Printf implements go-redis's logger.
func (silent) Printf(context.Context, string, ...any) {}

// exitCode is an error that has been reported already; only the code is left to give.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "redis-bootstrap",
		Short:         "Install Redis, form and change Redis clusters, and measure them",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(newClusterCommand())
	root.AddCommand(newLoadCommand())
	root.AddCommand(newRecordCommand())
	root.AddCommand(newVersionCommand())
	root.AddCommand(newHostCommand())
	return root
}

func newVersionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "redis-bootstrap %s (spec %d)\n", version, spec.Version)
			return err
		},
	}
}
