//go:build linux

package host

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// kernel makes a root directory whose parameters are as on a stock host.
func kernel(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for name, value := range map[string]string{
		"proc/sys/vm/overcommit_memory":              "0\n",
		"proc/sys/net/core/somaxconn":                "128\n",
		"sys/kernel/mm/transparent_hugepage/enabled": "[always] madvise never\n",
	} {
		file := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(value), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func tuneIn(t *testing.T, root string, dryRun bool, backlog int) *apply {
	t.Helper()
	a := &apply{log: hclog.NewNullLogger(), req: spec.HostApply{DryRun: dryRun}}
	if err := a.tuneRoot(t.Context(), root, tunings(backlog)); err != nil {
		t.Fatal(err)
	}
	return a
}

func readIn(t *testing.T, root, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestTune(t *testing.T) {
	root := kernel(t)
	planned := tuneIn(t, root, true, defaultBacklog)
	if exists(filepath.Join(root, "etc")) || len(planned.changes) != 3 {
		t.Errorf("a dry run wrote, or planned %s", words(planned.changes))
	}
	if did := tuneIn(t, root, false, defaultBacklog); words(did.changes) != words(planned.changes) || len(did.warnings) > 0 {
		t.Errorf("did %s, warned %v", words(did.changes), did.warnings)
	}
	if got := readIn(t, root, "proc/sys/net/core/somaxconn"); got != "511" {
		t.Errorf("somaxconn is %q", got)
	}
	if again := tuneIn(t, root, false, defaultBacklog); len(again.changes) > 0 {
		t.Errorf("the second time did %s", words(again.changes))
	}
	tuneIn(t, root, false, 4096)
	want := tuningHeader + "vm.overcommit_memory = 1\nnet.core.somaxconn = 4096\n"
	if got := readIn(t, root, sysctlFile); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := readIn(t, root, tmpfilesFile); !strings.Contains(got, "madvise") {
		t.Errorf("tmpfiles has %q", got)
	}
	if removed, err := untune(root); err != nil || len(removed) != 2 || exists(filepath.Join(root, sysctlFile)) {
		t.Errorf("removed %v, %v", removed, err)
	}
}

func TestTuneWhereTheKernelIsReadOnly(t *testing.T) {
	root := kernel(t)
	if os.Geteuid() != 0 {
		t.Skip("mounting needs root")
	}
	proc := filepath.Join(root, "proc")
	if err := unix.Mount(proc, proc, "", unix.MS_BIND, ""); err != nil {
		t.Skipf("cannot mount: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(proc, unix.MNT_DETACH) })
	if err := unix.Mount("", proc, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	a := tuneIn(t, root, false, defaultBacklog)
	if len(a.warnings) != 2 || !strings.Contains(a.warnings[0], "read-only") || len(a.changes) != 1 {
		t.Errorf("warned %q, did %s", a.warnings, words(a.changes))
	}
	if exists(filepath.Join(root, sysctlFile)) {
		t.Error("what cannot be set now would be set at the next start")
	}
}
