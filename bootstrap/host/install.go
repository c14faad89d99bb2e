//go:build linux

package host

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/host/server"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// oldestServer is the oldest version that this program was written for.
func oldestServer() server.Version { return server.Version{6} }

// install sees to it that the wanted server is on this host.
func (a *apply) install(ctx context.Context) error {
	var err error
	if a.program, err = a.provide(ctx); err != nil {
		return err
	}
	p := a.program
	if p.Binary == "" {
		return nil // a dry run on a host where it is still to be installed
	}
	if !p.Version.AtLeast(oldestServer()) {
		return &spec.Failure{
			Cause:  fmt.Sprintf("%s is version %s, and %s is the oldest that can be used", p.Binary, p.Version, oldestServer()),
			Advice: fmt.Sprintf("Set server.install to %q with a newer version.", spec.InstallSource),
		}
	}
	a.facts.ServerBinary, a.facts.ServerVersion = p.Binary, p.Version.String()
	return nil
}

// provide returns the wanted program, installed if need be; a zero Program if that is left to another run.
func (a *apply) provide(ctx context.Context) (server.Program, error) {
	want := a.req.Server
	var todo *server.Installation
	var err error
	switch want.Install {
	case spec.InstallPackage:
		todo, err = server.Package(ctx, a.log, want)
	case spec.InstallSource:
		todo, err = server.Source(ctx, a.log, want, filepath.Join(a.req.BaseDir, serversDir))
	default:
		return server.Preinstalled(ctx, want)
	}
	if err != nil {
		return server.Program{}, err
	}
	if todo.What != "" {
		if err := a.checkDataBefore(ctx, todo.Version); err != nil {
			return server.Program{}, err
		}
		if err := a.do(ctx, spec.Change{What: todo.What}, todo.Do); err != nil {
			return server.Program{}, err
		}
		if a.req.DryRun {
			return server.Program{}, nil
		}
		a.afterInstall = todo.After
	}
	return todo.Program(ctx)
}

// finishInstall does what is left of an installation, while the processes start.
func (a *apply) finishInstall(ctx context.Context) error {
	if a.afterInstall == nil {
		return nil
	}
	finish := a.afterInstall
	a.afterInstall = nil
	return finish(ctx)
}

// validate has the server read the configuration; where it is not installed yet, a dry run leaves that out.
func (a *apply) validate(ctx context.Context) error {
	if a.program.Binary == "" {
		return nil
	}
	c := a.processes[0].conf
	if err := validate(ctx, a.program, c); err != nil {
		return err
	}
	return resolve(ctx, a.program, a.baselines, c)
}
