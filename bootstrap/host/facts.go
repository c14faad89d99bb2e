//go:build linux

package host

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// gatherFacts says what there is to know of this host but the server.
func gatherFacts() (spec.Facts, error) {
	f := spec.Facts{Arch: runtime.GOARCH, CPUs: runtime.NumCPU(), Root: os.Geteuid() == 0, UnixTimeMS: time.Now().UnixMilli()}
	var err error
	if f.Hostname, err = os.Hostname(); err != nil {
		return f, err
	}
	var uts unix.Utsname
	if err := unix.Uname(&uts); err != nil {
		return f, fmt.Errorf("uname: %w", err)
	}
	f.Kernel = unix.ByteSliceToString(uts.Release[:])
	// A host without the file is an unknown system, not a broken one.
	if release, err := readOSRelease("/etc/os-release"); err == nil {
		f.OS, f.OSVersion = release["ID"], release["VERSION_ID"]
	}
	if f.MemoryBytes, err = memory(); err != nil {
		return f, err
	}
	f.Systemd = f.Root && systemdRuns()
	return f, nil
}

func memory() (int64, error) {
	fs, err := procfs.NewDefaultFS()
	if err != nil {
		return 0, err
	}
	m, err := fs.Meminfo()
	if err != nil {
		return 0, err
	}
	if m.MemTotalBytes == nil {
		return 0, errors.New("/proc/meminfo has no MemTotal")
	}
	return int64(*m.MemTotalBytes), nil
}

// systemdRuns is what sd_booted(3) says.
func systemdRuns() bool {
	st, err := os.Stat("/run/systemd/system")
	return err == nil && st.IsDir()
}

func readOSRelease(file string) (map[string]string, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	values := map[string]string{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if k, v, ok := strings.Cut(lines.Text(), "="); ok {
			values[k] = strings.Trim(v, `"'`)
		}
	}
	return values, lines.Err()
}
