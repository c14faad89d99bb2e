//go:build linux

package server

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/hashicorp/go-hclog"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// Source builds the server from a tarball. What was built stays below dir, by
// the tarball's hash, and is built once.
func Source(ctx context.Context, log hclog.Logger, want spec.Server, dir string) (*Installation, error) {
	s, err := newSource(log, want, dir)
	if err != nil {
		return nil, err
	}
	in := &Installation{Program: func(ctx context.Context) (Program, error) { return s.program(ctx) }}
	if _, err := os.Stat(s.binary()); err == nil {
		return in, nil
	}
	in.What = fmt.Sprintf("build %s from %s", BinaryName(want.Flavor), s.url.Redacted())
	in.Do = s.install
	in.Version, _ = parseVersion(want.Version)
	return in, nil
}

// building begins the name of a directory that something is built in.
const building = ".building-"

type source struct {
	log  hclog.Logger
	want spec.Server
	url  *url.URL
	// sum is the wanted SHA-256 in lower case.
	sum string
	dir string
}

func newSource(log hclog.Logger, want spec.Server, dir string) (*source, error) {
	u, err := url.Parse(want.SourceURL)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" && u.Scheme != "file" {
		return nil, &spec.Failure{
			Cause:  fmt.Sprintf("server.source_url %q is not an https, http or file address", want.SourceURL),
			Advice: "Give the address of a source tarball of Redis or Valkey (.tar.gz).",
		}
	}
	sum := strings.ToLower(want.SHA256)
	if b, err := hex.DecodeString(sum); err != nil || len(b) != sha256.Size {
		return nil, &spec.Failure{
			Cause:  "server.sha256 is not a SHA-256 of 64 hexadecimal digits",
			Advice: "Give the hash that the project publishes for the tarball: what is built from it runs as a service.",
		}
	}
	return &source{log: log, want: want, url: u, sum: sum, dir: dir}, nil
}

// home is the directory of what was built from this tarball.
func (s *source) home() string { return filepath.Join(s.dir, s.sum) }

func (s *source) binary() string { return filepath.Join(s.home(), BinaryName(s.want.Flavor)) }

func (s *source) program(ctx context.Context) (Program, error) {
	p, err := Examine(ctx, s.binary())
	if err == nil && !p.Version.Matches(s.want.Version) {
		err = &spec.Failure{
			Cause:  fmt.Sprintf("%s holds version %s, and %s is wanted", s.url.Redacted(), p.Version, s.want.Version),
			Advice: "Correct server.version or server.source_url.",
		}
	}
	return p, err
}

func (s *source) install(ctx context.Context) error {
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return err
	}
	work, err := os.MkdirTemp(s.dir, building)
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }()
	if err := s.provideTools(ctx); err != nil {
		return err
	}
	tarball := filepath.Join(work, "source.tar.gz")
	if err := s.fetch(ctx, tarball); err != nil {
		return err
	}
	tree := filepath.Join(work, "tree")
	if err := unpack(tarball, tree); err != nil {
		return fmt.Errorf("unpack %s: %w", s.url.Redacted(), err)
	}
	s.log.Info("compile " + BinaryName(s.want.Flavor))
	if _, err := run(ctx, s.log, tree, []string{"LC_ALL=C"}, "make", "-j", fmt.Sprint(runtime.NumCPU()), "MALLOC=libc"); err != nil {
		return err
	}
	return s.keep(tree, work)
}

// keep puts what was built where it is found again, all at once.
func (s *source) keep(tree, work string) error {
	done := filepath.Join(work, "done")
	if err := os.Mkdir(done, 0o755); err != nil {
		return err
	}
	// MkdirTemp lets nobody else in, and the server runs as another user.
	if err := os.Chmod(done, 0o755); err != nil {
		return err
	}
	server := BinaryName(s.want.Flavor)
	for _, name := range []string{server, strings.TrimSuffix(server, "-server") + "-cli"} {
		built := filepath.Join(tree, "src", name)
		if err := os.Rename(built, filepath.Join(done, name)); err != nil {
			return fmt.Errorf("the build made no %s: %w", name, err)
		}
	}
	if err := os.Rename(done, s.home()); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return nil
}

// provideTools installs what fetches and builds the tarball where it is missing and can be.
func (s *source) provideTools(ctx context.Context) error {
	var missing, packages []string
	for _, tool := range []string{"gcc", "make"} {
		if _, err := exec.LookPath(tool); err != nil {
			missing, packages = append(missing, tool), []string{"gcc", "make", "libc6-dev", "pkg-config"}
		}
	}
	if _, _, err := fetcher(s.url); err != nil {
		missing, packages = append(missing, "curl"), append(packages, "curl", "ca-certificates")
	}
	if len(missing) == 0 {
		return nil
	}
	tools := strings.Join(missing, " and ")
	if _, err := exec.LookPath("apt-get"); err != nil || os.Geteuid() != 0 {
		return &spec.Failure{Cause: "building from source needs " + tools, Advice: "Install them on the host, and apply again."}
	}
	s.log.Info("install " + tools)
	a := &apt{log: s.log, policy: policyFile}
	if a.get(ctx, "install", packages...) == nil {
		return nil
	}
	if err := a.get(ctx, "update"); err != nil {
		return err
	}
	return a.get(ctx, "install", packages...)
}

// fetch writes the tarball to file, and fails unless its hash is the wanted one.
func (s *source) fetch(ctx context.Context, file string) error {
	s.log.Info("download " + s.url.Redacted())
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	hash := sha256.New()
	err = download(ctx, s.url, io.MultiWriter(f, hash))
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("download %s: %w", s.url.Redacted(), err)
	}
	if got := hex.EncodeToString(hash.Sum(nil)); got != s.sum {
		return &spec.Failure{
			Cause:  fmt.Sprintf("%s has the SHA-256 %s, and %s is wanted; nothing of it was used", s.url.Redacted(), got, s.sum),
			Advice: "Compare both with what the project publishes. Correct server.sha256 only if that is where the mistake is.",
		}
	}
	return nil
}

// RemoveBuilt deletes what Source keeps below dir, and dir if nothing else is in it.
func RemoveBuilt(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if _, err := hex.DecodeString(e.Name()); err != nil && !strings.HasPrefix(e.Name(), building) {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	_ = os.Remove(dir) // It stays where somebody else keeps something in it.
	return nil
}
