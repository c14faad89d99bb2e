//go:build linux

package server

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// TestMain makes this test binary a process that holds a lock, for the test that waits for one.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "hold" {
		holdLock(os.Args[2])
		return
	}
	os.Exit(m.Run())
}

func TestVersions(t *testing.T) {
	for _, tt := range []struct {
		pkg, want string
		matches   bool
	}{
		{"5:7.0.15-1~deb12u1", "", true},
		{"5:7.0.15-1~deb12u1", "7", true},
		{"5:7.0.15-1~deb12u1", "7.0", true},
		{"5:7.0.15-1~deb12u1", "7.0.15", true},
		{"5:7.0.15-1~deb12u1", "7.0.1", false},
		{"5:7.0.15-1~deb12u1", "5", false},
		{"8.1.1+dfsg1-3", "8.1", true},
		{"6:6.0.16-1ubuntu1", "6.0.16", true},
	} {
		if got := packageVersion(tt.pkg).Matches(tt.want); got != tt.matches {
			t.Errorf("%s matches %q: %v", tt.pkg, tt.want, got)
		}
	}
	if !(Version{7, 0, 0}).AtLeast(Version{6, 2, 9}) || (Version{6, 2, 9}).AtLeast(Version{7}) {
		t.Error("versions are compared wrongly")
	}
}

func TestChoose(t *testing.T) {
	known := parseMadison("redis-server | 5:7.0.15-1~deb12u10 | http://x bookworm-security/main amd64 Packages\n"+
		"redis-server | 5:7.0.15-1~deb12u7 | http://x bookworm/main amd64 Packages\n"+
		"     redis | 5:7.0.15-1 | http://x bookworm/main Sources\n", "redis-server")
	if want := []string{"5:7.0.15-1~deb12u10", "5:7.0.15-1~deb12u7"}; !slices.Equal(known, want) {
		t.Fatalf("got %q, want %q", known, want)
	}
	for want, chosen := range map[string]string{"": known[0], "7.0": known[0], known[1]: known[1], "8": ""} {
		if got, ok := choose(known, want); got != chosen || ok != (chosen != "") {
			t.Errorf("choose %q: %q, %v", want, got, ok)
		}
	}
	a := &apt{name: "redis-server", want: spec.Server{Version: "9.9"}}
	if err := a.noVersion(known, nil); !strings.Contains(err.Error(), "9.9") || !strings.Contains(err.Error(), known[1]) {
		t.Errorf("got %v", err)
	}
}

