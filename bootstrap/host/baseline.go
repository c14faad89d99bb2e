//go:build linux

package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/redisconf"
)

// setting is what a directive shall be in a running process.
type setting struct {
	value string
	// live says that CONFIG SET can change it.
	live bool
}

// settings are by the names that CONFIG GET uses.
type settings map[string]setting

const (
	scratchStart = 10 * time.Second
	scratchPoll  = 5 * time.Millisecond
	scratchEnd   = time.Second
)

// baseline learns from the server itself what its configuration is after it has
// read f: values in the server's own notation, defaults of this very version
// included, and which of them can be changed live. For that an empty server is
// run for a moment, in a directory of its own, that listens on no port.
func baseline(ctx context.Context, binary string, f redisconf.File) (settings, error) {
	dir, err := scratchDir()
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	conf, socket := filepath.Join(dir, "redis.conf"), filepath.Join(dir, "s")
	if err := os.WriteFile(conf, []byte(scratchConf(f, dir, socket).Render()), 0o600); err != nil {
		return nil, err
	}
	// The kernel ends the server when this thread ends, so the thread must outlive it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	ctx, cancel := context.WithTimeout(ctx, scratchStart)
	defer cancel()
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, binary, conf)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(exited)
	}()
	defer func() {
		_ = cmd.Process.Kill()
		<-exited
	}()
	s, err := interview(ctx, socket, f, exited)
	if err == nil {
		return s, nil
	}
	// A server that ends over its configuration may listen for a moment; what it said is complete once it is gone.
	select {
	case <-exited:
	case <-time.After(scratchEnd):
		_ = cmd.Process.Kill()
		<-exited
	}
	return nil, fmt.Errorf("%s does not start with this configuration: %w:\n%s", binary, err, strings.TrimSpace(out.String()))
}

// interview asks the scratch server once it listens.
func interview(ctx context.Context, socket string, f redisconf.File, exited <-chan struct{}) (settings, error) {
	if err := awaitSocket(ctx, socket, exited); err != nil {
		return nil, err
	}
	client := redis.NewClient(options(socket, ""))
	defer func() { _ = client.Close() }()
	return learn(ctx, client, f)
}

// scratchDir is short enough for the path of a socket in it.
func scratchDir() (string, error) {
	const longest = 80
	parent := os.TempDir()
	if len(parent) > longest {
		parent = "/tmp"
	}
	return os.MkdirTemp(parent, "redis-bootstrap-")
}

// scratchConf is f without what belongs to one process.
func scratchConf(f redisconf.File, dir, socket string) redisconf.File {
	return append(f.Filter(func(d redisconf.Directive) bool { return !ofInstance(d.Name) }),
		one("port", "0"), one("unixsocket", socket), one("dir", dir), one("daemonize", "no"))
}

// awaitSocket waits until somebody listens. It does so without a client, whose
// pool lets a second go by after a connection that failed.
func awaitSocket(ctx context.Context, socket string, exited <-chan struct{}) error {
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "unix", socket)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-exited:
			return errors.New("it ended")
		case <-ctx.Done():
			return err
		case <-time.After(scratchPoll):
		}
	}
}

// learn sets every directive to what it is already, and so finds out which ones can be set.
func learn(ctx context.Context, client *redis.Client, f redisconf.File) (settings, error) {
	config, err := configOf(ctx, client)
	if err != nil {
		return nil, err
	}
	maps.DeleteFunc(config, func(name, _ string) bool { return ofInstance(name) || volatile(f, name) })
	names := slices.Sorted(maps.Keys(config))
	results := make([]*redis.StatusCmd, len(names))
	// Single refusals are in the results.
	_, _ = client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, name := range names {
			results[i] = p.ConfigSet(ctx, name, config[name])
		}
		return nil
	})
	s := settings{}
	for i, name := range names {
		err := results[i].Err()
		s[name] = setting{value: config[name], live: err == nil || !immutable(err)}
	}
	return s, ctx.Err()
}

// immutable says whether err is the server's word for a directive that is read at start only.
func immutable(err error) bool {
	for _, words := range []string{"immutable config", "protected config", "Unsupported CONFIG parameter", "Unknown option"} {
		if strings.Contains(err.Error(), words) {
			return true
		}
	}
	return false
}

// ofInstance says whether a directive differs between the processes of a
// cluster, or between them and one that stands alone.
func ofInstance(name string) bool {
	switch name {
	case "port", "bind", "dir", "pidfile", "logfile", "unixsocket", "unixsocketperm", "daemonize", "supervised",
		"cluster-enabled", "cluster-config-file", "cluster-port", "replicaof", "slaveof",
		"requirepass", "masterauth", "primaryauth":
		return true
	default:
		return strings.HasPrefix(name, "cluster-announce-")
	}
}

// volatile says whether a server chooses the value of a directive itself: the
// number of clients by the limits that it runs under, unless f gives it, and
// some versions the number of databases, of which a cluster has one.
func volatile(f redisconf.File, name string) bool {
	return name == "databases" || name == "maxclients" && len(f.All(name)) == 0
}

// ofNode are the settings of the one process that c configures.
func ofNode(c conf) settings {
	s := settings{}
	for _, d := range slices.Concat(c.owned(), c.secrets()) {
		switch d.Name {
		case "bind", "requirepass", "masterauth", "cluster-announce-ip", "cluster-announce-port", "cluster-announce-bus-port":
			s[d.Name] = setting{value: strings.Join(d.Args, " "), live: true}
		case "cluster-port":
			s[d.Name] = setting{value: d.Args[0]}
		}
	}
	if c.password == "" {
		s["requirepass"], s["masterauth"] = setting{live: true}, setting{live: true}
	}
	return s
}

// drift is how a running process differs from what it shall be.
type drift struct {
	// live can be set now, restart comes with the next start; sorted names.
	live, restart []string
}

// compare finds the differences. Directives that one side does not know are
// left alone: the process may be of another version than the program is now.
func compare(want settings, have map[string]string) drift {
	var d drift
	for _, name := range slices.Sorted(maps.Keys(want)) {
		value, known := have[name]
		switch {
		case !known || value == want[name].value:
		case want[name].live:
			d.live = append(d.live, name)
		default:
			d.restart = append(d.restart, name)
		}
	}
	return d
}

// among is the part of d that c has directives for.
func (d drift) among(c conf) drift {
	absent := func(name string) bool { return len(c.file().All(name)) == 0 }
	return drift{live: slices.DeleteFunc(d.live, absent), restart: slices.DeleteFunc(d.restart, absent)}
}
