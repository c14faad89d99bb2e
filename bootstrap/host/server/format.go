//go:build linux

package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// Format is how a data file of the RDB kind begins, its version within:
// "REDIS0011", or "VALKEY080" from Valkey 9 on.
type Format string

const formatLength = 9

// firstOfValkey is the first version with Valkey's own magic word.
const firstOfValkey = 80

// FormatOf is the format of a version number, such as the one in the footer of a dumped payload.
func FormatOf(version int) Format {
	if version >= firstOfValkey {
		return Format(fmt.Sprintf("VALKEY%03d", version))
	}
	return Format(fmt.Sprintf("REDIS%04d", version))
}

// FormatIn reads the format of a file; empty if there is no file, or none of the RDB kind.
func FormatIn(file string) (Format, error) {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	head := make([]byte, formatLength)
	if _, err := io.ReadFull(f, head); err != nil {
		return "", nil // A shorter file is none.
	}
	format := Format(head)
	if _, ok := format.version(); !ok {
		return "", nil
	}
	return format, nil
}

func (f Format) version() (int, bool) {
	digits, ok := strings.CutPrefix(string(f), "REDIS")
	if !ok {
		digits, ok = strings.CutPrefix(string(f), "VALKEY")
	}
	v, err := strconv.Atoi(digits)
	return v, ok && err == nil
}

// String is the format in words.
func (f Format) String() string {
	v, _ := f.version()
	return fmt.Sprintf("RDB version %d", v)
}

// ReadBy says whether a server of this flavor and version, which is not there
// yet, reads f. For versions newer than this program it is not known.
func (f Format) ReadBy(flavor spec.Flavor, v Version) (reads, known bool) {
	version, _ := f.version()
	switch {
	case v == Version{}:
		return false, false
	case flavor == spec.FlavorValkey && v.AtLeast(Version{10}):
		return false, false
	case flavor == spec.FlavorValkey && v.AtLeast(Version{9}):
		// The numbers between are Redis' own, of which it knows nothing.
		return version <= 11 || version == firstOfValkey, true
	case flavor == spec.FlavorValkey:
		return version <= 11, true
	case v.AtLeast(Version{8, 1}):
		return false, false
	case v.AtLeast(Version{7, 4}):
		return version <= 12, true
	case v.AtLeast(Version{7, 2}):
		return version <= 11, true
	case v.AtLeast(Version{7}):
		return version <= 10, true
	default:
		return version <= 9, true
	}
}

// probeTime is how long a server may take to start without data.
const probeTime = 20 * time.Second

// Reads asks the program itself: it is run for a moment on an empty data file of
// this format, in a directory of its own, without a port.
func (p Program) Reads(ctx context.Context, f Format) (bool, error) {
	dir, err := os.MkdirTemp("", "redis-bootstrap-")
	if err != nil {
		return false, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	// 0xff ends the file, and a checksum of zeros stands for none.
	empty := append([]byte(f), 0xff, 0, 0, 0, 0, 0, 0, 0, 0)
	if err := os.WriteFile(filepath.Join(dir, "dump.rdb"), empty, 0o600); err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	var out probeOutput
	out.ready = make(chan struct{})
	cmd := exec.CommandContext(ctx, p.Binary, "--port", "0", "--unixsocket", "s", "--dir", dir, "--dbfilename", "dump.rdb",
		"--appendonly", "no", "--save", "", "--daemonize", "no", "--loglevel", "notice")
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &out
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		return false, err
	}
	ended := make(chan struct{})
	var end error
	go func() {
		end = cmd.Wait()
		close(ended)
	}()
	select {
	case <-out.ready:
		_ = cmd.Process.Kill()
		<-ended
		return true, nil
	case <-ended:
		if ctx.Err() == nil && bytes.Contains(out.text, []byte("Fatal error loading the DB")) {
			return false, nil
		}
		return false, fmt.Errorf("%s cannot be tried: %w: %s", p.Binary, errors.Join(end, ctx.Err()), tail(string(out.text)))
	}
}

// probeOutput closes ready when a server says that it is.
type probeOutput struct {
	text  []byte
	ready chan struct{}
	said  bool
}

// Write implements io.Writer.
func (o *probeOutput) Write(b []byte) (int, error) {
	o.text = append(o.text, b...)
	if !o.said && bytes.Contains(bytes.ToLower(o.text), []byte("ready to accept connections")) {
		o.said = true
		close(o.ready)
	}
	return len(b), nil
}
