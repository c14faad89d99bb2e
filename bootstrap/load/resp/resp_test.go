package resp

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestAppendCommand(t *testing.T) {
	got := string(AppendCommand(nil, "SET", "key", ""))
	if want := "*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$0\r\n\r\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// reply is what a Scanner has to find.
type reply struct {
	kind  byte
	null  bool
	line  string
	value string
}

func (r reply) String() string {
	return fmt.Sprintf("%c null=%t line=%q value=%q", r.kind, r.null, r.line, r.value)
}

// encoded is a reply with its bytes.
type encoded struct {
	wire string
	want reply
}

func bulk(s string) string { return "$" + strconv.Itoa(len(s)) + "\r\n" + s + "\r\n" }

func drawReply(t *rapid.T, depth int) encoded {
	text := rapid.StringMatching(`[A-Z a-z0-9:.]{0,30}`)
	switch kinds := "+-:$n*N"; kinds[rapid.IntRange(0, len(kinds)-1).Draw(t, "kind")] {
	case '+':
		s := text.Draw(t, "status")
		return encoded{"+" + s + "\r\n", reply{kind: '+', line: s}}
	case '-':
		s := text.Draw(t, "error")
		return encoded{"-" + s + "\r\n", reply{kind: '-', line: s}}
	case ':':
		s := strconv.FormatInt(rapid.Int64().Draw(t, "integer"), 10)
		return encoded{":" + s + "\r\n", reply{kind: ':', line: s}}
	case '$':
		s := string(rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "bulk"))
		return encoded{bulk(s), reply{kind: '$', value: s}}
	case 'n':
		return encoded{"$-1\r\n", reply{kind: '$', null: true}}
	case 'N':
		return encoded{"*-1\r\n", reply{kind: '*', null: true}}
	}
	n := 0
	if depth < 4 {
		n = rapid.IntRange(0, 4).Draw(t, "elements")
	}
	e := encoded{"*" + strconv.Itoa(n) + "\r\n", reply{kind: '*'}}
	for range n {
		inner := drawReply(t, depth+1)
		e.wire += inner.wire
		e.want.value += inner.want.value
	}
	return e
}

// feed scans wire in pieces that end at cuts and returns the replies found.
func feed(s *Scanner, wire []byte, cut func(rest int) int) ([]reply, error) {
	var got []reply
	for len(wire) > 0 {
		piece := wire[:cut(len(wire))]
		wire = wire[len(piece):]
		for len(piece) > 0 {
			n, complete, err := s.Scan(piece)
			if err != nil {
				return got, err
			}
			piece = piece[n:]
			if complete {
				got = append(got, reply{s.Kind, s.Null, string(s.Line), string(s.Value)})
			} else if len(piece) > 0 {
				return got, errors.New("bytes left over without a complete reply")
			}
		}
	}
	return got, nil
}

func TestScannerFindsRepliesHoweverTheyAreSplit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var wire strings.Builder
		var want []reply
		capture := rapid.Bool().Draw(t, "capture")
		for range rapid.IntRange(1, 8).Draw(t, "replies") {
			e := drawReply(t, 0)
			wire.WriteString(e.wire)
			if !capture {
				e.want.value = ""
			}
			want = append(want, e.want)
		}
		s := &Scanner{Capture: capture}
		got, err := feed(s, []byte(wire.String()), func(rest int) int {
			return rapid.IntRange(1, rest).Draw(t, "piece")
		})
		if err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("got %v\nwant %v", got, want)
		}
	})
}

func TestScannerRefusesWhatIsNotRESP(t *testing.T) {
	for _, wire := range []string{
		"HTTP/1.1 400 Bad Request\r\n", "\n", "\r\n", "+\n", "$x\r\n", "$-2\r\n", "*-2\r\n", "$\r\n",
		"$99999999999999999999\r\n", "$3\r\nabcde", "$3\r\nabc\rx", "*1\r\n!\r\n",
		"*1099511627776\r\n*1099511627776\r\n", strings.Repeat("+", maxLine+2),
	} {
		for _, size := range []int{1, len(wire)} {
			_, err := feed(new(Scanner), []byte(wire), func(rest int) int { return min(size, rest) })
			if !errors.Is(err, ErrProtocol) {
				t.Errorf("%.40q in pieces of %d: got error %v", wire, size, err)
			}
		}
	}
}

