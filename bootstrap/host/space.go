//go:build linux

package host

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// scarce is the free space below which a disk counts as full.
const scarce = 1 << 20

// fileSystem is one of the host's, seen from a directory on it.
type fileSystem struct {
	dir         string
	free, total uint64 // bytes
}

// String says how full it is.
func (f fileSystem) String() string {
	return fmt.Sprintf("%s has %s free of %s", f.dir, size(f.free), size(f.total))
}

func size(bytes uint64) string {
	const kilo, mega, giga = 1 << 10, 1 << 20, 1 << 30
	switch {
	case bytes >= giga:
		return fmt.Sprintf("%.1f GiB", float64(bytes)/giga)
	case bytes >= mega:
		return fmt.Sprintf("%d MiB", bytes/mega)
	default:
		return fmt.Sprintf("%d KiB", bytes/kilo)
	}
}

// fileSystemOf looks at the file system that dir is on, or will be.
func fileSystemOf(dir string) (fileSystem, error) {
	for {
		var st unix.Statfs_t
		err := unix.Statfs(dir, &st)
		if err == nil {
			block := uint64(st.Bsize) //nolint:gosec // G115: a block has a size.
			return fileSystem{dir, st.Bavail * block, st.Blocks * block}, nil
		}
		if !errors.Is(err, unix.ENOENT) || dir == "/" {
			return fileSystem{}, err
		}
		dir = filepath.Dir(dir)
	}
}

// explainSpace adds to an error that comes of a full disk which one it is. Not
// all who fail for want of space say so, so the disks are looked at as well.
func explainSpace(err error, baseDir string) error {
	var full []string
	for _, dir := range []string{baseDir, "/var", "/tmp"} {
		if f, statErr := fileSystemOf(dir); statErr == nil && f.total > 0 && f.free < scarce && !slices.Contains(full, f.String()) {
			full = append(full, f.String())
		}
	}
	if len(full) == 0 && saysFull(err) {
		if f, statErr := fileSystemOf(baseDir); statErr == nil {
			full = append(full, f.String())
		}
	}
	if len(full) == 0 {
		return err
	}
	explained := spec.Failure{Cause: err.Error()}
	if f := new(spec.Failure); errors.As(err, &f) {
		explained = *f
	}
	explained.Cause += "\nThe disk is full: " + strings.Join(full, ", ") + "."
	explained.Advice = "Make room there or give the host a larger disk, and apply again."
	return &explained
}

// saysFull says whether err speaks of a lack of space, be it in apt's words.
func saysFull(err error) bool {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return true
	}
	words := strings.ToLower(err.Error())
	return strings.Contains(words, "no space left on device") || strings.Contains(words, "enough free space")
}
