package workload

import (
	"encoding/binary"
	"math/bits"
	"slices"
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
	// short is another picture of the form, for which there is a faster way; nil
	// for a form that is too long for it, or has too much in it that varies.
	short *shortForm
}

// shortForm is a form with at most one key, of up to eight digits, and one value.
//
// Which command comes next is random, and a processor that guesses wrong loses
// more time than writing a command takes. So all short forms are written in the
// same steps, as if they were of one length: one without a value has it written
// behind its end, and one without a key has some of its own bytes written again.
type shortForm struct {
	bytes         [shortFormSize]byte
	length, value int
	// number is where the eight bytes up to the end of the key are, around those of
	// them that don't vary; varying masks the others.
	number          int
	around, varying uint64
}

const (
	// formBodies is how many lengths of the varying part have forms, from 0.
	formBodies = 64
	// formValue is the largest value of a form: what is larger is not worth a
	// copy that is written over at once.
	formValue = 256
	// A short form is copied in blocks, and its value in pieces.
	shortFormSize = 4 * formBlock
	formBlock     = 64
	shortData     = 4 * valuePiece
	valuePiece    = 16
	// shortRoom is what may be written for one.
	shortRoom = shortFormSize + shortData
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
	f.short = g.shorten(f, length)
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

// shorten is the short form of f, or nil.
func (g *Generator) shorten(f *form, length int) *shortForm {
	if len(f.bytes) > shortFormSize || len(f.values) > 1 || f.size < valuePiece || f.size > shortData || g.program.Verified ||
		f.body >= 0 && (!g.numbers || length > 8 || len(f.more) > 0) {
		return nil
	}
	s := &shortForm{length: len(f.bytes), value: len(f.bytes)}
	copy(s.bytes[:], f.bytes)
	if len(f.values) > 0 {
		s.value = f.values[0]
	}
	if f.body >= 0 {
		s.number = f.body + length - 8 // what is before a key is longer than that
		s.varying = ^uint64(0) << (8 * (8 - length))
	}
	s.around = binary.LittleEndian.Uint64(s.bytes[s.number:]) &^ s.varying
	g.wide = max(g.wide, (len(f.bytes)-1)/formBlock*formBlock)
	return s
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

// fillShort appends it to buf in the short form f.
func (g *Generator) fillShort(buf []byte, f *shortForm, it *Item) []byte {
	start := len(buf)
	if cap(buf)-start < shortRoom {
		buf = slices.Grow(buf, shortRoom)
	}
	to := (*[shortRoom]byte)(buf[start : start+shortRoom])
	copyBlock((*[formBlock]byte)(to[:]), (*[formBlock]byte)(f.bytes[:]))
	for at := formBlock; at <= g.wide; at += formBlock {
		copyBlock((*[formBlock]byte)(to[at:]), (*[formBlock]byte)(f.bytes[at:]))
	}
	from, last := g.values.short(it.Tag), int(it.Size)-valuePiece
	copyPiece((*[valuePiece]byte)(to[f.value+last:]), (*[valuePiece]byte)(from[last:]))
	for at := 0; at < last; at += valuePiece {
		copyPiece((*[valuePiece]byte)(to[f.value+at:]), (*[valuePiece]byte)(from[at:]))
	}
	binary.LittleEndian.PutUint64(to[f.number:], f.around|decimal(it.Key)&f.varying)
	return buf[:start+f.length]
}

// copyBlock and copyPiece copy without a call, unlike the assignment of larger arrays.
func copyBlock(to, from *[formBlock]byte) {
	copyPiece((*[valuePiece]byte)(to[0:]), (*[valuePiece]byte)(from[0:]))
	copyPiece((*[valuePiece]byte)(to[16:]), (*[valuePiece]byte)(from[16:]))
	copyPiece((*[valuePiece]byte)(to[32:]), (*[valuePiece]byte)(from[32:]))
	copyPiece((*[valuePiece]byte)(to[48:]), (*[valuePiece]byte)(from[48:]))
}

func copyPiece(to, from *[valuePiece]byte) { *to = *from }

// decimal is the text of a number below 10⁸ with zeros before it, its first
// character in the lowest byte. All digits are made at once, in halves of halves.
func decimal(n uint64) uint64 {
	n = n/10_000 | n%10_000<<32
	tens := n * 10_486 >> 20 & 0x7f_0000_007f // each divided by 100
	n = tens | (n-100*tens)<<16
	tens = n * 103 >> 10 & 0x0f_000f_000f_000f // each divided by 10
	n = tens | (n-10*tens)<<8
	return n | 0x3030_3030_3030_3030
}

// bodyLength is the length of the varying part of the key of it.
func (g *Generator) bodyLength(it *Item) int {
	if g.numbers {
		return digits(it.Key)
	}
	return g.otherLength(it)
}

// otherLength is the same for keys that are more than a number.
func (g *Generator) otherLength(it *Item) int {
	if g.uuids != nil {
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

// powers are those of ten, as far as there are any in 64 bits.
var powers = func() (p [32]uint64) {
	p[0] = 1
	for i := range maxDigits - 1 {
		p[i+1] = p[i] * 10
	}
	return p
}()

// digits is how many decimal digits n has.
func digits(n uint64) int {
	const log2 = 1233 // of 10, that is log10 of 2, in 4096ths
	d := bits.Len64(n|1) * log2 >> 12
	return d + int((powers[d&31]-1-(n|1))>>63) // one more if it is not below that power; there is no guessing
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
	// text is the UUID with a hyphen after it, and rest what the sum of a number of
	// so many digits has to be combined with, if start came before all.
	text        [uuidLength + 1]byte
	digits      uint8
	start, rest uint16
}

// uuid is the UUID of a client, which is remembered if no other client has its place.
func (g *Generator) uuid(client uint64) *uuid {
	u := &g.uuids[client&uint64(len(g.uuids)-1)]
	if u.client != client+1 {
		u.client = client + 1
		appendUUID(u.text[:0], g.program.seed, client)
		u.text[uuidLength] = '-'
		u.digits = 0
	}
	return u
}

// uuidSlot is the slot of the key of it, as s has it.
func (g *Generator) uuidSlot(s *slotter, it *Item) uint16 {
	u, number := g.uuid(it.Key>>counterBits), it.Key%(1<<counterBits)
	if n := uint8(digits(number)); u.digits != n || u.start != s.start {
		u.digits, u.start, u.rest = n, s.start, startOfDecimal(crc(s.start, u.text[:]), int(n))
	}
	return s.end(u.rest ^ crcDecimal(number))
}
