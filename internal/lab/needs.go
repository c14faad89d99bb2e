//go:build linux

package lab

import (
	"bytes"
	"errors"
	"fmt"
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

// inotifyFile limits the inotify instances of one user, in all containers
// together. Each systemd takes ten or so, and one that gets none does not boot:
// the usual 128 are enough for ten hosts.
const (
	inotifyFile = "/proc/sys/fs/inotify/max_user_instances"
	inotifyRoom = 8192
)

// makeRoomForInotify raises the limit until the machine restarts, as other
// labs may run by the time this one ends.
func makeRoomForInotify() error {
	b, err := os.ReadFile(inotifyFile)
	if err != nil {
		return err
	}
	if limit, err := strconv.Atoi(strings.TrimSpace(string(b))); err != nil || limit >= inotifyRoom {
		return err
	}
	if err := os.WriteFile(inotifyFile, []byte(strconv.Itoa(inotifyRoom)), 0o644); err != nil {
		return fmt.Errorf("let more hosts boot than the machine's limit allows: %w", err)
	}
	return nil
}
