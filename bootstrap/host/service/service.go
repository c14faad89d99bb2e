//go:build linux

// Package service keeps redis-server processes running: as units of systemd
// where that runs, under a small supervisor of our own elsewhere.
package service

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/host/proc"
)

// Definition says how one process is run.
type Definition struct {
	// Unit is the name of the systemd unit.
	Unit string `json:"-"`
	// Description is what the unit is called in lists.
	Description string `json:"-"`
	// Dir is the directory of the process, absolute.
	Dir string `json:"-"`
	// Data is where the process has its data, if that is another directory: a
	// process that somebody else started keeps its own.
	Data string `json:"data,omitempty"`
	// Await is the command that waits for the server of a process that somebody
	// else started, which our unit replaces when it ends: this program's Await,
	// with Dir and Data behind it. It is only used where there is Data.
	Await []string `json:"-"`
	// Binary is the server program, absolute.
	Binary string `json:"binary"`
	// NoFile is the limit of open files.
	NoFile uint64 `json:"no_file"`
	// User and Group run the unit. A supervised process runs as whoever started it.
	User  string `json:"-"`
	Group string `json:"-"`
	// Notify says that the server can tell systemd when it is ready.
	Notify bool `json:"-"`
}

// Conf is the process's redis.conf.
func (d Definition) Conf() string { return filepath.Join(d.Dir, "redis.conf") }

// directories are those that the process writes to.
func (d Definition) directories() []string {
	if d.Data == "" {
		return []string{d.Dir}
	}
	return []string{d.Dir, d.Data}
}

// ServerOf recognises the servers of d. Others may have their data in the
// directory of one that was adopted, so that it is told by its port too, which
// its directory is called by.
func ServerOf(d Definition) func(proc.Process) bool {
	if d.Data == "" {
		return func(p proc.Process) bool { return p.ServerIn(d.Dir) }
	}
	port := ":" + filepath.Base(d.Dir) + " "
	return func(p proc.Process) bool { return p.ServerIn(d.Data) && strings.Contains(p.Command+" ", port) }
}

// serversOf finds the servers of d.
func serversOf(d Definition) ([]proc.Process, error) {
	dir := d.Dir
	if d.Data != "" {
		dir = d.Data
	}
	all, err := proc.ServersIn(dir)
	is := ServerOf(d)
	return slices.DeleteFunc(all, func(p proc.Process) bool { return !is(p) }), err
}

// Log is the server's log.
func (d Definition) Log() string { return filepath.Join(d.Dir, "redis.log") }

// removeGrace is how long a process that is being removed may take to end in an
// orderly way. One that cannot save its data never would.
const removeGrace = 20 * time.Second

// stopOrKill stops the processes for good.
func stopOrKill(ctx context.Context, c Control, defs []Definition) error {
	graced, cancel := context.WithTimeout(ctx, removeGrace)
	defer cancel()
	err := c.Stop(graced, defs)
	if err == nil || ctx.Err() != nil || graced.Err() == nil {
		return err
	}
	for _, def := range defs {
		if err := c.Kill(ctx, def); err != nil {
			return err
		}
	}
	return nil
}

// State is what became of a definition.
type State struct {
	// Defined says that the host has this very definition.
	Defined bool
	// Binary is the program of the definition that the host has; empty if it has none.
	Binary string
	// Enabled says that the process starts with the host, where it can.
	Enabled bool
	// PID is the server's process; 0 while it does not run.
	PID int
	// Active says that something keeps the process running: it runs, or is about to be restarted.
	Active bool
	// Exits counts how often the server ended by itself since it was started.
	Exits int
	// LastExit says how it ended the last time ("exit status 1").
	LastExit string
}

// Control runs processes. Its methods take many at once, because a host may run
// a hundred of them.
type Control interface {
	// Observe returns the state of each definition, in order.
	Observe(ctx context.Context, defs []Definition) ([]State, error)
	// Define makes the definitions the host's, and has them start with it. It
	// neither starts nor stops anything.
	Define(ctx context.Context, defs []Definition) error
	// Start starts them. It does not wait until they serve. Those that run go on running.
	Start(ctx context.Context, defs []Definition) error
	// Stop stops them in an orderly way and waits until they are gone.
	Stop(ctx context.Context, defs []Definition) error
	// Kill ends one with SIGKILL; nothing restarts it until Start.
	Kill(ctx context.Context, def Definition) error
	// Words is the last of what was said about the process outside of its own log:
	// why it could not even be started.
	Words(ctx context.Context, def Definition) string
	// Remove stops them, by force where they do not end soon, and deletes what
	// Define and Start made outside of Dir. It returns the names of what is gone.
	Remove(ctx context.Context, defs []Definition) ([]string, error)
}
