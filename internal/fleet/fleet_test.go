//go:build linux

package fleet_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
	"github.com/redisfleet/terraform-provider-redis/internal/embedded"
	"github.com/redisfleet/terraform-provider-redis/internal/fleet"
	"github.com/redisfleet/terraform-provider-redis/internal/reach"
)

// script stands in for redis-bootstrap: what is tested here is how a program is
// brought to a host and talked to, not what it does.
const script = `#!/bin/sh
case "$1" in
echo) read -r request; echo "$request" ;;
where) printf '"%s"\n' "$0" ;;
listen) read -r request && read -r more && printf '"%s"\n' "$*" ;;
fail) echo '{"failure":{"step":"look","cause":"nothing there","advice":"look again"}}'; exit 1 ;;
crash) echo 'panic: out of luck' >&2; exit 2 ;;
attached)
	read -r request
	echo '{"@level":"info","@message":"go on","event":"fault_due","fault":1}' >&2
	echo '"first"'
	read -r control && echo "$control"
	while read -r more; do echo "$more"; done
	echo '"ended"' ;;
esac
`

func builds(t *testing.T, program string) *embedded.Builds {
	t.Helper()
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := w.Write([]byte(program)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return embedded.From(fstest.MapFS{"builds/redis-bootstrap-linux-" + runtime.GOARCH + ".gz": {Data: packed.Bytes()}})
}

func open(t *testing.T, f *fleet.Fleet, baseDir string) *fleet.Host {
	t.Helper()
	session := f.Session()
	t.Cleanup(func() {
		if err := session.Close(); err != nil {
			t.Error(err)
		}
	})
	host, err := session.Host(t.Context(), fleet.Machine{Name: "here", Local: true, BaseDir: baseDir})
	if err != nil {
		t.Fatal(err)
	}
	return host
}

func TestCallGivesTheResult(t *testing.T) {
	host := open(t, &fleet.Fleet{Builds: builds(t, script)}, t.TempDir())
	got, err := fleet.Call[map[string]int](t.Context(), host, "echo", map[string]int{"answer": 42})
	if err != nil || got["answer"] != 42 {
		t.Fatalf("got %v, %v", got, err)
	}
}

// A command learns how long it may hear nothing, and hears something before.
func TestCallAttendsToItsCommand(t *testing.T) {
	t.Parallel()
	host := open(t, &fleet.Fleet{Builds: builds(t, script)}, t.TempDir())
	got, err := fleet.Call[string](t.Context(), host, "listen", "go")
	if want := "listen --" + spec.AttendedFlag + " " + spec.Attended.String(); err != nil || got != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
}

func TestBinaryIsPushedOnceAndReplaced(t *testing.T) {
	base := t.TempDir()
	call := func(program string) os.FileInfo {
		t.Helper()
		host := open(t, &fleet.Fleet{Builds: builds(t, program)}, base)
		where, err := fleet.Call[string](t.Context(), host, "where", nil)
		if want := filepath.Join(base, "bin", "redis-bootstrap"); err != nil || where != want {
			t.Fatalf("ran %q, %v, want %q", where, err, want)
		}
		info, err := os.Stat(where)
		if err != nil {
			t.Fatal(err)
		}
		return info
	}
	first, second := call(script), call(script)
	if !os.SameFile(first, second) || !first.ModTime().Equal(second.ModTime()) {
		t.Error("the same build was pushed again")
	}
	if third := call(script + "# another build\n"); os.SameFile(second, third) {
		t.Error("another build was not pushed, or over the file of a program that may run")
	}
	damaged := filepath.Join(base, "bin", "redis-bootstrap")
	file, err := os.OpenFile(damaged, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteString("exit 1\n"); err != nil || file.Close() != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(damaged)
	if err != nil {
		t.Fatal(err)
	}
	if fourth := call(script + "# another build\n"); os.SameFile(before, fourth) {
		t.Error("a binary that somebody wrote to was taken for the one that was pushed")
	}
	if entries, _ := os.ReadDir(filepath.Join(base, "bin")); len(entries) != 2 {
		t.Errorf("the push left %v, want the binary and its hash", entries)
	}
}

func TestDamagedPushIsRefused(t *testing.T) {
	base := t.TempDir()
	if err := os.MkdirAll(filepath.Join(base, "bin", "redis-bootstrap"), 0o700); err != nil {
		t.Fatal(err)
	}
	host := open(t, &fleet.Fleet{Builds: builds(t, script)}, base)
	// A directory is in the place of the binary: mv moves into it, and what runs
	// then is no program. The call has to fail and name host and step.
	_, err := fleet.Call[string](t.Context(), host, "where", nil)
	var failure *spec.Failure
	if !errors.As(err, &failure) || failure.Host != "here" {
		t.Fatalf("error %v", err)
	}
}

func TestBorrowedBinaryLeavesNothing(t *testing.T) {
	base, temporary := t.TempDir(), t.TempDir()
	t.Setenv("TMPDIR", temporary)
	session := (&fleet.Fleet{Builds: builds(t, script)}).Borrow()
	host, err := session.Host(t.Context(), fleet.Machine{Name: "here", Local: true, BaseDir: base})
	if err != nil {
		t.Fatal(err)
	}
	where, err := fleet.Call[string](t.Context(), host, "where", nil)
	if err != nil {
		t.Fatal(err)
	}
	// Even killed by now, we would leave nothing.
	if entries, _ := os.ReadDir(temporary); len(entries) != 0 {
		t.Errorf("the temporary directory holds %v", entries)
	}
	if err := session.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(where); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there", where)
	}
	if entries, _ := os.ReadDir(base); len(entries) != 0 {
		t.Errorf("the base directory holds %v", entries)
	}
}

func TestFailureKeepsItsParts(t *testing.T) {
	host := open(t, &fleet.Fleet{Builds: builds(t, script)}, t.TempDir())
	_, err := fleet.Call[string](t.Context(), host, "fail", nil)
	var failure *spec.Failure
	want := spec.Failure{Host: "here", Step: "look", Cause: "nothing there", Advice: "look again"}
	if !errors.As(err, &failure) || *failure != want {
		t.Fatalf("error %#v, want %#v", err, want)
	}
}

func TestCrashQuotesItsLastWords(t *testing.T) {
	host := open(t, &fleet.Fleet{Builds: builds(t, script)}, t.TempDir())
	_, err := fleet.Call[string](t.Context(), host, "crash", nil)
	if err == nil || !strings.Contains(err.Error(), "out of luck") || !strings.Contains(err.Error(), "exit code 2") {
		t.Fatalf("error %v", err)
	}
}

func TestAttachedTalksBothWays(t *testing.T) {
	progress := filepath.Join(t.TempDir(), "progress")
	host := open(t, &fleet.Fleet{Builds: builds(t, script), Progress: fleet.NewProgress(progress)}, t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	control := make(chan any, 1)
	var seen []string
	var events []fleet.Event
	begin := time.Now()
	got, err := fleet.Attach[string](ctx, host, "attached", "go", fleet.Attached{
		Control: control,
		OnEvent: func(e fleet.Event) {
			events = append(events, e)
			control <- "stop it"
		},
		OnLine: func(line []byte) {
			seen = append(seen, string(line))
			if len(seen) == 2 {
				cancel() // The caller leaves: stdin ends, and the command ends in its own time.
			}
		},
	})
	if err != nil || got != "ended" || strings.Join(seen, " ") != `"first" "stop it" "ended"` {
		t.Errorf("result %q, %v after lines %q", got, err, seen)
	}
	if len(events) != 1 || events[0].Name != spec.EventFaultDue || events[0].Fields["fault"] != 1.0 {
		t.Errorf("events %v", events)
	}
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("took %v", took)
	}
	if said, _ := os.ReadFile(progress); !bytes.Contains(said, []byte("here: go on")) {
		t.Errorf("progress file holds %q", said)
	}
}

func TestLeaveKeepsOtherClusters(t *testing.T) {
	base := filepath.Join(t.TempDir(), "base")
	other := filepath.Join(base, "other")
	if err := os.MkdirAll(other, 0o700); err != nil {
		t.Fatal(err)
	}
	host := open(t, &fleet.Fleet{Builds: builds(t, script)}, base)
	bin, err := fleet.Call[string](t.Context(), host, "where", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := host.Leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(bin); err != nil {
		t.Errorf("the binary went although %s is still there: %v", other, err)
	}
	if err := os.Remove(other); err != nil {
		t.Fatal(err)
	}
	if err := host.Leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(base); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there", base)
	}
}

func TestEachNamesEveryHostThatFailed(t *testing.T) {
	session := (&fleet.Fleet{Builds: builds(t, script)}).Session()
	defer func() { _ = session.Close() }()
	machines := []fleet.Machine{
		{Name: "one", Local: true, BaseDir: t.TempDir()},
		{Name: "two", Local: true, BaseDir: t.TempDir()},
		{Name: "three", Local: true, BaseDir: t.TempDir()},
	}
	results, err := fleet.Each(t.Context(), session, machines, func(ctx context.Context, h *fleet.Host) (string, error) {
		if h.Name == "two" {
			return fleet.Call[string](ctx, h, "where", nil)
		}
		return fleet.Call[string](ctx, h, "fail", nil)
	})
	if err == nil || !strings.Contains(err.Error(), "one: ") || !strings.Contains(err.Error(), "three: ") || results[1] == "" {
		t.Fatalf("results %q, error %v", results, err)
	}
}

func TestEachKeepsToTheLimit(t *testing.T) {
	const limit = 7
	f := &fleet.Fleet{Builds: builds(t, script), SSH: reach.SSHConfig{Parallelism: limit}}
	session := f.Session()
	t.Cleanup(func() {
		if err := session.Close(); err != nil {
			t.Error(err)
		}
	})
	machines := make([]fleet.Machine, 100)
	for i := range machines {
		machines[i] = fleet.Machine{Name: fmt.Sprint("host-", i), Local: true, BaseDir: t.TempDir()}
	}
	// The first ones wait for each other: all that may work at once do.
	var atWork, most atomic.Int32
	full := make(chan struct{})
	var once sync.Once
	names, err := fleet.Each(t.Context(), session, machines, func(ctx context.Context, h *fleet.Host) (string, error) {
		now := atWork.Add(1)
		defer atWork.Add(-1)
		for seen := most.Load(); now > seen && !most.CompareAndSwap(seen, now); seen = most.Load() {
		}
		if now == limit {
			once.Do(func() { close(full) })
		}
		select {
		case <-full:
			return h.Name, nil
		case <-ctx.Done():
			return "", ctx.Err()
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if most.Load() != limit {
		t.Errorf("%d hosts were worked on at once, the limit is %d", most.Load(), limit)
	}
	for i, name := range names {
		if name != machines[i].Name {
			t.Errorf("result %d is that of %q", i, name)
		}
	}
}
