//go:build linux

package host

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// replyTimeout bounds one command to a process on this host.
const replyTimeout = 5 * time.Second

// dial returns a client of a process on this host. It connects to loopback,
// where every process of ours listens whatever it announces.
func dial(node spec.Node, password string) *redis.Client {
	o := options("", password)
	o.Dialer = func(ctx context.Context, _, _ string) (net.Conn, error) { return connect(ctx, node) }
	return redis.NewClient(o)
}

func connect(ctx context.Context, node spec.Node) (net.Conn, error) {
	d := net.Dialer{Timeout: replyTimeout}
	own := net.JoinHostPort(loopbackOf(node.Address), strconv.Itoa(node.Port))
	conn, err := d.DialContext(ctx, "tcp", own)
	// A process that somebody else started may not listen on loopback.
	if errors.Is(err, syscall.ECONNREFUSED) && own != node.Addr() {
		return d.DialContext(ctx, "tcp", node.Addr())
	}
	return conn, err
}

// listens says whether the process takes connections. One that ends at each
// start, or has only just been started, does not, although it may have a process id.
func listens(ctx context.Context, node spec.Node) bool {
	conn, err := connect(ctx, node)
	if err == nil {
		_ = conn.Close()
	}
	return !errors.Is(err, syscall.ECONNREFUSED)
}

// answers says whether the process replies at all, be it that it loads its data
// or wants a password.
func answers(ctx context.Context, node spec.Node) bool {
	conn, err := connect(ctx, node)
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(replyTimeout)); err != nil {
		return false
	}
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return false
	}
	n, _ := conn.Read(make([]byte, 1))
	return n > 0
}

func options(addr, password string) *redis.Options {
	network := "tcp"
	if strings.HasPrefix(addr, "/") {
		network = "unix"
	}
	return &redis.Options{
		Network: network, Addr: addr, Password: password,
		// A plain conversation: nothing is asked that the servers' oldest version does not know.
		Protocol: 2, DisableIdentity: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		MaxRetries:               -1, PoolSize: 1, ContextTimeoutEnabled: true, DialerRetries: 1,
		DialTimeout: replyTimeout, ReadTimeout: replyTimeout, WriteTimeout: replyTimeout,
	}
}

func loopbackOf(address string) string {
	addresses := bindAddresses(address)
	return addresses[len(addresses)-1]
}

// login returns a client with the first of the passwords that the process
// accepts. An apply that was cut off between the process and its file leaves
// either password in force.
func login(ctx context.Context, node spec.Node, passwords ...string) (*redis.Client, error) {
	var last error
	for i, password := range passwords {
		if i > 0 && password == passwords[i-1] {
			continue
		}
		client := dial(node, password)
		err := client.Ping(ctx).Err()
		switch {
		case err == nil, strings.HasPrefix(err.Error(), "LOADING"):
			return client, nil
		case refusesPassword(err):
			last = err
			_ = client.Close()
		default:
			_ = client.Close()
			return nil, fmt.Errorf("%s does not answer on port %d: %w", node.Name, node.Port, err)
		}
	}
	return nil, &spec.Failure{
		Step:   "log in to " + node.Name,
		Cause:  fmt.Sprintf("the process on port %d accepts neither the wanted password nor the one in its redis.conf: %v", node.Port, last),
		Advice: "Give the password that is in force as password_wo and raise password_wo_version.",
	}
}

func refusesPassword(err error) bool {
	for _, kind := range []string{"NOAUTH", "WRONGPASS", "ERR AUTH", "ERR invalid password", "ERR Client sent AUTH"} {
		if strings.HasPrefix(err.Error(), kind) {
			return true
		}
	}
	return false
}

// configOf returns the server's whole configuration.
func configOf(ctx context.Context, client *redis.Client) (map[string]string, error) {
	config, err := client.ConfigGet(ctx, "*").Result()
	if err != nil {
		return nil, fmt.Errorf("CONFIG GET: %w", err)
	}
	return config, nil
}

// infoField reads one field of a section of INFO; empty if it has none.
func infoField(ctx context.Context, client *redis.Client, section, field string) (string, error) {
	info, err := client.Info(ctx, section).Result()
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(info) {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), ":"); ok && k == field {
			return v, nil
		}
	}
	return "", nil
}

// serverPID asks whoever answers which process it is.
func serverPID(ctx context.Context, client *redis.Client) (int, error) {
	s, err := infoField(ctx, client, "server", "process_id")
	if err != nil {
		return 0, err
	}
	pid, err := strconv.Atoi(s)
	if err != nil {
		return 0, errors.New("INFO has no process_id")
	}
	return pid, nil
}
