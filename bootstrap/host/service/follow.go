//go:build linux

package service

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// orphan finds the server of dir that nobody supervises. One that we started is
// stopped, for it is better had as a child; one that somebody else started is left running.
func orphan(ctx context.Context, dir string) (int, error) {
	def := loaded(dir)
	if def.Data == "" {
		return 0, stopOrphans(ctx, dir)
	}
	servers, err := serversOf(def)
	if err != nil || len(servers) == 0 {
		return 0, err
	}
	return servers[0].PID, nil
}

// follow watches a server that somebody else started until it ends. When ctx is
// cancelled it asks the server to end, and waits.
func (s *supervisor) follow(ctx context.Context) error {
	pid := s.running
	s.running = 0
	s.log.Printf("take over the server that runs, pid %d", pid)
	s.ServerPID = pid
	if err := publish(s.lock, s.report); err != nil {
		s.log.Print(err)
	}
	s.sayStarted()
	stop := context.AfterFunc(ctx, func() { _ = end(context.WithoutCancel(ctx), pid, s.dir) })
	defer stop()
	return awaitExit(pid)
}

// awaitExit waits until the process pid is gone: the kernel says so, and nobody has to look.
func awaitExit(pid int) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("watch process %d: %w", pid, err)
	}
	defer func() { _ = unix.Close(fd) }()
	for {
		// The descriptor becomes readable when the process ends.
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1) //nolint:gosec // G115: a descriptor is small.
		if n > 0 {
			return nil
		}
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("watch process %d: %w", pid, err)
		}
	}
}
