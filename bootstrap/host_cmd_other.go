//go:build !linux

package main

import (
	"context"
	"errors"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// clusterTurn is for hosts that run processes of the cluster, which are Linux's alone.
func clusterTurn(context.Context, hclog.Logger, *spec.Place) (end func(), err error) {
	return func() {}, nil
}

// newHostCommand stands in for the host commands, which are Linux's alone.
func newHostCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "host",
		Hidden: true,
		RunE:   func(*cobra.Command, []string) error { return errors.New("redis-bootstrap host runs on Linux only") },
	}
}
