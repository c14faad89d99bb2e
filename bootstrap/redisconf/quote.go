package redisconf

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Split cuts a line into its words by the rules of redis.conf: words end at
// white space; "…" takes the escapes \n \r \t \b \a \xHH and \ before any other
// character; '…' takes \' alone; a closing quote ends its word.
func Split(line string) ([]string, error) {
	var words []string
	for {
		line = strings.TrimLeft(line, space)
		if line == "" {
			return words, nil
		}
		word, rest, err := cutWord(line)
		if err != nil {
			return nil, err
		}
		words, line = append(words, word), rest
	}
}

// space is what isspace says of ASCII, by which the server ends words.
const space = " \t\n\v\f\r"

var (
	errUnbalanced = errors.New("a quote is opened and not closed")
	errAfterQuote = errors.New("a closing quote must be followed by a space or by the end of the line")
)

func cutWord(line string) (word, rest string, err error) {
	var b strings.Builder
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case strings.IndexByte(space, c) >= 0:
			return b.String(), line[i:], nil
		case c != '"' && c != '\'':
			b.WriteByte(c)
			continue
		}
		n, err := unquote(&b, line[i:])
		if err != nil {
			return "", "", err
		}
		if rest = line[i+n:]; rest != "" && strings.IndexByte(space, rest[0]) < 0 {
			return "", "", errAfterQuote
		}
		return b.String(), rest, nil
	}
	return b.String(), "", nil
}

// unquote writes what the quoted string at the start of s means, and returns its length in s.
func unquote(b *strings.Builder, s string) (int, error) {
	quote := s[0]
	for i := 1; i < len(s); i++ {
		c := s[i]
		switch {
		case c == quote:
			return i + 1, nil
		case quote == '"' && c == '\\' && i+1 < len(s):
			if n, v := hexEscape(s[i:]); n > 0 {
				b.WriteByte(v)
				i += n - 1
				continue
			}
			i++
			b.WriteByte(escaped(s[i]))
		case quote == '\'' && c == '\\' && strings.HasPrefix(s[i:], `\'`):
			i++
			b.WriteByte('\'')
		default:
			b.WriteByte(c)
		}
	}
	return 0, errUnbalanced
}

func hexEscape(s string) (n int, v byte) {
	const length = len(`\xHH`)
	if len(s) < length || s[1] != 'x' {
		return 0, 0
	}
	u, err := strconv.ParseUint(s[2:length], 16, 8)
	if err != nil {
		return 0, 0
	}
	return length, byte(u)
}

func escaped(c byte) byte {
	switch c {
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	case 'b':
		return '\b'
	case 'a':
		return '\a'
	default:
		return c
	}
}

// Quote writes word so that Split, and the server, read it back. Words that
// need no quotes get none.
func Quote(word string) string {
	if word != "" && strings.IndexFunc(word, needsQuotes) < 0 {
		return word
	}
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(word) {
		switch c := word[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ' || c > '~':
			fmt.Fprintf(&b, `\x%02x`, c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

func needsQuotes(r rune) bool {
	return r <= ' ' || r > '~' || r == '"' || r == '\'' || r == '\\'
}
