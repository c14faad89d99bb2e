//go:build linux

package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// systemdOffline keeps systemctl, in packages' scripts and ours, from having
// systemd read all units anew each time, a quarter of a second of a processor.
// Nobody needs it where nothing but new packages came.
const systemdOffline = "SYSTEMD_OFFLINE=1"

// unitDir is where systemd's units are enabled.
const unitDir = "/etc/systemd/system"

// killDelay is how long a command may take to end once it was asked to.
const killDelay = 20 * time.Second

// Package installs the server from the packages of Debian and Ubuntu.
func Package(ctx context.Context, log hclog.Logger, want spec.Server) (*Installation, error) {
	if _, err := exec.LookPath("apt-get"); err != nil {
		return nil, &spec.Failure{
			Cause:  "this host has no apt-get: packages are installed on Debian and Ubuntu only",
			Advice: fmt.Sprintf("Install the server by other means and set server.install to %q, or set it to %q.", spec.InstallPreinstalled, spec.InstallSource),
		}
	}
	a := &apt{log: log, want: want, name: BinaryName(want.Flavor), policy: policyFile, units: unitDir}
	in := &Installation{
		// The package's own path: another program earlier in PATH is not what was asked for.
		Program: func(ctx context.Context) (Program, error) { return Examine(ctx, "/usr/bin/"+a.name) },
	}
	installed, err := a.installed(ctx)
	if err != nil {
		return nil, err
	}
	held, fresh, err := a.held()
	if err != nil {
		return nil, err
	}
	a.fresh = installed == "" || fresh
	if installed != "" && packageVersion(installed).Matches(want.Version) {
		if held {
			in.What, in.Do, in.After = "finish the installation of "+a.name, a.stopOwn, a.finish
		}
		return in, nil
	}
	if os.Geteuid() != 0 {
		return nil, &spec.Failure{
			Cause:  fmt.Sprintf("installing the package %s needs root", a.name),
			Advice: fmt.Sprintf("Log in as a user who may sudo without a password, or install it beforehand and set server.install to %q.", spec.InstallPreinstalled),
		}
	}
	known, err := a.versions(ctx)
	if err != nil {
		return nil, err
	}
	in.What, in.Do, in.After = "install "+a.name, a.install, a.finish
	if v, ok := choose(known, want.Version); ok {
		in.What += " " + v
		in.Version = packageVersion(v)
	} else if want.Version != "" {
		in.What += " " + want.Version
	}
	return in, nil
}

// apt installs one package.
type apt struct {
	log  hclog.Logger
	want spec.Server
	// name is the package's, and the program's in it.
	name string
	// policy is the file that says whether a package may start its service.
	policy string
	// units is where systemd's units are enabled.
	units string
	// fresh says that the package is new to this host, and so its own instance.
	fresh bool
}

// packageVersion is the version of the program in a package: 5:7.0.15-1~deb12u1 holds 7.0.15.
func packageVersion(s string) Version {
	if _, after, ok := strings.Cut(s, ":"); ok {
		s = after
	}
	v, _ := parseVersion(s)
	return v
}

// choose returns the first of the package's versions that fits; apt lists the best first.
func choose(known []string, want string) (string, bool) {
	for _, v := range known {
		if v == want || packageVersion(v).Matches(want) {
			return v, true
		}
	}
	return "", false
}

// installed is the version of the installed package; empty if it is not, or not wholly.
func (a *apt) installed(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "dpkg-query", "--show", "--showformat=${db:Status-Status} ${Version}", a.name).Output()
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		return "", nil // dpkg has never heard of it.
	}
	if err != nil {
		return "", fmt.Errorf("dpkg-query: %w", err)
	}
	status, v, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
	if status != "installed" {
		return "", nil
	}
	return v, nil
}

// versions lists the package's versions that apt knows, best first.
func (a *apt) versions(ctx context.Context) ([]string, error) {
	out, err := exec.CommandContext(ctx, "apt-cache", "madison", a.name).Output()
	if err != nil {
		return nil, fmt.Errorf("apt-cache madison: %w", err)
	}
	return parseMadison(string(out), a.name), nil
}

// parseMadison reads lines of "package | version | source".
func parseMadison(out, name string) []string {
	var versions []string
	for line := range strings.Lines(out) {
		columns := strings.Split(line, "|")
		const least = 3
		if len(columns) >= least && strings.TrimSpace(columns[0]) == name {
			versions = append(versions, strings.TrimSpace(columns[1]))
		}
	}
	return versions
}

// install installs the package. Its own instance is kept from starting now;
// finish keeps it from starting with the host.
func (a *apt) install(ctx context.Context) error {
	if err := a.hold(); err != nil {
		return err
	}
	err := a.installChosen(ctx)
	if err != nil {
		// Its service was not started, and shall not be by a policy that we leave behind.
		return errors.Join(err, a.releaseHold())
	}
	return nil
}

