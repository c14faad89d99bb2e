//go:build linux

package server

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// holdLock locks file as apt does, says so, and holds the lock until stdin ends.
func holdLock(file string) {
	f, err := os.Create(file)
	if err != nil {
		panic(err)
	}
	if err := unix.FcntlFlock(f.Fd(), unix.F_SETLK, &unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart}); err != nil {
		panic(err)
	}
	fmt.Println("held")
	_, _ = io.Copy(io.Discard, os.Stdin)
	_ = f.Close()
}
