package trace

import (
	"errors"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/redisconf"
)

// monitorReader reads what MONITOR prints:
// 1339518083.107412 [0 127.0.0.1:60866] "keys" "*".
type monitorReader struct {
	lines   *lines
	clients map[string]int
	first   time.Duration
	begun   bool
}

func (m *monitorReader) Read(r *Record) error {
	for {
		text, err := m.lines.next()
		if err != nil {
			return err
		}
		if strings.TrimSpace(text) == "OK" {
			continue // the reply to MONITOR itself
		}
		l, err := parseMonitor(text)
		if err != nil {
			return m.lines.fail("%w", err)
		}
		if l.script {
			continue // the script that called it is in the recording
		}
		if !m.begun {
			m.begun, m.first = true, l.at
		}
		r.At, r.Client, r.Args = max(0, l.at-m.first), number(m.clients, l.client), words(r.Args, l.args)
		return nil
	}
}

// number numbers clients by their address, in the order of their appearance.
func number(clients map[string]int, name string) int {
	n, ok := clients[name]
	if !ok {
		n = len(clients)
		clients[name] = n
	}
	return n
}

func words(into [][]byte, args []string) [][]byte {
	into = into[:0]
	for _, a := range args {
		into = append(into, []byte(a))
	}
	return into
}

// monitorLine is one line of MONITOR.
type monitorLine struct {
	// at is the server's clock, since 1970.
	at     time.Duration
	client string
	// script: a script called it.
	script bool
	args   []string
}

func parseMonitor(text string) (l monitorLine, err error) {
	stamp, rest, ok1 := strings.Cut(text, " [")
	where, rest, ok2 := strings.Cut(rest, "] ")
	seconds, err := strconv.ParseFloat(stamp, 64)
	if !ok1 || !ok2 || err != nil || seconds < 0 || seconds > longest.Seconds() {
		return l, errNotMonitor(text)
	}
	whole, fraction, _ := strings.Cut(stamp, ".")
	s, _ := strconv.ParseInt(whole, 10, 64)
	micros, _ := strconv.ParseInt((fraction + "000000")[:6], 10, 64)
	l.at = time.Duration(s)*time.Second + time.Duration(micros)*time.Microsecond
	_, l.client, _ = strings.Cut(where, " ")
	l.script = l.client == "lua" || l.client == "script"
	if l.args, err = redisconf.Split(rest); err != nil {
		return l, err
	}
	if len(l.args) == 0 {
		return l, errNotMonitor(text)
	}
	return l, nil
}

type errNotMonitor string

func (e errNotMonitor) Error() string {
	return strconv.Quote(string(e[:min(len(e), 60)])) + " is no line of MONITOR"
}

// commandReader reads a command a line, quoted as in redis-cli.
type commandReader struct{ lines *lines }

func (c *commandReader) Read(r *Record) error {
	text, err := c.lines.next()
	if err != nil {
		return err
	}
	args, err := redisconf.Split(text)
	if err != nil || len(args) == 0 {
		return c.lines.fail("no command: %w", err)
	}
	r.At, r.Client, r.Args = Untimed, 0, words(r.Args, args)
	return nil
}

// twitterReader reads the CSV of Twitter's cache traces, described at
// https://github.com/twitter/cache-trace: timestamp, key, key size, value size,
// client, operation, TTL. Times are whole seconds; the commands of a second are
// spread over it evenly.
type twitterReader struct {
	lines   *lines
	clients map[string]int
	// second holds the commands of the second that is being read out.
	second []twitterLine
	next   int
	ahead  *twitterLine
	first  int64
	begun  bool
}

type twitterLine struct {
	at        int64
	key       string
	valueSize int
	client    int
	operation string
	ttl       int
}

// maxPerSecond bounds the commands that are held to spread them over a second.
const maxPerSecond = 2_000_000

func (w *twitterReader) Read(r *Record) error {
	if w.next == len(w.second) {
		if err := w.readSecond(); err != nil {
			return err
		}
	}
	l := w.second[w.next]
	r.At = time.Duration(l.at-w.first)*time.Second + time.Second*time.Duration(w.next)/time.Duration(len(w.second))
	r.Client, r.Args = l.client, words(r.Args, l.command())
	w.next++
	return nil
}

func (w *twitterReader) readSecond() error {
	w.second, w.next = w.second[:0], 0
	if w.ahead != nil {
		w.second = append(w.second, *w.ahead)
		w.ahead = nil
	}
	for len(w.second) < maxPerSecond {
		l, err := w.line()
		if err != nil {
			if len(w.second) > 0 && errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		if !w.begun {
			w.begun, w.first = true, l.at
		}
		if len(w.second) > 0 && l.at != w.second[0].at {
			w.ahead = &l
			return nil
		}
		w.second = append(w.second, l)
	}
	return nil
}

func (w *twitterReader) line() (l twitterLine, err error) {
	text, err := w.lines.next()
	if err != nil {
		return l, err
	}
	f := strings.Split(text, ",")
	if len(f) < 7 {
		return l, w.lines.fail("%d fields instead of 7", len(f))
	}
	// The key may have commas in it; the other fields have none.
	n := len(f)
	var errs [4]error
	l.at, errs[0] = strconv.ParseInt(f[0], 10, 64)
	l.valueSize, errs[1] = strconv.Atoi(f[n-4])
	l.ttl, errs[2] = strconv.Atoi(strings.TrimSpace(f[n-1]))
	_, errs[3] = strconv.Atoi(f[n-5])
	for _, err := range errs {
		if err != nil {
			return l, w.lines.fail("%w", err)
		}
	}
	if l.valueSize < 0 || l.valueSize > maxArg || w.begun && (l.at < w.first || l.at-w.first > int64(longest/time.Second)) {
		return l, w.lines.fail("a value of %d bytes at %d s", l.valueSize, l.at)
	}
	l.key, l.operation = strings.Join(f[1:n-5], ","), f[n-2]
	l.client = number(w.clients, f[n-3])
	return l, nil
}

// command is what Redis has for an operation of memcached.
func (l *twitterLine) command() []string {
	value := func() string { return string(appendFiller(nil, l.valueSize)) }
	switch l.operation {
	case "set", "add", "replace", "cas":
		args := []string{"SET", l.key, value()}
		if l.ttl > 0 {
			args = append(args, "EX", strconv.Itoa(l.ttl))
		}
		return args
	case "append", "prepend":
		return []string{"APPEND", l.key, value()}
	case "delete":
		return []string{"DEL", l.key}
	case "incr", "decr":
		return []string{strings.ToUpper(l.operation), l.key + ":counter"}
	}
	return []string{"GET", l.key} // get and gets
}
