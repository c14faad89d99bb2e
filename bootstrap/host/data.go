//go:build linux

package host

import (
	"context"
	"encoding/binary"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/host/server"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/redisconf"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// stored is data of a process that its next server has to read.
type stored struct {
	node string
	// what is the file, or the server that will write one at its end.
	what   string
	format server.Format
}

// storedBy finds the data of the process of n: its files, and what its server
// writes, if it runs.
func storedBy(ctx context.Context, place spec.Place, n spec.Node) ([]stored, error) {
	_, conf, err := readConf(place, n.Port)
	if err != nil {
		return nil, err
	}
	found, err := storedIn(n.Name, dataDir(place, n.Port, conf), conf)
	if err != nil {
		return nil, err
	}
	password, _ := conf.Lookup("requirepass")
	client := dial(n, password)
	defer func() { _ = client.Close() }()
	if format, ok := writes(ctx, client); ok {
		found = append(found, stored{n.Name, "what the server that runs there writes", format})
	}
	return found, nil
}

// dataDir is where a process keeps its data.
func dataDir(place spec.Place, port int, conf redisconf.File) string {
	if dir, ok := conf.Lookup("dir"); ok {
		return dir
	}
	return place.ProcessDir(port)
}

// storedIn looks at the files in dir: the snapshot, and the base of the append-only file.
func storedIn(node, dir string, conf redisconf.File) ([]stored, error) {
	var found []stored
	files := []string{filepath.Join(dir, snapshotName(conf))}
	bases, err := filepath.Glob(filepath.Join(dir, lookupOr(conf, "appenddirname", "appendonlydir"), "*.base.rdb"))
	if err != nil {
		return nil, err
	}
	for _, file := range append(files, bases...) {
		format, err := server.FormatIn(file)
		if err != nil {
			return nil, err
		}
		if format != "" {
			found = append(found, stored{node, file, format})
		}
	}
	return found, nil
}

func snapshotName(conf redisconf.File) string { return lookupOr(conf, "dbfilename", "dump.rdb") }

func lookupOr(conf redisconf.File, name, otherwise string) string {
	if value, ok := conf.Lookup(name); ok {
		return value
	}
	return otherwise
}

// writes asks a running server in which format it writes its data: that of a
// dump of its functions, whose footer has the version, is the same. Servers
// before version 7, which have no functions, write what all later ones read.
func writes(ctx context.Context, client *redis.Client) (server.Format, bool) {
	const footer = 10 // the version and a checksum
	dump, err := client.FunctionDump(ctx).Result()
	if err != nil || len(dump) < footer {
		return "", false
	}
	version := binary.LittleEndian.Uint16([]byte(dump[len(dump)-footer:]))
	return server.FormatOf(int(version)), true
}

// checkDataBefore refuses to install a server that could not read the data that
// is there, as far as that is known of its version. Once it is installed, it is asked itself.
func (a *apply) checkDataBefore(ctx context.Context, version server.Version) error {
	var unread []stored
	for _, n := range a.req.Nodes {
		found, err := storedBy(ctx, a.req.Place, n)
		if err != nil {
			return fmt.Errorf("node %s: %w", n.Name, err)
		}
		for _, s := range found {
			if reads, known := s.format.ReadBy(a.req.Server.Flavor, version); known && !reads {
				unread = append(unread, s)
			}
		}
	}
	return a.unreadable(unread, version)
}

// checkData refuses a server that cannot read the data of the processes that it
// is to run in place of another one.
func (a *apply) checkData(ctx context.Context) error {
	if a.program.Binary == "" {
		return nil
	}
	var unread []stored
	reads := map[server.Format]bool{}
	for _, p := range a.processes {
		if other, err := a.runsOther(p); err != nil || !other {
			continue
		}
		found, err := storedBy(ctx, a.req.Place, p.node)
		if err != nil {
			return fmt.Errorf("node %s: %w", p.node.Name, err)
		}
		for _, s := range found {
			if _, asked := reads[s.format]; !asked {
				if reads[s.format], err = a.program.Reads(ctx, s.format); err != nil {
					return err
				}
			}
			if !reads[s.format] {
				unread = append(unread, s)
			}
		}
	}
	return a.unreadable(unread, a.program.Version)
}

// runsOther says whether the process is another program than is wanted, or none runs.
func (a *apply) runsOther(p *process) (bool, error) {
	if p.state.PID == 0 {
		return true, nil
	}
	return replaced(p.state.PID, a.program)
}

func (a *apply) unreadable(unread []stored, version server.Version) error {
	if len(unread) == 0 {
		return nil
	}
	var lines []string
	for _, s := range unread {
		lines = append(lines, fmt.Sprintf("node %s: %s is %s", s.node, s.what, s.format))
	}
	return &spec.Failure{
		Cause: fmt.Sprintf("%s %s cannot read the data that is there:\n%s", a.req.Server.Flavor, version, strings.Join(lines, "\n")),
		Advice: "Nothing was changed. Keep the server that wrote it, or a newer one that reads it. To go back to an older one all the same, " +
			"make a new cluster with it and copy the keys over with a tool that reads and writes them as a client does.",
	}
}
