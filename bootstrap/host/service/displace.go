//go:build linux

package service

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/host/proc"
)

// A server that somebody else started goes on running in the unit that started
// it until it has to be restarted. That unit is displaced: it does not start with
// the host any more, nor starts the server again when that ends. Ours waits for
// the end, and starts then.

// keptDown keeps a displaced unit from restarting its server. It is gone after a
// reboot, with the server.
const keptDown = "50-taken-over.conf"

// Displaced is a unit of somebody else whose server was taken over.
type Displaced struct {
	// Unit is its name.
	Unit string
	// Enabled says that it starts with the host.
	Enabled bool
	// Restarts says that it may start its server again.
	Restarts bool
}

// UnitOf is the unit whose main process is pid; empty if there is none, as for
// one that was started by hand.
func UnitOf(ctx context.Context, pid int) (string, error) {
	unit, err := groupOf(pid)
	if err != nil || !strings.HasSuffix(unit, ".service") {
		return "", err
	}
	out, err := systemctl(ctx, "show", "--property=Id,MainPID", unit)
	if err != nil {
		return "", err
	}
	if parseShow(out)[unit]["MainPID"] != strconv.Itoa(pid) {
		return "", nil // It started the server and does not look after it, or is a user's own.
	}
	return unit, nil
}

// groupOf is the last part of a process's control group, which systemd calls by its unit.
func groupOf(pid int) (string, error) {
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cgroup"))
	if err != nil {
		return "", err
	}
	return unitIn(string(b)), nil
}

// unitIn reads the unit out of a process's control groups: of systemd's own
// hierarchy, or of the only one that newer kernels have. Where both are there,
// one of them is not used.
func unitIn(groups string) string {
	for line := range strings.Lines(groups) {
		const fields = 3 // number:controllers:path
		f := strings.SplitN(strings.TrimSpace(line), ":", fields)
		if len(f) == fields && (f[1] == "name=systemd" || f[0] == "0") && f[2] != "/" {
			return filepath.Base(f[2])
		}
	}
	return ""
}

// ObserveDisplaced says how somebody else's units stand that were, or are to be, displaced.
func ObserveDisplaced(ctx context.Context, units []string) ([]Displaced, error) {
	out, err := systemctl(ctx, append([]string{"show", "--property=Id,ActiveState,UnitFileState"}, units...)...)
	if err != nil {
		return nil, err
	}
	shown := parseShow(out)
	found := make([]Displaced, len(units))
	for i, unit := range units {
		p := shown[unit]
		found[i] = Displaced{
			Unit:     unit,
			Enabled:  strings.HasPrefix(p["UnitFileState"], "enabled"),
			Restarts: p["ActiveState"] != "" && p["ActiveState"] != "inactive" && !exists(displacedDropIn(unit)),
		}
	}
	return found, nil
}

// Displace keeps units from starting their servers: again, and with the host.
// The servers run on.
func Displace(ctx context.Context, units []Displaced) error {
	for _, d := range units {
		if !d.Restarts {
			continue
		}
		file := displacedDropIn(d.Unit)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, []byte("# Its server was taken over by redis-bootstrap.\n[Service]\nRestart=no\n"), 0o644); err != nil {
			return err
		}
	}
	for _, d := range units {
		if d.Enabled {
			if _, err := systemctl(ctx, "disable", "--quiet", "--no-reload", d.Unit); err != nil {
				return err
			}
		}
	}
	_, err := systemctl(ctx, "daemon-reload")
	return err
}

// Release lets units that were displaced be started again by whoever wants to.
func Release(ctx context.Context, units []string) error {
	for _, unit := range units {
		if err := os.Remove(displacedDropIn(unit)); err != nil {
			continue // It went with a reboot.
		}
		_ = os.Remove(filepath.Dir(displacedDropIn(unit)))
	}
	_, err := systemctl(ctx, "daemon-reload")
	return err
}

func displacedDropIn(unit string) string { return filepath.Join(runtimeDir, unit+".d", keptDown) }

// Await returns when no server of def runs any more.
func Await(ctx context.Context, def Definition) error {
	for {
		pid, err := foreignServer(def)
		if err != nil || pid == 0 {
			return err
		}
		ended := make(chan error, 1)
		go func() { ended <- awaitExit(pid) }()
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case err := <-ended:
			if err != nil {
				return err
			}
		}
	}
}

// foreignServer finds the server of def that somebody else started; 0 if there is none.
func foreignServer(def Definition) (int, error) {
	servers, err := serversOf(def)
	if err != nil || len(servers) == 0 {
		return 0, err
	}
	return servers[0].PID, nil
}

// endForeign ends the servers of defs that somebody else started.
func endForeign(ctx context.Context, defs []Definition, sig syscall.Signal) error {
	for _, def := range defs {
		if def.Data == "" {
			continue
		}
		pid, err := foreignServer(def)
		if err != nil {
			return err
		}
		if pid == 0 {
			continue
		}
		if err := proc.End(ctx, pid, sig, ServerOf(def)); err != nil {
			return err
		}
	}
	return nil
}
