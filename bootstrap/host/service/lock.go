//go:build linux

package service

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// lockFile is held by the supervisor as long as it lives: the kernel lets go of
// the lock with the process, and names the process that holds it, so neither a
// stale file nor a reused process id can mislead. Its content is a report.
const lockFile = "supervisor.lock"

// report is what a supervisor says about its server.
type report struct {
	ServerPID int    `json:"server_pid"`
	Exits     int    `json:"exits"`
	LastExit  string `json:"last_exit,omitempty"`
}

// errHeld says that another process holds the lock.
var errHeld = errors.New("another supervisor runs this process")

// acquire takes dir's lock for as long as this process lives or the file is open.
func acquire(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	err = unix.FcntlFlock(f.Fd(), unix.F_SETLK, &unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart})
	if err == nil {
		return f, nil
	}
	_ = f.Close()
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
		return nil, errHeld
	}
	return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
}

// publish writes r into the lock file that this process holds.
func publish(f *os.File, r report) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	// A reader takes the first JSON value, so what a longer report leaves behind does no harm.
	_, err = f.WriteAt(append(b, '\n'), 0)
	return err
}

// holder returns the process that holds dir's lock and its report; 0 if there is none.
func holder(dir string) (pid int, r report, err error) {
	f, err := os.Open(filepath.Join(dir, lockFile))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, r, nil
	}
	if err != nil {
		return 0, r, err
	}
	defer func() { _ = f.Close() }()
	l := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart}
	if err := unix.FcntlFlock(f.Fd(), unix.F_GETLK, &l); err != nil {
		return 0, r, fmt.Errorf("ask for the lock on %s: %w", f.Name(), err)
	}
	if l.Type == unix.F_UNLCK {
		return 0, r, nil
	}
	// Until its first report is there, the supervisor has no server.
	_ = json.NewDecoder(f).Decode(&r)
	return int(l.Pid), r, nil
}
