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
	// limits are cumulative weights of the commands but the last, scaled to 32 bits.
	limits []uint64
	// drawn counts keys by command, for patterns that go through them in order.
	drawn  []uint64
	keys   keyPicker
	sizes  *sizes
	values *Values
	// stock are commands drawn ahead, and taken how many of them are gone; nil if
	// it matters which client sends what.
	stock   []Item
	taken   int
	drawing Item
	// scratch holds the key being encoded.
	scratch []byte
	// forms are by command and by length of the varying part of the key.
	forms []form
	// wide is where the last block of the longest short form begins.
	wide int
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
	for _, w := range p.weights[:max(1, len(p.weights))-1] {
		sum += w
		g.limits = append(g.limits, uint64(sum/total*(1<<32-1)))
	}
	g.keys = newKeyPicker(p.keys, g.rng, source)
	g.forms = make([]form, formBodies*len(p.Commands))
	if p.keys.ClientUUID {
		g.uuids = make([]uuid, 1<<bits.Len(uint(p.clients)))
	}
	ordered := p.keys.Pattern == spec.PatternSequential || p.keys.Pattern == spec.PatternUnique
	if p.cycle == nil && !p.keys.ClientUUID && !ordered {
		g.stock, g.taken = make([]Item, stockSize), stockSize
	}
	return g
}

// SetStage switches to the value sizes of stage i of the workload.
func (g *Generator) SetStage(i int) {
	if i < len(g.program.stages) {
		g.sizes, g.taken = &g.program.stages[i], len(g.stock)
	}
}

// Next draws c's next command, to be sent at now (nanoseconds from the start). It
// is valid until the next one is drawn, and nil when the keys are used up.
func (g *Generator) Next(c *Client, now int64) *Item {
	if g.stock == nil {
		return g.draw(c, now)
	}
	if g.taken == len(g.stock) {
		g.restock()
	}
	it := &g.stock[g.taken]
	g.taken++
	if g.program.Verified {
		it.Tag = uint64(now / 1000)
	}
	return it
}

// stockSize is how many commands are drawn at once, where it does not matter for
// whom they are: that is faster than drawing them one by one.
const stockSize = 64

// restock draws commands with random keys.
func (g *Generator) restock() {
	g.taken = 0
	for i := range g.stock {
		it, random := &g.stock[i], g.source.Uint64()
		it.Key, it.Tag = g.keys.draw(), random&(1<<32-1)
		it.Command, it.Size = g.pick(random>>32), g.sizes.draw(g.rng)
		it.Slot = g.slot(it)
	}
}

// pick is the command that a random number of 32 bits chooses.
func (g *Generator) pick(random uint64) (command uint16) {
	for _, limit := range g.limits {
		command += uint16((limit - random) >> 63) // one more if it is above the limit: there is no guessing
	}
	return command
}

// draw draws a command whose key depends on who sends it, and when.
func (g *Generator) draw(c *Client, now int64) *Item {
	p, it := g.program, &g.drawing
	command, fresh := uint16(0), true
	random := g.source.Uint64()
	if p.cycle != nil {
		command, fresh = p.cycle[c.position], c.position == 0
		if c.position++; c.position == len(p.cycle) {
			c.position = 0
		}
	} else {
		command = g.pick(random >> 32)
	}
	if fresh {
		key, ok := g.nextKey(c, int(command))
		if !ok {
			return nil
		}
		c.key = key
	}
	it.Key, it.Command = c.key, command
	it.Size = g.sizes.draw(g.rng)
	if p.Verified {
		it.Tag = uint64(now / 1000)
	} else {
		it.Tag = random & (1<<32 - 1)
	}
	it.Slot = g.slot(it)
	return it
}

// slot is the slot of it.
func (g *Generator) slot(it *Item) uint16 {
	switch slots := &g.program.Commands[it.Command].slots; {
	case g.numbers || slots.fixed:
		return slots.ofNumber(it.Key)
	case g.uuids != nil:
		return g.uuidSlot(slots, it)
	default:
		return slots.of(g.program.appendKeyBody(g.scratch[:0], it))
	}
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
	if f := &g.forms[int(it.Command)*formBodies+min(length, formBodies-1)]; f.short != nil && f.size == it.Size {
		return g.fillShort(buf, f.short, it)
	}
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
