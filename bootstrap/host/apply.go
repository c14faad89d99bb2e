//go:build linux

// Package host makes one machine run its processes of a cluster: it installs
// the server, tunes the kernel, writes redis.conf files and keeps the processes
// running. Every step looks first and changes only what differs.
package host

import (
	"context"
	"errors"
	"fmt"

	"github.com/hashicorp/go-hclog"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/host/server"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/host/service"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/redisconf"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// Apply makes this host what req wants, or with DryRun says what that would
// change. It never restarts a process that runs: RestartNeeded says who has to
// be, and the cluster does that one at a time.
func Apply(ctx context.Context, log hclog.Logger, req spec.HostApply) (spec.HostResult, error) {
	a := &apply{req: req, log: log, baselines: newBaselines()}
	for _, p := range []phase{
		{"check the request", a.checkRequest},
		{"gather facts", a.gather},
		{"take the host's turn", a.takeTurn},
		{"install " + string(req.Server.Flavor), a.install},
		{"look at the processes", a.observe},
		{"check addresses and ports", a.checkPorts},
		{"check data files", a.checkData},
		{"validate the configuration", a.validate},
		{"hold back processes without data", a.hold},
		{"tune the kernel", a.tune},
		{"change running processes", a.changeRunning},
		{"write files", a.writeFiles},
		{"define services", a.define},
		{"take services out of the way", a.displace},
		{"start processes", a.start},
		{"finish the installation", a.finishInstall},
		{"wait until processes are ready", a.awaitReady},
		{"turn append-only files on", a.turnLogsOn},
	} {
		log.Debug(p.title, spec.LogPhase, p.title)
		if err := p.run(ctx); err != nil {
			err = errors.Join(err, a.finishInstall(context.WithoutCancel(ctx)))
			a.end()
			return spec.HostResult{}, failure(req.HostName, p.title, explainSpace(err, req.BaseDir))
		}
	}
	a.end()
	return a.result(), nil
}

// phase is one step of an apply. It looks at what the phases before it found,
// and does nothing where nothing is to be done.
type phase struct {
	title string
	run   func(context.Context) error
}

// apply is one run of Apply: the request and what was found so far.
type apply struct {
	req     spec.HostApply
	log     hclog.Logger
	turn    *turn
	facts   spec.Facts
	program server.Program
	// afterInstall is what is left to do of an installation; nil if there was none.
	afterInstall func(context.Context) error
	control      service.Control
	// identity is whom the processes run as, where they are units.
	identity  identity
	processes []*process
	baselines *baselines
	changes   []spec.Change
	warnings  []string
}

// process is one process of the request.
type process struct {
	node spec.Node
	conf conf
	def  service.Definition
	// state is as it was found.
	state service.State
	// old is the redis.conf that was found, oldText its text; empty if there was none.
	old     redisconf.File
	oldText string
	// snapshot says that it is to start with its snapshot, since it has no append-only file yet.
	snapshot bool
	// owner is whom it runs as.
	owner identity
	// adopted is set if somebody else started it.
	adopted *adoption
	// logged is the length of its log before it was started.
	logged int64
	// restart says that the running process is not what its redis.conf says.
	restart bool
	// held says that it must not be started yet.
	held bool
}

// do records a change, and unless this is a dry run makes it.
func (a *apply) do(ctx context.Context, c spec.Change, effect func(context.Context) error) error {
	a.changes = append(a.changes, c)
	if a.req.DryRun {
		return nil
	}
	a.log.Info(c.What, "node", c.Node)
	return effect(ctx)
}

func (a *apply) warn(format string, args ...any) {
	w := fmt.Sprintf(format, args...)
	a.warnings = append(a.warnings, w)
	a.log.Warn(w)
}

func (a *apply) end() {
	if a.turn != nil {
		a.turn.end()
	}
}

func (a *apply) gather(context.Context) error {
	f, err := gatherFacts()
	if err != nil {
		return err
	}
	a.facts = f
	a.control = controlOf(f)
	return nil
}

// takeTurn keeps two applies from working on a host at once: one whose caller was killed may still be at it.
func (a *apply) takeTurn(ctx context.Context) error {
	if a.req.DryRun {
		return nil
	}
	var err error
	a.turn, err = takeTurn(ctx, a.log, a.req.Place)
	return err
}

func (a *apply) result() spec.HostResult {
	r := spec.HostResult{Facts: a.facts, Changes: a.changes, Warnings: a.warnings}
	for _, p := range a.processes {
		s := spec.Process{Node: p.node.Name, Port: p.node.Port, State: processState(p.state, p.oldText != ""), PID: p.state.PID,
			RestartNeeded: p.restart, Held: p.held, ConfSHA256: redisconf.SHA256(p.oldText)}
		if p.oldText == "" {
			s.ConfSHA256 = ""
		}
		r.Processes = append(r.Processes, s)
	}
	return r
}

func processState(s service.State, exists bool) string {
	switch {
	case s.PID != 0:
		return "running"
	case exists:
		return "stopped"
	default:
		return "absent"
	}
}

// controlOf chooses how processes are run on a host.
func controlOf(f spec.Facts) service.Control {
	if f.Systemd {
		return service.Systemd{}
	}
	return service.Supervised{Command: SuperviseCommand()}
}

// SuperviseCommand are the arguments that make this program supervise the
// process directory that follows them.
func SuperviseCommand() []string { return []string{"host", "supervise"} }

// failure adds to err the host and what was being done on it.
func failure(host, step string, err error) error {
	f := new(spec.Failure)
	if !errors.As(err, &f) {
		return &spec.Failure{Host: host, Step: step, Cause: err.Error()}
	}
	g := *f
	g.Host = host
	if g.Step == "" {
		g.Step = step
	}
	return &g
}
