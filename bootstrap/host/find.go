//go:build linux

package host

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/host/proc"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/host/server"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/redisconf"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// Find says how the servers are configured that somebody else started here.
func Find(ctx context.Context, req spec.HostFind) (spec.HostFound, error) {
	var found spec.HostFound
	for _, port := range req.Ports {
		f, err := find(ctx, port)
		if err != nil {
			return found, failure(req.HostName, fmt.Sprintf("look at the server on port %d", port), err)
		}
		found.Processes = append(found.Processes, f)
	}
	return found, nil
}

func find(ctx context.Context, port int) (spec.Found, error) {
	other, err := strangerOn(ctx, port)
	if err != nil {
		return spec.Found{}, err
	}
	defer func() { _ = other.client.Close() }()
	binary := serverName(other.process.Exe)
	program, err := server.Examine(ctx, binary)
	if err != nil {
		return spec.Found{}, err
	}
	f := spec.Found{Port: port, ID: other.id, Password: other.config["requirepass"] != "",
		Server: spec.Server{Flavor: program.Flavor, Install: spec.InstallPreinstalled}}
	f.Open = !f.Password && other.config["protected-mode"] == "no"
	if usual, err := server.Installed(ctx, program.Flavor); err != nil || !samePath(usual.Binary, other.process.Exe) {
		f.Server.Path = binary
	}
	// What a process of ours would have if nothing were configured.
	base, err := baseline(ctx, binary, conf{}.users())
	if err != nil {
		return f, err
	}
	f.Config = map[string]string{}
	for name, value := range other.config {
		if s, known := base[name]; !known || s.value == value || slices.Contains(dataNames(), name) {
			continue
		}
		if own := map[string]string{name: value}; len(spec.CheckConfig(own)) == 0 {
			f.Config[name] = value
		}
	}
	return f, nil
}

// serverName is the name by which exe is a server: the kernel may name another
// program that is the same file.
func serverName(exe string) string {
	for _, flavor := range []spec.Flavor{spec.FlavorRedis, spec.FlavorValkey} {
		if file := filepath.Join(filepath.Dir(exe), server.BinaryName(flavor)); samePath(file, exe) {
			return file
		}
	}
	return exe
}

func samePath(a, b string) bool {
	real, err := filepath.EvalSymlinks(a)
	return err == nil && real == b
}

// stranger is a server that somebody else started.
type stranger struct {
	process proc.Process
	client  *redis.Client
	id      string
	config  map[string]string
}

// strangerOn logs in to the server on port. Its password is in its own redis.conf.
func strangerOn(ctx context.Context, port int) (stranger, error) {
	listeners, err := proc.Listeners(map[int]bool{port: true})
	if err != nil {
		return stranger{}, err
	}
	for _, l := range listeners {
		if l.Process == nil || !l.Process.Server() {
			continue
		}
		_, f := redisconf.Find(port)
		password, _ := f.Lookup("requirepass")
		node := spec.Node{Name: fmt.Sprintf("port %d", port), Address: l.IP.String(), Port: port}
		if l.IP.IsUnspecified() {
			node.Address = "127.0.0.1"
		}
		return introduce(ctx, *l.Process, node, password)
	}
	return stranger{}, &spec.Failure{
		Cause:  fmt.Sprintf("no server listens on port %d, or we may not see which one", port),
		Advice: "Log in as root, or as the user who runs the server, and name a port that it listens on.",
	}
}

func introduce(ctx context.Context, p proc.Process, node spec.Node, password string) (stranger, error) {
	s := stranger{process: p}
	var err error
	if s.client, err = login(ctx, node, password); err != nil {
		return s, &spec.Failure{Step: "log in to " + node.Name, Cause: err.Error(),
			Advice: "The password is read from the server's own redis.conf, in its working directory or in /etc/redis, which has to name the port: put the file there."}
	}
	if s.config, err = configOf(ctx, s.client); err == nil {
		s.id, err = s.client.Do(ctx, "CLUSTER", "MYID").Text()
	}
	if err != nil {
		_ = s.client.Close()
	}
	return s, err
}

// usualBus is the port of the cluster bus as the server itself would have it.
func usualBus(config map[string]string, port int) string {
	if bus := config["cluster-port"]; bus != "0" && bus != "" {
		return strings.TrimSpace(bus)
	}
	return fmt.Sprint(port + spec.BusPortOffset)
}
