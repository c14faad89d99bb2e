//go:build linux

package host

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	appendOnly = "appendonly"
	// rewritePoll is how often a server is asked whether its append-only file is there.
	rewritePoll = 20 * time.Millisecond
)

// ignoresSnapshot says whether the process would start empty beside its data:
// with an append-only file turned on a server looks at nothing else, also where
// there is no such file yet.
func (p *process) ignoresSnapshot() bool {
	conf := p.conf.file()
	if on, _ := conf.Lookup(appendOnly); on != "yes" {
		return false
	}
	log := lookupOr(conf, "appendfilename", "appendonly.aof")
	return p.hasFile(snapshotName(conf)) && !p.hasFile(log) &&
		!p.hasFile(lookupOr(conf, "appenddirname", "appendonlydir"), log+".manifest")
}

// withoutLog is c with the append-only file turned off.
func (c conf) withoutLog() conf {
	config := maps.Clone(c.config)
	if config == nil {
		config = map[string]string{}
	}
	for name := range config {
		if strings.EqualFold(name, appendOnly) {
			delete(config, name)
		}
	}
	config[appendOnly] = "no"
	c.config = config
	return c
}

// turnLogsOn gives the processes that were started with their snapshots the
// append-only file that they are to have, with all that they loaded. Cut off, it
// is done by the next apply, which finds the directive different.
func (a *apply) turnLogsOn(ctx context.Context) error {
	for _, p := range a.processes {
		if !p.snapshot || p.state.PID == 0 || a.req.DryRun {
			continue
		}
		if err := turnLogOn(ctx, dial(p.node, p.conf.password)); err != nil {
			return fmt.Errorf("node %s: %w", p.node.Name, err)
		}
		p.snapshot = false
		if err := a.writeProcess(ctx, p); err != nil {
			return fmt.Errorf("node %s: %w", p.node.Name, err)
		}
	}
	return nil
}

func turnLogOn(ctx context.Context, client *redis.Client) error {
	defer func() { _ = client.Close() }()
	if err := client.ConfigSet(ctx, appendOnly, "yes").Err(); err != nil {
		return err
	}
	for {
		busy, err := infoField(ctx, client, "persistence", "aof_rewrite_in_progress")
		if err != nil {
			return err
		}
		scheduled, err := infoField(ctx, client, "persistence", "aof_rewrite_scheduled")
		if err != nil {
			return err
		}
		if busy == "0" && scheduled == "0" {
			break
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(rewritePoll):
		}
	}
	status, err := infoField(ctx, client, "persistence", "aof_last_bgrewrite_status")
	if err == nil && status != "ok" {
		err = errors.New("the append-only file could not be written; the server's log says why")
	}
	return err
}
