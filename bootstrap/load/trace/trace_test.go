package trace

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/load/workload"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// readAll returns the commands of a recording as lines.
func readAll(t testing.TB, text, format string) ([]string, error) {
	t.Helper()
	r, err := NewReader(strings.NewReader(text), format)
	if err != nil {
		return nil, err
	}
	var out []string
	var rec Record
	for {
		if err := r.Read(&rec); errors.Is(err, io.EOF) {
			return out, nil
		} else if err != nil {
			return out, err
		}
		out = append(out, fmt.Sprintf("%s %d %q", rec.At, rec.Client, rec.Args))
	}
}

func TestFormats(t *testing.T) {
	for _, c := range []struct{ format, text, want, err string }{
		{spec.TraceMonitor, "OK\n1339518083.107412 [0 127.0.0.1:6086] \"keys\" \"*\"\n1339518083.207412 [0 127.0.0.1:6087] \"set\" \"a\\x00\" \"\\\"\\n\"\n1339518083.3 [0 lua] \"get\" \"a\"\n",
			`0s 0 ["keys" "*"]|100ms 1 ["set" "a\x00" "\"\n"]`, ""},
		{spec.TraceMonitor, "1.5 [0 [::1]:6086] \"get\" \"a\"\n", `0s 0 ["get" "a"]`, ""},
		{spec.TraceMonitor, "1339518083.107412 [0 127.0.0.1:6086] \"ke", "", "line 1"},
		{spec.TraceMonitor, "nonsense\n", "", "no line of MONITOR"},
		{spec.TraceCommands, "SET a \"b c\"\n\nGET a\n", `-1ns 0 ["SET" "a" "b c"]|-1ns 0 ["GET" "a"]`, ""},
		{spec.TraceCommands, "SET \"a\n", "", "line 1"},
		{spec.TraceTwitter, "0,k1,2,3,7,set,10\n0,k,2,2,0,8,get,0\n1,k1,2,0,7,delete,0\n", `0s 0 ["SET" "k1" "012" "EX" "10"]|500ms 1 ["GET" "k,2"]|1s 0 ["DEL" "k1"]`, ""},
		{spec.TraceTwitter, "0,k1,2,3,7\n", "", "fields"},
		{spec.TraceTwitter, "0,k1,2,99999999999,7,set,0\n", "", "line 1"},
		{spec.TraceTwitter, "0,k1,2,3,7,get,0\n9223372036854775807,k1,2,3,7,get,0\n", "", "line 2"},
		{spec.TraceMonitor, "99999999999999 [0 127.0.0.1:6086] \"get\" \"a\"\n", "", "no line of MONITOR"},
		{spec.TraceBootstrap, "garbage", "", "no recording"},
		{"pcap", "", "", "not known"},
	} {
		got, err := readAll(t, c.text, c.format)
		if text := strings.Join(got, "|"); text != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s %q: got %s, %v; want %s, %q", c.format, c.text, text, err, c.want, c.err)
		}
	}
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var file bytes.Buffer
		w, err := NewWriter(&file)
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		at := time.Duration(0)
		for range rapid.IntRange(0, 20).Draw(t, "records") {
			at += time.Duration(rapid.IntRange(0, 1e6).Draw(t, "after")) * time.Microsecond
			rec := Record{At: at, Client: rapid.IntRange(0, 1000).Draw(t, "client")}
			for range rapid.IntRange(1, 4).Draw(t, "words") {
				rec.Args = append(rec.Args, rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(t, "word"))
			}
			if err := w.Write(&rec, func(i int, word []byte) bool { return i == 3 }); err != nil {
				t.Fatal(err)
			}
			if len(rec.Args) == 4 {
				rec.Args[3] = appendFiller(nil, len(rec.Args[3]))
			}
			want = append(want, fmt.Sprintf("%s %d %q", rec.At, rec.Client, rec.Args))
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		got, err := readAll(nopTB{}, file.String(), spec.TraceBootstrap)
		if err != nil || strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Fatalf("%v\ngot %q\nwant %q", err, got, want)
		}
		cut := rapid.IntRange(0, file.Len()-1).Draw(t, "cut")
		if _, err := readAll(nopTB{}, file.String()[:cut], spec.TraceBootstrap); err == nil {
			t.Fatalf("cut off after %d of %d bytes, and nobody noticed", cut, file.Len())
		}
	})
}

// nopTB lets readAll be used inside rapid.Check.
type nopTB struct{ testing.TB }

func (nopTB) Helper() {}

