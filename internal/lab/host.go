//go:build linux

package lab

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// HostOptions says what host to add.
type HostOptions struct {
	// Name is the host name.
	Name string
	// Addr is its address; empty means the next free one.
	Addr string
	// Zone is a label only.
	Zone string
	// Image is what it boots; empty means the lab's image.
	Image Image
	// Users are further users who may sudo without a password, and their
	// authorized_keys.
	Users map[string][]string
	// NoLabKey keeps the lab's key from logging in.
	NoLabKey bool
	// NoWait has AddHost return once the host is powered on, as a cloud does; it
	// still boots then.
	NoWait bool
	// StartupScript, if any, is run as root at each boot, as a cloud's is.
	StartupScript string
}

// Host is one machine of a lab. Its methods are safe for concurrent use, except
// that only one may change its power at a time.
type Host struct {
	Name, Addr, Zone string
	// HostKey is the SSH host key as a line of an authorized_keys file.
	HostKey string

	lab     *Lab
	options HostOptions
	id      string // "h3": names its files, its cgroup and its interface
	key     Key

	mu    sync.Mutex
	boots int
	// off says that an end of the container is to be its last.
	off bool
	// nspawn is the running container, ended is closed after it has ended.
	nspawn *exec.Cmd
	ended  chan struct{}
}

func (l *Lab) newHost(o HostOptions) (*Host, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	addr := o.Addr
	for next := subnet.Addr().Next().Next(); addr == ""; next = next.Next() {
		if !slices.ContainsFunc(l.Hosts, func(h *Host) bool { return h.Addr == next.String() }) {
			addr = next.String()
		}
	}
	if a, err := netip.ParseAddr(addr); err != nil || !subnet.Contains(a) {
		return nil, fmt.Errorf("host %s: address %q is not in %s", o.Name, addr, subnet)
	}
	for _, h := range l.Hosts {
		if h.Addr == addr || h.Name == o.Name {
			return nil, fmt.Errorf("host %s at %s: there is %s at %s already", o.Name, addr, h.Name, h.Addr)
		}
	}
	key, err := newKey("root@" + o.Name)
	if err != nil {
		return nil, err
	}
	l.serial++
	h := &Host{
		Name: o.Name, Addr: addr, Zone: o.Zone, HostKey: key.Public,
		lab: l, options: o, id: "h" + strconv.Itoa(l.serial), key: key,
	}
	l.Hosts = append(l.Hosts, h)
	return h, nil
}

func (h *Host) dir() string     { return filepath.Join(h.lab.dir, h.id) }
func (h *Host) console() string { return filepath.Join(h.dir(), "console") }

// link is the host's interface on the bridge, as systemd-nspawn names it.
func (h *Host) link() string { return "vb-" + h.id }

// create makes the host's disk, boots it and waits until it answers on SSH.
func (h *Host) create(ctx context.Context) error {
	image := cmp.Or(h.options.Image, h.lab.image)
	base, err := image.root(ctx, h.lab.log)
	if err != nil {
		return err
	}
	if image != h.lab.image {
		return fmt.Errorf("host %s: the lab serves packages for %s, not for %s", h.Name, h.lab.image, image)
	}
	for _, sub := range []string{"upper", "work", "root"} {
		if err := os.MkdirAll(filepath.Join(h.dir(), sub), 0o755); err != nil {
			return err
		}
	}
	if err := h.writeFiles(base); err != nil {
		return fmt.Errorf("host %s: %w", h.Name, err)
	}
	mount := h.lab.ns.enter(ctx, "mount", "-t", "overlay", "overlay", "-o",
		fmt.Sprintf("lowerdir=%s,upperdir=%s/upper,workdir=%[2]s/work", base, h.dir()), filepath.Join(h.dir(), "root"))
	if err := run(mount); err != nil {
		return fmt.Errorf("host %s: mount its disk (overlayfs needs a disk, not another overlay; REDIS_LAB_DIR names one): %w", h.Name, err)
	}
	if h.options.NoWait {
		return h.boot(ctx)
	}
	return h.Start(ctx)
}

// Running says whether the host is powered on.
func (h *Host) Running() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.nspawn != nil
}

// PowerOn powers the host on, which then boots.
func (h *Host) PowerOn(ctx context.Context) error {
	if h.Running() {
		return nil
	}
	if err := h.boot(ctx); err != nil {
		return fmt.Errorf("start host %s: %w", h.Name, err)
	}
	return nil
}

