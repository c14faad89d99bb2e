//go:build linux

package engine

import (
	"bytes"
	"strconv"
	"strings"
)

// verdict is what an error reply means for the operation.
type verdict uint8

const (
	// refused: the server will not do it; trying again would change nothing.
	refused verdict = iota
	// moved: the slot has another owner, named in the reply.
	moved
	// ask: this key is already at another node, named in the reply.
	ask
	// later: the same attempt will work in a moment.
	later
	// elsewhere: this node is not the slot's primary, and does not say who is.
	elsewhere
	// unserving: this node serves nothing at present.
	unserving
)

// judge reads an error reply, without its '-'. The words are those of Redis's
// cluster specification and of its shared error replies.
func judge(line []byte) verdict {
	word, _, _ := bytes.Cut(line, []byte{' '})
	switch string(word) {
	case "MOVED":
		return moved
	case "ASK":
		return ask
	case "TRYAGAIN", "BUSY":
		return later
	case "READONLY":
		return elsewhere
	case "CLUSTERDOWN", "LOADING", "MASTERDOWN":
		return unserving
	}
	return refused
}

// kindOf is the name under which an error reply is counted: its first word in lower case.
func kindOf(line []byte) string {
	word, _, _ := bytes.Cut(line, []byte{' '})
	return strings.ToLower(string(word))
}

// redirection reads the slot and the address of "MOVED 3999 127.0.0.1:6381".
func redirection(line []byte) (slot int, addr string, ok bool) {
	f := strings.Fields(string(line))
	if len(f) < 3 {
		return 0, "", false
	}
	slot, err := strconv.Atoi(f[1])
	return slot, f[2], err == nil && slot >= 0 && strings.LastIndexByte(f[2], ':') >= 0
}
