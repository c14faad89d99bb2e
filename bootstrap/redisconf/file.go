// Package redisconf reads and writes the redis.conf format.
package redisconf

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// Directive is one line of a redis.conf.
type Directive struct {
	// Name is in lower case; the server does not care.
	Name string
	// Args are the values, unquoted.
	Args []string
}

// String is the directive as a line, without its end.
func (d Directive) String() string {
	words := []string{d.Name}
	for _, arg := range d.Args {
		words = append(words, Quote(arg))
	}
	return strings.Join(words, " ")
}

// File is a redis.conf: its directives in order. Comments are no part of it.
type File []Directive

// Render writes the file, a directive a line.
func (f File) Render() string {
	var b strings.Builder
	for _, d := range f {
		b.WriteString(d.String())
		b.WriteByte('\n')
	}
	return b.String()
}

// Parse reads a redis.conf. It does not follow "include".
func Parse(text string) (File, error) {
	var f File
	for i, line := range strings.Split(text, "\n") {
		line = strings.Trim(line, " \t\r\n")
		if line == "" || line[0] == '#' {
			continue
		}
		words, err := Split(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		if len(words) == 0 {
			continue
		}
		f = append(f, Directive{Name: strings.ToLower(words[0]), Args: words[1:]})
	}
	return f, nil
}

// Lookup returns the first argument of the last directive called name, which is
// the one that holds where a directive may be given once.
func (f File) Lookup(name string) (string, bool) {
	for _, d := range slices.Backward(f) {
		if d.Name == name && len(d.Args) > 0 {
			return d.Args[0], true
		}
	}
	return "", false
}

// All returns the directives called name, in order.
func (f File) All(name string) File {
	return f.Filter(func(d Directive) bool { return d.Name == name })
}

// Filter returns the directives that keep says yes to, in order.
func (f File) Filter(keep func(Directive) bool) File {
	var kept File
	for _, d := range f {
		if keep(d) {
			kept = append(kept, d)
		}
	}
	return kept
}

// Secret says whether the values of the directive called name are secret.
func Secret(name string) bool {
	switch name {
	case "requirepass", "masterauth", "primaryauth", "user", "tls-key-file-pass", "tls-client-key-file-pass":
		return true
	default:
		return false
	}
}

// SHA256 is the hash of the text of a redis.conf, in hexadecimal, with the
// values of secret directives left out: it may be stored and compared openly,
// and tells every other change, comments included.
func SHA256(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if words := strings.Fields(line); len(words) > 0 && Secret(strings.ToLower(words[0])) {
			lines[i] = strings.ToLower(words[0])
		}
	}
	sum := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	return hex.EncodeToString(sum[:])
}

// Values reads the user's value of one directive: the arguments of each of its
// lines. Every line makes the directive appear once more; blank lines are
// skipped, and a value with no words at all is one empty argument, as in save "".
func Values(value string) ([][]string, error) {
	var all [][]string
	for line := range strings.SplitSeq(value, "\n") {
		words, err := Split(line)
		if err != nil {
			return nil, err
		}
		if len(words) > 0 {
			all = append(all, words)
		}
	}
	if len(all) == 0 {
		all = [][]string{{""}}
	}
	return all, nil
}
