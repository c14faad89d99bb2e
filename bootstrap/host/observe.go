//go:build linux

package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/host/service"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/redisconf"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// observe finds out what there is of each process, and settles what it shall be.
func (a *apply) observe(ctx context.Context) error {
	var err error
	if a.identity, err = identityOf(a.facts, a.req.Server.Flavor); err != nil {
		return err
	}
	if a.identity.user != "" && !a.identity.missing && !reachable(a.req.BaseDir, a.identity) {
		a.warn("user %s cannot enter %s, so the processes run as root there; a base_dir below /var/lib or /opt avoids that", a.identity.user, a.req.BaseDir)
		a.identity = identity{user: "root", group: "root"}
	}
	for _, n := range a.req.Nodes {
		p := &process{node: n}
		if p.oldText, p.old, err = readConf(a.req.Place, n.Port); err != nil {
			return fmt.Errorf("node %s: %w", n.Name, err)
		}
		if err := a.adopt(ctx, p); err != nil {
			return fmt.Errorf("node %s: %w", n.Name, err)
		}
		if p.owner, err = a.ownerFor(p); err != nil {
			return fmt.Errorf("node %s: %w", n.Name, err)
		}
		a.processes = append(a.processes, p)
	}
	if err := a.settlePassword(); err != nil {
		return err
	}
	var defs []service.Definition
	for _, p := range a.processes {
		p.def = a.definition(p)
		defs = append(defs, p.def)
	}
	states, err := a.control.Observe(ctx, defs)
	if err != nil {
		return err
	}
	for i, p := range a.processes {
		p.state = states[i]
		if p.adopted != nil && p.state.PID == 0 {
			p.state.PID = p.adopted.PID
		}
		p.snapshot = p.state.PID == 0 && p.ignoresSnapshot()
		// One that ends at each start listens for a moment, too, but never answers.
		if p.state.Active && (p.state.Exits > 0 && !answers(ctx, p.node) || !listens(ctx, p.node)) {
			p.state.PID = 0 // It is started: whether it comes up is seen then.
		}
	}
	return nil
}

// ownerFor is whom p runs as: whoever its data belong to, also when the server
// becomes one of another flavor, and else the user of the server's package.
func (a *apply) ownerFor(p *process) (identity, error) {
	if a.identity.user == "" {
		return a.identity, nil
	}
	if p.adopted != nil && p.adopted.User != "" {
		return identityNamed(p.adopted.User, p.adopted.Group)
	}
	owner, err := identityOfFile(a.req.ProcessDir(p.node.Port))
	if err != nil || owner.uid == 0 || a.identity.user == "root" {
		return a.identity, nil //nolint:nilerr // It is still to be made, or its owner is gone.
	}
	return owner, nil
}

// readConf reads the redis.conf of a process. One that cannot be parsed counts as
// empty: it is about to be replaced.
func readConf(place spec.Place, port int) (string, redisconf.File, error) {
	b, err := os.ReadFile(place.ConfFile(port))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil, nil
	}
	if err != nil {
		return "", nil, err
	}
	f, err := redisconf.Parse(string(b))
	if err != nil {
		return string(b), nil, nil //nolint:nilerr // See above.
	}
	return string(b), f, nil
}

// settlePassword decides on each process's password: with KeepPassword the one
// in its own file, else in that of another process of this host.
func (a *apply) settlePassword() error {
	kept := a.req.Password.Reveal()
	if a.req.KeepPassword {
		for _, p := range a.processes {
			if password, ok := p.old.Lookup("requirepass"); ok {
				kept = password
				break
			}
		}
	}
	for _, p := range a.processes {
		password := kept
		if a.req.KeepPassword && p.old != nil {
			password, _ = p.old.Lookup("requirepass")
		}
		home := a.req.ProcessDir(p.node.Port)
		p.conf = conf{node: p.node, home: home, dir: home, nodes: nodesFile, config: a.req.Config, password: password,
			open: a.req.AllowUnauthenticated, server: a.program.Version, journal: a.facts.Systemd}
		if p.adopted != nil {
			p.conf.dir, p.conf.nodes, p.conf.names = p.adopted.Dir, p.adopted.Nodes, p.adopted.Names
		}
	}
	return a.checkOpen()
}

// checkOpen has processes that other hosts can reach be protected, or be open on purpose.
func (a *apply) checkOpen() error {
	var open []string
	for _, p := range a.processes {
		if p.conf.password != "" || loopback(p.node.Address) {
			continue
		}
		if !a.req.AllowUnauthenticated {
			return &spec.Failure{
				Cause:  fmt.Sprintf("node %s announces %s and has no password: Redis then refuses every other host, its own cluster included", p.node.Name, p.node.Address),
				Advice: "Set password_wo, or allow_unauthenticated = true if everybody who reaches the address may read and write.",
			}
		}
		open = append(open, p.node.Addr())
	}
	if len(open) > 0 {
		a.warn("there is no password and protected mode is off: whoever reaches %s can read and write everything", strings.Join(open, ", "))
	}
	return nil
}

// files is how many open files a process is allowed: 10,000 clients are the
// server's default, and a big cluster has two links per other node.
const files = 65536

func (a *apply) definition(p *process) service.Definition {
	d := definitionOf(a.req.Place, p.node.Port)
	if p.adopted != nil {
		d.Data, d.Await = p.adopted.Dir, awaitCommand(a.req.Place)
	}
	d.Binary, d.NoFile, d.Notify = a.program.Binary, files, a.program.Systemd
	d.User, d.Group = p.owner.user, p.owner.group
	for name, value := range a.req.Config {
		// The server needs some files for itself.
		const own = 1024
		if clients, err := strconv.ParseUint(value, 10, 32); err == nil && strings.EqualFold(name, "maxclients") {
			d.NoFile = max(d.NoFile, clients+own)
		}
	}
	return d
}

// definitionAt is definitionOf for a process that may have been adopted.
func definitionAt(place spec.Place, port int) (service.Definition, error) {
	d := definitionOf(place, port)
	adopted, err := adoptionOf(place, port)
	if adopted != nil {
		d.Data, d.Await = adopted.Dir, awaitCommand(place)
	}
	return d, err
}

// definitionOf is the part of a definition that follows from the place alone.
func definitionOf(place spec.Place, port int) service.Definition {
	return service.Definition{
		Unit:        place.Unit(port),
		Description: fmt.Sprintf("Node of Redis Cluster %s on port %d", place.Cluster, port),
		Dir:         place.ProcessDir(port),
	}
}
