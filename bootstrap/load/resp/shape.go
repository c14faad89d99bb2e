package resp

import (
	"bytes"
	"encoding/binary"
)

// Shape is what a reply without its value looks like: the bytes that it begins
// with, and where it ends. The reply to a command mostly has the shape of the one
// before, and then it is found without being read byte by byte. Nothing has the
// shape of the zero value.
type Shape struct {
	// length is that of the whole reply; first are its first bytes, up to eight,
	// and mask says which of them matter.
	length      int
	first, mask uint64
}

// word is how many bytes are compared at once.
const word = 8

// lineEnd is "\r\n" as a number.
const lineEnd = '\r' | '\n'<<8

// ShapeOf is the shape of the complete reply p. Only bulk strings and short
// statuses have one.
func ShapeOf(p []byte) Shape {
	var s Scanner
	if len(p) < 4 || p[0] != '$' && p[0] != '+' || s.whole(p) != len(p) {
		return Shape{}
	}
	head := bytes.IndexByte(p, '\n') + 1
	if head > word {
		return Shape{}
	}
	var first [word]byte
	copy(first[:], p[:head])
	return Shape{length: len(p), first: binary.LittleEndian.Uint64(first[:]), mask: 1<<(8*head) - 1}
}

// Fits returns the length of the reply of this shape with which p begins, or 0 if
// there is none. It may look at what lies behind p in its memory.
func (s *Shape) Fits(p []byte) int {
	n := s.length
	if uint(n-1) >= uint(len(p)) || cap(p) < word {
		return 0
	}
	if (binary.LittleEndian.Uint64(p[:word])^s.first)&s.mask != 0 || binary.LittleEndian.Uint16(p[n-2:]) != lineEnd {
		return 0
	}
	return n
}
