package trace

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/load/resp"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/load/workload"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

const (
	// chunkSize and chunkItems bound what is handed to a thread at once, and
	// ahead how many such chunks the reading may be ahead.
	chunkSize  = 256 << 10
	chunkItems = 1024
	ahead      = 16
	// lookahead is how much time a chunk may span, so that those of slow
	// recordings are handed over in time.
	lookahead = time.Second
	// scanned is how many commands are looked at for their names before the
	// replay, and named how many names get results of their own.
	scanned = 200_000
	named   = 24
)

// Other is what results call the commands without results of their own.
const Other = "OTHER"

// Command is what the server knows of a command: the position of its first key
// (0 for none, its name being at 0), and whether it writes.
type Command struct {
	FirstKey int
	Write    bool
}

// Replay reads a recording and deals its commands out to threads, by client.
type Replay struct {
	trace    spec.Trace
	rate     float64
	commands map[string]Command
	names    map[string]uint16
	order    []string
	feeds    []*Feed
	// runner of runners replays its share of the recorded clients.
	runner, runners int
	// clients is how many were seen at the beginning of the recording.
	clients int
	// Skipped counts commands that make no sense in a replay. Read it, and what
	// Run returned, after the end of Run.
	Skipped int64
}

// Share says that a replay is one of several runners', from 0: each of them
// replays the clients of its own.
type Share struct{ Runner, Runners int }

