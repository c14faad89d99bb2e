//go:build linux

package host

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/redisconf"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// adoption is where a process keeps its data that somebody else started: they
// stay where they are. It is noted beside our redis.conf.
type adoption struct {
	Dir string `json:"dir"`
	// Nodes is its cluster-config-file.
	Nodes string `json:"nodes"`
	// Names are what its data files are called, by directive: its processes may share a directory.
	Names map[string]string `json:"names"`
	// PID is the process as it was found; 0 once it is ours.
	PID int `json:"-"`
}

// dataNames are the directives that name data files.
func dataNames() []string { return []string{"dbfilename", "appendfilename", "appenddirname"} }

// adoptionFile holds the adoption of a process.
const adoptionFile = "adopted.json"

// adoptionOf reads what was noted of a process; nil if it was always ours.
func adoptionOf(place spec.Place, port int) (*adoption, error) {
	b, err := os.ReadFile(filepath.Join(place.ProcessDir(port), adoptionFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // Most have none.
	}
	if err != nil {
		return nil, err
	}
	a := new(adoption)
	return a, json.Unmarshal(b, a)
}

// note writes down where the process keeps its data.
func (a adoption) note(home string) error {
	b, err := json.Marshal(a)
	if err != nil {
		return err
	}
	return renameio.WriteFile(filepath.Join(home, adoptionFile), append(b, '\n'), ownConfMode)
}

// adopt recognises the running member that p is to be, by its node id, and
// takes over where its data are and what it is logged in with.
func (a *apply) adopt(ctx context.Context, p *process) error {
	var err error
	if p.adopted, err = adoptionOf(a.req.Place, p.node.Port); err != nil || p.adopted != nil || p.oldText != "" {
		return err
	}
	id := a.req.Adopt[p.node.Addr()]
	if id == "" {
		return nil
	}
	other, err := strangerOn(ctx, p.node.Port)
	if err != nil {
		return err
	}
	defer func() { _ = other.client.Close() }()
	if other.id != id {
		return nil // Whoever it is, it is in the way.
	}
	if a.facts.Systemd {
		return &spec.Failure{
			Cause:  "process " + other.process.String() + " is to be taken over, and a host with systemd does not give up its services",
			Advice: "Make a new cluster with this provider beside it and move the data over, or go on managing this one by its data source only.",
		}
	}
	p.adopted = &adoption{Dir: other.config["dir"], Nodes: other.config["cluster-config-file"], PID: other.process.PID, Names: map[string]string{}}
	for _, name := range dataNames() {
		if value, known := other.config[name]; known {
			p.adopted.Names[name] = value
		}
	}
	if password := other.config["requirepass"]; password != "" {
		p.old = redisconf.File{one("requirepass", password), one("masterauth", other.config["masterauth"])}
	}
	return nil
}

// removeData deletes the data of a process that was adopted. The directory may
// be shared, so that only what is its own goes.
func (a adoption) removeData() (removed []string, err error) {
	names := []string{a.Nodes, a.Names["dbfilename"], a.Names["appendfilename"]}
	if base := a.Names["appendfilename"]; base != "" {
		parts, err := filepath.Glob(filepath.Join(a.Dir, a.Names["appenddirname"], base+".*"))
		if err != nil {
			return nil, err
		}
		for _, part := range parts {
			names = append(names, filepath.Join(a.Names["appenddirname"], filepath.Base(part)))
		}
	}
	for _, name := range names {
		file := filepath.Join(a.Dir, name)
		if st, err := os.Lstat(file); name == "" || err != nil || !st.Mode().IsRegular() {
			continue
		}
		if err := os.Remove(file); err != nil {
			return removed, err
		}
		removed = append(removed, file)
	}
	if dir := a.Names["appenddirname"]; dir != "" {
		_ = os.Remove(filepath.Join(a.Dir, dir)) // It stays while it holds something of others.
	}
	return removed, nil
}
