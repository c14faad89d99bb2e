//go:build linux

package host

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/hashicorp/go-hclog"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/host/service"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

func signalContext() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
}

// commands are what the code under test runs this program for.
func commands() map[string]func() error {
	return map[string]func() error{
		"host supervise": func() error {
			ctx, stop := signalContext()
			defer stop()
			return service.Supervise(ctx, os.Args[3], service.StartedPipe())
		},
		"host watchdog": func() error { return decodeFault(Watchdog) },
		"host fault":    func() error { return decodeFault(Fault) },
		"host apply":    applyStdin,
	}
}

func decodeFault(run func(context.Context, spec.HostFault, <-chan struct{}, io.Writer) error) error {
	ctx, stop := signalContext()
	defer stop()
	signal.Ignore(syscall.SIGPIPE)
	dec := json.NewDecoder(os.Stdin)
	req, err := spec.Decode[spec.HostFault](dec)
	if err != nil {
		return err
	}
	hangup := make(chan struct{})
	go func() {
		defer close(hangup)
		_, _ = io.Copy(io.Discard, os.Stdin)
	}()
	return run(ctx, req, hangup, os.Stdout)
}

func applyStdin() error {
	ctx, stop := signalContext()
	defer stop()
	req, err := spec.Decode[spec.HostApply](json.NewDecoder(os.Stdin))
	if err != nil {
		return err
	}
	_, err = Apply(ctx, hclog.NewNullLogger(), req)
	return err
}
