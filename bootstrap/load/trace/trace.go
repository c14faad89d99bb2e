// Package trace reads, writes and records workloads: what the clients of a
// cluster sent, and when.
package trace

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// Untimed is the time of a command in a recording without times.
const Untimed time.Duration = -1

// Record is one command.
type Record struct {
	// At counts from the first command, or is Untimed.
	At time.Duration
	// Client numbers the clients of the recording.
	Client int
	// Args are the command's words. They are valid until the next Read.
	Args [][]byte
}

// Reader reads a recording. Read fills in the next command; at the end it
// returns io.EOF. An error says where in the file it is.
type Reader interface {
	Read(*Record) error
}

// Limits of what is read. A file that goes beyond them is damaged, or not what it
// is taken for.
const (
	maxArgs = 1 << 20
	maxArg  = spec.MaxDataSize
	maxLine = 64 << 20
	longest = 100 * 365 * 24 * time.Hour
)

// ErrTruncated is wrapped by the error of a recording that ends too early.
var ErrTruncated = errors.New("the recording is cut off")

// NewReader reads a recording in the given format, one of spec's Trace constants.
func NewReader(r io.Reader, format string) (Reader, error) {
	switch format {
	case spec.TraceBootstrap:
		return newBinaryReader(r)
	case spec.TraceMonitor:
		return &monitorReader{lines: newLines(r), clients: map[string]int{}}, nil
	case spec.TraceCommands:
		return &commandReader{lines: newLines(r)}, nil
	case spec.TraceTwitter:
		return &twitterReader{lines: newLines(r), clients: map[string]int{}}, nil
	}
	return nil, fmt.Errorf("the format %q is not known", format)
}

// lines reads a text line by line and counts them.
type lines struct {
	scanner *bufio.Scanner
	number  int
}

func newLines(r io.Reader) *lines {
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 64<<10), maxLine)
	return &lines{scanner: s}
}

// next is the next line that is not blank.
func (l *lines) next() (string, error) {
	for l.scanner.Scan() {
		l.number++
		if text := l.scanner.Text(); strings.TrimSpace(text) != "" {
			return text, nil
		}
	}
	if err := l.scanner.Err(); err != nil {
		return "", fmt.Errorf("line %d: %w", l.number+1, err)
	}
	return "", io.EOF
}

func (l *lines) fail(format string, args ...any) error {
	return fmt.Errorf("line %d: %w", l.number, fmt.Errorf(format, args...))
}
