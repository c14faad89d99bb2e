//go:build linux

package engine

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// dialer opens non-blocking sockets.
type dialer struct {
	tls *tls.Config
	// addrs are the resolved addresses, by host:port.
	addrs map[string]netip.AddrPort
}

func newDialer(conf *tls.Config) dialer { return dialer{tls: conf, addrs: map[string]netip.AddrPort{}} }

// dial starts to connect and returns the descriptor; writability says that the
// connection is there or has failed.
func (d *dialer) dial(addr string) (int, error) {
	if d.tls != nil {
		return d.dialTLS(addr)
	}
	to, err := d.resolve(addr)
	if err != nil {
		return -1, err
	}
	family, sockaddr := unix.AF_INET, unix.Sockaddr(nil)
	if to.Addr().Is4() {
		sockaddr = &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}
	} else {
		family, sockaddr = unix.AF_INET6, &unix.SockaddrInet6{Port: int(to.Port()), Addr: to.Addr().As16()}
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("socket: %w", err)
	}
	if err = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err == nil {
		err = unix.Connect(fd, sockaddr)
	}
	if err != nil && !errors.Is(err, unix.EINPROGRESS) {
		_ = unix.Close(fd)
		return -1, os.NewSyscallError("connect", err)
	}
	return fd, nil
}

// resolve looks a host name up once; nodes of a cluster are named by address.
func (d *dialer) resolve(addr string) (netip.AddrPort, error) {
	if to, ok := d.addrs[addr]; ok {
		return to, nil
	}
	to, err := netip.ParseAddrPort(addr)
	if err != nil {
		tcp, err := net.ResolveTCPAddr("tcp", addr)
		if err != nil {
			return to, err
		}
		to = tcp.AddrPort()
	}
	to = netip.AddrPortFrom(to.Addr().Unmap(), to.Port())
	d.addrs[addr] = to
	return to, nil
}

// dialTLS connects through crypto/tls, which wants a net.Conn: goroutines carry
// the bytes between it and one end of a socket pair, and the loop has the other
// end, like any connection. A connection that fails shows as an end of file.
func (d *dialer) dialTLS(addr string) (int, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, fmt.Errorf("socketpair: %w", err)
	}
	file := os.NewFile(uintptr(pair[1]), "tls-"+strconv.Itoa(pair[1]))
	inner, err := net.FileConn(file)
	_ = file.Close()
	if err != nil {
		_ = unix.Close(pair[0])
		return -1, fmt.Errorf("socketpair: %w", err)
	}
	conf := d.tls.Clone()
	if conf.ServerName == "" {
		conf.ServerName, _, _ = net.SplitHostPort(addr)
	}
	go func() {
		defer func() { _ = inner.Close() }()
		outer, err := tls.DialWithDialer(&net.Dialer{Timeout: tlsDialTimeout}, "tcp", addr, conf)
		if err != nil {
			return
		}
		go func() {
			carry(inner, outer)
			_ = inner.Close()
		}()
		carry(outer, inner)
		_ = outer.Close()
	}()
	return pair[0], nil
}

// tlsDialTimeout ends a goroutine whose loop has given the connection up long before.
const tlsDialTimeout = 10 * time.Second

// carry copies what from sends to to, until either ends.
func carry(to, from net.Conn) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
