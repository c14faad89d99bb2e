package cluster

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// Time limits of the control conversation. They bound a node that does not
// answer; nothing waits for them to pass.
const (
	dialTimeout    = 3 * time.Second
	commandTimeout = 10 * time.Second
)

// connections to one node at most. More than two are opened only where a server
// makes a command wait for its replicas.
const connections = 16

// Fleet holds a connection to every node that is worked on. It is safe for concurrent use.
type Fleet struct {
	nodes   []spec.Node
	clients map[string]*redis.Client // by node name
	options redis.Options
	// clientName is what the nodes know our connections by, and nobody else's.
	clientName string
}

// NewFleet prepares connections; nothing is dialled before it is needed.
func NewFleet(nodes []spec.Node, auth spec.Auth, tlsSpec *spec.TLS) (*Fleet, error) {
	f := &Fleet{clients: map[string]*redis.Client{}, clientName: clientPrefix + rand.Text(), options: redis.Options{
		Username: auth.Username, Password: auth.Password.Reveal(),
		DialTimeout: dialTimeout, ReadTimeout: commandTimeout, WriteTimeout: commandTimeout,
		DialerRetries: 1, MaxRetries: -1, PoolSize: connections, Protocol: 2, DisableIdentity: true,
	}}
	f.options.OnConnect = f.introduceItself
	var err error
	if f.options.TLSConfig, err = tlsSpec.Config(); err != nil {
		return nil, err
	}
	for _, n := range nodes {
		f.add(n)
	}
	return f, nil
}

func (f *Fleet) add(n spec.Node) {
	options := f.options
	options.Addr = n.Addr()
	f.nodes = append(f.nodes, n)
	f.clients[n.Name] = redis.NewClient(&options)
}

// Close drops all connections.
func (f *Fleet) Close() error {
	var errs []error
	for _, c := range f.clients {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

func (f *Fleet) client(name string) *redis.Client { return f.clients[name] }

func (f *Fleet) node(name string) spec.Node {
	for _, n := range f.nodes {
		if n.Name == name {
			return n
		}
	}
	return spec.Node{}
}

// names of all nodes, in order.
func (f *Fleet) names() []string {
	names := make([]string, len(f.nodes))
	for i, n := range f.nodes {
		names[i] = n.Name
	}
	return names
}

// each runs do for every name at once and joins the errors, each with its node's name.
func each(ctx context.Context, names []string, do func(context.Context, string) error) error {
	var group errgroup.Group
	var mu sync.Mutex
	var errs []error
	for _, name := range names {
		group.Go(func() error {
			if err := do(ctx, name); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, fmt.Errorf("%s: %w", name, err))
			}
			return nil
		})
	}
	_ = group.Wait() // every error is in errs
	return errors.Join(errs...)
}

// isReply says whether err is an error reply of the server with this text in it.
func isReply(err error, text string) bool {
	var reply redis.Error
	return errors.As(err, &reply) && strings.Contains(reply.Error(), text)
}
