// Package fleet works on many hosts at once: it connects to them, puts
// redis-bootstrap there and calls it.
package fleet

import (
	"context"
	"errors"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/redisfleet/terraform-provider-redis/internal/embedded"
	"github.com/redisfleet/terraform-provider-redis/internal/gce"
	"github.com/redisfleet/terraform-provider-redis/internal/reach"
)

// defaultParallelism is how many hosts are worked on at once, where the
// provider's configuration does not say.
const defaultParallelism = 64

// Fleet is what is the same for all hosts of a provider configuration.
type Fleet struct {
	SSH reach.SSHConfig
	// SSHUnknown says that SSH is not known yet, at plan time: no host can be reached over it.
	SSHUnknown bool
	// GCE tells of hosts that are Compute Engine instances.
	GCE      *gce.Client
	Builds   *embedded.Builds
	Progress *Progress
}

// Machine says how to reach one host, and where redis-bootstrap lies on it.
type Machine struct {
	// Name is how the user calls the host.
	Name string
	// Local is the machine that Terraform runs on. Otherwise Target is reached over SSH.
	Local  bool
	Target reach.Target
	// BaseDir is the directory of all clusters on the host; the binary is BaseDir/bin/redis-bootstrap.
	BaseDir string
}

// Session keeps the connections of one operation: each host is connected to
// once, whoever asks for it. Close ends it.
type Session struct {
	fleet  *Fleet
	borrow bool
	mu     sync.Mutex
	hosts  map[Machine]func() (*Host, error)
}

// Session begins an operation.
func (f *Fleet) Session() *Session {
	return &Session{fleet: f, hosts: make(map[Machine]func() (*Host, error))}
}

// Borrow begins an operation that leaves nothing on the local machine, whatever
// becomes of us: the binary is in memory only.
func (f *Fleet) Borrow() *Session {
	s := f.Session()
	s.borrow = true
	return s
}

// Host gives m, connected. A host that could not be reached is not tried again
// in this session.
func (s *Session) Host(ctx context.Context, m Machine) (*Host, error) {
	s.mu.Lock()
	open, ok := s.hosts[m]
	if !ok {
		open = sync.OnceValues(func() (*Host, error) { return s.open(ctx, m) })
		s.hosts[m] = open
	}
	s.mu.Unlock()
	return open()
}

func (s *Session) open(ctx context.Context, m Machine) (*Host, error) {
	var conn reach.Host = reach.Local{}
	if !m.Local {
		if s.fleet.SSHUnknown {
			return nil, &reach.UnreachableError{Host: m.Name, Err: errors.New("the provider's ssh settings are known after apply")}
		}
		var err error
		if conn, err = reach.DialSSH(ctx, s.fleet.SSH, m.Target); err != nil {
			return nil, err
		}
	}
	return &Host{Machine: m, conn: conn, builds: s.fleet.Builds, progress: s.fleet.Progress, borrow: s.borrow}, nil
}

// Each calls do on all machines, several at once, and waits for all of them:
// one host's failure does not stop the others, and the error names every host
// that failed. results are in the order of machines.
func Each[T any](ctx context.Context, s *Session, machines []Machine, do func(context.Context, *Host) (T, error)) ([]T, error) {
	results := make([]T, len(machines))
	errs := make([]error, len(machines))
	var group errgroup.Group
	group.SetLimit(s.parallelism())
	for i, m := range machines {
		group.Go(func() error {
			host, err := s.Host(ctx, m)
			if err == nil {
				results[i], err = do(ctx, host)
			}
			errs[i] = err
			return nil
		})
	}
	_ = group.Wait()
	return results, errors.Join(errs...)
}

func (s *Session) parallelism() int {
	if n := s.fleet.SSH.Parallelism; n > 0 {
		return n
	}
	return defaultParallelism
}

// GCE tells of hosts that are Compute Engine instances; nil if nothing is known of them.
func (s *Session) GCE() *gce.Client { return s.fleet.GCE }

// Progress is where the session's work is told.
func (s *Session) Progress() *Progress { return s.fleet.Progress }

// Close ends all connections.
func (s *Session) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, open := range s.hosts {
		if host, err := open(); err == nil {
			errs = append(errs, host.close())
		}
	}
	clear(s.hosts)
	return errors.Join(errs...)
}
