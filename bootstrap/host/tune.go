//go:build linux

package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// tuning is a kernel parameter that Redis asks for.
type tuning struct {
	// name is what people call it.
	name string
	// file is where the kernel shows it, below the root.
	file string
	// want is written to the file where it says something else than good accepts.
	want string
	good func(current string) bool
	// keep is the file that sets it again when the host starts, and line what stands in it.
	keep, line string
	// why says what it costs to do without.
	why string
}

const (
	sysctlFile   = "etc/sysctl.d/60-redis-bootstrap.conf"
	tmpfilesFile = "etc/tmpfiles.d/redis-bootstrap.conf"
	tuningHeader = "# Written by redis-bootstrap for Redis.\n"
)

// tunings are the parameters, for servers whose listen queue is backlog long.
func tunings(backlog int) []tuning {
	return []tuning{
		{
			name: "vm.overcommit_memory", file: "proc/sys/vm/overcommit_memory", want: "1",
			good: func(current string) bool { return current == "1" },
			keep: sysctlFile, line: "vm.overcommit_memory = 1",
			why: "saving data and replication may fail when memory is short",
		},
		{
			name: "net.core.somaxconn", file: "proc/sys/net/core/somaxconn", want: strconv.Itoa(backlog),
			good: func(current string) bool { n, err := strconv.Atoi(current); return err == nil && n >= backlog },
			keep: sysctlFile, line: fmt.Sprintf("net.core.somaxconn = %d", backlog),
			why: "clients that connect all at once may be turned away",
		},
		{
			name: "transparent huge pages", file: "sys/kernel/mm/transparent_hugepage/enabled", want: "madvise",
			good: func(current string) bool { return !strings.Contains(current, "[always]") },
			keep: tmpfilesFile, line: "w /sys/kernel/mm/transparent_hugepage/enabled - - - - madvise",
			why: "latency rises while data is saved",
		},
	}
}

// tunedFile says that the kernel was tuned for the clusters of this base directory.
const tunedFile = ".tuned"

// defaultBacklog is the server's tcp-backlog unless the user sets it.
const defaultBacklog = 511

func (a *apply) tune(ctx context.Context) error {
	if !a.req.TuneOS {
		return nil
	}
	backlog := defaultBacklog
	for name, value := range a.req.Config {
		if n, err := strconv.Atoi(value); err == nil && strings.EqualFold(name, "tcp-backlog") {
			backlog = n
		}
	}
	before := len(a.changes)
	if err := a.tuneRoot(ctx, "/", tunings(backlog)); err != nil || len(a.changes) == before || a.req.DryRun {
		return err
	}
	return os.WriteFile(filepath.Join(a.req.BaseDir, tunedFile), nil, ownConfMode)
}

// tuneRoot sets the parameters below root that differ.
func (a *apply) tuneRoot(ctx context.Context, root string, all []tuning) error {
	for _, t := range all {
		file := filepath.Join(root, t.file)
		b, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue // This kernel does not have it.
		}
		if err != nil {
			return err
		}
		current := strings.TrimSpace(string(b))
		if t.good(current) {
			continue
		}
		// A container shows the parameters of its host, which are not for it to change.
		if err := unix.Access(file, unix.W_OK); err != nil {
			a.warn("%s is %q and cannot be changed here (%v): %s", t.name, current, err, t.why)
			continue
		}
		err = a.do(ctx, spec.Change{What: fmt.Sprintf("set %s to %s (it is %s)", t.name, t.want, current)}, func(context.Context) error {
			return setTuning(root, t)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func setTuning(root string, t tuning) error {
	if err := os.WriteFile(filepath.Join(root, t.file), []byte(t.want), 0o644); err != nil {
		return err
	}
	keep := filepath.Join(root, t.keep)
	b, err := os.ReadFile(keep)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	text := string(b)
	if text == "" {
		text = tuningHeader
	}
	name, _, _ := strings.Cut(t.line, "=")
	lines := slices.DeleteFunc(strings.SplitAfter(text, "\n"), func(line string) bool { return line == "" || strings.HasPrefix(line, name) })
	if err := os.MkdirAll(filepath.Dir(keep), 0o755); err != nil {
		return err
	}
	return os.WriteFile(keep, []byte(strings.Join(append(lines, t.line+"\n"), "")), 0o644)
}

// untune deletes the files that setTuning wrote. The running kernel keeps its parameters until it restarts.
func untune(root string) ([]string, error) {
	var removed []string
	for _, name := range []string{sysctlFile, tmpfilesFile} {
		file := filepath.Join(root, name)
		b, err := os.ReadFile(file)
		if err != nil || !strings.HasPrefix(string(b), tuningHeader) {
			continue // There is none, or it is not ours.
		}
		if err := os.Remove(file); err != nil {
			return removed, err
		}
		removed = append(removed, file)
	}
	return removed, nil
}