func FuzzReaders(f *testing.F) {
	var file bytes.Buffer
	w, err := NewWriter(&file)
	if err != nil {
		f.Fatal(err)
	}
	if err := errors.Join(w.Write(&Record{At: 5, Args: [][]byte{[]byte("GET"), []byte("a")}}, nil), w.Close()); err != nil {
		f.Fatal(err)
	}
	f.Add(file.String())
	f.Add("1.5 [0 127.0.0.1:6086] \"get\" \"a\"\n")
	f.Add("0,k1,2,3,7,set,10\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, format := range []string{spec.TraceBootstrap, spec.TraceMonitor, spec.TraceCommands, spec.TraceTwitter} {
			r, err := NewReader(strings.NewReader(text), format)
			var rec Record
			for err == nil { // it must end, without a panic
				if err = r.Read(&rec); err == nil && (len(rec.Args) == 0 || rec.Client < 0 || rec.At < 0 && rec.At != Untimed || rec.At > longest) {
					t.Fatalf("%s: %+v", format, rec)
				}
			}
		}
	})
}

// Several runners replay every command once, a client's all on one of them.
func TestRunnersShareARecording(t *testing.T) {
	var text strings.Builder
	for i := range 900 {
		fmt.Fprintf(&text, "%d.0 [0 10.0.0.%d:1] \"SET\" \"key%d\" \"v\"\n", 100+i, i%7, i)
	}
	path := filepath.Join(t.TempDir(), "trace")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	sentBy := map[string]int{}
	runnerOf := map[string]int{}
	for runner := range 3 {
		r, err := NewReplay(spec.Trace{Path: path, Format: spec.TraceMonitor, Speed: 1}, 0, nil, Share{Runner: runner, Runners: 3})
		if err != nil || r.Idle() {
			t.Fatalf("%v, idle %t", err, r != nil && r.Idle())
		}
		feeds := r.Feeds(1)
		done := make(chan error)
		go func() { done <- r.Run(t.Context()) }()
		for state := Ready; state != Over; {
			var it workload.Item
			if _, _, state = feeds[0].Next(&it); state != Ready {
				continue
			}
			key := strings.Split(string(feeds[0].Append(nil, it.Tag)), "\r\n")[4]
			feeds[0].Recycle(it.Tag)
			sentBy[key]++
			var i int
			if _, err := fmt.Sscanf(key, "key%d", &i); err != nil {
				t.Fatal(err)
			}
			client := fmt.Sprint(i % 7)
			if other, ok := runnerOf[client]; ok && other != runner {
				t.Fatalf("client %s is on the runners %d and %d", client, other, runner)
			}
			runnerOf[client] = runner
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if len(sentBy) != 900 {
		t.Errorf("%d of 900 commands were replayed", len(sentBy))
	}
	for key, n := range sentBy {
		if n != 1 {
			t.Errorf("%s was sent %d times", key, n)
		}
	}
	if r, err := NewReplay(spec.Trace{Path: path, Format: spec.TraceMonitor, Speed: 1}, 0, nil, Share{Runner: 7, Runners: 8}); err != nil || !r.Idle() {
		t.Errorf("a runner without a client: %v", err)
	}
}

func TestAReplayKeepsOrderAndTimes(t *testing.T) {
	var text strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&text, "%d.%06d [0 10.0.0.%d:1] \"SET\" \"key%d\" \"%d\"\n", 100+i/1000, i%1000*1000, i%7, i, i)
		text.WriteString("100.0 [0 10.0.0.1:1] \"CONFIG\" \"GET\" \"*\"\n")
	}
	path := filepath.Join(t.TempDir(), "trace")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := NewReplay(spec.Trace{Path: path, Format: spec.TraceMonitor, Speed: 2}, 0, map[string]Command{"set": {FirstKey: 1, Write: true}}, Share{})
	if err != nil {
		t.Fatal(err)
	}
	feeds := r.Feeds(2)
	done := make(chan error)
	go func() { done <- r.Run(t.Context()) }()
	seen := 0
	for _, f := range feeds {
		last := map[int]time.Duration{}
		for state := Ready; state != Over; {
			var it workload.Item
			var at time.Duration
			var client int
			if at, client, state = f.Next(&it); state != Ready {
				continue
			}
			var i int
			wire := string(f.Append(nil, it.Tag))
			if _, err := fmt.Sscanf(strings.Split(wire, "\r\n")[4], "key%d", &i); err != nil {
				t.Fatal(err)
			}
			f.Recycle(it.Tag)
			seen++
			if want := time.Duration(i) * time.Millisecond / 2; at != want || at < last[client] || int(it.Slot) != spec.Slot(fmt.Sprintf("key%d", i)) {
				t.Fatalf("%q at %s after %s in slot %d", wire, at, last[client], it.Slot)
			}
			last[client] = at
		}
	}
	if err := <-done; err != nil || seen != 5000 || r.Skipped != 5000 {
		t.Errorf("%v: %d commands, %d skipped", err, seen, r.Skipped)
	}
}
