//go:build linux

package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/host/service"
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
	// Unit is the systemd unit that ran it; empty if none did.
	Unit string `json:"unit,omitempty"`
	// User and Group own its data, and it runs as them on.
	User  string `json:"user,omitempty"`
	Group string `json:"group,omitempty"`
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
	if err := a.mayAdopt(ctx, other); err != nil {
		return err
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
	if !a.facts.Systemd {
		return nil
	}
	if p.adopted.Unit, err = service.UnitOf(ctx, other.process.PID); err != nil {
		return err
	}
	owner, err := ownerOf(other)
	p.adopted.User, p.adopted.Group = owner.user, owner.group
	return err
}

// mayAdopt refuses a server with settings that it would lose when it starts with
// our redis.conf: CONFIG GET does not show them, or they are files of its own.
func (a *apply) mayAdopt(ctx context.Context, other stranger) error {
	var lost []string
	if users, err := other.client.Do(ctx, "ACL", "USERS").StringSlice(); err == nil {
		for _, user := range users {
			if user != "default" {
				lost = append(lost, "ACL user "+user)
			}
		}
	}
	if other.config["tls-port"] != "0" && other.config["tls-port"] != "" {
		lost = append(lost, "TLS on port "+other.config["tls-port"])
	}
	if modules, err := other.client.Do(ctx, "MODULE", "LIST").Slice(); err == nil && a.req.Config["loadmodule"] == "" {
		for _, module := range modules {
			if text := fmt.Sprint(module); strings.Contains(text, ".so") { // Those that are part of the server have no file.
				lost = append(lost, "the module "+text+", which config does not load")
			}
		}
	}
	if len(lost) == 0 {
		return nil
	}
	return &spec.Failure{
		Cause:  fmt.Sprintf("process %s is to be taken over, and would lose at its next start: %s", other.process, strings.Join(lost, ", ")),
		Advice: "Take these away from it first, or go on managing this cluster by its data source only.",
	}
}

// ownerOf is whom the server runs as, to whom its data belong.
func ownerOf(other stranger) (identity, error) {
	id, err := identityOfFile(fmt.Sprintf("/proc/%d", other.process.PID))
	if err != nil || id.uid != 0 {
		return id, err
	}
	dir, err := identityOfFile(other.config["dir"])
	if err == nil && dir.uid != 0 {
		err = &spec.Failure{
			Cause: fmt.Sprintf("process %s runs as root, and its directory %s belongs to %s: a service that has no more rights than it needs could not read the data",
				other.process, other.config["dir"], dir.user),
			Advice: "Have its own service run it as that user (User= in its unit, and chown its files), or give the directory to root.",
		}
	}
	return id, err
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