// installChosen tries with the lists that are there, and once more with fresh ones.
func (a *apt) installChosen(ctx context.Context) error {
	known, err := a.versions(ctx)
	if err != nil {
		return err
	}
	if v, ok := choose(known, a.want.Version); ok {
		err := a.get(ctx, "install", a.name+"="+v)
		if err == nil || ctx.Err() != nil {
			return err
		}
		a.log.Info("the package could not be installed with the lists that are there; they are renewed")
	}
	a.log.Info("update the package lists")
	// One source of several may be gone; what matters is whether the package can be had.
	updateErr := a.get(ctx, "update", "--error-on=any")
	if known, err = a.versions(ctx); err != nil {
		return err
	}
	v, ok := choose(known, a.want.Version)
	if !ok {
		return a.noVersion(known, updateErr)
	}
	return a.get(ctx, "install", a.name+"="+v)
}

// noVersion says what there is in place of what was wanted.
func (a *apt) noVersion(known []string, updateErr error) error {
	f := &spec.Failure{
		Cause:  fmt.Sprintf("the package %s has no version %s here; it has %s", a.name, a.want.Version, strings.Join(known, ", ")),
		Advice: fmt.Sprintf("Set server.version to one of these or to its beginning, or server.install to %q.", spec.InstallSource),
	}
	if len(known) == 0 {
		f.Cause = fmt.Sprintf("this host's package sources have no package %s", a.name)
		f.Advice = fmt.Sprintf("Check /etc/apt/sources.list.d and the host's way to its mirror, or set server.install to %q. Valkey is packaged since Debian 13.", spec.InstallSource)
	}
	if updateErr != nil {
		f.Cause += "\n" + updateErr.Error()
	}
	return f
}

// get runs apt-get, when nobody else does.
func (a *apt) get(ctx context.Context, command string, args ...string) error {
	if err := awaitAptLocks(ctx, a.log, aptLocks()); err != nil {
		return err
	}
	all := append([]string{"apt-get", command, "--yes", "--quiet", "--no-install-recommends",
		"--option", "DPkg::Lock::Timeout=60", "--option", "Acquire::Retries=2", "--option", "Acquire::http::Timeout=15",
		"--option", "Dpkg::Options::=--force-confold", "--option", "Dpkg::Use-Pty=0"}, args...)
	env := []string{"DEBIAN_FRONTEND=noninteractive", "LC_ALL=C", "NEEDRESTART_SUSPEND=1", systemdOffline}
	out, err := run(ctx, a.log, "/", env, all...)
	if err == nil {
		return reloadAfter(ctx, a.log, command, out)
	}
	if !strings.Contains(out, "dpkg --configure -a") {
		return err
	}
	a.log.Info("an earlier installation was cut off; it is finished first")
	if _, err := run(ctx, a.log, "/", env, "dpkg", "--force-confold", "--configure", "-a"); err != nil {
		return err
	}
	if out, err = run(ctx, a.log, "/", env, all...); err != nil {
		return err
	}
	return reloadAfter(ctx, a.log, command, out)
}

// reloadAfter tells systemd of units that changed, if apt-get replaced packages.
func reloadAfter(ctx context.Context, log hclog.Logger, command, out string) error {
	if !systemdRuns() || command != "install" || strings.Contains(out, "\n0 upgraded, ") {
		return nil
	}
	_, err := run(ctx, log, "/", nil, "systemctl", "daemon-reload")
	return err
}

// finish keeps the instance of a package that is new here from starting with the
// host, and puts the policy back. One that was there before is somebody's own.
func (a *apt) finish(context.Context) error {
	if a.fresh && systemdRuns() {
		if err := disable(a.units, a.name+".service"); err != nil {
			return err
		}
	}
	return a.releaseHold()
}

// stopOwn stops the package's own instance, which has started with the host if
// that went down before the installation was finished.
func (a *apt) stopOwn(ctx context.Context) error {
	if !a.fresh || !systemdRuns() {
		return nil
	}
	_, err := run(ctx, a.log, "/", nil, "systemctl", "stop", a.name+".service")
	const notLoaded = 5
	if exit := new(exec.ExitError); errors.As(err, &exit) && exit.ExitCode() == notLoaded {
		return nil
	}
	return err
}

// disable takes away the links in dir, systemd's directory of units, by which
// unit starts with the host. It is what "systemctl disable" does, but for the old
// scripts beside units, which systemd does not heed and which take ten times as long.
func disable(dir, unit string) error {
	links, err := filepath.Glob(filepath.Join(dir, "*.wants", unit))
	if err != nil {
		return err
	}
	aliases, err := filepath.Glob(filepath.Join(dir, "*.service"))
	if err != nil {
		return err
	}
	for _, alias := range aliases {
		if to, err := os.Readlink(alias); err == nil && filepath.Base(to) == unit {
			links = append(links, alias)
		}
	}
	for _, link := range links {
		if err := os.Remove(link); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// systemdRuns is what sd_booted(3) says.
func systemdRuns() bool {
	info, err := os.Stat("/run/systemd/system")
	return err == nil && info.IsDir()
}
