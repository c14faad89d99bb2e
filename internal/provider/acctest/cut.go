//go:build linux

package acctest

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// theEnd is written where the provider writes its steps, when there are no more.
const theEnd = "the end"

// Cut runs cmd, an apply that is ready to be started, and calls strike with its
// process id when it begins its step number at, from 1; with 0 it is left alone. A
// step is a line of the progress file: what is being done now. Cut returns that
// step, or the last one, their number, and how cmd ended.
func Cut(t *testing.T, cmd *exec.Cmd, at int, strike func(pid int)) (last string, steps int, err error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "progress")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	progress, err := os.OpenFile(path, os.O_RDWR, 0) // both ways, so that it is open while nobody writes
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = progress.Close() }()
	cmd.Env = append(cmd.Env[:len(cmd.Env):len(cmd.Env)], "REDIS_PROGRESS_FILE="+path)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	told := make(chan struct{})
	go func() {
		defer close(told)
		for lines := bufio.NewScanner(progress); lines.Scan() && lines.Text() != theEnd; {
			if at > 0 && steps == at {
				continue
			}
			_, last, _ = strings.Cut(lines.Text(), "  ")
			if steps++; steps == at {
				strike(cmd.Process.Pid)
			}
		}
	}()
	err = cmd.Wait()
	if _, err := fmt.Fprintln(progress, theEnd); err != nil {
		t.Fatal(err)
	}
	<-told
	return last, steps, err
}
