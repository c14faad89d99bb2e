//go:build linux

package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/host/proc"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// turnFile is the lock that whoever changes a host's processes holds.
const turnFile = ".lock"

const (
	turnPoll   = 50 * time.Millisecond
	turnReport = 5 * time.Second
)

// turn is the right to change this host's processes, held as long as its file is open.
type turn struct{ file *os.File }

func (t *turn) end() { _ = t.file.Close() }

// takeTurn waits until no other redis-bootstrap changes the processes below the base directory.
func takeTurn(ctx context.Context, log hclog.Logger, place spec.Place) (*turn, error) {
	name := filepath.Join(place.BaseDir, turnFile)
	// The last turn of a host ends with the directory's removal, so it is made anew as often as needed.
	var reported time.Time
	for {
		if err := os.MkdirAll(place.BaseDir, 0o755); err != nil {
			return nil, err
		}
		t, holder, err := tryTurn(name)
		if t != nil || err != nil {
			return t, err
		}
		if holder != 0 && time.Since(reported) > turnReport {
			reported = time.Now()
			who := fmt.Sprintf("process %d", holder)
			if p, err := proc.Get(holder); err == nil {
				who = p.String()
			}
			log.Info("another redis-bootstrap is at work on this host; waiting for it", "holder", who)
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(turnPoll):
		}
	}
}

// tryTurn returns the turn, or the process that has it; neither if the file went away meanwhile.
func tryTurn(name string) (*turn, int, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if errors.Is(err, os.ErrNotExist) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	l := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart}
	if err := unix.FcntlFlock(f.Fd(), unix.F_SETLK, &l); err != nil {
		defer func() { _ = f.Close() }()
		if !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EACCES) {
			return nil, 0, fmt.Errorf("lock %s: %w", name, err)
		}
		if err := unix.FcntlFlock(f.Fd(), unix.F_GETLK, &l); err != nil || l.Type == unix.F_UNLCK {
			return nil, 0, nil // Whoever it was is gone.
		}
		return nil, int(l.Pid), nil
	}
	mine, err1 := f.Stat()
	there, err2 := os.Stat(name)
	if err1 != nil || err2 != nil || !os.SameFile(mine, there) {
		_ = f.Close()
		return nil, 0, nil
	}
	return &turn{f}, 0, nil
}
