//go:build linux

package proc

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os/user"
	"strconv"
	"strings"

	"github.com/prometheus/procfs"
)

// Listener is a TCP socket in the listening state.
type Listener struct {
	IP   net.IP
	Port int
	// UID is the owner of the socket.
	UID uint64
	// Process holds the socket; nil if we may not see which one does.
	Process *Process
	inode   uint64
}

// String names whoever listens, for a message.
func (l Listener) String() string {
	if l.Process != nil {
		return l.Process.String()
	}
	owner := strconv.FormatUint(l.UID, 10)
	if u, err := user.LookupId(owner); err == nil {
		owner = u.Username
	}
	return "a process of user " + owner
}

// listen is TCP_LISTEN of the kernel.
const listen = 0x0a

// Listeners returns the sockets that listen on one of the ports, with their processes.
func Listeners(ports map[int]bool) ([]Listener, error) {
	fsys, err := procfs.NewDefaultFS()
	if err != nil {
		return nil, err
	}
	var found []Listener
	for _, table := range []func() (procfs.NetTCP, error){fsys.NetTCP, fsys.NetTCP6} { //nolint:staticcheck // Netlink, which it points to, is not open to everybody.
		sockets, err := table()
		if errors.Is(err, fs.ErrNotExist) {
			continue // a kernel without IPv6
		}
		if err != nil {
			return nil, fmt.Errorf("list listening sockets: %w", err)
		}
		for _, s := range sockets {
			if s.St == listen && ports[int(s.LocalPort)] {
				found = append(found, Listener{IP: s.LocalAddr, Port: int(s.LocalPort), UID: s.UID, inode: s.Inode})
			}
		}
	}
	if len(found) == 0 {
		return nil, nil
	}
	return found, attribute(found)
}

// attribute finds the process of each listener among the open files of all.
func attribute(listeners []Listener) error {
	byInode := map[uint64]*Listener{}
	for i := range listeners {
		byInode[listeners[i].inode] = &listeners[i]
	}
	all, err := procfs.AllProcs()
	if err != nil {
		return fmt.Errorf("list processes: %w", err)
	}
	for _, p := range all {
		targets, err := p.FileDescriptorTargets()
		if err != nil {
			continue // another user's, or gone
		}
		for _, target := range targets {
			l := byInode[socketInode(target)]
			if l == nil || l.Process != nil {
				continue
			}
			if owner, err := Get(p.PID); err == nil {
				l.Process = &owner
			}
		}
	}
	return nil
}

// socketInode reads "socket:[123]"; 0, which no socket has, for other files.
func socketInode(target string) uint64 {
	s, ok := strings.CutPrefix(target, "socket:[")
	if !ok {
		return 0
	}
	n, _ := strconv.ParseUint(strings.TrimSuffix(s, "]"), 10, 64)
	return n
}

// Covers says whether l keeps somebody else from listening on ip:port.
func (l Listener) Covers(ip net.IP, port int) bool {
	return l.Port == port && (l.IP.IsUnspecified() || ip.IsUnspecified() || l.IP.Equal(ip))
}
