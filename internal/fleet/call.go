package fleet

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
	"github.com/redisfleet/terraform-provider-redis/internal/reach"
)

// attachedGrace is how long a command that we were attached to may take to put
// things in order, once its stdin has ended.
const attachedGrace = 20 * time.Second

// Event is a line of a command's log that is meant for its caller.
type Event struct {
	// Name is one of the spec.Event constants.
	Name string
	// Fields are the line's fields.
	Fields map[string]any
}

// Call sends req to the subcommand verb ("host apply") on h and gives back its
// result. What the command could not do comes back as *spec.Failure.
func Call[Res any](ctx context.Context, h *Host, verb string, req any) (Res, error) {
	var res Res
	var out bytes.Buffer
	err := h.exec(ctx, exchange{verb: verb, request: req, stdout: &out})
	return res, h.fail(verb, decode(out.Bytes(), err, &res))
}

// Attached is a subcommand that goes on until it is done or its caller leaves.
type Attached struct {
	// Control sends further messages to the command while it runs; a nil Control sends none.
	Control <-chan any
	// OnEvent is called for each event in its log, in order.
	OnEvent func(Event)
	// OnLine is called for each line on its stdout, in order.
	OnLine func([]byte)
}

// Attach is Call for a command that runs for long: its stdin stays open. When
// ctx ends, so does its stdin, and it has 20 s to stop what it does.
func Attach[Res any](ctx context.Context, h *Host, verb string, req any, a Attached) (Res, error) {
	var res Res
	out := &lines{each: a.OnLine}
	err := h.exec(ctx, exchange{verb: verb, request: req, stdout: out, attached: true, control: a.Control, onEvent: a.OnEvent})
	out.end()
	return res, h.fail(verb, decode(out.last, err, &res))
}

// exchange is one run of a subcommand.
type exchange struct {
	verb     string
	request  any
	stdout   io.Writer
	attached bool
	control  <-chan any
	onEvent  func(Event)
}

// exec runs x on h. The log of the command goes to the progress; what is no log
// line is kept for the error.
func (h *Host) exec(ctx context.Context, x exchange) error {
	err := h.execOnce(ctx, x)
	const noSuchProgram = 127 // of every POSIX shell
	if exit := new(reach.ExitError); errors.As(err, &exit) && exit.Code == noSuchProgram {
		// Somebody who was done with the host has taken the binary away meanwhile.
		h.forgetBinary()
		return h.execOnce(ctx, x)
	}
	return err
}

func (h *Host) execOnce(ctx context.Context, x exchange) error {
	bin, err := h.binary(ctx)
	if err != nil {
		return err
	}
	request, err := json.Marshal(x.request)
	if err != nil {
		return err
	}
	var rest tail
	log := &lines{each: func(raw []byte) { h.hear(ctx, raw, &rest, x.onEvent) }}
	command := reach.Command{
		Args:  append([]string{bin}, strings.Fields(x.verb)...),
		Stdin: bytes.NewReader(request), Stdout: x.stdout, Stderr: log, Root: true,
	}
	if x.attached {
		err = h.attach(ctx, command, request, x.control)
	} else {
		err = h.attend(ctx, command, request)
	}
	log.end()
	if said := rest.String(); err != nil && said != "" {
		return fmt.Errorf("%w: %s", err, said)
	}
	return err
}

// attend runs command, and lets it know all the while that we are still here.
func (h *Host) attend(ctx context.Context, command reach.Command, request []byte) error {
	stdin, feed := io.Pipe()
	command.Stdin = stdin
	command.Args = append(command.Args, "--"+spec.AttendedFlag, spec.Attended.String())
	done := make(chan struct{})
	var feeding sync.WaitGroup
	feeding.Go(func() {
		const beatsMissed = 3
		beat := time.NewTicker(spec.Attended / beatsMissed)
		defer beat.Stop()
		for message := slices.Concat(request, []byte{'\n'}); ; message = []byte{'\n'} {
			if _, err := feed.Write(message); err != nil {
				return
			}
			select {
			case <-beat.C:
			case <-done:
				return
			}
		}
	})
	err := h.conn.Run(ctx, command)
	close(done)
	_ = stdin.Close()
	feeding.Wait()
	return err
}

// attach runs command with a stdin that goes on after request: with what
// arrives on control, until ctx ends.
func (h *Host) attach(ctx context.Context, command reach.Command, request []byte, control <-chan any) error {
	stdin, feed := io.Pipe()
	command.Stdin = stdin
	runCtx, kill := context.WithCancel(context.WithoutCancel(ctx))
	defer kill()

	var feeding sync.WaitGroup
	done := make(chan struct{})
	feeding.Go(func() {
		defer func() { _ = feed.Close() }()
		if _, err := feed.Write(append(request, '\n')); err != nil {
			return
		}
		encoder := json.NewEncoder(feed)
		for {
			select {
			case message := <-control:
				if encoder.Encode(message) != nil {
					return
				}
			case <-ctx.Done():
				time.AfterFunc(attachedGrace, kill)
				return
			case <-done:
				return
			}
		}
	})
	err := h.conn.Run(runCtx, command)
	close(done)
	_ = stdin.Close()
	feeding.Wait()
	if ctx.Err() != nil && err != nil {
		return context.Cause(ctx)
	}
	return err
}

// hear takes one line of a command's stderr.
func (h *Host) hear(ctx context.Context, raw []byte, rest *tail, onEvent func(Event)) {
	l, ok := parseLine(raw)
	if !ok {
		_, _ = rest.Write(append(bytes.Clone(raw), '\n'))
		return
	}
	h.progress.tell(ctx, h.Name, l)
	if name, ok := l.Fields[spec.LogEvent].(string); ok && onEvent != nil {
		onEvent(Event{Name: name, Fields: l.Fields})
	}
}

// decode reads a command's result, or the failure that it wrote instead.
func decode(out []byte, runErr error, res any) error {
	var failed struct {
		Failure *spec.Failure `json:"failure"`
	}
	if runErr != nil {
		if json.Unmarshal(out, &failed) == nil && failed.Failure != nil && !ended(runErr) {
			return failed.Failure
		}
		return runErr
	}
	if err := json.Unmarshal(out, res); err != nil {
		return fmt.Errorf("its result cannot be read: %w", err)
	}
	return nil
}

// ended says whether a command failed because we stopped it: what it says then
// is about its end and not about its work.
func ended(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// lines calls each for every line written to it, and keeps the last one.
type lines struct {
	each func([]byte)
	part []byte
	last []byte
}

// Write implements io.Writer.
func (l *lines) Write(p []byte) (int, error) {
	written := len(p)
	for {
		head, rest, found := bytes.Cut(p, []byte{'\n'})
		l.part = append(l.part, head...)
		if !found {
			return written, nil
		}
		l.end()
		p = rest
	}
}

// end takes what has been written since the last line end as a line.
func (l *lines) end() {
	if len(l.part) == 0 {
		return
	}
	l.last = bytes.Clone(l.part)
	l.part = l.part[:0]
	if l.each != nil {
		l.each(l.last)
	}
}

// tailSize is how much of a command's last words an error quotes.
const tailSize = 2000

// tail keeps the end of what is written to it.
type tail struct{ kept []byte }

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	t.kept = append(t.kept, p...)
	if extra := len(t.kept) - tailSize; extra > 0 {
		t.kept = append(t.kept[:0], t.kept[extra:]...)
	}
	return len(p), nil
}

// String gives what was kept.
func (t *tail) String() string { return strings.TrimSpace(string(t.kept)) }
