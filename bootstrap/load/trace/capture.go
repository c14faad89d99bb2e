package trace

import (
	"bufio"
	"container/heap"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/load/resp"
)

// reorder is how long lines are held so that those of other nodes can come
// before them. It also absorbs small differences between the nodes' clocks.
const reorder = 300 * time.Millisecond

// Source is a node whose commands are captured.
type Source struct {
	Addr string
	// Dial connects to it.
	Dial func(ctx context.Context) (net.Conn, error)
	// Username and Password log in, if Password is set.
	Username, Password string
}

// Captured is what a capture has come to.
type Captured struct {
	// Commands have been written; Bytes is what MONITOR sent for them.
	Commands, Bytes int64
	Clients         int
	// Full says that the capture ended because it had reached its bound.
	Full bool
}

// Limits bound a capture.
type Limits struct {
	// Size is how many bytes may be written; 0 means no bound.
	Size int64
}

// Capture runs MONITOR on every source until ctx ends, merges what they print by
// time, and writes it to out. Words for which omit says yes are written as their
// length. A source that breaks ends the capture with an error, and what was
// written so far is whole.
func Capture(ctx context.Context, sources []Source, out io.Writer, limits Limits, omit func(int, []byte) bool, progress func(Captured)) (Captured, error) {
	counted := &countingWriter{out: out}
	w, err := NewWriter(counted)
	if err != nil {
		return Captured{}, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	lines := make(chan captured, 4096)
	var watching sync.WaitGroup
	for i := range sources {
		watching.Go(func() {
			if err := sources[i].monitor(ctx, i, lines); err != nil && ctx.Err() == nil {
				cancel(fmt.Errorf("%s: %w", sources[i].Addr, err))
			}
		})
	}
	go func() {
		watching.Wait()
		close(lines)
	}()
	m := merge{writer: w, clients: map[string]int{}, omit: omit}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for open := true; open && err == nil; {
		select {
		case l, ok := <-lines:
			if open = ok; ok {
				m.add(l)
				err = m.write(l.at - reorder)
			}
		case <-tick.C:
			progress(m.sum)
		}
		if limits.Size > 0 && counted.written >= limits.Size && !m.sum.Full {
			m.sum.Full = true
			cancel(nil)
		}
	}
	cancel(nil)
	for range lines { // until the sources have ended
	}
	err = errors.Join(err, m.write(1<<62), w.Close())
	if cause := context.Cause(ctx); err == nil && !errors.Is(cause, context.Canceled) && !errors.Is(cause, context.DeadlineExceeded) {
		err = cause
	}
	m.sum.Clients = len(m.clients)
	return m.sum, err
}

type countingWriter struct {
	out     io.Writer
	written int64
}

func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.out.Write(p)
	c.written += int64(n)
	return n, err
}

// captured is a line with its source.
type captured struct {
	monitorLine
	source int
	size   int
}

// monitor passes on what MONITOR prints.
func (s *Source) monitor(ctx context.Context, index int, lines chan<- captured) error {
	conn, err := s.Dial(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	var hello []byte
	replies := 1
	if s.Password != "" {
		user := s.Username
		if user == "" {
			user = "default"
		}
		hello = resp.AppendCommand(hello, "AUTH", user, s.Password)
		replies++
	}
	if _, err := conn.Write(resp.AppendCommand(hello, "MONITOR")); err != nil {
		return err
	}
	in := bufio.NewReaderSize(conn, 256<<10)
	for {
		text, err := in.ReadString('\n')
		if err != nil {
			return err
		}
		if len(text) > maxLine {
			return fmt.Errorf("a line of %d bytes", len(text))
		}
		if replies > 0 {
			if text[0] == '-' {
				return errors.New(strings.TrimSpace(text[1:]))
			}
			replies--
			continue
		}
		l, err := parseMonitor(strings.TrimSpace(text[1:]))
		if err != nil {
			return err
		}
		if l.script || !replayable(strings.ToUpper(l.args[0])) {
			continue
		}
		select {
		case lines <- captured{l, index, len(text)}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// merge puts lines in the order of their times.
type merge struct {
	writer  *Writer
	held    byTime
	clients map[string]int
	omit    func(int, []byte) bool
	first   time.Duration
	begun   bool
	sum     Captured
	rec     Record
}

func (m *merge) add(l captured) { heap.Push(&m.held, l) }

// write writes what is older than before.
func (m *merge) write(before time.Duration) error {
	for len(m.held) > 0 && m.held[0].at < before {
		l := heap.Pop(&m.held).(captured)
		if !m.begun {
			m.begun, m.first = true, l.at
		}
		// A client of the cluster has a connection to each node, with a port of its
		// own each; they are different clients here.
		m.rec.At, m.rec.Client = l.at-m.first, number(m.clients, fmt.Sprintf("%d %s", l.source, l.client))
		m.rec.Args = words(m.rec.Args, l.args)
		m.sum.Commands++
		m.sum.Bytes += int64(l.size)
		if err := m.writer.Write(&m.rec, m.omit); err != nil {
			return err
		}
	}
	return nil
}

// byTime is a heap, the oldest line first.
type byTime []captured

func (b byTime) Len() int           { return len(b) }
func (b byTime) Less(i, j int) bool { return b[i].at < b[j].at }
func (b byTime) Swap(i, j int)      { b[i], b[j] = b[j], b[i] }
func (b *byTime) Push(x any)        { *b = append(*b, x.(captured)) }
func (b *byTime) Pop() any {
	old := *b
	last := old[len(old)-1]
	*b = old[:len(old)-1]
	return last
}
