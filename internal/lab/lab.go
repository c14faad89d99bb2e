//go:build linux

package lab

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// Bridge is the lab's own address: where its package repository is served, and
// where the commands of Lab.Command come from.
const Bridge = "10.128.0.1"

// subnet is the network of every lab. Labs don't see each other, so they all use it.
var subnet = netip.MustParsePrefix("10.128.0.0/24")

// Options says what lab to start.
type Options struct {
	// Name tells labs on one machine apart; empty draws one.
	Name string
	// Hosts is how many hosts to boot; more can be added.
	Hosts int
	// Image is what they boot; empty means Bookworm.
	Image Image
	// Log gets what is being done, a line each; nil discards it.
	Log io.Writer
}

// Lab is a network of hosts.
type Lab struct {
	// Name is the lab's name on this machine.
	Name string
	// Key logs in to every host, as root and as the users of the image.
	Key Key
	// Hosts are the hosts in the order in which they were added. It must not be
	// read while hosts are being added or removed.
	Hosts []*Host

	dir     string
	log     io.Writer
	image   Image
	ns      *namespaces
	cgroups []string
	files   *http.ServeMux
	// packages is the directory of the repository that hosts install from.
	packages string
	servers  []*http.Server
	repo     *http.Server

	mu     sync.Mutex
	serial int
}

// Start boots a lab. The caller closes it; should the caller die, the kernel does.
func Start(ctx context.Context, o Options) (_ *Lab, err error) {
	if err := Missing(); err != nil {
		return nil, err
	}
	l := &Lab{
		Name:  cmp.Or(o.Name, fmt.Sprintf("lab-%d-%d", os.Getpid(), time.Now().UnixNano()%1e6)),
		image: cmp.Or(o.Image, Bookworm),
		log:   cmp.Or(o.Log, io.Discard),
		files: http.NewServeMux(),
	}
	if err := Sweep(ctx); err != nil {
		return nil, err
	}
	if err := makeRoom(); err != nil {
		return nil, err
	}
	if l.Key, err = newKey("lab"); err != nil {
		return nil, err
	}
	if _, err := l.image.root(ctx, l.log); err != nil {
		return nil, err
	}
	packages, err := l.image.packages(ctx, l.log)
	if err != nil {
		return nil, err
	}
	if err := l.create(ctx, packages); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	group, ctx := errgroup.WithContext(ctx)
	for i := range o.Hosts {
		h, err := l.newHost(HostOptions{Name: fmt.Sprintf("vm-%d", i+1), Zone: "lab-" + string(rune('a'+i%3))})
		if err != nil {
			return nil, errors.Join(err, group.Wait(), l.Close())
		}
		group.Go(func() error { return h.create(ctx) })
	}
	if err := group.Wait(); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// ForTest starts a lab that ends with the test. Where the machine cannot run one
// the test is skipped, and says why.
func ForTest(t testing.TB, o Options) *Lab {
	t.Helper()
	if err := Missing(); err != nil {
		t.Skip("no lab on this machine: ", err)
	}
	l, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			for _, h := range l.Hosts {
				t.Logf("console of %s:\n%s", h.Name, h.Console(2000))
			}
		}
		if err := l.Close(); err != nil {
			t.Error("closing the lab: ", err)
		}
	})
	return l
}

// create makes the namespaces, the bridge and the package repository.
func (l *Lab) create(ctx context.Context, packages string) (err error) {
	if l.dir, err = makeLabDir(l.Name); err != nil {
		return err
	}
	if l.cgroups, err = makeCgroups(l.Name); err != nil {
		return err
	}
	if l.ns, err = newNamespaces(ctx, l.dir, l.cgroups); err != nil {
		return err
	}
	if err := writeRecord(l.dir, l.ns.pid()); err != nil {
		return err
	}
	const setup = `ip link set lo up
ip link add br0 type bridge
ip address add "$1" dev br0
ip link set br0 up`
	bridge := netip.PrefixFrom(netip.MustParseAddr(Bridge), subnet.Bits())
	if err := run(l.ns.enter(ctx, "sh", "-euc", setup, "sh", bridge.String())); err != nil {
		return fmt.Errorf("make the bridge: %w", err)
	}
	l.packages = packages
	l.files.Handle("/"+string(l.image)+"/", http.StripPrefix("/"+string(l.image), http.FileServer(http.Dir(packages))))
	l.repo, err = l.serve(net.JoinHostPort(Bridge, "80"), l.files)
	return err
}

// Dir is where the lab keeps its files. It is deleted with the lab.
func (l *Lab) Dir() string { return l.dir }

// Image is what the lab's hosts boot.
func (l *Lab) Image() Image { return l.image }

