//go:build linux

package host

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

func TestExplainSpace(t *testing.T) {
	base := t.TempDir() + "/not/there/yet"
	for name, err := range map[string]error{
		"the kernel":   fmt.Errorf("write: %w", syscall.ENOSPC),
		"a command":    errors.New("gzip: No space left on device"),
		"apt":          errors.New("E: You don't have enough free space in /var/cache/apt/archives/."),
		"with its own": &spec.Failure{Step: "write", Cause: "no space left on device", Advice: "wait"},
	} {
		failed := new(spec.Failure)
		if !errors.As(explainSpace(err, base), &failed) || !strings.Contains(failed.Cause, "free of") || !strings.Contains(failed.Advice, "Make room") {
			t.Errorf("%s: %v is explained as %+v", name, err, failed)
		}
	}
	if other := errors.New("something else"); !errors.Is(explainSpace(other, base), other) {
		t.Errorf("%v is taken for a full disk", other)
	}
}

func TestSize(t *testing.T) {
	for bytes, want := range map[uint64]string{0: "0 KiB", 4096: "4 KiB", 3 << 20: "3 MiB", 5 << 29: "2.5 GiB"} {
		if got := size(bytes); got != want {
			t.Errorf("%d bytes are %q, want %q", bytes, got, want)
		}
	}
}