// Start powers the host on and waits until it answers on SSH.
func (h *Host) Start(ctx context.Context) error {
	if err := h.PowerOn(ctx); err != nil {
		return err
	}
	return h.WaitSSH(ctx)
}

// joinAndExec puts itself into the control groups up to "--" and becomes the rest.
const joinAndExec = `while [ "$1" != -- ]; do mkdir -p "$1"; echo 0 >"$1/cgroup.procs"; shift; done; shift; exec "$@"`

// askedForReboot is how systemd-nspawn exits when the system in it reboots.
const askedForReboot = 133

// boot starts the container. A goroutine waits for its end and boots it again
// when it ended by a reboot; Kill, Stop and the lab's end stop that.
func (h *Host) boot(ctx context.Context) error {
	// The kernel takes the interface of a killed container away when it gets to it.
	_ = run(h.lab.ns.enter(ctx, "ip", "link", "delete", h.link()))
	console, err := os.OpenFile(h.console(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer func() { _ = console.Close() }()
	args := []string{"sh", "-euc", joinAndExec, "sh"}
	for _, group := range h.lab.cgroups {
		args = append(args, filepath.Join(group, h.id))
	}
	// Not registered with a systemd of the machine: it may have none.
	args = append(args, "--", "systemd-nspawn", "--directory="+filepath.Join(h.dir(), "root"), "--boot", "--quiet",
		"--machine="+h.id, "--hostname="+h.Name, "--network-bridge=br0", "--register=no", "--keep-unit",
		"--link-journal=no", "--resolv-conf=off", "--timezone=off")
	cmd := h.lab.ns.enter(context.WithoutCancel(ctx), args...)
	cmd.Stdout, cmd.Stderr = console, console
	cmd.Env = append(os.Environ(), "UNIFIED_CGROUP_HIERARCHY=1", "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	h.mu.Lock()
	h.boots++
	h.off = false
	h.nspawn, h.ended = cmd, ended
	h.mu.Unlock()
	go func() {
		defer close(ended)
		_ = cmd.Wait()
		h.mu.Lock()
		h.nspawn = nil
		off := h.off
		h.mu.Unlock()
		if !off && cmd.ProcessState.ExitCode() == askedForReboot {
			if err := h.boot(context.WithoutCancel(ctx)); err != nil {
				h.lab.logf("host %s did not come back from its reboot: %v", h.Name, err)
			}
		}
	}()
	return nil
}

// WaitSSH waits until the SSH server answers.
func (h *Host) WaitSSH(ctx context.Context) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := h.greeting(ctx)
		if err == nil {
			return nil
		}
		if !h.Running() {
			return fmt.Errorf("host %s has ended; its console says:\n%s", h.Name, h.Console(2000))
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("host %s does not answer on SSH: %w; its console says:\n%s", h.Name, err, h.Console(2000))
		case <-tick.C:
		}
	}
}

func (h *Host) greeting(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	conn, err := h.lab.DialContext(ctx, "tcp", net.JoinHostPort(h.Addr, "22"))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(2 * time.Second))
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err == nil && !strings.HasPrefix(line, "SSH-") {
		err = fmt.Errorf("port 22 says %q", line)
	}
	return err
}

// Command is a command on the host, as root and without SSH.
func (h *Host) Command(ctx context.Context, args ...string) (*exec.Cmd, error) {
	pid, err := h.leader()
	if err != nil {
		return nil, err
	}
	return nsenter(ctx, pid, []string{"--all"}, args...), nil
}

// Run runs a shell script on the host, as root and without SSH, and returns its output.
func (h *Host) Run(ctx context.Context, script string, args ...string) (string, error) {
	cmd, err := h.Command(ctx, append([]string{"sh", "-euc", script, "sh"}, args...)...)
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := run(cmd); err != nil {
		return out.String(), fmt.Errorf("on host %s: %w", h.Name, err)
	}
	return out.String(), nil
}

// leader is the process id of the host's init.
func (h *Host) leader() (int, error) {
	h.mu.Lock()
	cmd := h.nspawn
	h.mu.Unlock()
	if cmd == nil {
		return 0, fmt.Errorf("host %s is powered off", h.Name)
	}
	nspawn, err := child(cmd.Process.Pid)
	if err != nil {
		return 0, fmt.Errorf("host %s: %w", h.Name, err)
	}
	leader, err := child(nspawn)
	if err != nil {
		return 0, fmt.Errorf("host %s has not booted yet: %w", h.Name, err)
	}
	return leader, nil
}

