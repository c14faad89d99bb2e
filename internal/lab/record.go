//go:build linux

package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Record is what a running lab leaves for others to find it by.
type Record struct {
	Name string `json:"-"`
	// Owner holds the lab: it ends when the owner does. Init is the first process
	// in its namespaces.
	Owner Process `json:"owner"`
	Init  Process `json:"init"`
}

// Process names a process beyond doubt: ids are used again, start times are not.
type Process struct {
	PID int `json:"pid"`
	// Started is in clock ticks since the machine booted.
	Started string `json:"started"`
	// Boot tells this run of the machine from others.
	Boot string `json:"boot"`
}

// Running says whether the process still runs.
func (p Process) Running() bool {
	now, err := processNow(p.PID)
	return err == nil && now == p
}

// processNow describes the process that has this id now.
func processNow(pid int) (Process, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return Process{}, err
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return Process{}, err
	}
	// The name, in parentheses, may hold anything; fields count from behind it.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) < 20 || fields[0] == "Z" {
		return Process{}, errors.New("process has ended")
	}
	return Process{PID: pid, Started: fields[19], Boot: strings.TrimSpace(string(boot))}, nil
}

// stateDir is where labs keep their hosts' files: a disk that overlayfs can write to.
func stateDir() string {
	if dir := os.Getenv("REDIS_LAB_DIR"); dir != "" {
		return dir
	}
	return "/var/lib/terraform-provider-redis/labs"
}

func makeLabDir(name string) (string, error) {
	dir := filepath.Join(stateDir(), name)
	if err := os.MkdirAll(stateDir(), 0o755); err != nil {
		return "", err
	}
	if err := os.Mkdir(dir, 0o755); errors.Is(err, os.ErrExist) {
		return "", fmt.Errorf("lab %q runs already; end it with `make lab-down`", name)
	} else if err != nil {
		return "", err
	}
	return dir, nil
}

const recordFile = "lab.json"

func writeRecord(dir string, initPID int) error {
	owner, err := processNow(os.Getpid())
	if err != nil {
		return err
	}
	first, err := processNow(initPID)
	if err != nil {
		return err
	}
	b, err := json.Marshal(Record{Owner: owner, Init: first})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, recordFile), b, 0o644)
}

// Records lists the labs of this machine, crashed ones too.
func Records() ([]Record, error) {
	dirs, err := os.ReadDir(stateDir())
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	var records []Record
	for _, d := range dirs {
		r := Record{Name: d.Name()}
		b, readErr := os.ReadFile(filepath.Join(stateDir(), d.Name(), recordFile))
		if readErr == nil {
			readErr = json.Unmarshal(b, &r)
		}
		// A directory without a record is a lab that is being made, or was, by a
		// process that died early: its age tells.
		if info, statErr := d.Info(); readErr != nil && statErr == nil && time.Since(info.ModTime()) < time.Minute {
			continue
		}
		records = append(records, r)
	}
	return records, err
}

// Sweep deletes what crashed labs left, should their own sweeper have died too.
func Sweep(ctx context.Context) error {
	records, err := Records()
	for _, r := range records {
		if !r.Owner.Running() {
			err = errors.Join(err, r.End(ctx))
		}
	}
	return err
}

// End ends the lab, whether its owner still runs or not, and waits until nothing is left.
func (r Record) End(ctx context.Context) error {
	if r.Owner.Running() {
		if err := syscall.Kill(r.Owner.PID, syscall.SIGTERM); err != nil {
			return err
		}
		if err := waitProcess(ctx, r.Owner); err != nil {
			return err
		}
	}
	if r.Init.Running() {
		if err := syscall.Kill(r.Init.PID, syscall.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
			return err
		}
		if err := waitProcess(ctx, r.Init); err != nil {
			return err
		}
	}
	mounts, err := cgroupMounts()
	if err != nil {
		return err
	}
	for i := range mounts {
		mounts[i] = filepath.Join(mounts[i], "redis-lab-"+r.Name)
	}
	return errors.Join(removeCgroups(mounts), os.RemoveAll(filepath.Join(stateDir(), r.Name)))
}

// waitProcess waits for the end of a process that is not our child.
func waitProcess(ctx context.Context, p Process) error {
	fd, err := unix.PidfdOpen(p.PID, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("wait for process %d: %w", p.PID, err)
	}
	defer func() { _ = unix.Close(fd) }()
	for ctx.Err() == nil && p.Running() {
		_, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 200)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
	}
	return context.Cause(ctx)
}
