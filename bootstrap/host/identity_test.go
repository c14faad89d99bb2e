//go:build linux

package host

import (
	"os"
	"path/filepath"
	"testing"
)

func TestReachable(t *testing.T) {
	top, err := os.MkdirTemp("", "redis-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(top) })
	dir := filepath.Join(top, "base", "c")
	other, owner := identity{uid: nobody, gid: nobody}, identity{uid: os.Geteuid(), gid: os.Getegid()}
	for _, tt := range []struct {
		mode           os.FileMode
		others, itself bool
	}{{0o700, false, true}, {0o755, true, true}, {0o711, true, true}, {0o655, true, false}} {
		if err := os.Chmod(top, tt.mode); err != nil {
			t.Fatal(err)
		}
		if got := reachable(dir, other); got != tt.others {
			t.Errorf("%o: others %v", tt.mode, got)
		}
		if got := reachable(dir, owner); got != tt.itself {
			t.Errorf("%o: the owner %v", tt.mode, got)
		}
	}
}
