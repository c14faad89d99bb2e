package redisconf

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestSplit(t *testing.T) {
	for _, tt := range []struct {
		line string
		want []string
		err  string
	}{
		{``, nil, ""},
		{`  900 1  `, []string{"900", "1"}, ""},
		{`""`, []string{""}, ""},
		{`"a b" c`, []string{"a b", "c"}, ""},
		{`"\x41\n\"\\"`, []string{"A\n\"\\"}, ""},
		{`"\x4"`, []string{"x4"}, ""},
		{`'it\'s' '\n'`, []string{"it's", `\n`}, ""},
		{`a"b c"`, []string{"ab c"}, ""},
		{`"a"b`, nil, "closing quote"},
		{`"a`, nil, "not closed"},
		{`'a\`, nil, "not closed"},
	} {
		got, err := Split(tt.line)
		if !slices.Equal(got, tt.want) || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("Split(%s) = %q, %v; want %q, %q", tt.line, got, err, tt.want, tt.err)
		}
	}
}

// anyString draws arbitrary bytes, not only valid UTF-8.
func anyString(t *rapid.T) string {
	return string(rapid.SliceOf(rapid.Byte()).Draw(t, "arg"))
}

func TestParseReadsWhatRenderWrites(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := rapid.SliceOf(rapid.Custom(func(t *rapid.T) Directive {
			return Directive{
				Name: rapid.StringMatching(`[a-z][a-z0-9._-]{0,20}`).Draw(t, "name"),
				Args: rapid.SliceOf(rapid.Custom(anyString)).Draw(t, "args"),
			}
		})).Draw(t, "file")
		got, err := Parse(File(f).Render())
		if err != nil {
			t.Fatal(err)
		}
		if !slices.EqualFunc(got, f, func(a, b Directive) bool { return a.Name == b.Name && slices.Equal(a.Args, b.Args) }) {
			t.Fatalf("got %q, want %q", got, f)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add("save \"\"\n# comment\nappendonly yes\r\n")
	f.Add("a '\\'' \"\\x00\"")
	f.Fuzz(func(t *testing.T, text string) {
		once, err := Parse(text)
		if err != nil {
			t.Skip("malformed")
		}
		// A name may itself need quotes; the server would refuse it, and Render
		// is for names that it knows.
		for _, d := range once {
			if Quote(d.Name) != d.Name || d.Name[0] == '#' {
				t.Skip("not a directive's name")
			}
		}
		again, err := Parse(once.Render())
		if err != nil {
			t.Fatal(err)
		}
		if once.Render() != again.Render() {
			t.Fatalf("%q became %q", once.Render(), again.Render())
		}
	})
}

func TestLookupTakesTheLast(t *testing.T) {
	f, err := Parse("requirepass old\nREQUIREPASS \"new one\"\n")
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := f.Lookup("requirepass"); got != "new one" || !ok {
		t.Errorf("got %q, %v", got, ok)
	}
	if _, ok := f.Lookup("masterauth"); ok {
		t.Error("found what is not there")
	}
}

func TestSHA256LeavesSecretsOut(t *testing.T) {
	const conf = "port 1\nrequirepass %\n  MasterAuth \"% %\"\n"
	a, b := SHA256(strings.ReplaceAll(conf, "%", "one")), SHA256(strings.ReplaceAll(conf, "%", "two"))
	if a != b {
		t.Error("the hash depends on the password")
	}
	if a == SHA256(strings.Replace(conf, "port 1", "port 2", 1)) {
		t.Error("the hash does not depend on the port")
	}
}

func TestValues(t *testing.T) {
	got, err := Values("900 1\r\n\n300 10\n")
	if err != nil || len(got) != 2 || !slices.Equal(got[1], []string{"300", "10"}) {
		t.Errorf("got %q, %v", got, err)
	}
	for _, empty := range []string{"", `""`, "\n"} {
		if got, err := Values(empty); err != nil || len(got) != 1 || !slices.Equal(got[0], []string{""}) {
			t.Errorf("Values(%q) = %q, %v", empty, got, err)
		}
	}
}
