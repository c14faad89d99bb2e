//go:build !linux

package main

import (
	"errors"

	"github.com/spf13/cobra"
)

// newLoadCommand stands in for the load commands, which are Linux's alone.
func newLoadCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "load",
		Hidden: true,
		RunE:   func(*cobra.Command, []string) error { return errors.New("redis-bootstrap load runs on Linux only") },
	}
}

// newRecordCommand stands in for the record command.
func newRecordCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "record",
		Hidden: true,
		RunE:   func(*cobra.Command, []string) error { return errors.New("redis-bootstrap record runs on Linux only") },
	}
}
