//go:build linux

package lab

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
)

// tools are the programs that a lab needs, and the Debian packages that have them.
var tools = map[string]string{
	"apt-ftparchive": "apt-utils",
	"debootstrap":    "debootstrap",
	"ip":             "iproute2",
	"nft":            "nftables",
	"nsenter":        "util-linux",
	"systemd-nspawn": "systemd-container",
}

// Missing says why this machine cannot run a lab, all reasons at once; nil means that it can.
func Missing() error {
	var reasons []error
	if os.Geteuid() != 0 {
		reasons = append(reasons, errors.New("a lab needs root (namespaces, mounts, systemd-nspawn)"))
	}
	var packages []string
	for tool, pkg := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			packages = append(packages, pkg)
		}
	}
	if len(packages) > 0 {
		slices.Sort(packages)
		reasons = append(reasons, fmt.Errorf("not installed: %s; as root on Debian `scripts/lab-needs` installs them", strings.Join(packages, " ")))
	}
	if _, err := cgroupMounts(); err != nil {
		reasons = append(reasons, err)
	}
	if b, err := os.ReadFile("/proc/filesystems"); err == nil && !bytes.Contains(b, []byte("\toverlay\n")) {
		reasons = append(reasons, errors.New("the kernel has no overlayfs (modprobe overlay)"))
	}
	return errors.Join(reasons...)
}

// cgroupMounts are the mount points of the unified control group hierarchy and,
// where it exists, of the older one that systemd named after itself.
func cgroupMounts() ([]string, error) {
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	var mounts []string
	unified := false
	for line := range strings.Lines(string(b)) {
		before, after, _ := strings.Cut(line, " - ")
		where, what := strings.Fields(before), strings.Fields(after)
		if len(where) < 6 || len(what) < 3 || strings.HasPrefix(where[5], "ro") {
			continue
		}
		v2 := what[0] == "cgroup2"
		named := what[0] == "cgroup" && slices.Contains(strings.Split(what[2], ","), "name=systemd")
		if v2 || named {
			mounts = append(mounts, where[4])
		}
		unified = unified || v2
	}
	if !unified {
		return nil, errors.New("no writable cgroup2 is mounted, and systemd in a container needs one")
	}
	return mounts, nil
}

// room is what many hosts need of limits that all containers of a machine share.
var room = []struct { //nolint:gochecknoglobals // a constant table
	file  string
	limit int
}{
	// Each systemd takes ten or so inotify instances, and one that gets none does not
	// boot: the usual 128 are enough for ten hosts.
	{"/proc/sys/fs/inotify/max_user_instances", 8192},
	// Each host knows the hardware address of each other: the usual 1024 are enough for thirty hosts.
	{"/proc/sys/net/ipv4/neigh/default/gc_thresh3", 32768},
	{"/proc/sys/net/ipv4/neigh/default/gc_thresh2", 16384},
}

// makeRoom raises the limits until the machine restarts, as other labs may run
// by the time this one ends. A container has no limits of the second kind to raise.
func makeRoom() error {
	for _, r := range room {
		b, err := os.ReadFile(r.file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if limit, err := strconv.Atoi(strings.TrimSpace(string(b))); err != nil || limit >= r.limit {
			continue
		}
		if err := os.WriteFile(r.file, []byte(strconv.Itoa(r.limit)), 0o644); err != nil {
			return fmt.Errorf("let more hosts boot than the machine's limit allows: %w", err)
		}
	}
	return nil
}
