//go:build linux

// Package clustertest runs real redis-server processes in cluster mode for
// tests: on free loopback ports, in temporary directories, gone with the test.
package clustertest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// formTimeout bounds how long Form and WaitOK wait for the cluster.
const formTimeout = 60 * time.Second

// Cluster is a set of redis-server processes. Start leaves them blank and
// running; Form makes one cluster of them.
type Cluster struct {
	t     testing.TB
	nodes []*Node
	// password is set as requirepass and masterauth on every node.
	password string
}

// An Option changes the processes' configuration.
type Option func(*options)

type options struct {
	config   []string
	password string
	server   string
	restart  bool
}

// Server runs another server than the redis-server on PATH.
func Server(path string) Option {
	return func(o *options) { o.server = path }
}

// Restart has a node that shuts down by itself or on command come back, as a
// service manager does; not one that Stop or Kill ended.
func Restart() Option {
	return func(o *options) { o.restart = true }
}

// Directive adds a line to every redis.conf.
func Directive(name, value string) Option {
	return func(o *options) { o.config = append(o.config, name+" "+value) }
}

// Password sets requirepass and masterauth.
func Password(password string) Option {
	return func(o *options) { o.password = password }
}

// Start runs n blank nodes with cluster mode on, a node timeout of one second
// and no persistence, and waits until each answers. They end with the test.
// Without redis-server on PATH the test is skipped, saying so.
func Start(t testing.TB, n int, opts ...Option) *Cluster {
	t.Helper()
	o := options{server: "redis-server"}
	for _, opt := range opts {
		opt(&o)
	}
	if _, err := exec.LookPath(o.server); err != nil {
		t.Skipf("needs %s", o.server)
	}
	c := &Cluster{t: t, password: o.password}
	for i := range n {
		c.nodes = append(c.nodes, newNode(t, i, o))
	}
	return c
}

// Close ends all nodes before the test does, for tests that start many clusters.
func (c *Cluster) Close() {
	for _, n := range c.nodes {
		n.end()
	}
}

// Node returns node i, counted from 0.
func (c *Cluster) Node(i int) *Node { return c.nodes[i] }

// NodeAt returns the node that serves addr.
func (c *Cluster) NodeAt(addr string) *Node {
	c.t.Helper()
	for _, n := range c.nodes {
		if n.Addr() == addr {
			return n
		}
	}
	c.t.Fatalf("no node at %s", addr)
	return nil
}

// Addrs are the nodes' host:port, in order.
func (c *Cluster) Addrs() []string {
	addrs := make([]string, len(c.nodes))
	for i, n := range c.nodes {
		addrs[i] = n.Addr()
	}
	return addrs
}

// Form makes a cluster of all nodes with redis-cli, and waits until every node
// says that it is ok and knows the replicas, whose links are up.
func (c *Cluster) Form(replicas int) {
	c.t.Helper()
	args := append([]string{"--cluster", "create"}, c.Addrs()...)
	c.CLI(append(args, "--cluster-replicas", strconv.Itoa(replicas), "--cluster-yes")...)
	c.WaitOK()
	// A node learns who became a replica some time after the replica does.
	want := len(c.nodes) - len(c.nodes)/(1+replicas)
	for _, n := range c.nodes {
		n.Await("aware of all replicas", func() error {
			nodes, err := n.client.ClusterNodes(c.t.Context()).Result()
			if got := strings.Count(nodes, "slave "); err == nil && got != want {
				err = fmt.Errorf("%d of %d replicas in %q", got, want, nodes)
			}
			return err
		})
	}
}

// CLI runs redis-cli and returns its output; a failure fails the test.
func (c *Cluster) CLI(args ...string) string {
	c.t.Helper()
	cmd := exec.CommandContext(c.t.Context(), "redis-cli", args...)
	if c.password != "" {
		cmd.Env = append(os.Environ(), "REDISCLI_AUTH="+c.password)
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		c.t.Fatalf("redis-cli %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// WaitOK waits until every running node says cluster_state:ok, knows every node
// and, if it is a replica, has its link up.
func (c *Cluster) WaitOK() {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), formTimeout)
	defer cancel()
	for _, n := range c.nodes {
		if n.running() {
			n.await(ctx, "ok", func(ctx context.Context) error { return n.clusterOK(ctx, len(c.nodes)) })
		}
	}
}

// clusterOK says what keeps n from being a healthy member of a cluster of size nodes.
func (n *Node) clusterOK(ctx context.Context, size int) error {
	info, err := n.client.ClusterInfo(ctx).Result()
	if err != nil {
		return err
	}
	for _, want := range []string{"cluster_state:ok\r\n", fmt.Sprintf("cluster_known_nodes:%d\r\n", size)} {
		if !strings.Contains(info, want) {
			return fmt.Errorf("no %q in %q", want, info)
		}
	}
	repl, err := n.client.Info(ctx, "replication").Result()
	if err != nil {
		return err
	}
	if strings.Contains(repl, "master_link_status:down") {
		return errors.New("the link to its primary is down")
	}
	return nil
}

// Password is the password of all nodes; empty without one.
func (c *Cluster) Password() string { return c.password }

// NewClient returns a go-redis client of the whole cluster, closed with the test.
func (c *Cluster) NewClient() *redis.ClusterClient { return c.NewClientOf(len(c.nodes)) }

// NewClientOf is NewClient for when only the first n nodes are members: a blank
// one that the client happens to ask says that no slot is served.
func (c *Cluster) NewClientOf(n int) *redis.ClusterClient {
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: c.Addrs()[:n], Password: c.password})
	c.t.Cleanup(func() { _ = client.Close() })
	return client
}
