package workload

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/load/resp"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

func compile(t testing.TB, w spec.Workload, verify bool) *Program {
	t.Helper()
	if problems := w.Validate(); len(problems) > 0 {
		t.Fatal(problems)
	}
	p, err := Compile(w, verify, 0)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// decode returns the words of one encoded command.
func decode(t rapid.TB, wire []byte) []string {
	t.Helper()
	rest, ok := strings.CutPrefix(string(wire), "*")
	if !ok {
		t.Fatalf("no command: %q", wire)
	}
	var n int
	if _, err := fmt.Sscanf(rest, "%d\r\n", &n); err != nil {
		t.Fatalf("no command: %q", wire)
	}
	_, rest, _ = strings.Cut(rest, "\r\n")
	var words []string
	for range n {
		s := &resp.Scanner{Capture: true}
		used, complete, err := s.Scan([]byte(rest))
		if err != nil || !complete {
			t.Fatalf("no command: %q: %v", wire, err)
		}
		words = append(words, string(s.Value))
		rest = rest[used:]
	}
	if rest != "" {
		t.Fatalf("%q is left over", rest)
	}
	return words
}

// commands are the first n commands of one client.
func commands(t testing.TB, p *Program, n int) [][]string {
	t.Helper()
	g := p.NewGenerator(Share{0, 1})
	c := &Client{ID: 3}
	var out [][]string
	for range n {
		it := g.Next(c, 5000)
		if it == nil {
			break
		}
		words := decode(t, g.Append(nil, it))
		if len(words) > 1 && int(it.Slot) != spec.Slot(words[1]) {
			t.Fatalf("%q was put in slot %d, not %d", words, it.Slot, spec.Slot(words[1]))
		}
		out = append(out, words)
	}
	return out
}

func TestTheSeedsWorkloads(t *testing.T) {
	s1 := commands(t, compile(t, spec.Workload{Requests: 9, Sequence: "cycle", DataSize: 16, Keys: spec.Keys{Length: 8}}, false), 4)
	if s1[0][0] != "SET" || s1[1][0] != "GET" || s1[0][1] != s1[1][1] || s1[1][1] == s1[2][1] || len(s1[0][1]) != 8 || len(s1[0][2]) != 16 {
		t.Errorf("S1: %q", s1)
	}
	s2 := commands(t, compile(t, spec.Workload{Requests: 9, Sequence: "cycle", Keys: spec.Keys{Prefix: "key:", Minimum: 1, Maximum: 10000}}, false), 2)
	if !strings.HasPrefix(s2[0][1], "key:") || s2[0][1] != s2[1][1] {
		t.Errorf("S2: %q", s2)
	}
	s3 := commands(t, compile(t, spec.Workload{Requests: 9, Keys: spec.Keys{ClientUUID: true}, Commands: []spec.Command{{Command: "SET __key__ __key____key__", Weight: 1}}}, false), 2)
	if k := s3[1][1]; len(k) != 38 || !strings.HasSuffix(k, "-2") || s3[1][2] != k+k || s3[0][1][:37] != k[:37] {
		t.Errorf("S3: %q", s3)
	}
	s4 := compile(t, spec.Workload{Stages: []spec.Stage{{Duration: 1, DataSize: 16}, {Duration: 1, DataSize: 512 << 10}}, Sequence: "cycle"}, false)
	g := s4.NewGenerator(Share{0, 1})
	for stage, want := range []int32{16, 512 << 10} {
		g.SetStage(stage)
		it := g.Next(new(Client), 0)
		if words := decode(t, g.Append(nil, it)); it.Size != want || len(words) == 3 && len(words[2]) != int(want) {
			t.Errorf("S4: stage %d has values of %d", stage, it.Size)
		}
	}
}

func TestSlotsOfKeysWithTags(t *testing.T) {
	for _, line := range []string{"GET __key__", "GET a{b}__key__", "GET a{__key__}c", "GET a{}__key__", "GET {__key__", "GET __key__{x}", "GET __key__{}", "GET __key__}{y}z", "GET a{b__key__c}d}", "INCR __key__:counter"} {
		for _, prefix := range []string{"key:", "{tag}", "{", "x}", ""} {
			commands(t, compile(t, spec.Workload{Requests: 9, Commands: []spec.Command{{Command: line, Weight: 1}}, Keys: spec.Keys{Prefix: prefix, Maximum: 1e9}}, false), 5)
		}
	}
}

func TestSlotsOfNumbers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		arg := argument{{text: rapid.StringMatching(`[a-z{}]{0,4}`).Draw(t, "before")}, {kind: pieceKey}, {text: rapid.StringMatching(`[a-z{}]{0,4}`).Draw(t, "after")}}
		number, prefix := rapid.Uint64().Draw(t, "number"), rapid.StringMatching(`[a-z{}]{0,4}`).Draw(t, "prefix")
		s := slotterOf(&arg, prefix)
		key := arg.render(prefix+strconv.FormatUint(number, 10), "")
		if got := s.ofNumber(number); int(got) != spec.Slot(key) {
			t.Fatalf("%q is in slot %d, not %d", key, spec.Slot(key), got)
		}
	})
}