// child is the first child of a process.
func child(pid int) (int, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", pid))
	if err != nil {
		return 0, err
	}
	first, _, _ := strings.Cut(string(b), " ")
	return strconv.Atoi(first)
}

// Reboot reboots the host in an orderly way and waits until it answers on SSH again.
func (h *Host) Reboot(ctx context.Context) error {
	h.mu.Lock()
	boots, ended := h.boots, h.ended
	h.mu.Unlock()
	// The connection to its systemd may break before it has answered.
	_, rebootErr := h.Run(ctx, "systemctl reboot")
	select {
	case <-ended: // and booted again, if it was a reboot
	case <-ctx.Done():
		return errors.Join(fmt.Errorf("host %s does not go down: %w", h.Name, context.Cause(ctx)), rebootErr)
	}
	h.mu.Lock()
	again := h.boots > boots
	h.mu.Unlock()
	if !again {
		return fmt.Errorf("host %s went down and did not come back", h.Name)
	}
	return h.WaitSSH(ctx)
}

// Stop powers the host off in an orderly way.
func (h *Host) Stop(ctx context.Context) error {
	h.mu.Lock()
	ended := h.ended
	running := h.nspawn != nil
	h.off = true
	h.mu.Unlock()
	if !running {
		return nil
	}
	for {
		_, stopErr := h.Run(ctx, "systemctl poweroff")
		var again <-chan time.Time
		if stopErr != nil { // it still boots, or the connection broke over its end
			again = time.After(100 * time.Millisecond)
		}
		select {
		case <-ended:
			return nil
		case <-again:
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("host %s does not power off: %w", h.Name, context.Cause(ctx)), stopErr)
		}
	}
}

// Kill powers the host off at once, as a machine that dies does.
func (h *Host) Kill(ctx context.Context) error {
	h.mu.Lock()
	cmd, ended := h.nspawn, h.ended
	h.off = true
	h.mu.Unlock()
	if cmd == nil {
		return nil
	}
	// Its init takes every process along before it is gone, and systemd-nspawn
	// ends after it. The other way round they would all live on, without a network
	// but with the locks on their files.
	victim, err := h.leader()
	for err != nil && h.Running() { // it was powered on a moment ago
		select {
		case <-time.After(10 * time.Millisecond):
			victim, err = h.leader()
		case <-ctx.Done():
			return fmt.Errorf("kill host %s: %w", h.Name, err)
		}
	}
	if err != nil {
		return nil //nolint:nilerr // It has ended meanwhile.
	}
	// Its network first: the kernel answers pings for a while longer than processes live.
	if err := run(h.lab.ns.enter(ctx, "ip", "link", "delete", h.link())); err != nil {
		return fmt.Errorf("kill host %s: %w", h.Name, err)
	}
	if err := unix.Kill(victim, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("kill host %s: %w", h.Name, err)
	}
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Reset is Kill and Start.
func (h *Host) Reset(ctx context.Context) error {
	if err := h.Kill(ctx); err != nil {
		return err
	}
	return h.Start(ctx)
}

// Isolate cuts the host off from every other, or connects it again. What was
// sent meanwhile is lost without an answer.
func (h *Host) Isolate(ctx context.Context, cut bool) error {
	state := "up"
	if cut {
		state = "down"
	}
	if err := run(h.lab.ns.enter(ctx, "ip", "link", "set", h.link(), state)); err != nil {
		return fmt.Errorf("isolate host %s: %w", h.Name, err)
	}
	return nil
}

// Console is the end of what the host wrote on its console, at most limit bytes.
func (h *Host) Console(limit int) string {
	b, err := os.ReadFile(h.console())
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-limit):])
}

// delete unmounts the disk and deletes it.
func (h *Host) delete(ctx context.Context) error {
	const script = `if mountpoint -q "$1"; then umount --lazy "$1"; fi`
	if err := run(h.lab.ns.enter(ctx, "sh", "-c", script, "sh", filepath.Join(h.dir(), "root"))); err != nil {
		return fmt.Errorf("host %s: %w", h.Name, err)
	}
	return os.RemoveAll(h.dir())
}
