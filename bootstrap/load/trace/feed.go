package trace

import (
	"time"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/load/workload"
)

// Feed delivers one thread's part of a replay. Only that thread may use it.
type Feed struct {
	in, used chan *chunk
	// chunks are those with commands under way, by the number in their tags.
	chunks []*chunk
	spare  []int
	// now is being read from.
	now *chunk
}

// chunk is a piece of the recording, encoded for the wire.
type chunk struct {
	buf   []byte
	items []item
	// next is read next; done counts those that are done with.
	next, done int
	number     int
}

type item struct {
	at            time.Duration
	client        int
	start, end    int
	command, slot uint16
}

// State says whether a feed has a command.
type State uint8

// The states.
const (
	// Ready: there is a command.
	Ready State = iota
	// Later: it is not read yet.
	Later
	// Over: there are no more.
	Over
)

// blank is an empty chunk.
func (f *Feed) blank() *chunk {
	select {
	case c := <-f.used:
		*c = chunk{buf: c.buf[:0], items: c.items[:0]}
		return c
	default:
		return &chunk{}
	}
}

// Next fills in the next command and returns when it is due, from the start or
// Untimed, and the number of the recorded client. It never blocks.
func (f *Feed) Next(it *workload.Item) (at time.Duration, client int, state State) {
	if f.now == nil {
		select {
		case c, ok := <-f.in:
			if !ok {
				return 0, 0, Over
			}
			f.take(c)
		default:
			return 0, 0, Later
		}
	}
	c := f.now
	i := &c.items[c.next]
	*it = workload.Item{Tag: uint64(c.number)<<32 | uint64(c.next), Command: i.command, Slot: i.slot}
	if c.next++; c.next == len(c.items) {
		f.now = nil
	}
	return i.at, i.client, Ready
}

func (f *Feed) take(c *chunk) {
	f.now = c
	if n := len(f.spare); n > 0 {
		c.number, f.spare = f.spare[n-1], f.spare[:n-1]
		f.chunks[c.number] = c
		return
	}
	c.number = len(f.chunks)
	f.chunks = append(f.chunks, c)
}

// Append encodes the command that tag stands for at the end of buf.
func (f *Feed) Append(buf []byte, tag uint64) []byte {
	c := f.chunks[tag>>32]
	i := &c.items[uint32(tag)]
	return append(buf, c.buf[i.start:i.end]...)
}

// Recycle says that the command is done.
func (f *Feed) Recycle(tag uint64) {
	c := f.chunks[tag>>32]
	if c.done++; c.done < len(c.items) {
		return
	}
	f.chunks[c.number] = nil
	f.spare = append(f.spare, c.number)
	select {
	case f.used <- c:
	default:
	}
}