func TestTemplates(t *testing.T) {
	for line, want := range map[string][]string{
		`HSET h:__key__ "a b" __data__-__data__`: {"HSET", "h:k:7", "a b", "D-D"},
		`PING`:                                   {"PING"},
		`SET __key__ ""`:                         {"SET", "k:7", ""},
		`SET __key__ __data__`:                   {"SET", "k:7", "D"},
		`EVAL "x" 1 __key__ 5 `:                  {"EVAL", "x", "1", "k:7", "5"},
	} {
		p := compile(t, spec.Workload{Requests: 9, DataSize: 5, Commands: []spec.Command{{Command: line, Weight: 1}}, Keys: spec.Keys{Prefix: "k:", Minimum: 7, Maximum: 7}}, false)
		g := p.NewGenerator(Share{0, 1})
		it := g.Next(new(Client), 0)
		data := string(g.Values().Append(nil, it.Tag, 5))
		for i, word := range want {
			if i > 2 || word == "D" {
				want[i] = strings.ReplaceAll(word, "D", data)
			}
		}
		if got := decode(t, g.Append(nil, it)); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", line, got, want)
		}
	}
}

func TestFormsSayTheSameAsTheirParts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		minimum := rapid.Int64().Filter(func(n int64) bool { return n >= 0 }).Draw(t, "minimum")
		w := spec.Workload{
			Clients: 3, DataSize: rapid.OneOf(rapid.IntRange(spec.MinVerifiedDataSize, 2*shortData), rapid.IntRange(spec.MinVerifiedDataSize, 2*formValue)).Draw(t, "size"),
			Keys: rapid.SampledFrom([]spec.Keys{
				{Minimum: minimum, Maximum: minimum}, {ClientUUID: true}, {Length: 8}, {Length: 80}, {Prefix: "{a}", Maximum: 1e6},
			}).Draw(t, "keys"),
		}
		for range rapid.IntRange(1, 3).Draw(t, "commands") {
			w.Commands = append(w.Commands, spec.Command{Weight: 1, Command: rapid.SampledFrom([]string{
				"SET __key__ __data__", "GET __key__", "SET a{__key__}b __key____key__", "MSET __key__ __data__ x:__key__:y -__data__-__data__", "PING",
				"SET __key__ __data__ " + strings.Repeat("x", 100), "GETEX __key__ " + strings.Repeat("y", 150),
			}).Draw(t, "command")})
		}
		p, err := Compile(w, rapid.Bool().Draw(t, "verify"), 0)
		if err != nil {
			t.Fatal(err)
		}
		g := p.NewGenerator(Share{0, 1})
		clients := []*Client{{ID: 0}, {ID: 2}, {ID: 7}, {ID: 15}}
		for _, counter := range []uint64{0, 8, 98, 1<<40 - 3} {
			for _, c := range clients {
				c.counter = counter
				it := g.Next(c, 123_456_789)
				got, want := string(g.Append([]byte("before"), it)), "before"+string(g.appendParts(nil, it))
				if got != want {
					t.Fatalf("got %q, want %q", got, want)
				}
				key := string(p.appendKeyBody([]byte(p.keys.Prefix), it))
				if words := decode(t, []byte(got[len("before"):])); len(words) > 1 && (!strings.Contains(words[1], key) || int(it.Slot) != spec.Slot(words[1])) {
					t.Fatalf("%q was put in slot %d; its key is %q", words, it.Slot, key)
				}
			}
		}
	})
}