// NewReplay looks at the beginning of the recording. Rate, if positive, replaces
// the recorded times; commands is what the server knows, by name in lower case.
func NewReplay(t spec.Trace, rate float64, commands map[string]Command, share Share) (*Replay, error) {
	r := &Replay{trace: t, rate: rate, commands: commands, names: map[string]uint16{}, runner: share.Runner, runners: max(1, share.Runners)}
	counts := map[string]int{}
	n := 0
	err := r.each(func(rec *Record) error {
		if name := strings.ToUpper(string(rec.Args[0])); replayable(name) {
			counts[name]++
		}
		r.clients = max(r.clients, rec.Client+1)
		if n++; n == scanned {
			return io.EOF
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(counts) == 0 {
		return nil, fmt.Errorf("%s has no command that can be replayed", t.Path)
	}
	for name := range counts {
		r.order = append(r.order, name)
	}
	slices.SortFunc(r.order, func(a, b string) int { return counts[b] - counts[a] })
	r.order = append(r.order[:min(named, len(r.order))], Other)
	for i, name := range r.order {
		r.names[name] = uint16(i)
	}
	return r, nil
}

// Idle says that this runner has nothing to replay, as far as the beginning of
// the recording shows: there are fewer clients in it than runners.
func (r *Replay) Idle() bool { return r.clients <= r.runner }

// Commands are the names that results are kept by, and whether those commands write.
func (r *Replay) Commands() (names []string, writes []bool) {
	for _, name := range r.order {
		c, known := r.commands[strings.ToLower(name)]
		writes = append(writes, c.Write || !known)
	}
	return r.order, writes
}

// Feeds makes one feed per thread.
func (r *Replay) Feeds(threads int) []*Feed {
	for range threads {
		r.feeds = append(r.feeds, &Feed{in: make(chan *chunk, ahead), used: make(chan *chunk, ahead)})
	}
	return r.feeds
}

// each reads the recording once. It ends without an error when do returns io.EOF.
func (r *Replay) each(do func(*Record) error) (err error) {
	file, err := os.Open(r.trace.Path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	reader, err := NewReader(file, r.trace.Format)
	if err != nil {
		return fmt.Errorf("%s: %w", r.trace.Path, err)
	}
	var rec Record
	for {
		if err := reader.Read(&rec); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("%s: %w", r.trace.Path, err)
		}
		if err := do(&rec); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// Run reads the recording and fills the feeds, until its end or ctx's.
func (r *Replay) Run(ctx context.Context) error {
	d := dealer{Replay: r, ctx: ctx, chunks: make([]*chunk, len(r.feeds))}
	defer d.close()
	for {
		before := d.count
		if err := r.each(d.deal); err != nil {
			return err
		}
		if !r.trace.Loop || ctx.Err() != nil || d.count == before {
			return d.flush()
		}
		d.offset = d.last
	}
}

// dealer is a replay under way.
type dealer struct {
	*Replay
	ctx    context.Context //nolint:containedctx // it lives as long as one call of Run
	chunks []*chunk        // being filled, by thread
	count  int64
	// offset is where this round of a loop began, last when the last command is due.
	offset, last time.Duration
}

func (d *dealer) deal(rec *Record) error {
	name := strings.ToUpper(string(rec.Args[0]))
	if !replayable(name) {
		d.Skipped++
		return nil
	}
	at := rec.At
	switch {
	case d.rate > 0:
		at = time.Duration(float64(d.count) / d.rate * float64(time.Second))
	case at != Untimed:
		at = d.offset + time.Duration(float64(at)/d.trace.Speed)
	}
	d.count++
	d.last = max(d.last, at)
	if rec.Client%d.runners != d.runner {
		return nil
	}
	client := rec.Client / d.runners
	thread := client % len(d.feeds)
	c := d.chunks[thread]
	if c == nil {
		c = d.feeds[thread].blank()
		d.chunks[thread] = c
	}
	command, ok := d.names[name]
	if !ok {
		command = uint16(len(d.order) - 1)
	}
	start := len(c.buf)
	c.buf = resp.AppendCommand(c.buf, rec.Args...)
	c.items = append(c.items, item{at: at, client: client / len(d.feeds), start: start, end: len(c.buf), command: command, slot: d.slot(name, rec.Args)})
	if len(c.items) == chunkItems || len(c.buf) >= chunkSize {
		return d.hand(thread)
	}
	if at != Untimed && at > c.items[0].at+lookahead {
		return d.flush()
	}
	return nil
}

// slot is where the command goes. Of commands whose keys have no fixed place the
// common ones are known here; a wrong guess is put right by the server's MOVED.
func (d *dealer) slot(name string, args [][]byte) uint16 {
	first := d.commands[strings.ToLower(name)].FirstKey
	switch name {
	case "EVAL", "EVALSHA", "EVAL_RO", "EVALSHA_RO", "FCALL", "FCALL_RO":
		first = 0
		if len(args) > 3 {
			if n, err := strconv.Atoi(string(args[2])); err == nil && n > 0 {
				first = 3
			}
		}
	case "XREAD", "XREADGROUP":
		first = 1 + slices.IndexFunc(args, func(a []byte) bool { return strings.EqualFold(string(a), "STREAMS") })
	}
	if first <= 0 || first >= len(args) {
		return workload.AnySlot
	}
	return uint16(spec.Slot(string(args[first])))
}

func (d *dealer) hand(thread int) error {
	c := d.chunks[thread]
	d.chunks[thread] = nil
	if c == nil {
		return nil
	}
	select {
	case d.feeds[thread].in <- c:
		return nil
	case <-d.ctx.Done():
		return io.EOF
	}
}

func (d *dealer) flush() error {
	for thread := range d.chunks {
		if err := d.hand(thread); err != nil {
			return nil //nolint:nilerr // the load is over
		}
	}
	return nil
}

func (d *dealer) close() {
	for _, f := range d.feeds {
		close(f.in)
	}
}

// replayable says whether a command is part of the clients' work, rather than of
// their connections' or the cluster's keeping.
func replayable(name string) bool {
	switch name {
	case "AUTH", "HELLO", "CLIENT", "SELECT", "QUIT", "RESET", "COMMAND", "INFO", "CONFIG", "CLUSTER", "READONLY", "READWRITE", "ASKING",
		"MONITOR", "SYNC", "PSYNC", "REPLCONF", "REPLICAOF", "SLAVEOF", "FAILOVER", "SHUTDOWN", "DEBUG", "MIGRATE", "RESTORE", "SAVE", "BGSAVE", "BGREWRITEAOF",
		"MULTI", "EXEC", "DISCARD", "WATCH", "UNWATCH", "SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE", "UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE",
		"SLOWLOG", "LATENCY", "MODULE", "ACL", "SCRIPT", "FUNCTION", "FLUSHALL", "FLUSHDB", "SWAPDB", "WAIT":
		return false
	}
	return true
}
