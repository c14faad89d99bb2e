//go:build linux

package host

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/host/proc"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/host/server"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/host/service"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/redisconf"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// Inspect says what there is of the processes of req. It changes nothing.
func Inspect(ctx context.Context, req spec.HostInspect) (spec.HostResult, error) {
	r, err := inspect(ctx, req)
	if err != nil {
		return r, failure(req.HostName, "look at the processes", err)
	}
	return r, nil
}

func inspect(ctx context.Context, req spec.HostInspect) (spec.HostResult, error) {
	if err := checkPlace(req.Place); err != nil {
		return spec.HostResult{}, err
	}
	facts, err := gatherFacts()
	if err != nil {
		return spec.HostResult{}, err
	}
	r := spec.HostResult{Facts: facts}
	var defs []service.Definition
	for _, n := range req.Nodes {
		def, err := definitionAt(req.Place, n.Port)
		if err != nil {
			return r, fmt.Errorf("node %s: %w", n.Name, err)
		}
		defs = append(defs, def)
	}
	states, err := controlOf(facts).Observe(ctx, defs)
	if err != nil {
		return r, err
	}
	baselines := newBaselines()
	for i, n := range req.Nodes {
		text, file, err := readConf(req.Place, n.Port)
		if err != nil {
			return r, fmt.Errorf("node %s: %w", n.Name, err)
		}
		p := spec.Process{Node: n.Name, Port: n.Port, State: processState(states[i], text != ""), PID: states[i].PID}
		if text != "" {
			p.ConfSHA256 = redisconf.SHA256(text)
		}
		if r.Facts.ServerBinary == "" && states[i].Binary != "" {
			// A program that is gone is told by the restart that it calls for.
			if srv, err := server.Examine(ctx, states[i].Binary); err == nil {
				r.Facts.ServerBinary, r.Facts.ServerVersion = srv.Binary, srv.Version.String()
			}
		}
		if p.PID != 0 {
			if p.RestartNeeded, err = restartNeeded(ctx, baselines, n, file, states[i]); err != nil {
				r.Warnings = append(r.Warnings, fmt.Sprintf("node %s: cannot tell whether it needs a restart: %v", n.Name, err))
			}
		}
		r.Processes = append(r.Processes, p)
	}
	return r, nil
}

// restartNeeded compares a running process with its redis.conf.
func restartNeeded(ctx context.Context, baselines *baselines, n spec.Node, f redisconf.File, state service.State) (bool, error) {
	if p, err := proc.Get(state.PID); err != nil || p.Replaced() {
		return true, err
	}
	password, _ := f.Lookup("requirepass")
	client, err := login(ctx, n, password)
	if err != nil {
		return false, err
	}
	defer func() { _ = client.Close() }()
	have, err := configOf(ctx, client)
	if err != nil {
		return false, err
	}
	base, err := baselines.of(ctx, state.Binary, f)
	if err != nil {
		return false, err
	}
	want := settings{}
	for name, s := range base {
		want[name] = s
	}
	if port, ok := f.Lookup("cluster-port"); ok {
		want["cluster-port"] = setting{value: port}
	}
	return len(compare(want, have).restart) > 0, nil
}

// Credentials returns the password of a process, from its redis.conf.
func Credentials(req spec.HostCredentials) (spec.Auth, error) {
	if err := checkPlace(req.Place); err != nil {
		return spec.Auth{}, failure("", "read the password", err)
	}
	text, f, err := readConf(req.Place, req.Port)
	file := ""
	if text == "" { // It may be a process that is still to be taken over.
		file, f = redisconf.Find(req.Port)
	}
	if err == nil && text == "" && file == "" {
		err = &spec.Failure{
			Cause:  fmt.Sprintf("there is no %s on this host", req.ConfFile(req.Port)),
			Advice: "Give the password as password_wo, or apply the cluster first.",
		}
	}
	if err != nil {
		return spec.Auth{}, failure("", fmt.Sprintf("read the password from %s", filepath.Base(req.ConfFile(req.Port))), err)
	}
	password, _ := f.Lookup("requirepass")
	return spec.Auth{Password: spec.Secret(password)}, nil
}