func TestDigits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.OneOf(rapid.Uint64(), rapid.SampledFrom(powers[:]), rapid.Map(rapid.SampledFrom(powers[:]), func(p uint64) uint64 { return p - 1 })).Draw(t, "n")
		want := strconv.FormatUint(n, 10)
		text := make([]byte, digits(n))
		putDecimal(text, n)
		if got := string(text); got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
	})
}

func TestSequentialAndUniqueKeysOverThreads(t *testing.T) {
	for _, pattern := range []string{spec.PatternSequential, spec.PatternUnique} {
		p := compile(t, spec.Workload{Requests: 12, Operations: map[string]float64{"set": 1}, Keys: spec.Keys{Minimum: 5, Maximum: 16, Pattern: pattern}}, false)
		seen := map[uint64]int{}
		for thread := range 3 {
			g := p.NewGenerator(Share{thread, 3})
			for range 5 {
				if it := g.Next(new(Client), 0); it != nil {
					seen[it.Key]++
				}
			}
		}
		total := 0
		for key := uint64(5); key <= 16; key++ {
			if seen[key] == 0 || pattern == spec.PatternUnique && seen[key] > 1 {
				t.Errorf("%s: key %d was used %d times", pattern, key, seen[key])
			}
			total += seen[key]
		}
		if want := map[string]int{spec.PatternSequential: 15, spec.PatternUnique: 12}[pattern]; total != want {
			t.Errorf("%s: %d keys, want %d", pattern, total, want)
		}
	}
}

func TestCommandsAreDrawnByTheirWeights(t *testing.T) {
	const draws = 40_000
	p := compile(t, spec.Workload{Requests: 1, Commands: []spec.Command{{Command: "SET __key__ a", Weight: 1}, {Command: "GET __key__", Weight: 0.5}, {Command: "DEL __key__", Weight: 2.5}}}, false)
	g, counts := p.NewGenerator(Share{0, 1}), make([]float64, 3)
	for range draws {
		counts[g.Next(new(Client), 0).Command]++
	}
	for i, weight := range []float64{1, 0.5, 2.5} {
		if want := draws * weight / 4; math.Abs(counts[i]-want) > 5*math.Sqrt(want) {
			t.Errorf("command %d was drawn %.0f times, want %.0f", i, counts[i], want)
		}
	}
}

func TestAStageBeginsWithTheNextCommand(t *testing.T) {
	p := compile(t, spec.Workload{Stages: []spec.Stage{{Duration: 1, DataSize: 16}, {Duration: 1, DataSize: 64}}}, false)
	g := p.NewGenerator(Share{0, 1})
	for i := range 3*stockSize + 7 {
		if i == stockSize+5 {
			g.SetStage(1)
		}
		want := int32(16)
		if i >= stockSize+5 {
			want = 64
		}
		if it := g.Next(new(Client), 0); it.Size != want {
			t.Fatalf("command %d has a value of %d, want %d", i, it.Size, want)
		}
	}
}

func TestVerifiedCommandsAreDatedWhenTheyAreDrawn(t *testing.T) {
	g := compile(t, spec.Workload{Requests: 1, DataSize: 16}, true).NewGenerator(Share{0, 1})
	for i := range 2 * stockSize {
		if it := g.Next(new(Client), int64(i)*1000); it.Tag != uint64(i) {
			t.Fatalf("got %d, want %d", it.Tag, i)
		}
	}
}

