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

	"github.com/hashicorp/go-hclog"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/host/server"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/host/service"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// Remove stops the processes of req and deletes all that Apply made for them.
// What is not there any more is no error. Packages and users stay.
func Remove(ctx context.Context, log hclog.Logger, req spec.HostRemove) (spec.HostRemoveResult, error) {
	r := &removal{req: req, log: log}
	defer func() {
		if r.turn != nil {
			r.turn.end()
		}
	}()
	for _, p := range []phase{
		{"check the request", r.check},
		{"stop processes", r.stop},
		{"delete files", r.deleteFiles},
	} {
		log.Debug(p.title, spec.LogPhase, p.title)
		if err := p.run(ctx); err != nil {
			return spec.HostRemoveResult{Removed: r.removed}, failure(req.HostName, p.title, err)
		}
	}
	return spec.HostRemoveResult{Removed: r.removed}, nil
}

type removal struct {
	req     spec.HostRemove
	log     hclog.Logger
	turn    *turn
	ports   []int
	removed []string
}

// check finds the processes to remove, and refuses directories that Apply did not make.
func (r *removal) check(ctx context.Context) error {
	if err := checkPlace(r.req.Place); err != nil {
		return err
	}
	if _, err := os.Stat(r.req.BaseDir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var err error
	if r.turn, err = takeTurn(ctx, r.log, r.req.Place); err != nil {
		return err
	}
	for _, n := range r.req.Nodes {
		r.ports = append(r.ports, n.Port)
	}
	if r.req.All {
		there, err := portsIn(r.req.ClusterDir())
		if err != nil {
			return err
		}
		r.ports = append(r.ports, there...)
	}
	slices.Sort(r.ports)
	r.ports = slices.Compact(r.ports)
	for _, port := range r.ports {
		if err := checkOurs(r.req.ProcessDir(port)); err != nil {
			return err
		}
	}
	return nil
}

// portsIn lists the process directories of a cluster directory.
func portsIn(dir string) ([]int, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var ports []int
	for _, e := range entries {
		if port, err := strconv.Atoi(e.Name()); err == nil && e.IsDir() && strconv.Itoa(port) == e.Name() {
			ports = append(ports, port)
		}
	}
	return ports, nil
}

// checkOurs refuses a process directory that does not carry our redis.conf, and
// is not empty, as one is that was made a moment before its redis.conf.
func checkOurs(dir string) error {
	st, err := os.Lstat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if st.IsDir() {
		entries, err := os.ReadDir(dir)
		if err != nil || len(entries) == 0 {
			return err
		}
		if b, err := os.ReadFile(filepath.Join(dir, "redis.conf")); err == nil && strings.HasPrefix(string(b), confHeader) {
			return nil
		}
		// A removal that was cut off may have taken redis.conf away already.
		if _, err := os.Lstat(filepath.Join(dir, removingFile)); err == nil {
			return nil
		}
	}
	return &spec.Failure{
		Cause:  fmt.Sprintf("%s was not made by redis-bootstrap: it has no redis.conf with our first line", dir),
		Advice: "Look at what is in there, and delete it by hand if it can go.",
	}
}

// removingFile marks a process directory whose deletion has begun.
const removingFile = ".removing"

func (r *removal) stop(ctx context.Context) error {
	f, err := gatherFacts()
	if err != nil {
		return err
	}
	var defs []service.Definition
	var displaced []string
	for _, port := range r.ports {
		def, err := definitionAt(r.req.Place, port)
		if err != nil {
			return err
		}
		defs = append(defs, def)
		if adopted, err := adoptionOf(r.req.Place, port); err == nil && adopted != nil && adopted.Unit != "" {
			displaced = append(displaced, adopted.Unit)
		}
	}
	control := controlOf(f)
	removed, err := control.Remove(ctx, defs)
	r.removed = append(r.removed, removed...)
	if err != nil || len(displaced) == 0 || !f.Systemd {
		return err
	}
	return service.Release(ctx, displaced)
}

func (r *removal) deleteFiles(context.Context) error {
	for _, port := range r.ports {
		if err := r.deleteData(port); err != nil {
			return err
		}
		if err := r.deleteProcess(r.req.ProcessDir(port)); err != nil {
			return err
		}
	}
	if !r.req.All || r.turn == nil {
		return nil
	}
	if err := r.deleteIfEmpty(r.req.ClusterDir()); err != nil {
		return err
	}
	return r.deleteBase()
}

// deleteData deletes what a process that was adopted has elsewhere.
func (r *removal) deleteData(port int) error {
	adopted, err := adoptionOf(r.req.Place, port)
	if err != nil || adopted == nil {
		return err
	}
	removed, err := adopted.removeData()
	r.removed = append(r.removed, removed...)
	return err
}

func (r *removal) deleteProcess(dir string) error {
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := os.WriteFile(filepath.Join(dir, removingFile), nil, ownConfMode); err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	r.log.Info("delete " + dir)
	r.removed = append(r.removed, dir)
	return nil
}

// deleteIfEmpty deletes a directory of which nothing is left; what somebody
// else put there is no business of ours, and is named.
func (r *removal) deleteIfEmpty(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if len(entries) > 0 {
		return &spec.Failure{
			Cause:  fmt.Sprintf("%s holds %s, which redis-bootstrap did not make", dir, entries[0].Name()),
			Advice: "Move it elsewhere or delete it, and try again.",
		}
	}
	if err := os.Remove(dir); err != nil {
		return err
	}
	r.removed = append(r.removed, dir)
	return nil
}

// deleteBase deletes the base directory with what we keep in it, if it holds no cluster and nothing else.
func (r *removal) deleteBase() error {
	entries, err := os.ReadDir(r.req.BaseDir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !slices.Contains([]string{binDir, serversDir, turnFile, tunedFile}, e.Name()) {
			return nil
		}
	}
	// The kernel parameters are shared by the clusters of a host, and go with the last.
	if _, err := os.Stat(filepath.Join(r.req.BaseDir, tunedFile)); err == nil {
		removed, err := untune("/")
		r.removed = append(r.removed, removed...)
		if err != nil {
			return err
		}
	}
	if err := server.RemoveBuilt(filepath.Join(r.req.BaseDir, serversDir)); err != nil {
		return err
	}
	pushed, err := filepath.Glob(filepath.Join(r.req.BaseDir, binDir, "redis-bootstrap*"))
	if err != nil {
		return err
	}
	for _, file := range append(pushed, filepath.Join(r.req.BaseDir, tunedFile), filepath.Join(r.req.BaseDir, turnFile)) {
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	// A directory that others use too stays, which is no error.
	_ = os.Remove(filepath.Join(r.req.BaseDir, binDir))
	if os.Remove(r.req.BaseDir) == nil {
		r.removed = append(r.removed, r.req.BaseDir)
	}
	return nil
}
