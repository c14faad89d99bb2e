package reach

import (
	"cmp"
	"context"
	"net"
	"strconv"
	"time"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// HostKeyPolicy says what to do about the host key of an SSH server.
type HostKeyPolicy string

// The host key policies.
const (
	// HostKeyStrict accepts only a key that is known beforehand. It is the default.
	HostKeyStrict HostKeyPolicy = "strict"
	// HostKeyAcceptNew accepts and remembers the key of a host that is not known
	// yet, and refuses one that changed.
	HostKeyAcceptNew HostKeyPolicy = "accept-new"
	// HostKeyInsecure accepts any key.
	HostKeyInsecure HostKeyPolicy = "insecure"
)

// SSHConfig is how to log in to hosts over SSH: the provider's ssh attributes.
type SSHConfig struct {
	// User defaults to the user that Terraform runs as.
	User string
	// PrivateKey is a key in PEM; PrivateKeyFile is the path of one. With neither,
	// or with Agent, the agent at SSH_AUTH_SOCK is asked.
	PrivateKey     spec.Secret
	PrivateKeyFile string
	Agent          bool
	// Port defaults to 22.
	Port int
	// Bastion, if set, is the host that all connections go through.
	Bastion *Bastion
	// KnownHostsFile defaults to ~/.ssh/known_hosts.
	KnownHostsFile string
	HostKeyPolicy  HostKeyPolicy
	// ConnectTimeout bounds the time until a host has let us in; 0 means 30 s.
	ConnectTimeout time.Duration
	// Parallelism is how many hosts are worked on at once; 0 means 64.
	Parallelism int
	// Dial opens the TCP connections; nil means net.Dialer.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// HostKeys looks up the keys of a host that has none in Target and that
	// known_hosts does not know, as lines of an authorized_keys file. It is asked
	// again while the host boots, so "none yet" is an empty list, and a
	// *NoKeysError that there never will be any. It may be nil.
	HostKeys func(ctx context.Context, t Target) ([]string, error)
	// LastWords tells what the cloud knows of a host that could not be reached,
	// such as the end of its serial console. It may be nil.
	LastWords func(ctx context.Context, t Target) string
	// Down asks the cloud whether a host that does not answer cannot, since its
	// machine does not run: waiting for it is in vain then. It may be nil.
	Down func(ctx context.Context, t Target) (bool, error)
}

// Bastion is the jump host. What it leaves empty it takes from SSHConfig.
// Its connection is shared by all hosts that are reached through the same *Bastion.
type Bastion struct {
	Host    string
	Port    int
	User    string
	HostKey string

	shared sharedClient
}

// Target is one host to reach over SSH.
type Target struct {
	// Name is how the user calls the host.
	Name string
	// Address is the name or IP address to dial.
	Address string
	// HostKey is the server's public key as in an authorized_keys line
	// ("ssh-ed25519 AAAA…"); empty means that known_hosts has to know it.
	HostKey string
	// Instance is the host's self link in its cloud, for HostKeys, LastWords and Down;
	// empty if it is not in one.
	Instance string
}

// defaultConnectTimeout is how long a host may take to let us in.
const defaultConnectTimeout = 30 * time.Second

func (c SSHConfig) connectTimeout() time.Duration {
	return cmp.Or(c.ConnectTimeout, defaultConnectTimeout)
}

func (c SSHConfig) addr(t Target) string {
	return net.JoinHostPort(t.Address, strconv.Itoa(cmp.Or(c.Port, 22)))
}

func (c SSHConfig) dial(ctx context.Context, addr string) (net.Conn, error) {
	if c.Dial != nil {
		return c.Dial(ctx, "tcp", addr)
	}
	return new(net.Dialer).DialContext(ctx, "tcp", addr)
}

// forBastion is the configuration to reach the bastion itself with.
func (c SSHConfig) forBastion() (SSHConfig, Target) {
	b := c.Bastion
	c.User = cmp.Or(b.User, c.User)
	c.Port = cmp.Or(b.Port, c.Port)
	c.Bastion, c.HostKeys, c.LastWords, c.Down = nil, nil, nil, nil
	return c, Target{Name: "bastion " + b.Host, Address: b.Host, HostKey: b.HostKey}
}
