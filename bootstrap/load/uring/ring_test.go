//go:build linux

package uring

import (
	"bytes"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// newRing makes a ring for this test's thread, and a connected pair of sockets.
func newRing(t *testing.T, buffers, size int) (*Ring, [2]int) {
	t.Helper()
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
	r, err := New(8, buffers, size)
	if err != nil {
		t.Skipf("this kernel offers no io_uring that will do: %v", err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = unix.Close(pair[0])
		_ = unix.Close(pair[1])
	})
	return r, pair
}

// await enters until there is a completion.
func await(t *testing.T, r *Ring) Completion {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		if c, ok := r.Next(); ok {
			return c
		}
		if err := r.Enter(time.Second); err != nil {
			t.Fatal(err)
		}
	}
	t.Fatal("nothing completes")
	return Completion{}
}

func TestWhatIsSentIsReceived(t *testing.T) {
	const sender, receiver = 1, 2
	r, pair := newRing(t, 4, 64)
	r.Receive(int32(pair[1]), receiver)
	// More pieces than there are buffers, each of them full.
	want := bytes.Repeat([]byte("0123456789abcdef"), 64)
	r.Send(int32(pair[0]), want, sender)
	var got []byte
	for len(got) < len(want) {
		c := await(t, r)
		switch {
		case c.User != receiver:
			t.Fatalf("%+v: a send that succeeds says nothing", c)
		case c.Result == -int32(unix.ENOBUFS):
		case c.Result <= 0:
			t.Fatalf("%+v after %d bytes", c, len(got))
		}
		got = append(got, r.Bytes(c)...)
		if r.Recycle(c); !c.More() {
			r.Receive(int32(pair[1]), receiver)
		}
	}
	if !bytes.Equal(got, want) {
		t.Errorf("received %q", got)
	}
	if err := unix.Shutdown(pair[0], unix.SHUT_RDWR); err != nil {
		t.Fatal(err)
	}
	for c := await(t, r); c.Result != 0 || c.More(); c = await(t, r) {
		if c.Result != -int32(unix.ENOBUFS) {
			t.Fatalf("%+v, and not the end of the stream", c)
		}
		r.Receive(int32(pair[1]), receiver)
	}
}

func TestASendThatDoesNotFitSaysHowMuchDid(t *testing.T) {
	const sender, writable = 1, 2
	r, pair := newRing(t, 4, 64)
	// The kernel takes something of it, or nothing at all if it is full.
	block := make([]byte, 8<<20)
	taken := -1
	for taken != 0 {
		r.Send(int32(pair[0]), block, sender)
		c := await(t, r)
		if taken = int(max(c.Result, 0)); c.User != sender || taken == len(block) || c.Result < 0 && unix.Errno(-c.Result) != unix.EAGAIN {
			t.Fatalf("%+v", c)
		}
	}
	r.AwaitWritable(int32(pair[0]), writable)
	if err := r.Enter(0); err != nil {
		t.Fatal(err)
	}
	if c, ok := r.Next(); ok {
		t.Fatalf("%+v although the socket is full", c)
	}
	for n, err := unix.Read(pair[1], block); n > 0; n, err = unix.Read(pair[1], block) {
		if err != nil {
			t.Fatal(err)
		}
	}
	if c := await(t, r); c.User != writable || c.Result&unix.POLLOUT == 0 {
		t.Errorf("%+v", c)
	}
	if err := unix.Close(pair[1]); err != nil {
		t.Fatal(err)
	}
	r.Send(int32(pair[0]), block, sender)
	if c := await(t, r); unix.Errno(-min(c.Result, 0)) != unix.EPIPE {
		t.Errorf("%+v to a socket that nobody reads", c)
	}
}

func TestAWaitEndsAtItsTimeout(t *testing.T) {
	r, pair := newRing(t, 4, 64)
	r.Receive(int32(pair[0]), 1)
	const timeout = 20 * time.Millisecond
	for start := time.Now(); time.Since(start) < timeout; { // a signal may end it earlier
		if err := r.Enter(timeout); err != nil {
			t.Fatal(err)
		}
		if c, ok := r.Next(); ok {
			t.Fatalf("%+v", c)
		}
	}
	if room := r.Room(); room != 8 {
		t.Errorf("room for %d requests, not for 8", room)
	}
}
