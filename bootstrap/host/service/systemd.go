//go:build linux

package service

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/google/renameio/v2"
)

const (
	unitDir = "/etc/systemd/system"
	// runtimeDir is emptied by a reboot, so what is put there for a while cannot stay for ever.
	runtimeDir = "/run/systemd/system"
	// heldDropIn keeps a killed unit from being restarted.
	heldDropIn = "50-held-down.conf"
)

// Systemd is the Control for hosts where systemd runs and we are root.
type Systemd struct{}

var _ Control = Systemd{}

// properties are what Observe asks of each unit.
const properties = "Id,ActiveState,SubState,MainPID,UnitFileState,NRestarts,Result"

// Observe implements Control.
func (Systemd) Observe(ctx context.Context, defs []Definition) ([]State, error) {
	out, err := systemctl(ctx, append([]string{"show", "--property=" + properties}, units(defs)...)...)
	if err != nil {
		return nil, err
	}
	shown := parseShow(out)
	states := make([]State, len(defs))
	for i, def := range defs {
		s := shown[def.Unit].state()
		text, err := os.ReadFile(filepath.Join(unitDir, def.Unit))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		s.Binary = unitBinary(string(text))
		s.Defined = string(text) == unitText(def) && !exists(dropIn(def.Unit))
		if def.Data != "" && s.PID == 0 {
			// Somebody else's server may run still; our unit waits for its end, if it is there yet.
			if s.PID, err = foreignServer(def); err != nil {
				return nil, err
			}
		}
		states[i] = s
	}
	return states, nil
}

// unitProperties are the properties of one unit, as systemctl shows them.
type unitProperties map[string]string

// parseShow reads the output of systemctl show for several units: a paragraph each.
func parseShow(out string) map[string]unitProperties {
	all := map[string]unitProperties{}
	for paragraph := range strings.SplitSeq(strings.TrimSpace(out), "\n\n") {
		p := unitProperties{}
		for line := range strings.Lines(paragraph) {
			if k, v, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
				p[k] = v
			}
		}
		all[p["Id"]] = p
	}
	return all
}

func (p unitProperties) state() State {
	s := State{Enabled: p["UnitFileState"] == "enabled"}
	s.PID, _ = strconv.Atoi(p["MainPID"])
	s.Exits, _ = strconv.Atoi(p["NRestarts"])
	switch p["ActiveState"] {
	case "active", "activating", "reloading":
		s.Active = true
	case "failed":
		s.Exits++
	}
	if s.Exits > 0 {
		// While it is being started again, the result is that of the new attempt.
		if s.LastExit = p["Result"]; s.LastExit == "success" {
			s.LastExit = "and was started again"
		}
	}
	return s
}

// Define implements Control.
func (Systemd) Define(ctx context.Context, defs []Definition) error {
	for _, def := range defs {
		if err := renameio.WriteFile(filepath.Join(unitDir, def.Unit), []byte(unitText(def)), 0o644); err != nil {
			return err
		}
	}
	if err := release(defs); err != nil {
		return err
	}
	if _, err := systemctl(ctx, append([]string{"enable", "--quiet", "--no-reload"}, units(defs)...)...); err != nil {
		return err
	}
	return reloadIfNeeded(ctx, defs)
}

// reloadIfNeeded has systemd read its units anew if what it knows of these is
// out of date. A unit that it does not know yet it reads when it needs it, and a
// reload costs it as much as starting ten servers.
func reloadIfNeeded(ctx context.Context, defs []Definition) error {
	out, err := systemctl(ctx, append([]string{"show", "--property=LoadState,NeedDaemonReload"}, units(defs)...)...)
	if err != nil {
		return err
	}
	if strings.Count(out, "LoadState=loaded") == len(defs) && !strings.Contains(out, "NeedDaemonReload=yes") {
		return nil
	}
	_, err = systemctl(ctx, "daemon-reload")
	return err
}

