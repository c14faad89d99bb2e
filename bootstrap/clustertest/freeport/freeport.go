// Package freeport gives tests ports for servers that come and go.
package freeport

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
)

// BusOffset is the distance between a node's port and its bus port.
const BusOffset = 10000

// Client and bus ports lie below the kernel's ephemeral ports, so that no
// outgoing connection takes the port of a server that is down for a while.
const first, ports, attempts = 10001, 10000, 1000

// New gives a port that is free on loopback, and its bus port too. No other test
// gets it until this one ends, be it in another process: both may have looked
// before either of them listens.
func New(t testing.TB) int {
	t.Helper()
	for range attempts {
		port := first + rand.IntN(ports)
		if free(port) && free(port+BusOffset) && reserve(t, port) {
			return port
		}
	}
	t.Fatal("no port is free")
	return 0
}

// reserve holds the name of the port, which the kernel gives to one process at a
// time and takes back when that ends.
func reserve(t testing.TB, port int) bool {
	l, err := net.Listen("unix", fmt.Sprintf("@redis-test-port-%d", port))
	if err != nil {
		return false
	}
	t.Cleanup(func() { _ = l.Close() })
	return true
}

func free(port int) bool {
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return false
	}
	return l.Close() == nil
}
