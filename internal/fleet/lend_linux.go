package fleet

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// lend unpacks the build for this machine into memory, for calls that must leave
// nothing behind: however we end, the kernel takes it back.
func (h *Host) lend() (string, error) {
	build, err := h.builds.For(runtime.GOARCH)
	if err != nil {
		return "", h.fail("choose redis-bootstrap", err)
	}
	file, err := memoryFile()
	if err != nil {
		return "", h.fail("unpack redis-bootstrap", err)
	}
	if err := build.Unpack(file); err != nil {
		return "", h.fail("unpack redis-bootstrap", errors.Join(err, file.Close()))
	}
	h.lent = file
	h.bin = fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), file.Fd())
	return h.bin, nil
}

// memoryFile is a file in memory that may be executed. Kernels before 6.3 don't
// know that this has to be asked for.
func memoryFile() (*os.File, error) {
	const name = "redis-bootstrap"
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_EXEC)
	if errors.Is(err, unix.EINVAL) {
		fd, err = unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	}
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	return os.NewFile(uintptr(fd), name), nil
}
