package workload

import (
	"math/bits"
	"math/rand/v2"
	"slices"
	"strconv"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// Share is one thread's place among all threads of all runners.
type Share struct{ Index, Count int }

// Generator makes the commands of one thread. It is not safe for concurrent use.
type Generator struct {
	program *Program
	rng     *rand.Rand
	source  *rand.PCG // of rng
	numbers bool      // keys vary by a number alone
	share   Share
	// limits are cumulative weights of the commands, scaled to 32 bits.
	limits []uint32
	// drawn counts keys by command, for patterns that go through them in order.
	drawn  []uint64
	keys   keyPicker
	sizes  *sizes
	values *Values
	// scratch holds the key being encoded.
	scratch []byte
	// forms are by command and by length of the varying part of the key.
	forms []form
	// uuids are those of clients, a power of two of them; nil without client_uuid.
	uuids []uuid
}

// Client is what the generator keeps of a simulated client.
type Client struct {
	// ID is the client's number, over all runners.
	ID int32
	// position is where it is in the cycle, and key the key of this round.
	position int
	key      uint64
	// counter counts its own keys.
	counter uint64
}

// NewGenerator makes the generator of one thread.
func (p *Program) NewGenerator(share Share) *Generator {
	source := rand.NewPCG(p.seed, uint64(share.Index))
	g := &Generator{
		program: p, share: share, source: source, rng: rand.New(source),
		numbers: !p.keys.ClientUUID && p.keys.Length == 0,
		drawn:   make([]uint64, len(p.Commands)),
		sizes:   &p.stages[0],
		values:  NewValues(p.seed, p.runner),
		scratch: make([]byte, 0, len(p.keys.Prefix)+p.keys.Length+64),
	}
	sum, total := 0.0, 0.0
	for _, w := range p.weights {
		total += w
	}
	for _, w := range p.weights {
		sum += w
		g.limits = append(g.limits, uint32(min(sum/total, 1)*(1<<32-1)))
	}
	g.keys = newKeyPicker(p.keys, g.rng, source)
	g.forms = make([]form, formBodies*len(p.Commands))
	if p.keys.ClientUUID {
		g.uuids = make([]uuid, 1<<bits.Len(uint(p.clients)))
	}
	return g
}

// SetStage switches to the value sizes of stage i of the workload.
func (g *Generator) SetStage(i int) {
	if i < len(g.program.stages) {
		g.sizes = &g.program.stages[i]
	}
}

// Next draws c's next command, to be sent at now (nanoseconds from the start).
// It returns false when the keys are used up.
func (g *Generator) Next(c *Client, now int64, it *Item) bool {
	p := g.program
	command, fresh := 0, true
	random := g.source.Uint64()
	if p.cycle != nil {
		command, fresh = int(p.cycle[c.position]), c.position == 0
		if c.position++; c.position == len(p.cycle) {
			c.position = 0
		}
	} else if len(g.limits) > 1 {
		draw := uint32(random >> 32)
		for draw > g.limits[command] {
			command++
		}
	}
	if fresh {
		key, ok := g.nextKey(c, command)
		if !ok {
			return false
		}
		c.key = key
	}
	it.Key, it.Command = c.key, uint16(command)
	it.Size = g.sizes.draw(g.rng)
	if p.Verified {
		it.Tag = uint64(now / 1000)
	} else {
		it.Tag = random & (1<<32 - 1)
	}
	switch slots := &p.Commands[command].slots; {
	case g.numbers || slots.fixed:
		it.Slot = slots.ofNumber(it.Key)
	case g.uuids != nil:
		it.Slot = g.uuidSlot(slots, it)
	default:
		it.Slot = slots.of(p.appendKeyBody(g.scratch[:0], it))
	}
	return true
}

// nextKey draws a key number for c.
func (g *Generator) nextKey(c *Client, command int) (uint64, bool) {
	switch keys := &g.program.keys; {
	case keys.ClientUUID:
		c.counter++
		return uint64(c.ID)<<counterBits | c.counter, true
	case keys.Pattern == spec.PatternSequential || keys.Pattern == spec.PatternUnique:
		n := g.drawn[command]*uint64(g.share.Count) + uint64(g.share.Index)
		g.drawn[command]++
		if size := uint64(keys.Maximum - keys.Minimum + 1); keys.Maximum > 0 || keys.Pattern == spec.PatternSequential {
			if n >= size && keys.Pattern == spec.PatternUnique {
				return 0, false
			}
			n %= size
		}
		return uint64(keys.Minimum) + n, true
	}
	return g.keys.draw(), true
}

// Append encodes it at the end of buf.
func (g *Generator) Append(buf []byte, it *Item) []byte {
	length := g.bodyLength(it)
	if f := g.form(it, length); f != nil {
		return g.fill(buf, f, it, length)
	}
	return g.appendParts(buf, it)
}

// appendParts encodes it piece by piece.
func (g *Generator) appendParts(buf []byte, it *Item) []byte {
	t := &g.program.Commands[it.Command].template
	key := g.AppendKey(g.scratch[:0], it)
	for i := range t.parts {
		p := &t.parts[i]
		buf = append(buf, p.before...)
		length := p.fixed + p.keys*len(key) + p.values*int(it.Size)
		buf = append(strconv.AppendInt(buf, int64(length), 10), '\r', '\n')
		for j := range p.arg {
			switch piece := &p.arg[j]; piece.kind {
			case pieceText:
				buf = append(buf, piece.text...)
			case pieceKey:
				buf = append(buf, key...)
			case pieceData:
				buf = g.appendValue(buf, it)
			}
		}
	}
	return append(buf, t.tail...)
}

func (g *Generator) appendValue(buf []byte, it *Item) []byte {
	if g.program.Verified {
		return g.values.AppendVerified(buf, it.Key, it.Tag, int(it.Size))
	}
	return g.values.Append(buf, it.Tag, int(it.Size))
}

// AppendKey appends the key of it, without what its command puts around it.
func (g *Generator) AppendKey(buf []byte, it *Item) []byte {
	buf = append(buf, g.program.keys.Prefix...)
	start, length := len(buf), g.bodyLength(it)
	buf = slices.Grow(buf, length)[:start+length]
	g.putBody(buf[start:], it)
	return buf
}

// Values is what the generator makes values with.
func (g *Generator) Values() *Values { return g.values }
