//go:build linux

package host

import (
	"cmp"
	"context"
	"os"
	"path/filepath"
	"slices"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/host/service"
)

// hold marks the processes that must not be started yet. A replica follows its
// primary's address, whoever answers there: were a member that lost its disk
// started before the others have replaced it, its replica would copy the void.
func (a *apply) hold(ctx context.Context) error {
	var looping []service.Definition
	for _, p := range a.processes {
		p.held = slices.Contains(a.req.Hold, p.node.Name) && p.state.PID == 0 && !p.hasData()
		if p.held && p.state.Active {
			looping = append(looping, p.def)
		}
	}
	if len(looping) == 0 || a.req.DryRun {
		return nil
	}
	// Its service tries over and over, and would succeed with the redis.conf that comes next.
	return a.control.Stop(ctx, looping)
}

// hasData says whether the process would load a data set when it starts, and
// remember the cluster that the data belongs to.
func (p *process) hasData() bool {
	value := func(name, fallback string) string {
		v, _ := p.old.Lookup(name)
		return cmp.Or(v, fallback)
	}
	dump, log := value("dbfilename", "dump.rdb"), value("appendfilename", "appendonly.aof")
	return p.hasFile(p.conf.nodes) &&
		(p.hasFile(dump) || p.hasFile(log) || p.hasFile(value("appenddirname", "appendonlydir"), log+".manifest"))
}

// hasFile says whether there is a file with anything in it in the process's directory.
func (p *process) hasFile(name ...string) bool {
	st, err := os.Stat(filepath.Join(append([]string{p.conf.dir}, name...)...))
	return err == nil && st.Size() > 0
}
