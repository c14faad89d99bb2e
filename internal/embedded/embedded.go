// Package embedded holds redis-bootstrap for the hosts' architectures, as
// `make build` compiled it into builds/. A plain `go build` works without those
// files; the provider then says so when it needs one.
package embedded

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
)

//go:embed builds
var files embed.FS

// Builds gives out the embedded builds. It is safe for concurrent use.
type Builds struct {
	files fs.FS
	mu    sync.Mutex
	found map[string]Build
}

// Build is redis-bootstrap for one architecture.
type Build struct {
	// Gzip is the binary, compressed: it is sent like that.
	Gzip []byte
	// SHA256 is the hash of the binary itself, 64 hex digits.
	SHA256 string
	binary []byte
}

// New gives the builds of this program, the same ones each time: a process may
// serve many providers, as tests do, and unpacks each build once.
func New() *Builds { return ours() }

var ours = sync.OnceValue(func() *Builds { return From(files) })

// From gives the builds in a directory builds of files.
func From(files fs.FS) *Builds { return &Builds{files: files, found: make(map[string]Build)} }

// MissingError is a build that is not embedded.
type MissingError struct{ Arch string }

// Error implements error.
func (e *MissingError) Error() string {
	return fmt.Sprintf("this provider was built without redis-bootstrap for linux/%s; "+
		"use a released provider, or build it with `make build`, which embeds redis-bootstrap for linux/amd64 and linux/arm64", e.Arch)
}

// For gives the build for linux on arch, a GOARCH.
func (b *Builds) For(arch string) (Build, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if build, ok := b.found[arch]; ok {
		return build, nil
	}
	compressed, err := fs.ReadFile(b.files, "builds/redis-bootstrap-linux-"+arch+".gz")
	if errors.Is(err, fs.ErrNotExist) {
		return Build{}, &MissingError{Arch: arch}
	}
	if err != nil {
		return Build{}, err
	}
	build := Build{Gzip: compressed}
	if build.binary, err = unpack(compressed); err != nil {
		return Build{}, fmt.Errorf("the embedded redis-bootstrap for linux/%s is damaged: %w", arch, err)
	}
	hash := sha256.Sum256(build.binary)
	build.SHA256 = hex.EncodeToString(hash[:])
	b.found[arch] = build
	return build, nil
}

func unpack(compressed []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(compressed))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// Unpack writes the binary, unpacked.
func (b Build) Unpack(w io.Writer) error {
	_, err := w.Write(b.binary)
	return err
}

// Arch gives the GOARCH for what `uname -m` printed, or false for one that
// redis-bootstrap is not built for.
func Arch(machine string) (string, bool) {
	switch machine {
	case "x86_64", "amd64":
		return "amd64", true
	case "aarch64", "arm64":
		return "arm64", true
	}
	return "", false
}
