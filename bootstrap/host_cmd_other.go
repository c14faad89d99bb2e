//go:build !linux

package main

import (
	"errors"

	"github.com/spf13/cobra"
)

// newHostCommand stands in for the host commands, which are Linux's alone.
func newHostCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "host",
		Hidden: true,
		RunE:   func(*cobra.Command, []string) error { return errors.New("redis-bootstrap host runs on Linux only") },
	}
}
