package workload

import (
	"strings"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/load/resp"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// template is a command as it goes over the wire, with gaps for key and value.
type template struct {
	args  []argument
	parts []part
	// tail is what follows the last part.
	tail []byte
	// key is the first argument with a key in it; nil if there is none. It is
	// the one that says where the command goes.
	key *argument
}

// argument is one word of a command: pieces one after the other.
type argument []piece

type piece struct {
	kind pieceKind
	text string
}

type pieceKind uint8

const (
	pieceText pieceKind = iota
	pieceKey
	pieceData
)

// part is the bytes before a gap and the argument that fills it.
type part struct {
	before []byte
	arg    argument
	// fixed is the length of the argument without its keys and values; keys and
	// values count those.
	fixed, keys, values int
}

func compileTemplate(words []string) template {
	var t template
	constant := resp.AppendHeader(nil, '*', len(words))
	for _, word := range words {
		arg := parseArgument(word)
		t.args = append(t.args, arg)
		if len(arg) == 1 && arg[0].kind == pieceText {
			constant = append(resp.AppendHeader(constant, '$', len(word)), word+"\r\n"...)
			continue
		}
		p := part{before: append(constant, '$'), arg: arg}
		for _, piece := range arg {
			switch piece.kind {
			case pieceText:
				p.fixed += len(piece.text)
			case pieceKey:
				p.keys++
			case pieceData:
				p.values++
			}
		}
		t.parts = append(t.parts, p)
		constant = []byte("\r\n")
	}
	t.tail = constant
	for i := range t.args {
		if t.key == nil && t.args[i].has(pieceKey) {
			t.key = &t.args[i]
		}
	}
	return t
}

// parseArgument cuts a word at its placeholders.
func parseArgument(word string) argument {
	var arg argument
	for word != "" {
		key, data := strings.Index(word, spec.KeyPlaceholder), strings.Index(word, spec.DataPlaceholder)
		switch {
		case key == 0:
			arg = append(arg, piece{kind: pieceKey})
			word = word[len(spec.KeyPlaceholder):]
		case data == 0:
			arg = append(arg, piece{kind: pieceData})
			word = word[len(spec.DataPlaceholder):]
		default:
			end := len(word)
			for _, at := range []int{key, data} {
				if at > 0 {
					end = min(end, at)
				}
			}
			arg = append(arg, piece{text: word[:end]})
			word = word[end:]
		}
	}
	if arg == nil {
		arg = argument{{}} // the empty word
	}
	return arg
}

func (a argument) has(kind pieceKind) bool {
	for _, p := range a {
		if p.kind == kind {
			return true
		}
	}
	return false
}

// render is the argument with key and data filled in.
func (a argument) render(key, data string) string {
	var b strings.Builder
	for _, p := range a {
		switch p.kind {
		case pieceText:
			b.WriteString(p.text)
		case pieceKey:
			b.WriteString(key)
		case pieceData:
			b.WriteString(data)
		}
	}
	return b.String()
}
