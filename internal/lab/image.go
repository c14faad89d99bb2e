//go:build linux

package lab

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Image is what a host boots: a Debian suite by its code name.
type Image string

// The images that tests use. Any suite that the machine's mirror has will do.
const (
	// Bookworm is Debian 12, with Redis 7.0.
	Bookworm Image = "bookworm"
	// Trixie is Debian 13, with Redis 8.0 and Valkey 8.1.
	Trixie Image = "trixie"
)

// The users of every image besides root. All take the lab's key.
const (
	// Admin may sudo without a password, as the first user of a cloud's image.
	Admin = "admin"
	// Guest may not sudo.
	Guest = "guest"
)

var (
	//go:embed image.sh
	imageScript string
	//go:embed packages.sh
	packagesScript string
)

// installed is what is on an image besides the minimal system: what a cloud's
// image has of it, as far as anything here could notice.
var installed = []string{
	"ca-certificates", "dbus", "iproute2", "iputils-ping", "libpam-systemd", "nftables", "openssh-server",
	"procps", "python3", "python3-apt", "sudo", "systemd", "systemd-sysv", "udev",
}

// served are the packages that hosts can install, each with what it depends on.
// Those that a suite does not have are left out.
var served = []string{
	"curl", "gcc", "haproxy", "keepalived", "libc6-dev", "libjemalloc-dev", "libssl-dev", "libsystemd-dev", "make", "pkg-config",
	"redis-server", "redis-tools", "valkey-server", "valkey-tools", "xz-utils",
}

// root is the directory of the image's files, made if need be.
func (i Image) root(ctx context.Context, log io.Writer) (string, error) {
	dir := i.cached(imageScript, installed)
	return dir, once(dir, func(part string) error {
		site, err := aptSites(ctx)
		if err != nil {
			return err
		}
		mirror, err := site.mirror()
		if err != nil {
			return err
		}
		_, _ = fmt.Fprintf(log, "making the %s image from %s (once, about a minute)\n", i, mirror)
		return sealed(ctx, imageScript, part, string(i), mirror, strings.Join(installed, ","), Bridge, Admin, Guest)
	})
}

// packages is a directory with an apt repository for the image's hosts, made if need be.
func (i Image) packages(ctx context.Context, log io.Writer) (string, error) {
	root, err := i.root(ctx, log)
	if err != nil {
		return "", err
	}
	dir := i.cached(packagesScript, append([]string{root}, served...)) + "-packages"
	return dir, once(dir, func(part string) error {
		sites, err := aptSites(ctx)
		if err != nil {
			return err
		}
		_, _ = fmt.Fprintf(log, "fetching the packages that %s hosts can install (once)\n", i)
		return sealed(ctx, packagesScript, append([]string{part, root, sites.sourcesList(i)}, served...)...)
	})
}

// cached is where something made from these inputs for the image is kept.
func (i Image) cached(script string, inputs []string) string {
	sum := sha256.Sum256([]byte(script + "\n" + strings.Join(inputs, " ")))
	return filepath.Join(cacheDir(), fmt.Sprintf("%s-%s-%s", i, runtime.GOARCH, hex.EncodeToString(sum[:6])))
}

func cacheDir() string {
	base := "/var/cache"
	if dir := os.Getenv("XDG_CACHE_HOME"); dir != "" {
		base = dir
	}
	return filepath.Join(base, "terraform-provider-redis", "lab")
}

// CleanCache deletes the images and packages, which the next lab makes again.
func CleanCache() error { return os.RemoveAll(cacheDir()) }

// once has f make dir, unless it is there. f gets another name, which becomes dir
// when f is done; other processes that want the same wait for it.
func once(dir string, f func(part string) error) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	lock, err := os.OpenFile(filepath.Join(filepath.Dir(dir), "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return err
	}
	defer func() { _ = lock.Close() }() // and so unlocked
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return err
	}
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	part := dir + ".part"
	if err := os.RemoveAll(part); err != nil {
		return err
	}
	if err := os.Mkdir(part, 0o755); err != nil {
		return err
	}
	if err := f(part); err != nil {
		return errors.Join(err, os.RemoveAll(part))
	}
	return os.Rename(part, dir)
}

// sealed runs a shell script in mount and process namespaces of its own, so that
// nothing that it mounts or starts outlives it, nor it us.
func sealed(ctx context.Context, script string, args ...string) error {
	cmd := exec.CommandContext(ctx, "sh", append([]string{"-euc", "mount --make-rprivate /; mount -t proc proc /proc\n" + script, "sh"}, args...)...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID,
		Pdeathsig:  syscall.SIGKILL,
	}
	done := make(chan error, 1)
	go func() {
		// The signal comes when the parent *thread* ends: keep it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		done <- run(cmd)
	}()
	return <-done
}

// sites are the Debian repositories that the machine itself uses.
type sites []site

type site struct{ uri, release, component string }

// aptSites asks apt, which knows every format of its sources.
func aptSites(ctx context.Context) (sites, error) {
	cmd := exec.CommandContext(ctx, "apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages")
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("ask apt for its sources: %w", err)
	}
	var found sites
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		if len(f) == 3 && f[2] == "main" && slices.Contains([]string{"", "-updates", "-security"}, suffix(f[1])) {
			found = append(found, site{f[0], f[1], f[2]})
		}
	}
	return found, nil
}

// suffix is what follows the code name: "-updates" of "bookworm-updates".
func suffix(release string) string {
	if i := strings.IndexByte(release, '-'); i >= 0 {
		return release[i:]
	}
	return ""
}

// mirror is the one that has whole suites.
func (s sites) mirror() (string, error) {
	if m := os.Getenv("REDIS_LAB_MIRROR"); m != "" {
		return m, nil
	}
	for _, site := range s {
		if suffix(site.release) == "" && strings.Contains(site.uri, "debian") {
			return site.uri, nil
		}
	}
	return "", errors.New("this machine's apt sources name no Debian mirror; name one in REDIS_LAB_MIRROR")
}

// sourcesList is the sources.list with which the machine would run the image.
func (s sites) sourcesList(i Image) string {
	var b strings.Builder
	for _, site := range s {
		if strings.Contains(site.uri, "debian") {
			_, _ = fmt.Fprintf(&b, "deb %s %s%s %s\n", site.uri, i, suffix(site.release), site.component)
		}
	}
	if m := os.Getenv("REDIS_LAB_MIRROR"); m != "" {
		_, _ = fmt.Fprintf(&b, "deb %s %s main\n", m, i)
	}
	return b.String()
}
