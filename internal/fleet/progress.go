package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/terraform-plugin-log/tflog"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// Progress tells people how the work goes on: Terraform's own log gets every
// line, and the file, if there is one, those that are worth following. A nil
// *Progress tells the log only.
type Progress struct {
	path string
	mu   sync.Mutex
}

// NewProgress appends to the file at path; with "" there is none.
func NewProgress(path string) *Progress { return &Progress{path: path} }

// line is one line of redis-bootstrap's log.
type line struct {
	Level   string
	Message string
	Fields  map[string]any
}

// parseLine reads an hclog JSON line. Anything else (a stack trace, a word from
// sudo) is no line.
func parseLine(raw []byte) (line, bool) {
	var fields map[string]any
	if json.Unmarshal(raw, &fields) != nil {
		return line{}, false
	}
	level, _ := fields["@level"].(string)
	message, ok := fields["@message"].(string)
	if !ok {
		return line{}, false
	}
	maps.DeleteFunc(fields, func(key string, _ any) bool { return strings.HasPrefix(key, "@") })
	return line{Level: level, Message: message, Fields: fields}, true
}

// tell passes on what redis-bootstrap said on host.
func (p *Progress) tell(ctx context.Context, host string, l line) {
	fields := maps.Clone(l.Fields)
	fields["host"] = host
	switch l.Level {
	case "error":
		tflog.Error(ctx, l.Message, fields)
	case "warn":
		tflog.Warn(ctx, l.Message, fields)
	case "info":
		tflog.Info(ctx, l.Message, fields)
	default:
		tflog.Debug(ctx, l.Message, fields)
		return
	}
	p.write(host, l)
}

// Say tells people message, about host if it is not empty.
func (p *Progress) Say(ctx context.Context, host, message string) {
	p.tell(ctx, host, line{Level: "info", Message: message, Fields: map[string]any{}})
}

// write appends l to the file. It opens it each time: a line a second is
// cheap, and nobody has to close anything.
func (p *Progress) write(host string, l line) {
	if p == nil || p.path == "" {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	file, err := os.OpenFile(p.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return // Progress is a courtesy: the work itself goes on without it.
	}
	defer func() { _ = file.Close() }()
	_, _ = io.WriteString(file, format(time.Now(), host, l))
}

// format gives l as a line for people: time, node or host, message, count, and
// what else the line carries.
func format(now time.Time, host string, l line) string {
	var b strings.Builder
	b.WriteString(now.Format("15:04:05  "))
	// A process is called by its node's name, which says more than its host's.
	who, ok := l.Fields["node"].(string)
	if !ok || who == "" {
		who = host
	}
	if who != "" {
		fmt.Fprintf(&b, "%s: ", who)
	}
	b.WriteString(l.Message)
	// Seconds done of seconds in all are for a progress bar: the message says them too.
	if done, ok := l.Fields[spec.LogDone]; ok && l.Fields[spec.LogUnit] != "s" {
		fmt.Fprintf(&b, " (%v", done)
		if total, ok := l.Fields[spec.LogTotal]; ok {
			fmt.Fprintf(&b, "/%v", total)
		}
		if unit, ok := l.Fields[spec.LogUnit]; ok {
			fmt.Fprintf(&b, " %v", unit)
		}
		b.WriteByte(')')
	}
	for _, key := range slices.Sorted(maps.Keys(l.Fields)) {
		switch key {
		case spec.LogDone, spec.LogTotal, spec.LogUnit, spec.LogPhase, spec.LogEvent, "host", "node":
		default:
			fmt.Fprintf(&b, " %s=%v", key, l.Fields[key])
		}
	}
	b.WriteByte('\n')
	return b.String()
}