// Start implements Control.
func (Systemd) Start(ctx context.Context, defs []Definition) error {
	if err := unhold(ctx, defs); err != nil {
		return err
	}
	// It clears the count of restarts, by which a server that dies at start is told.
	_, _ = systemctl(ctx, append([]string{"reset-failed"}, units(defs)...)...)
	_, err := systemctl(ctx, append([]string{"start", "--no-block"}, units(defs)...)...)
	return err
}

// Stop implements Control.
func (Systemd) Stop(ctx context.Context, defs []Definition) error {
	// A paused process could not end.
	_, _ = systemctl(ctx, append([]string{"kill", "--signal=SIGCONT"}, units(defs)...)...)
	if _, err := systemctl(ctx, append([]string{"stop"}, units(defs)...)...); err != nil {
		return err
	}
	return endForeign(ctx, defs, syscall.SIGTERM)
}

// Kill implements Control.
func (s Systemd) Kill(ctx context.Context, def Definition) error {
	file := dropIn(def.Unit)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(file, []byte("# A fault holds this process down.\n[Service]\nRestart=no\n"), 0o644); err != nil {
		return err
	}
	if _, err := systemctl(ctx, "daemon-reload"); err != nil {
		return err
	}
	if _, err := systemctl(ctx, "kill", "--signal=SIGKILL", def.Unit); err != nil {
		return err
	}
	// The unit has failed now, or is about to; this waits for it.
	if _, err := systemctl(ctx, "stop", def.Unit); err != nil {
		return err
	}
	return endForeign(ctx, []Definition{def}, syscall.SIGKILL)
}

// Words implements Control.
func (Systemd) Words(ctx context.Context, def Definition) string {
	out, err := exec.CommandContext(ctx, "journalctl", "--no-pager", "--output=cat", "--lines="+strconv.Itoa(tailLines), "--unit="+def.Unit).CombinedOutput()
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(out))
}

// Remove implements Control.
func (s Systemd) Remove(ctx context.Context, defs []Definition) ([]string, error) {
	var removed []string
	var there []Definition
	for _, def := range defs {
		if exists(filepath.Join(unitDir, def.Unit)) {
			there = append(there, def)
			removed = append(removed, def.Unit)
		}
	}
	if len(there) == 0 {
		return nil, nil
	}
	if err := stopOrKill(ctx, s, there); err != nil {
		return nil, err
	}
	if _, err := systemctl(ctx, append([]string{"disable", "--quiet"}, units(there)...)...); err != nil {
		return nil, err
	}
	for _, def := range there {
		if err := os.Remove(filepath.Join(unitDir, def.Unit)); err != nil {
			return nil, err
		}
	}
	if err := release(there); err != nil {
		return nil, err
	}
	_, _ = systemctl(ctx, append([]string{"reset-failed"}, units(there)...)...)
	_, err := systemctl(ctx, "daemon-reload")
	return removed, err
}

// unhold takes back what Kill did, and tells systemd if there was anything.
func unhold(ctx context.Context, defs []Definition) error {
	held := false
	for _, def := range defs {
		held = held || exists(dropIn(def.Unit))
	}
	if !held {
		return nil
	}
	if err := release(defs); err != nil {
		return err
	}
	_, err := systemctl(ctx, "daemon-reload")
	return err
}

func release(defs []Definition) error {
	for _, def := range defs {
		if err := os.RemoveAll(filepath.Dir(dropIn(def.Unit))); err != nil {
			return err
		}
	}
	return nil
}

func dropIn(unit string) string { return filepath.Join(runtimeDir, unit+".d", heldDropIn) }

func exists(file string) bool {
	_, err := os.Lstat(file)
	return err == nil
}

func units(defs []Definition) []string {
	var names []string
	for _, def := range defs {
		names = append(names, def.Unit)
	}
	return names
}

func systemctl(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "systemctl", args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return "", fmt.Errorf("systemctl %s: %w: %s", args[0], err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}
