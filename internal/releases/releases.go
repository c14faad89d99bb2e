//go:build linux

// Package releases gets servers of other versions than the machine's own, which
// tests of upgrades run: those of Debian's suites, unpacked into a cache.
package releases

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Suite is a Debian suite by its code name.
type Suite string

// The suites with other servers than Debian 12, which has Redis 7.0.
const (
	// Trixie has Redis 8.0 and Valkey 8.1.
	Trixie Suite = "trixie"
	// Sid has Valkey 9.
	Sid Suite = "sid"
)

// Servers are the programs of a suite, by their paths.
type Servers struct{ Redis, Valkey string }

// Need gets the servers of a suite. A test that cannot have them is skipped, with the reason.
func Need(t testing.TB, suite Suite) Servers {
	t.Helper()
	s, err := Get(t.Context(), suite)
	if err != nil {
		t.Skipf("the servers of Debian %s cannot be had on this machine: %v", suite, err)
	}
	return s
}

//go:embed releases.sh
var script string

// Get gets the servers of a suite, downloading them the first time.
func Get(ctx context.Context, suite Suite) (Servers, error) {
	base, err := cacheDir()
	if err != nil {
		return Servers{}, err
	}
	sum := sha256.Sum256([]byte(script))
	dir := filepath.Join(base, fmt.Sprintf("%s-%s-%s", suite, runtime.GOARCH, hex.EncodeToString(sum[:6])))
	servers := Servers{Redis: filepath.Join(dir, "usr/bin/redis-server"), Valkey: filepath.Join(dir, "usr/bin/valkey-server")}
	if _, err := os.Stat(dir); err == nil {
		return servers, nil
	}
	// One at a time: other processes may want the same.
	lock, err := os.OpenFile(filepath.Join(base, "lock"), os.O_CREATE|os.O_RDWR, 0o644) //nolint:gosec // G302: others may look.
	if err != nil {
		return Servers{}, err
	}
	defer func() { _ = lock.Close() }() // and so unlocked
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return Servers{}, err
	}
	if _, err := os.Stat(dir); err == nil {
		return servers, nil
	}
	return servers, download(ctx, dir, suite)
}

func download(ctx context.Context, dir string, suite Suite) error {
	mirror, err := mirror(ctx)
	if err != nil {
		return err
	}
	part := dir + ".part"
	if err := os.RemoveAll(part); err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx, "sh", "-euc", script, "sh", part, string(suite), mirror).CombinedOutput() //nolint:gosec // G204: our own script.
	if err != nil {
		return errors.Join(fmt.Errorf("%w: %s", err, lastLine(string(out))), os.RemoveAll(part))
	}
	return os.Rename(part, dir)
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}

// mirror is the Debian repository that the machine itself uses.
func mirror(ctx context.Context) (string, error) {
	if m := os.Getenv("REDIS_LAB_MIRROR"); m != "" {
		return m, nil
	}
	out, err := exec.CommandContext(ctx, "apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)", "Created-By: Packages").Output()
	if err != nil {
		return "", fmt.Errorf("ask apt for its sources: %w", err)
	}
	for line := range strings.Lines(string(out)) {
		uri, release, _ := strings.Cut(strings.TrimSpace(line), " ")
		if strings.Contains(uri, "/debian/") && !strings.Contains(release, "-") {
			return uri, nil
		}
	}
	return "", errors.New("this machine's apt sources name no Debian mirror; name one in REDIS_LAB_MIRROR")
}

func cacheDir() (string, error) {
	base := os.Getenv("XDG_CACHE_HOME")
	switch {
	case base != "":
	case os.Geteuid() == 0:
		base = "/var/cache" // beside the lab's
	default:
		var err error
		if base, err = os.UserCacheDir(); err != nil {
			return "", err
		}
	}
	base = filepath.Join(base, "terraform-provider-redis", "servers")
	return base, os.MkdirAll(base, 0o755) //nolint:gosec // G301: others may look.
}
