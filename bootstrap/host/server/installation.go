//go:build linux

package server

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/hashicorp/go-hclog"
)

// Installation is how a program gets onto this host.
type Installation struct {
	// What says it in words; empty if it is there.
	What string
	// Version is what is going to be installed, as far as that is known beforehand.
	Version Version
	// Do installs it. Cut off, it can be done again.
	Do func(context.Context) error
	// After ends the installation; nil if there is nothing left to do. It can wait
	// until the processes have been started, and has to be done even if they are not.
	After func(context.Context) error
	// Program finds it afterwards.
	Program func(context.Context) (Program, error)
}

// lastLines is how much of a failed command's output its error carries.
const lastLines = 15

// run runs a command, logs what it prints as it comes, and returns the output.
// The error carries the last lines.
func run(ctx context.Context, log hclog.Logger, dir string, env []string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	// An interrupted apt leaves its packages half configured, so it is asked to end rather than killed.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = killDelay
	var out bytes.Buffer
	cmd.Stdout = &lineLogger{log: log, all: &out}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return out.String(), fmt.Errorf("%s: %w:\n%s", strings.Join(args[:min(len(args), 2)], " "), err, tail(out.String()))
	}
	return out.String(), nil
}

func tail(output string) string {
	lines := strings.Split(strings.TrimSpace(output), "\n")
	return strings.Join(lines[max(0, len(lines)-lastLines):], "\n")
}

// lineLogger logs every line that is written to it.
type lineLogger struct {
	log  hclog.Logger
	all  *bytes.Buffer
	line []byte
}

// Write implements io.Writer.
func (l *lineLogger) Write(b []byte) (int, error) {
	l.all.Write(b)
	for chunk := range bytes.Lines(b) {
		l.line = append(l.line, chunk...)
		if bytes.HasSuffix(chunk, []byte("\n")) {
			if text := strings.TrimSpace(string(l.line)); text != "" {
				l.log.Debug(text)
			}
			l.line = l.line[:0]
		}
	}
	return len(b), nil
}
