// Package reach runs commands on the machines of a cluster, whatever the way to
// them: over SSH, or on the machine that Terraform itself runs on.
package reach

import (
	"context"
	"fmt"
	"io"
)

// Host is one machine that commands can be run on. It is safe for concurrent use.
type Host interface {
	// Name is how the user calls the machine; errors and progress use it.
	Name() string
	// Run runs c and waits for it. When ctx ends the command is stopped at once.
	// A command that ran and failed gives an *ExitError; any other error means
	// that it may or may not have run.
	Run(ctx context.Context, c Command) error
	// Close ends the connection. Commands that still run are stopped.
	Close() error
}

// Command is a program and its arguments, and where its streams go.
type Command struct {
	// Args is the program and its arguments, as execve takes them: the transport
	// does whatever quoting its shell needs.
	Args []string
	// Stdin may be nil: then the command reads an end of file. A Stdin that stays
	// open is how a caller stays attached to a command that runs for long; Run
	// does not wait for its end, and the caller closes it once Run has returned.
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Root says that the command needs root's rights: a transport whose user is
	// not root puts "sudo -n" in front. The local transport ignores it.
	Root bool
}

// ExitError is a command that ended with a code other than 0.
type ExitError struct {
	Code int
}

// Error implements error.
func (e *ExitError) Error() string { return fmt.Sprintf("exit code %d", e.Code) }

// UnreachableError is a host that cannot be reached: nothing is known of what
// is on it, and it must not be taken for absent.
type UnreachableError struct {
	// Host is the host's name.
	Host string
	Err  error
}

// Error implements error.
func (e *UnreachableError) Error() string { return fmt.Sprintf("cannot reach %s: %v", e.Host, e.Err) }

// Unwrap gives the cause.
func (e *UnreachableError) Unwrap() error { return e.Err }
