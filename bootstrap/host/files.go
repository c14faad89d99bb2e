//go:build linux

package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/google/renameio/v2"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/redisconf"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// writeFiles makes each process's directory and its redis.conf.
func (a *apply) writeFiles(ctx context.Context) error {
	// A package that is still to be installed brings its user.
	if slices.ContainsFunc(a.processes, func(p *process) bool { return p.owner.missing }) && a.program.Binary != "" {
		err := a.do(ctx, spec.Change{What: "create the system user " + a.identity.user}, func(ctx context.Context) error {
			var err error
			a.identity, err = a.identity.create(ctx, a.facts)
			return err
		})
		if err != nil {
			return err
		}
	}
	for _, p := range a.processes {
		if p.owner.missing {
			p.owner = a.identity
		}
		if err := a.writeProcess(ctx, p); err != nil {
			return fmt.Errorf("node %s: %w", p.node.Name, err)
		}
	}
	return nil
}

// Nobody but root and the server's user sees a process's files; only root changes its redis.conf.
const (
	processDirMode = 0o750
	confMode       = 0o640
	ownConfMode    = 0o600
)

func (a *apply) writeProcess(ctx context.Context, p *process) error {
	want := p.conf
	if p.snapshot {
		want = want.withoutLog()
	}
	text := want.text()
	what := confChange(p.oldText, p.old, want.file())
	if p.oldText == text && a.ownedRight(p) {
		return nil
	}
	return a.do(ctx, spec.Change{Node: p.node.Name, What: what}, func(context.Context) error {
		if err := os.MkdirAll(p.conf.home, 0o755); err != nil {
			return err
		}
		if err := errors.Join(os.Chmod(p.conf.home, processDirMode), p.chown(p.conf.home)); err != nil {
			return err
		}
		if p.adopted != nil {
			if err := p.adopted.note(p.conf.home); err != nil {
				return err
			}
		}
		if err := a.writeConf(p, text); err != nil {
			return err
		}
		p.oldText = text
		return nil
	})
}

func (p *process) chown(path string) error {
	if p.owner.user == "" {
		return nil
	}
	return os.Chown(path, p.owner.uid, p.owner.gid)
}

func (a *apply) writeConf(p *process, text string) error {
	f, err := renameio.NewPendingFile(p.def.Conf(), renameio.WithPermissions(a.confMode()), renameio.IgnoreUmask())
	if err != nil {
		return err
	}
	defer func() { _ = f.Cleanup() }()
	if p.owner.user != "" {
		if err := f.Chown(0, p.owner.gid); err != nil {
			return err
		}
	}
	if _, err := f.WriteString(text); err != nil {
		return err
	}
	return f.CloseAtomicallyReplace()
}

func (a *apply) confMode() fs.FileMode {
	if a.identity.user == "" {
		return ownConfMode
	}
	return confMode
}

// ownedRight says whether the file's mode and owner are as writeConf sets them.
func (a *apply) ownedRight(p *process) bool {
	st, err := os.Stat(p.def.Conf())
	if err != nil || st.Mode().Perm() != a.confMode() {
		return false
	}
	sys, ok := st.Sys().(*syscall.Stat_t)
	return ok && (a.identity.user == "" || sys.Uid == 0 && int(sys.Gid) == p.owner.gid)
}

// confChange says in words what changes in a redis.conf, without values, of
// which some are secret and the others are reported where they are set.
func confChange(oldText string, have, want redisconf.File) string {
	if oldText == "" {
		return "write redis.conf"
	}
	lines := func(f redisconf.File) map[string]string {
		m := map[string]string{}
		for _, d := range f {
			m[d.Name] += d.String() + "\n"
		}
		return m
	}
	before, after := lines(have), lines(want)
	var names []string
	for _, d := range slices.Concat(have, want) {
		if before[d.Name] != after[d.Name] && !slices.Contains(names, d.Name) {
			names = append(names, d.Name)
		}
	}
	if len(names) == 0 {
		return "restore redis.conf"
	}
	slices.Sort(names)
	return "rewrite redis.conf: " + strings.Join(names, ", ")
}