// FuzzScanner checks that a stream gives the same replies, or fails, whether it
// comes whole or byte by byte.
func FuzzScanner(f *testing.F) {
	for _, seed := range []string{"+OK\r\n$3\r\nabc\r\n", "*2\r\n:1\r\n*1\r\n$-1\r\n", "-MOVED 1 :6379\r\n", "$0\r\n\r\n", "*0\r\n*-1\r\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		whole, errWhole := feed(&Scanner{Capture: true}, wire, func(rest int) int { return rest })
		split, errSplit := feed(&Scanner{Capture: true}, wire, func(int) int { return 1 })
		if fmt.Sprint(whole) != fmt.Sprint(split) || (errWhole == nil) != (errSplit == nil) {
			t.Fatalf("whole: %v, %v\nsplit: %v, %v", whole, errWhole, split, errSplit)
		}
		skipped, _ := feed(new(Scanner), wire, func(rest int) int { return rest })
		if len(skipped) != len(whole) {
			t.Fatalf("%d replies skipped, %d captured", len(skipped), len(whole))
		}
	})
}

func TestScannerDoesNotAllocate(t *testing.T) {
	wire := bytes.Repeat([]byte("+OK\r\n$16\r\n0123456789abcdef\r\n:12\r\n$-1\r\n*1\r\n$1\r\nx\r\n"), 10)
	s := new(Scanner)
	if n := testing.AllocsPerRun(100, func() { _ = scanAll(s, wire) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func scanAll(s *Scanner, wire []byte) error {
	for len(wire) > 0 {
		n, _, err := s.Scan(wire)
		if err != nil {
			return err
		}
		wire = wire[n:]
	}
	return nil
}

func BenchmarkScanner(b *testing.B) {
	wire := bytes.Repeat([]byte("+OK\r\n$16\r\n0123456789abcdef\r\n"), 8)
	s := new(Scanner)
	for b.Loop() {
		if err := scanAll(s, wire); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/16, "ns/reply")
}

func TestAReplyThatFitsAShapeIsOneThatScanFinds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first, next := drawReply(t, 0), drawReply(t, 0)
		shape := ShapeOf([]byte(first.wire))
		// The next reply is often like the first, and often cut or damaged.
		wire := []byte(next.wire)
		if rapid.Bool().Draw(t, "alike") {
			wire = []byte(first.wire)
		}
		if len(wire) > 0 && rapid.Bool().Draw(t, "damaged") {
			wire[rapid.IntRange(0, len(wire)-1).Draw(t, "at")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		}
		wire = append(wire, next.wire...)
		if rapid.Bool().Draw(t, "cut") {
			wire = wire[:rapid.IntRange(0, len(wire)).Draw(t, "length")]
		}
		n := shape.Fits(wire)
		if n == 0 {
			return
		}
		var s Scanner
		used, complete, err := s.Scan(wire)
		if used != n || !complete || err != nil || s.Kind != first.wire[0] || s.Null != first.want.null {
			t.Fatalf("%q fits the shape of %q with %d bytes; Scan finds %d of kind %c, null=%t, complete=%t, %v", wire, first.wire, n, used, s.Kind, s.Null, complete, err)
		}
	})
	ok := ShapeOf([]byte("+OK\r\n"))
	value := ShapeOf([]byte("$3\r\nabc\r\n"))
	for wire, want := range map[string][2]int{"+OK\r\n+OK\r\n": {5, 0}, "$3\r\n\r\n\r\r\n:1\r\n": {0, 9}, "+OK\r": {0, 0}, "$3\r\nabcde": {0, 0}, "$3\r\nabc\r\r": {0, 0}, "-OK\r\n....": {0, 0}} {
		if got := [2]int{ok.Fits([]byte(wire)), value.Fits([]byte(wire))}; got != want {
			t.Errorf("%q: got %d, want %d", wire, got, want)
		}
	}
}