func TestPolicyIsLeftAsItWas(t *testing.T) {
	for name, before := range map[string]string{"none": "", "somebody's": "#!/bin/sh\nexit 0\n"} {
		t.Run(name, func(t *testing.T) {
			a := &apt{policy: filepath.Join(t.TempDir(), "policy-rc.d")}
			if before != "" {
				if err := os.WriteFile(a.policy, []byte(before), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			// An installation that was cut off holds it twice.
			if err := errors.Join(a.hold(), a.hold()); err != nil {
				t.Fatal(err)
			}
			if held, _, err := a.held(); !held || err != nil {
				t.Errorf("held %v, %v", held, err)
			}
			err := exec.CommandContext(t.Context(), a.policy).Run()
			if exit := new(exec.ExitError); !errors.As(err, &exit) || exit.ExitCode() != 101 {
				t.Errorf("the policy says %v", err)
			}
			if err := a.releaseHold(); err != nil {
				t.Fatal(err)
			}
			after, _ := os.ReadFile(a.policy)
			if string(after) != before {
				t.Errorf("the policy is %q, was %q", after, before)
			}
		})
	}
}

func TestPackagesOwnInstanceIsDisabled(t *testing.T) {
	dir := t.TempDir()
	wants := filepath.Join(dir, "multi-user.target.wants")
	if err := os.Mkdir(wants, 0o755); err != nil {
		t.Fatal(err)
	}
	for link, to := range map[string]string{
		"redis.service": "/lib/systemd/system/redis-server.service",
		"other.service": "/lib/systemd/system/redis-server-other.service",
		"multi-user.target.wants/redis-server.service": "/lib/systemd/system/redis-server.service",
		"multi-user.target.wants/other.service":        "/lib/systemd/system/other.service",
	} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(disable(dir, "redis-server.service"), disable(dir, "redis-server.service")); err != nil {
		t.Fatal(err)
	}
	left, _ := filepath.Glob(filepath.Join(dir, "*.service"))
	more, _ := filepath.Glob(filepath.Join(wants, "*"))
	if want := []string{filepath.Join(dir, "other.service"), filepath.Join(wants, "other.service")}; !slices.Equal(append(left, more...), want) {
		t.Errorf("left are %q and %q, want %q", left, more, want)
	}
}

func TestAptLocksAreWaitedFor(t *testing.T) {
	lock := filepath.Join(t.TempDir(), "lock")
	holder := exec.CommandContext(t.Context(), "/proc/self/exe", "hold", lock)
	stdin, err := holder.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := stdout.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	locks := []string{filepath.Join(t.TempDir(), "absent"), lock}
	if pid, err := lockHolder(locks); pid != holder.Process.Pid || err != nil {
		t.Errorf("holder %d, %v; want %d", pid, err, holder.Process.Pid)
	}
	var log bytes.Buffer
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err = awaitAptLocks(short, hclog.New(&hclog.LoggerOptions{Output: &log}), locks)
	if f := new(spec.Failure); !errors.As(err, &f) || !strings.Contains(f.Cause, "hold "+lock) || !strings.Contains(log.String(), "hold "+lock) {
		t.Errorf("got %v; log %s", err, log.String())
	}
	_ = stdin.Close()
	if err := awaitAptLocks(t.Context(), hclog.NewNullLogger(), locks); err != nil {
		t.Error(err)
	}
	_ = holder.Wait()
}

// tarball packs files into a .tar.gz, in a top directory.
func tarball(t *testing.T, headers []tar.Header, contents ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for i, h := range headers {
		h.Mode, h.Size = 0o644, int64(len(contents[i]))
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(contents[i])); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestUnpackStaysInside(t *testing.T) {
	dir := t.TempDir()
	outside := filepath.Join(dir, "outside")
	for name, headers := range map[string][]tar.Header{
		"dots":    {{Name: "top/../../outside", Typeflag: tar.TypeReg}},
		"symlink": {{Name: "top/link", Typeflag: tar.TypeSymlink, Linkname: dir}, {Name: "top/link/outside", Typeflag: tar.TypeReg}},
	} {
		contents := make([]string, len(headers))
		file := filepath.Join(dir, name+".tar.gz")
		if err := os.WriteFile(file, tarball(t, headers, contents...), 0o600); err != nil {
			t.Fatal(err)
		}
		err := unpack(file, filepath.Join(dir, name))
		if _, statErr := os.Stat(outside); statErr == nil {
			t.Errorf("%s: written outside; %v", name, err)
		}
	}
}

// sourceServer serves a tarball whose build makes a program that says it is Redis 9.8.7.
func sourceServer(t *testing.T) (*httptest.Server, spec.Server) {
	t.Helper()
	for _, tool := range []string{"gcc", "make"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("needs " + tool)
		}
	}
	b := tarball(t, []tar.Header{{Name: "redis-9.8.7/Makefile", Typeflag: tar.TypeReg}, {Name: "redis-9.8.7/src/main.c", Typeflag: tar.TypeReg}},
		"all:\n\ttest $(MALLOC) = libc\n\tcc -o src/redis-server src/main.c\n\tcp src/redis-server src/redis-cli\n",
		"#include <stdio.h>\nint main(void) { return puts(\"Redis server v=9.8.7 sha=0\") < 0; }\n")
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/redis.tar.gz" {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(b)
	}))
	t.Cleanup(srv.Close)
	sum := sha256.Sum256(b)
	return srv, spec.Server{Flavor: spec.FlavorRedis, Install: spec.InstallSource, SourceURL: srv.URL + "/redis.tar.gz", SHA256: hex.EncodeToString(sum[:])}
}

func TestSourceIsBuiltOnce(t *testing.T) {
	srv, want := sourceServer(t)
	dir := filepath.Join(t.TempDir(), "servers")
	in, err := Source(t.Context(), hclog.NewNullLogger(), want, dir)
	if err != nil || !strings.Contains(in.What, want.SourceURL) {
		t.Fatalf("%+v, %v", in, err)
	}
	if err := in.Do(t.Context()); err != nil {
		t.Fatal(err)
	}
	p, err := in.Program(t.Context())
	if err != nil || p.Version != (Version{9, 8, 7}) || p.Systemd {
		t.Errorf("%+v, %v", p, err)
	}
	srv.Close()
	if in, err := Source(t.Context(), hclog.NewNullLogger(), want, dir); err != nil || in.What != "" {
		t.Errorf("it would be built again: %+v, %v", in, err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("left %v, %v", left, err)
	}
	want.Version = "7"
	in, err = Source(t.Context(), hclog.NewNullLogger(), want, dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := in.Program(t.Context()); err == nil || !strings.Contains(err.Error(), "9.8.7") {
		t.Errorf("another version than was wanted: %v", err)
	}
	if err := RemoveBuilt(dir); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("what was built is left")
	}
}

func TestSourceRefuses(t *testing.T) {
	_, good := sourceServer(t)
	for _, tt := range []struct {
		name, url, sum, want string
	}{
		{"another hash", good.SourceURL, strings.Repeat("0", 64), "nothing of it was used"},
		{"no hash", good.SourceURL, "", "64 hexadecimal digits"},
		{"no such file", good.SourceURL + "x", good.SHA256, "404"},
		{"no address", "redis.tar.gz", good.SHA256, "source_url"},
	} {
		dir := filepath.Join(t.TempDir(), "servers")
		want := spec.Server{Flavor: spec.FlavorRedis, SourceURL: tt.url, SHA256: tt.sum}
		in, err := Source(t.Context(), hclog.NewNullLogger(), want, dir)
		if err == nil {
			err = in.Do(t.Context())
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			t.Errorf("%s: left %v", tt.name, left)
		}
	}
}
