//go:build linux

package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/host/proc"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

const (
	// aptPatience covers an unattended upgrade at first boot.
	aptPatience  = 10 * time.Minute
	aptPoll      = 200 * time.Millisecond
	aptReporting = 5 * time.Second
)

// aptLocks are the files that apt and dpkg lock.
func aptLocks() []string {
	return []string{"/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock", "/var/lib/apt/lists/lock", "/var/cache/apt/archives/lock"}
}

// awaitAptLocks waits until nobody holds one of the locks, and says meanwhile who does.
func awaitAptLocks(ctx context.Context, log hclog.Logger, locks []string) error {
	ctx, cancel := context.WithTimeout(ctx, aptPatience)
	defer cancel()
	began := time.Now()
	var reported time.Time
	for {
		holder, err := lockHolder(locks)
		if err != nil || holder == 0 {
			return err
		}
		who := fmt.Sprintf("process %d", holder)
		if p, err := proc.Get(holder); err == nil {
			who = p.String()
		}
		if time.Since(reported) >= aptReporting {
			reported = time.Now()
			log.Info(fmt.Sprintf("wait for the package system, which %s has locked for %s", who, time.Since(began).Round(time.Second)))
		}
		select {
		case <-ctx.Done():
			return &spec.Failure{
				Cause:  fmt.Sprintf("the package system is locked by %s: %v", who, context.Cause(ctx)),
				Advice: "Wait until it is done on the host, and apply again.",
			}
		case <-time.After(aptPoll):
		}
	}
}

// lockHolder is the process that holds one of the locks; 0 if they are all free.
func lockHolder(locks []string) (int, error) {
	for _, name := range locks {
		f, err := os.OpenFile(name, os.O_RDWR, 0)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return 0, err
		}
		l := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart}
		err = unix.FcntlFlock(f.Fd(), unix.F_GETLK, &l)
		_ = f.Close()
		if err != nil {
			return 0, fmt.Errorf("ask for the lock on %s: %w", name, err)
		}
		if l.Type != unix.F_UNLCK {
			return int(l.Pid), nil
		}
	}
	return 0, nil
}
