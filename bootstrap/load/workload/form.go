package workload

import (
	"math/bits"
	"strconv"
)

// form is a command as it goes over the wire, whole, for values of one size and
// keys whose varying part has one length. A command is a copy of it in which
// these are written over.
type form struct {
	bytes []byte
	size  int32
	// body is where the varying part of the first key is, more where it is again.
	body         int
	more, values []int
}

const (
	// formBodies is how many lengths of the varying part have forms, from 0.
	formBodies = 64
	// formValue is the largest value of a form: what is larger is not worth a
	// copy that is written over at once.
	formValue = 256
)

// form is the form of it, or nil if there is none; length is that of the varying
// part of its key.
func (g *Generator) form(it *Item, length int) *form {
	if length >= formBodies || it.Size > formValue {
		return nil
	}
	f := &g.forms[int(it.Command)*formBodies+length]
	if f.bytes != nil && f.size == it.Size {
		return f
	}
	if len(g.sizes.ranges) > 0 {
		return nil // the next one would have another size
	}
	*f = form{size: it.Size}
	f.write(&g.program.Commands[it.Command].template, g.program.keys.Prefix, length)
	return f
}

// write lays the form out, with zeros where keys and values vary.
func (f *form) write(t *template, prefix string, length int) {
	keys := []int(nil)
	for i := range t.parts {
		p := &t.parts[i]
		f.bytes = append(f.bytes, p.before...)
		f.bytes = strconv.AppendInt(f.bytes, int64(p.fixed+p.keys*(len(prefix)+length)+p.values*int(f.size)), 10)
		f.bytes = append(f.bytes, '\r', '\n')
		for _, piece := range p.arg {
			switch piece.kind {
			case pieceText:
				f.bytes = append(f.bytes, piece.text...)
			case pieceKey:
				f.bytes = append(f.bytes, prefix...)
				keys = append(keys, len(f.bytes))
				f.bytes = append(f.bytes, make([]byte, length)...)
			case pieceData:
				f.values = append(f.values, len(f.bytes))
				f.bytes = append(f.bytes, make([]byte, f.size)...)
			}
		}
	}
	f.bytes = append(f.bytes, t.tail...)
	if f.body = -1; len(keys) > 0 {
		f.body, f.more = keys[0], keys[1:]
	}
}

// fill appends it to buf in the form f.
func (g *Generator) fill(buf []byte, f *form, it *Item, length int) []byte {
	start := len(buf)
	buf = append(buf, f.bytes...)
	command := buf[start:]
	if f.body >= 0 {
		g.putBody(command[f.body:f.body+length], it)
		for _, at := range f.more {
			copy(command[at:at+length], command[f.body:])
		}
	}
	for _, at := range f.values {
		g.appendValue(command[at:at], it)
	}
	return buf
}

// bodyLength is the length of the varying part of the key of it.
func (g *Generator) bodyLength(it *Item) int {
	switch {
	case g.numbers:
		return digits(it.Key)
	case g.uuids != nil:
		return uuidLength + 1 + digits(it.Key%(1<<counterBits))
	}
	return g.program.keys.Length
}

// putBody writes the varying part of the key of it to all of to.
func (g *Generator) putBody(to []byte, it *Item) {
	switch {
	case g.numbers:
		putDecimal(to, it.Key)
	case g.uuids != nil:
		u := g.uuid(it.Key >> counterBits)
		putDecimal(to[copy(to, u.text[:]):], it.Key%(1<<counterBits))
	default:
		appendLetters(to[:0], it.Key, len(to))
	}
}

// powers are those of ten.
var powers = func() (p [20]uint64) {
	p[0] = 1
	for i := range p[1:] {
		p[i+1] = p[i] * 10
	}
	return p
}()

// digits is how many decimal digits n has.
func digits(n uint64) int {
	const log2 = 1233 // of 10, that is log10 of 2, in 4096ths
	d := bits.Len64(n|1) * log2 >> 12
	if d < len(powers) && n|1 >= powers[d] {
		d++
	}
	return d
}

// pairs are the numbers 00 to 99.
var pairs = func() (p [200]byte) {
	for i := range 100 {
		p[2*i], p[2*i+1] = byte('0'+i/10), byte('0'+i%10)
	}
	return p
}()

// putDecimal writes n, which has as many digits as there is room in to.
func putDecimal(to []byte, n uint64) {
	for len(to) >= 2 {
		end := len(to) - 2
		pair := to[end:][:2]
		tens := n % 100 * 2
		pair[0], pair[1] = pairs[tens], pairs[tens+1]
		to, n = to[:end], n/100
	}
	if len(to) == 1 {
		to[0] = byte('0' + n)
	}
}

const uuidLength = 36

// uuid is what is kept of a client's UUID.
type uuid struct {
	// client is the client's number plus one; 0 is an empty place.
	client uint64
	// text is the UUID with a hyphen after it, and sum its CRC if start came before it.
	text       [uuidLength + 1]byte
	start, sum uint16
}

// uuid is the UUID of a client, which is remembered if no other client has its place.
func (g *Generator) uuid(client uint64) *uuid {
	u := &g.uuids[client&uint64(len(g.uuids)-1)]
	if u.client != client+1 {
		u.client = client + 1
		appendUUID(u.text[:0], g.program.seed, client)
		u.text[uuidLength] = '-'
		u.start, u.sum = 0, crc(0, u.text[:])
	}
	return u
}

// uuidSlot is the slot of the key of it, as s has it.
func (g *Generator) uuidSlot(s *slotter, it *Item) uint16 {
	u := g.uuid(it.Key >> counterBits)
	if u.start != s.start {
		u.start, u.sum = s.start, crc(s.start, u.text[:])
	}
	return s.end(crcDecimal(u.sum, it.Key%(1<<counterBits)))
}