// AddHost boots one more host and, unless o says otherwise, waits until it
// answers on SSH.
func (l *Lab) AddHost(ctx context.Context, o HostOptions) (*Host, error) {
	h, err := l.newHost(o)
	if err != nil {
		return nil, err
	}
	if err := h.create(ctx); err != nil {
		return nil, errors.Join(err, l.RemoveHost(context.WithoutCancel(ctx), h))
	}
	return h, nil
}

// RemoveHost kills h and deletes its files.
func (l *Lab) RemoveHost(ctx context.Context, h *Host) error {
	if err := h.Kill(ctx); err != nil {
		return err
	}
	l.mu.Lock()
	l.Hosts = slices.DeleteFunc(l.Hosts, func(o *Host) bool { return o == h })
	l.mu.Unlock()
	return h.delete(ctx)
}

// SourceTarball is a tarball of the release of Redis that the image's distribution
// has: its file here, and its address for hosts.
func (l *Lab) SourceTarball() (file, url string, err error) {
	found, err := filepath.Glob(filepath.Join(l.packages, "redis_*.orig.tar.gz"))
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("no tarball of redis in %s", l.packages)
	}
	if err != nil {
		return "", "", err
	}
	return found[0], fmt.Sprintf("http://%s/%s/%s", Bridge, l.image, filepath.Base(found[0])), nil
}

// HandleFiles serves more files to the hosts, at http://10.128.0.1/….
func (l *Lab) HandleFiles(pattern string, h http.Handler) { l.files.Handle(pattern, h) }

// StopRepository takes the package repository (and every other file) away, as
// a mirror that is gone.
func (l *Lab) StopRepository() error { return l.repo.Close() }

// Serve answers HTTP requests on an address of the lab until it is closed.
func (l *Lab) Serve(addr string, h http.Handler) error {
	_, err := l.serve(addr, h)
	return err
}

func (l *Lab) serve(addr string, h http.Handler) (*http.Server, error) {
	var listener net.Listener
	err := l.ns.inNetwork(func() (err error) {
		listener, err = net.Listen("tcp", addr)
		return err
	})
	if err != nil {
		return nil, err
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	l.servers = append(l.servers, server)
	go func() { _ = server.Serve(listener) }() // ends with Close
	return server, nil
}

// DialContext connects from the lab's own address to a host. It has the shape
// that net.Dialer, http.Transport and reach.SSHConfig share.
func (l *Lab) DialContext(ctx context.Context, network, addr string) (conn net.Conn, err error) {
	errNS := l.ns.inNetwork(func() error {
		conn, err = new(net.Dialer).DialContext(ctx, network, addr)
		return nil
	})
	return conn, cmp.Or(err, errNS)
}

// Command is a command of this machine that sees the lab's network instead of
// the machine's own.
func (l *Lab) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	return l.ns.enterNetwork(ctx, append([]string{name}, args...)...)
}

// Filter replaces the lab's packet filter by the nftables rules, which belong
// into the chain "forward" (between hosts) or "output" (from the bridge to
// hosts) of a bridge table. Empty rules let everything through.
func (l *Lab) Filter(ctx context.Context, forward, output []string) error {
	script := "table bridge lab {}\nflush table bridge lab\ntable bridge lab {\n"
	for _, chain := range []struct {
		hook  string
		rules []string
	}{{"forward", forward}, {"output", output}} {
		script += fmt.Sprintf(" chain %s {\n  type filter hook %s priority 0; policy accept;\n", chain.hook, chain.hook)
		for _, rule := range chain.rules {
			script += "  " + rule + "\n"
		}
		script += " }\n"
	}
	cmd := l.Command(ctx, "nft", "-f", "/dev/stdin")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	go func() { // ends with the command
		_, _ = io.WriteString(stdin, script+"}\n")
		_ = stdin.Close()
	}()
	if err := run(cmd); err != nil {
		return fmt.Errorf("set the packet filter: %w", err)
	}
	return nil
}

// Close ends the lab and leaves nothing behind. It may be called twice.
func (l *Lab) Close() error {
	for _, s := range l.servers {
		_ = s.Close()
	}
	l.servers = nil
	if l.ns == nil {
		return errors.Join(removeCgroups(l.cgroups), os.RemoveAll(l.dir))
	}
	return l.ns.close()
}

// logf says what is being done.
func (l *Lab) logf(format string, args ...any) { _, _ = fmt.Fprintf(l.log, format+"\n", args...) }

// makeCgroups makes a group for the lab in every hierarchy that systemd in a
// container wants to manage.
func makeCgroups(name string) ([]string, error) {
	mounts, err := cgroupMounts()
	if err != nil {
		return nil, err
	}
	var made []string
	for _, mount := range mounts {
		dir := filepath.Join(mount, "redis-lab-"+name)
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, unix.EEXIST) {
			return made, fmt.Errorf("make a control group: %w", err)
		}
		made = append(made, dir)
	}
	return made, nil
}
