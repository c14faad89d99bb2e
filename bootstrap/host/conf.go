//go:build linux

package host

import (
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/host/server"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/redisconf"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// confHeader heads every redis.conf, and tells ours from others.
const confHeader = "# Written by redis-bootstrap. Changes made here are undone by the next apply.\n"

// nodesFile is where a node keeps its view of the cluster.
const nodesFile = "nodes.conf"

// conf is all that a redis.conf depends on.
type conf struct {
	node spec.Node
	// home is the process's directory with its redis.conf and log, dir that of its data.
	home, dir string
	// nodes is the file where it keeps its view of the cluster, in dir.
	nodes string
	// names are what an adopted process calls its data files, by directive.
	names map[string]string
	// config holds the user's directives.
	config map[string]string
	// password may be empty; then open turns protected mode off.
	password string
	open     bool
	// journal has the server log to its standard output, which systemd bounds and keeps.
	journal bool
	// server is the version of the server that reads it.
	server server.Version
}

// file is the whole redis.conf: what the provider owns, then the user's
// directives by name, with defaults among them.
func (c conf) file() redisconf.File {
	return slices.Concat(c.owned(), c.secrets(), c.users())
}

// text is the redis.conf as it is written.
func (c conf) text() string { return confHeader + c.file().Render() }

func (c conf) owned() redisconf.File {
	f := redisconf.File{
		one("port", strconv.Itoa(c.node.Port)),
		{Name: "bind", Args: bindAddresses(c.node.Address)},
		one("protected-mode", yesNo(!c.open || c.password != "")),
		one("cluster-enabled", "yes"),
		one("cluster-config-file", c.nodes),
		one("cluster-announce-ip", c.node.Address),
		one("cluster-announce-port", strconv.Itoa(c.node.Port)),
		one("cluster-announce-bus-port", strconv.Itoa(c.node.BusPort)),
		one("daemonize", "no"),
		one("dir", c.dir),
		one("pidfile", c.home+"/redis.pid"),
	}
	if c.journal {
		f = append(f, one("logfile", ""))
	} else {
		f = append(f, one("logfile", c.home+"/redis.log"))
	}
	// Older servers listen at the usual distance and cannot be told otherwise.
	if c.server.AtLeast(server.Version{7}) {
		f = append(f, one("cluster-port", strconv.Itoa(c.node.BusPort)))
	}
	return f
}

func (c conf) secrets() redisconf.File {
	if c.password == "" {
		return nil
	}
	return redisconf.File{one("requirepass", c.password), one("masterauth", c.password)}
}

// defaults are set unless the user says otherwise: writes survive a restart of
// the process, and a lost primary is noticed within seconds.
var defaults = map[string]string{ //nolint:gochecknoglobals // a constant table
	"appendonly":           "yes",
	"cluster-node-timeout": "5000",
}

func (c conf) users() redisconf.File {
	values := maps.Clone(defaults)
	maps.Copy(values, c.names)
	for name, value := range c.config {
		values[strings.ToLower(name)] = value
	}
	var f redisconf.File
	for _, name := range slices.Sorted(maps.Keys(values)) {
		// CheckConfig has passed the values, so they are well formed.
		lines, _ := redisconf.Values(values[name])
		for _, args := range lines {
			f = append(f, redisconf.Directive{Name: name, Args: args})
		}
	}
	return f
}

// bindAddresses are where a node listens: where it announces itself, and
// loopback. The announced one comes first, for connections to other nodes start there.
func bindAddresses(address string) []string {
	a, err := netip.ParseAddr(address)
	switch {
	case err == nil && a.IsLoopback():
		return []string{address}
	case err == nil && a.Is6():
		return []string{address, "::1"}
	default:
		return []string{address, "127.0.0.1"}
	}
}

func loopback(address string) bool {
	a, err := netip.ParseAddr(address)
	return err == nil && a.IsLoopback()
}

func one(name, arg string) redisconf.Directive {
	return redisconf.Directive{Name: name, Args: []string{arg}}
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
