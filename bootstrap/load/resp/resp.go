// Package resp reads and writes RESP2, the Redis wire protocol, without
// allocating: commands are appended to a buffer, and replies are scanned as
// they arrive, in pieces of any size.
package resp

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// AppendCommand appends args as a command, an array of bulk strings.
func AppendCommand[T string | []byte](buf []byte, args ...T) []byte {
	buf = AppendHeader(buf, '*', len(args))
	for _, arg := range args {
		buf = AppendHeader(buf, '$', len(arg))
		buf = append(buf, arg...)
		buf = append(buf, '\r', '\n')
	}
	return buf
}

// AppendHeader appends a type byte, n and the line's end: "$16\r\n".
func AppendHeader(buf []byte, kind byte, n int) []byte {
	buf = append(buf, kind)
	buf = strconv.AppendInt(buf, int64(n), 10)
	return append(buf, '\r', '\n')
}

// ErrProtocol is wrapped by every error of a Scanner: the stream is no RESP2
// and the connection is of no more use.
var ErrProtocol = errors.New("not the Redis protocol")

const (
	// maxLine bounds a status, an error or an integer; Redis's own are far shorter.
	maxLine = 64 << 10
	// maxBulk is the largest proto-max-bulk-len that Redis accepts to be set.
	maxBulk = 1 << 40
	// maxOpen bounds how many values a reply may still owe, so that nested
	// headers from a hostile peer can't overflow the count.
	maxOpen = 1 << 40
)

// Scanner finds the ends of replies in a stream. The zero value is ready. The
// fields describe the reply that Scan has just completed; for an array they
// describe the array, not its elements.
type Scanner struct {
	// Kind is the reply's first byte: '+', '-', ':', '$' or '*'.
	Kind byte
	// Null says that the reply is the null bulk string or the null array.
	Null bool
	// Line is the text of a status, an error or an integer, nil for others. It
	// is valid until the next Scan.
	Line []byte
	// Capture has Value hold the content of bulk strings, one after the other,
	// valid until the next Scan. Without it content is skipped.
	Capture bool
	Value   []byte

	// open counts the values that the reply under way still owes; 0 between replies.
	open int64
	// body is how many bytes of a bulk string, its line end included, are still to come.
	body int64
	// line holds the beginning of a line that was split.
	line []byte
}

// Between says that no reply is under way.
func (s *Scanner) Between() bool { return s.open == 0 }

// Scan reads from p up to the end of one reply. It returns how many bytes it
// used and whether the reply is complete; if not, it has used all of p and goes
// on with the bytes that follow.
func (s *Scanner) Scan(p []byte) (n int, complete bool, err error) {
	if s.open == 0 {
		if n := s.whole(p); n > 0 {
			return n, true, nil
		}
		s.open, s.Kind, s.Null, s.Line, s.Value = 1, 0, false, nil, s.Value[:0]
	}
	for n < len(p) && s.open > 0 {
		var used int
		if s.body > 0 {
			used, err = s.skip(p[n:])
		} else {
			used, err = s.header(p[n:])
		}
		if n += used; err != nil {
			return n, false, err
		}
	}
	return n, s.open == 0, nil
}

// whole handles the common case: p begins with a complete reply that is no
// array. It returns the reply's length, or 0 to leave p to the general way.
func (s *Scanner) whole(p []byte) int {
	if len(p) < 4 {
		return 0
	}
	switch p[0] {
	case '$':
		if s.Capture {
			return 0
		}
		if p[1] == '-' {
			if len(p) < 5 || string(p[:5]) != "$-1\r\n" {
				return 0
			}
			s.Kind, s.Null, s.Line = '$', true, nil
			return 5
		}
		length, i := 0, 1
		for ; i < len(p) && i < 10 && p[i]-'0' <= 9; i++ {
			length = length*10 + int(p[i]-'0')
		}
		end := i + 2 + length + 2
		if i == 1 || end > len(p) || p[i] != '\r' || p[i+1] != '\n' || p[end-2] != '\r' || p[end-1] != '\n' {
			return 0
		}
		s.Kind, s.Null, s.Line = '$', false, nil
		return end
	case '+', '-', ':':
		if len(p) >= 5 && string(p[:5]) == "+OK\r\n" {
			s.Kind, s.Null, s.Line, s.Value = '+', false, p[1:3], s.Value[:0]
			return 5
		}
		end := bytes.IndexByte(p, '\n')
		if end < 2 || p[end-1] != '\r' {
			return 0
		}
		s.Kind, s.Null, s.Line, s.Value = p[0], false, p[1:end-1], s.Value[:0]
		return end + 1
	}
	return 0
}

// skip passes over the body of a bulk string.
func (s *Scanner) skip(p []byte) (int, error) {
	n := int(min(s.body, int64(len(p))))
	for i := int(max(0, s.body-2)); i < n; i++ {
		if want := "\r\n"[2-(s.body-int64(i))]; p[i] != want {
			return i, fmt.Errorf("%w: a bulk string ends in %q", ErrProtocol, p[i])
		}
	}
	if s.Capture {
		s.Value = append(s.Value, p[:min(int64(n), max(0, s.body-2))]...)
	}
	if s.body -= int64(n); s.body == 0 {
		s.open--
	}
	return n, nil
}

// header takes one line, or the part of it that is there.
func (s *Scanner) header(p []byte) (int, error) {
	end := bytes.IndexByte(p, '\n')
	if end < 0 {
		if len(s.line)+len(p) > maxLine {
			return 0, fmt.Errorf("%w: a line of more than %d bytes", ErrProtocol, maxLine)
		}
		s.line = append(s.line, p...)
		return len(p), nil
	}
	line := p[:end+1]
	if len(s.line) > 0 {
		s.line = append(s.line, line...)
		line = s.line
		s.line = s.line[:0]
	}
	if len(line) < 3 || len(line) > maxLine || line[len(line)-2] != '\r' {
		return 0, fmt.Errorf("%w: the line %.40q", ErrProtocol, line)
	}
	return end + 1, s.begin(line[0], line[1:len(line)-2])
}

// begin starts a value from its first line.
func (s *Scanner) begin(kind byte, text []byte) error {
	top := s.Kind == 0
	if top {
		s.Kind = kind
	}
	switch kind {
	case '+', '-', ':':
		if top {
			s.Line = text
		}
		s.open--
		return nil
	case '$', '*':
		n, err := strconv.ParseInt(string(text), 10, 64)
		switch {
		case err != nil, n < -1, kind == '$' && n > maxBulk, kind == '*' && n > maxOpen-s.open:
			return fmt.Errorf("%w: the length %.40q", ErrProtocol, text)
		case n == -1:
			s.Null = s.Null || top
			s.open--
		case kind == '$':
			s.body = n + 2
		default:
			s.open += n - 1
		}
		return nil
	}
	return fmt.Errorf("%w: the type %q", ErrProtocol, kind)
}
