//go:build linux

// Package server finds redis-server and valkey-server programs on a host, and
// gets them there: as packages of the distribution, or built from source.
package server

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// Program is a server program on this host.
type Program struct {
	// Binary is its path; empty if there is none.
	Binary  string
	Version Version
	// Flavor is what it says that it is.
	Flavor spec.Flavor
	// Systemd says that it can tell systemd when it is ready.
	Systemd bool
}

// BinaryName is the name of a flavor's program.
func BinaryName(f spec.Flavor) string {
	if f == spec.FlavorValkey {
		return "valkey-server"
	}
	return "redis-server"
}

// Examine asks the program itself for its version.
func Examine(ctx context.Context, binary string) (Program, error) {
	out, err := exec.CommandContext(ctx, binary, "--version").CombinedOutput()
	if err != nil {
		return Program{}, fmt.Errorf("%s --version: %w: %s", binary, err, strings.TrimSpace(string(out)))
	}
	before, after, _ := strings.Cut(string(out), "v=")
	v, ok := parseVersion(after)
	if !ok {
		return Program{}, fmt.Errorf("%s --version: no version in %q", binary, strings.TrimSpace(string(out)))
	}
	flavor := spec.FlavorRedis
	if strings.HasPrefix(strings.ToLower(before), string(spec.FlavorValkey)) {
		flavor = spec.FlavorValkey
	}
	return Program{Binary: binary, Version: v, Flavor: flavor, Systemd: linksSystemd(binary)}, nil
}

// linksSystemd says whether the program was built to talk to systemd. One that
// was not never reports that it is ready. The names of its libraries stand in a
// program as they are; the package that reads programs would be a hundredth of ours.
func linksSystemd(binary string) bool {
	b, err := os.ReadFile(binary)
	return err == nil && bytes.Contains(b, []byte("\x00libsystemd.so."))
}

// find looks for an installed program; empty if there is none. The directories
// are those of packages and of make install, which need not be in the PATH of a
// login over SSH.
func find(flavor spec.Flavor) string {
	name := BinaryName(flavor)
	if file, err := exec.LookPath(name); err == nil {
		if file, err = filepath.Abs(file); err == nil {
			return file
		}
	}
	for _, dir := range []string{"/usr/local/bin", "/usr/bin", "/usr/sbin", "/usr/local/sbin"} {
		if st, err := os.Stat(filepath.Join(dir, name)); err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0 {
			return filepath.Join(dir, name)
		}
	}
	return ""
}

// Installed examines the program that is there; a zero Program if there is none.
func Installed(ctx context.Context, flavor spec.Flavor) (Program, error) {
	binary := find(flavor)
	if binary == "" {
		return Program{}, nil
	}
	return Examine(ctx, binary)
}

// at examines the program that the user names.
func at(ctx context.Context, want spec.Server) (Program, error) {
	if _, err := os.Stat(want.Path); err != nil {
		return Program{}, &spec.Failure{Cause: fmt.Sprintf("server.path: %v", err), Advice: "Put the program there on this host, or correct server.path."}
	}
	p, err := Examine(ctx, want.Path)
	if err == nil && p.Flavor != want.Flavor {
		err = &spec.Failure{
			Cause:  fmt.Sprintf("%s is %s, and %s is wanted", want.Path, p.Flavor, want.Flavor),
			Advice: fmt.Sprintf("Set server.flavor to %q, or correct server.path.", p.Flavor),
		}
	}
	return p, err
}

// Preinstalled takes the program that is there, which must be the wanted flavor and version.
func Preinstalled(ctx context.Context, want spec.Server) (Program, error) {
	p, err := Installed(ctx, want.Flavor)
	if want.Path != "" {
		p, err = at(ctx, want)
	}
	if err != nil {
		return Program{}, err
	}
	if p.Binary == "" {
		return Program{}, &spec.Failure{
			Cause:  fmt.Sprintf("this host has no %s", BinaryName(want.Flavor)),
			Advice: fmt.Sprintf("Install it, or set server.install to %q or %q.", spec.InstallPackage, spec.InstallSource),
		}
	}
	if !p.Version.Matches(want.Version) {
		return Program{}, &spec.Failure{
			Cause:  fmt.Sprintf("this host has %s %s, and %s is wanted", filepath.Base(p.Binary), p.Version, want.Version),
			Advice: fmt.Sprintf("Install the wanted version, or set server.version to %q.", p.Version),
		}
	}
	return p, nil
}
