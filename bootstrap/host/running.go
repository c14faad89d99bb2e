//go:build linux

package host

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"sync"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/host/proc"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/host/server"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/redisconf"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// parallel bounds how many processes of a host are talked to at once.
const parallel = 16

// changeRunning brings running processes in line with their configuration as
// far as that goes without a restart. It comes before their files are written:
// the old password is in the file.
func (a *apply) changeRunning(ctx context.Context) error {
	found := make([]running, len(a.processes))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for i, p := range a.processes {
		if p.state.PID != 0 {
			g.Go(func() (err error) {
				if found[i], err = a.look(gctx, p); err != nil {
					return fmt.Errorf("node %s: %w", p.node.Name, err)
				}
				return nil
			})
		}
	}
	defer func() {
		for _, r := range found {
			r.close()
		}
	}()
	if err := g.Wait(); err != nil {
		return err
	}
	for i, p := range a.processes {
		if found[i].client != nil {
			if err := a.settle(ctx, p, found[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// running is a process that runs, and how it differs from what it shall be.
type running struct {
	client *redis.Client
	have   map[string]string
	want   settings
	drift
	// replaced says in words that the process runs another program than it shall; empty if not.
	replaced string
}

// look asks the running process p for its configuration and compares.
func (a *apply) look(ctx context.Context, p *process) (running, error) {
	old, _ := p.old.Lookup("requirepass")
	client, err := login(ctx, p.node, p.conf.password, old)
	if err != nil {
		return running{}, err
	}
	return lookWith(ctx, client, a.baselines, p, a.program)
}

func (r running) close() {
	if r.client != nil {
		_ = r.client.Close()
	}
}

// lookWith looks through client, which the result holds, also beside an error.
func lookWith(ctx context.Context, client *redis.Client, baselines *baselines, p *process, srv server.Program) (running, error) {
	r := running{client: client}
	pid, err := serverPID(ctx, client)
	if err != nil {
		return r, err
	}
	if pid != p.state.PID {
		return r, fmt.Errorf("process %d answers on port %d in place of process %d", pid, p.node.Port, p.state.PID)
	}
	if r.have, err = configOf(ctx, client); err != nil {
		return r, err
	}
	if _, known := r.have["cluster-port"]; known {
		r.have["cluster-port"] = usualBus(r.have, p.node.Port)
	}
	base, err := baselines.of(ctx, srv.Binary, p.conf.file())
	if err != nil {
		return r, err
	}
	r.want = maps.Clone(base)
	maps.Copy(r.want, ofNode(p.conf))
	r.drift = compare(r.want, r.have)
	other, err := replaced(p.state.PID, srv)
	if err != nil || !other {
		return r, err
	}
	// What else is different are the defaults of another version, which come with it.
	r.drift = r.among(p.conf)
	r.replaced, err = upgrade(ctx, client, srv)
	return r, err
}

// replaced says whether the process pid runs another program than srv.
func replaced(pid int, srv server.Program) (bool, error) {
	now, err := proc.Get(pid)
	if err != nil {
		return false, err
	}
	want, err := filepath.EvalSymlinks(srv.Binary)
	return now.Exe != want, err
}

// upgrade says in words that a running server is going to be srv.
func upgrade(ctx context.Context, client *redis.Client, srv server.Program) (string, error) {
	flavor := spec.FlavorValkey
	version, err := infoField(ctx, client, "server", "valkey_version")
	if err == nil && version == "" {
		flavor = spec.FlavorRedis
		version, err = infoField(ctx, client, "server", "redis_version")
	}
	return fmt.Sprintf("run %s %s (%s) in place of %s %s", srv.Flavor, srv.Version, srv.Binary, flavor, version), err
}

// settle changes what can be changed live and notes the rest for a restart.
func (a *apply) settle(ctx context.Context, p *process, r running) error {
	// The new password locks out whoever comes with the old one, so it comes last.
	slices.SortStableFunc(r.live, func(x, y string) int { return rank(x) - rank(y) })
	for _, name := range r.live {
		if err := a.setLive(ctx, p, r, name); err != nil {
			return err
		}
	}
	for _, name := range r.restart {
		a.needRestart(p, fmt.Sprintf("set %s to %s at the next restart (it is %s)", name, shown(name, r.want[name].value), shown(name, r.have[name])))
	}
	if r.replaced != "" {
		a.needRestart(p, r.replaced)
	}
	// Directives that CONFIG GET does not list, such as loadmodule, are read from the files.
	unlisted := func(d redisconf.Directive) bool { _, known := r.have[d.Name]; return !known }
	if p.oldText != "" && p.old.Filter(unlisted).Render() != p.conf.file().Filter(unlisted).Render() {
		a.needRestart(p, "take up directives that are read at start")
	}
	return nil
}

func rank(name string) int {
	switch name {
	case "masterauth":
		return 1
	case "requirepass":
		return 2
	default:
		return 0
	}
}

func (a *apply) needRestart(p *process, what string) {
	p.restart = true
	a.changes = append(a.changes, spec.Change{Node: p.node.Name, What: what, Restart: true})
}

func (a *apply) setLive(ctx context.Context, p *process, r running, name string) error {
	value := r.want[name].value
	change := spec.Change{Node: p.node.Name, What: fmt.Sprintf("set %s to %s (it is %s)", name, shown(name, value), shown(name, r.have[name]))}
	return a.do(ctx, change, func(ctx context.Context) error {
		err := r.client.ConfigSet(ctx, name, value).Err()
		switch {
		case err == nil:
			return nil
		case immutable(err), name == "maxclients":
			// The limit of open files that more clients need comes with the next start.
			a.needRestart(p, fmt.Sprintf("set %s to %s at the next restart", name, shown(name, value)))
			return nil
		case errors.Is(ctx.Err(), context.Canceled):
			return ctx.Err()
		}
		return fmt.Errorf("node %s refuses %s live: %w", p.node.Name, attribute(a.req.Config, name), err)
	})
}

// shown is a value as it may be shown.
func shown(name, value string) string {
	switch {
	case redisconf.Secret(name) && value != "":
		return "(secret)"
	case value == "":
		return `""`
	default:
		return value
	}
}

// baselines remembers baselines, because the processes of a host mostly share one.
type baselines struct {
	mu    sync.Mutex
	known map[string]settings
}

func newBaselines() *baselines { return &baselines{known: map[string]settings{}} }

func (b *baselines) of(ctx context.Context, binary string, f redisconf.File) (settings, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	key := binary + "\n" + scratchConf(f, "", "").Render()
	if s, ok := b.known[key]; ok {
		return s, nil
	}
	s, err := baseline(ctx, binary, f)
	if err == nil {
		b.known[key] = s
	}
	return s, err
}
