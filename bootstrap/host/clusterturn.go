//go:build linux

package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// ClusterTurn waits until no other redis-bootstrap changes the cluster of place
// from this host, as one may whose caller was killed or cannot reach us any more.
// The turn lasts until end is called or the process ends. It is a lock on the
// cluster's directory, so that nothing is left of it; where there is no
// directory there is nobody to wait for.
func ClusterTurn(ctx context.Context, log hclog.Logger, place spec.Place) (end func(), err error) {
	var reported time.Time
	for {
		dir, err := tryClusterTurn(place.ClusterDir())
		switch {
		case err == nil:
			return func() { _ = dir.Close() }, nil
		case errors.Is(err, fs.ErrNotExist):
			return func() {}, nil
		case !errors.Is(err, unix.EWOULDBLOCK):
			return nil, fmt.Errorf("lock %s: %w", place.ClusterDir(), err)
		}
		if time.Since(reported) > turnReport {
			reported = time.Now()
			log.Info("another redis-bootstrap changes the cluster from this host; waiting for it")
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(turnPoll):
		}
	}
}

// tryClusterTurn returns the directory, locked.
func tryClusterTurn(name string) (*os.File, error) {
	dir, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = dir.Close()
		return nil, err
	}
	return dir, nil
}
