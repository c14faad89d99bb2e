package reach

import (
	"context"
	"errors"
	"io"
	"os/exec"
	"time"
)

// stopGrace is how long a cancelled local command may take to put things in
// order before it is killed.
const stopGrace = 5 * time.Second

// Local is the machine that Terraform runs on, reached without SSH and with
// the rights of the user who runs Terraform.
type Local struct{}

// Name implements Host.
func (Local) Name() string { return "local" }

// Run implements Host. A cancelled command gets SIGTERM, and SIGKILL 5 s later.
func (l Local) Run(ctx context.Context, c Command) error {
	cmd := exec.CommandContext(ctx, c.Args[0], c.Args[1:]...)
	cmd.Stdout, cmd.Stderr = c.Stdout, c.Stderr
	cmd.WaitDelay = stopGrace
	detach(cmd)
	err := start(cmd, c.Stdin)
	if err == nil {
		err = cmd.Wait()
	}
	if ctxErr := context.Cause(ctx); ctxErr != nil && err != nil {
		return ctxErr
	}
	if exit := new(exec.ExitError); errors.As(err, &exit) && exit.ExitCode() >= 0 {
		return &ExitError{Code: exit.ExitCode()}
	}
	return err
}

// start starts cmd and feeds it stdin. The feeding goroutine ends with the
// command's pipe or with stdin, whichever is first to be used again: Wait must
// not wait for a stdin that its caller keeps open.
func start(cmd *exec.Cmd, stdin io.Reader) error {
	if stdin == nil {
		return cmd.Start()
	}
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(pipe, stdin)
		_ = pipe.Close()
	}()
	return nil
}

// Close implements Host.
func (Local) Close() error { return nil }
