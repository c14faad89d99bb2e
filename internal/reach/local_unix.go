//go:build unix

package reach

import (
	"os/exec"
	"syscall"
)

// detach puts cmd into a process group of its own, so that a Ctrl-C at the
// terminal reaches Terraform only, which then cancels in the right order.
func detach(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
}