func TestZipfHasTheRightShares(t *testing.T) {
	const n, draws = 1000, 400_000
	for _, exponent := range []float64{0.5, 0.99, 1, 1.5} {
		z := newZipf(exponent, n)
		rng := rand.New(rand.NewPCG(1, 2))
		counts := make([]float64, n+1)
		for range draws {
			counts[z.draw(rng)]++
		}
		sum := 0.0
		for k := 1.0; k <= n; k++ {
			sum += math.Pow(k, -exponent)
		}
		for _, k := range []int{1, 2, 3, 10, 100} {
			want := draws * math.Pow(float64(k), -exponent) / sum
			if math.Abs(counts[k]-want) > 5*math.Sqrt(want) {
				t.Errorf("exponent %g: rank %d was drawn %.0f times, want %.0f", exponent, k, counts[k], want)
			}
		}
	}
}

func TestPatternsStayInTheirRange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		minimum := rapid.Int64Range(0, 1000).Draw(t, "minimum")
		k := spec.Keys{
			Minimum: minimum, Maximum: minimum + rapid.Int64Range(0, 50).Draw(t, "size"), ZipfExponent: 0.99,
			Pattern: rapid.SampledFrom([]string{spec.PatternUniform, spec.PatternGaussian, spec.PatternZipfian}).Draw(t, "pattern"),
		}
		source := rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0)
		p := newKeyPicker(k, rand.New(source), source)
		for range 100 {
			if n := int64(p.draw()); n < k.Minimum || n > k.Maximum {
				t.Fatalf("%+v: drew %d", k, n)
			}
		}
	})
}

func TestCycleKeepsTheWeights(t *testing.T) {
	for _, c := range []struct {
		weights []float64
		want    string
	}{{[]float64{1, 1}, "[0 1]"}, {[]float64{1, 3}, "[0 1 1 1]"}, {[]float64{0.5, 1.25}, "[0 0 1 1 1 1 1]"}} {
		if got := fmt.Sprint(cycleOf(c.weights)); got != c.want {
			t.Errorf("%v: got %s, want %s", c.weights, got, c.want)
		}
	}
}

func TestVerifiedValuesSayWhichWriteTheyAreFrom(t *testing.T) {
	v := NewValues(1, 5)
	rapid.Check(t, func(t *rapid.T) {
		key, tag := rapid.Uint64().Draw(t, "key"), rapid.Uint64Max(1<<timeBits-1).Draw(t, "tag")
		value := v.AppendVerified(nil, key, tag, rapid.IntRange(spec.MinVerifiedDataSize, 300).Draw(t, "size"))
		if got, runner, ok := v.Identify(key, value); !ok || got != tag || runner != 5 {
			t.Fatalf("got %d, %d, %t", got, runner, ok)
		}
		if _, _, ok := v.Identify(key+1, value); ok {
			t.Fatal("taken for the value of another key")
		}
		value[rapid.IntRange(0, len(value)-1).Draw(t, "at")] ^= 1
		if _, _, ok := v.Identify(key, value); ok {
			t.Fatal("a changed byte went unnoticed")
		}
	})
}

func BenchmarkNextAndAppend(b *testing.B) {
	for name, w := range map[string]spec.Workload{
		"set-get-16": {Requests: 1, DataSize: 16, Keys: spec.Keys{Maximum: 1e6}},
		"uuid":       {Requests: 1, Keys: spec.Keys{ClientUUID: true}, Commands: []spec.Command{{Command: "SET __key__ __key____key__", Weight: 1}}},
	} {
		for _, verify := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s/verify=%t", name, verify), func(b *testing.B) {
				p := compile(b, w, verify)
				g := p.NewGenerator(Share{0, 1})
				var buf []byte
				c := new(Client)
				b.ReportAllocs()
				for b.Loop() {
					it := g.Next(c, 0)
					buf = g.Append(buf[:0], it)
				}
			})
		}
	}
}
