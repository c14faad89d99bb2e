package report

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// maxSize is what a report may weigh, so that it can be attached anywhere.
const maxSize = 150_000

func number(t *testing.T, s string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// oneLine undoes non-breaking spaces.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

func expect(t *testing.T, n *node, wanted ...string) {
	t.Helper()
	text := oneLine(n.text)
	for _, w := range wanted {
		if !strings.Contains(text, w) {
			t.Errorf("missing %q in: %.600s", w, text)
		}
	}
}

func TestStagesAndRunnersAreTold(t *testing.T) {
	run, res := sampleStages()
	_, page := render(t, run, res, nil)
	over := page.section(t, "Over time")
	expect(t, over, "▸ small", "▸ stage 2", "runner west lost")
	for _, kind := range []string{"stage", "lost"} {
		if n := len(over.all("path", kind)); n != 3 {
			t.Errorf("lines for %s in %d of 3 charts", kind, n)
		}
	}
	expect(t, page.section(t, "By stage"), "small all 0.0 s 10.0 s", "SET", "stage 2 all 10.0 s 10.0 s")
	expect(t, page.section(t, "By runner"), "east 50.0 % 1,679,498 83,958 60.0 % finished", "west 50.0 % – – – lost after 12.5 s: signal: killed")
	if notes := page.all("p", "alert"); len(notes) != 1 {
		t.Errorf("%d alerts", len(notes))
	} else {
		expect(t, notes[0], "the runner west was lost 12.5 s after the start")
	}
}

func TestOutagesAreListed(t *testing.T) {
	res := sampleResult()
	_, page := render(t, sampleRun(), res, nil)
	expect(t, page.section(t, "Times without an answer"), "0 write 8.0 s 9.3 s 1.30 s", "0 read")
	res.Faults, res.Outages = nil, nil
	for i := range 150 {
		res.Outages = append(res.Outages, spec.Outage{Shard: 1, Access: "read", AtSeconds: float64(i) / 10, DurationMS: float64(51 + i)})
	}
	_, page = render(t, sampleRun(), res, nil)
	section := page.section(t, "Times without an answer")
	expect(t, section, "These are the longest; there were 50 more.", "1 read 14.9 s 15.1 s 200 ms")
	if rows := len(section.all("tr", "")); rows != 101 {
		t.Errorf("%d rows", rows)
	}
	strips := page.section(t, "By shard").all("figure", "strip")
	if a, b := len(strips[0].all("path", "unavailable")), len(strips[1].all("path", "unavailable")); a != 0 || b != 1 {
		t.Errorf("unavailability is shaded %d times in the shard without and %d times in that with outages", a, b)
	}
}

func TestAnotherWorkloadIsNoticed(t *testing.T) {
	base := sampleBaseline()
	_, page := render(t, sampleRun(), sampleResult(), &base)
	expect(t, page.section(t, "Compared with the baseline"), "What ran is not the same:", "Values 1 KiB 16 B")
	base.Workload = sampleResult().Workload
	_, page = render(t, sampleRun(), sampleResult(), &base)
	if strings.Contains(page.section(t, "Compared with the baseline").text, "not the same") {
		t.Error("the same workload was called another")
	}
}

func TestSample(t *testing.T) {
	base := sampleBaseline()
	text, page := render(t, sampleRun(), sampleResult(), &base)
	if len(text) > maxSize {
		t.Errorf("%d bytes", len(text))
	}
	if strings.Contains(text, "s3cret-password") {
		t.Error("the report shows the password")
	}
	expect(t, page.all("section", "passed")[0], "Passed All 4 objectives were kept.", "Latency, p99 ✓ kept ≤ 5.00 ms 1.62 ms")
	expect(t, page.all("dl", "setup")[0], "SET and GET, 1:1, in turn on the same key", "key:1 to key:10000, uniform", "16 B",
		"48 clients, one command at a time each, 2 threads; as fast as answers come (closed loop)", "20 s, after 2 s of warm-up",
		"Redis 7.0.15, 6 nodes, 3 shards, 1 replica each", "2026-11-20 13:40:00 UTC, for 20.0 s", "2026-11-19 13:40:00 UTC")
	expect(t, page.all("section", "tiles")[0], "Throughput, ops/s", "487 µs", "1.62 ms", "4.87 ms", "−18.2 % from 1.98 ms", "1.30 s", "up from 0 ms", "of 10,000 verified")
	over := page.section(t, "Over time")
	expect(t, over, "node-0 was stopped at 8.0 s; the cluster marked it as failed after 1.04 s; node-3 was promoted after 1.26 s; "+
		"its shard did not answer for 1.30 s; it was started again at 14.0 s and had rejoined as a replica 611 ms later.")
	for _, kind := range []string{"injected", "detected", "promoted", "recovered", "rejoined"} {
		if n := len(over.all("path", kind)); n != 3 {
			t.Errorf("lines for %s in %d of 3 charts", kind, n)
		}
	}
	if strips := page.section(t, "By shard").all("figure", "strip"); len(strips) != 3 {
		t.Errorf("%d strips for 3 shards", len(strips))
	} else if a, b := len(strips[0].all("path", "unavailable")), len(strips[1].all("path", "unavailable")); a != 1 || b != 0 {
		t.Errorf("unavailability is shaded %d times in the shard that had it and %d times in another", a, b)
	}
	for _, heading := range []string{"Over time", "Latency"} {
		if len(page.section(t, heading).all("path", "baseline")) == 0 {
			t.Errorf("no baseline in the charts of %q", heading)
		}
	}
	expect(t, page.section(t, "By command"), "SET 839,749 41,979", "GET 839,749")
	expect(t, page.section(t, "Errors by kind"), "refused 212", "No process listened", "48 redirections followed")
	expect(t, page.section(t, "Verification of writes"), "10,000 acknowledged writes were read back at the end, and all of them held", "Indeterminate 9")
	expect(t, page.section(t, "The load generator itself"), "room to spare", "61.0 %", "6.90 µs")
	expect(t, page.section(t, "Compared with the baseline"), "Latency, p99 1.98 ms 1.62 ms −18.2 %")
}

// TestCode checks that the page's only code are our two files, and that its
// policy names the script.
func TestCode(t *testing.T) {
	for _, name := range hostile {
		run, res := dressed(name)
		text, page := render(t, run, res, &res)
		found := code.FindAllString(text, -1)
		if want := []string{"<style>" + styles + "</style>", "<script>" + script + "</script>"}; !slices.Equal(found, want) {
			t.Errorf("%d pieces of code, or not ours", len(found))
		}
		sum := sha256.Sum256([]byte(script))
		if p := page.all("meta", "")[1].attr["content"]; !strings.HasSuffix(p, "script-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'") {
			t.Errorf("the policy is %s", p)
		}
	}
}

// TestOrder checks that sections come in the order in which they are needed.
func TestOrder(t *testing.T) {
	base := sampleBaseline()
	_, page := render(t, sampleRun(), sampleResult(), &base)
	var got []string
	for _, s := range page.all("section", "") {
		if label := s.attr["aria-label"]; label != "" {
			got = append(got, label)
		} else {
			got = append(got, s.all("h2", "")[0].text)
		}
	}
	want := []string{"Verdict", "What ran against what", "Headline figures", "Over time", "By shard", "Latency", "By command", "Faults",
		"Times without an answer", "Errors by kind", "Verification of writes", "The load generator itself", "Compared with the baseline", "The figures behind the charts"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestSameInputSameBytes(t *testing.T) {
	run := sampleRun()
	run.Workload.Operations = map[string]float64{"set": 3, "get": 3, "del": 1, "incr": 1, "lpush": 1}
	first, _ := render(t, run, sampleResult(), nil)
	for range 20 {
		if again, _ := render(t, run, sampleResult(), nil); again != first {
			t.Fatal("two reports of one result differ")
		}
	}
}

func TestGolden(t *testing.T) {
	run := sampleRun()
	run.Faults = nil
	res := sampleResult()
	res.Timeline, res.ElapsedSeconds, res.Faults = res.Timeline[:3], 2.5, nil
	res.Percentiles = nil
	text, _ := render(t, run, res, nil)
	_, body, _ := strings.Cut(code.ReplaceAllString(text, ""), "<body>")
	body = strings.ReplaceAll(body, "><", ">\n<") // for git diff
	const file = "testdata/small.html"
	if *update {
		if err := os.WriteFile(file, []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if body != string(want) {
		t.Errorf("the body differs from %s; see the difference with `go test -update` and git diff", file)
	}
}

// hostile are names that a page must show and must not obey.
var hostile = []string{
	`"><script>document.title='pwned'</script>`,
	`'><img src=x onerror="document.title='pwned'">`,
	`</style></script><h1>pwned</h1>`,
	`</td></tr></table><iframe src="https://example.com/">`,
	"{{.}} {{template \"chart\"}} ${x} `x` \\u003cscript\\u003e",
	"]]><!--", "--> <!DOCTYPE x>", "&lt;script&gt;&#0;",
	"a\x00b\x1b[31m\xff\xfe\r\n",
	"node-0\u202e1-edon\u2066\u200b",
	strings.Repeat("long ", 20_000), strings.Repeat("🦊", 5000),
	"javascript:alert(1)", "expression(alert(1));background:url(//x)",
}

// dressed puts name wherever a user's word can stand.
func dressed(name string) (spec.LoadRun, spec.LoadResult) {
	run, res := sampleRun(), sampleResult()
	run.Title = name
	run.Workload.Keys.Prefix, run.Workload.Keys.Pattern = name, name
	run.Workload.Arrival, run.Workload.Rate = name, 1000
	run.Workload.Commands = []spec.Command{{Command: name, Weight: 1}}
	run.Workload.Operations = map[string]float64{name: 1}
	run.Workload.Stages = []spec.Stage{{Name: name, Duration: spec.Duration(time.Second)}}
	res.Server.Version, res.Server.Flavor = name, name
	for i := range res.Server.Shards {
		res.Server.Shards[i] = spec.Shard{Slots: name, Primary: name, Replicas: []string{name}}
	}
	res.Generator.Hosts = []string{name}
	res.ByCommand[0].Command = name
	res.Errors = map[string]int64{name: 3}
	res.Breaches, res.Passed = []string{name}, false
	res.LostKeys, res.LostWrites = []string{name}, 1
	f := &res.Faults[0]
	f.Kind, f.Target, f.Node, f.Promoted, f.RejoinedAs, f.Error = spec.FaultKind(name), name, name, name, name, name
	return run, res
}

// shape is the tree of elements without their texts. The labels above a chart
// are left out: how many there is room for depends on their length.
func shape(n *node) string {
	if n.attr["class"] != "" && strings.HasPrefix(n.attr["class"], "lane") {
		return ""
	}
	var b strings.Builder
	b.WriteString("<" + n.name + ">")
	for _, c := range n.children {
		b.WriteString(shape(c))
	}
	return b.String() + "</>"
}

// TestHostileNames checks that a name is text and nothing else: the page of a
// hostile one has the very elements of a harmless one's.
func TestHostileNames(t *testing.T) {
	run, res := dressed("harmless")
	_, page := render(t, run, res, &res)
	want := shape(page)
	hidden := regexp.MustCompile(`[\x00-\x08\x0b-\x1f\x{200b}\x{202e}\x{2066}]`)
	for i, name := range hostile {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			run, res := dressed(name)
			text, page := render(t, run, res, &res)
			if shape(page) != want {
				t.Error("the name has changed the page's elements")
			}
			if hidden.MatchString(text) {
				t.Error("a character that can't be seen is in the page")
			}
			if len(text) > maxSize {
				t.Errorf("%d bytes", len(text))
			}
			run.Workload.Trace = &spec.Trace{Path: name, Format: name}
			render(t, run, res, nil)
		})
	}
}

func TestNothingToShow(t *testing.T) {
	hole := math.NaN()
	second := spec.Interval{}
	for name, c := range map[string]struct {
		res  spec.LoadResult
		want string
	}{
		"zero":               {spec.LoadResult{}, "Not one operation succeeded."},
		"passed, zero":       {spec.LoadResult{Passed: true}, "Not one operation succeeded."},
		"one empty second":   {spec.LoadResult{ElapsedSeconds: 1, Timeline: []spec.Interval{second}}, "Not one operation succeeded."},
		"one second":         {spec.LoadResult{ElapsedSeconds: 1, Operations: 1, Passed: true, Timeline: []spec.Interval{{Operations: 1, P50: 1, P99: 1, Max: 1, ByShard: []int64{1}}}}, "Measured No objectives were set."},
		"a tenth of it":      {spec.LoadResult{ElapsedSeconds: 0.1, Operations: 9, Passed: true, Timeline: []spec.Interval{{Operations: 9, P50: 1, P99: 1, Max: 1}}}, "Measured"},
		"only errors":        {spec.LoadResult{ElapsedSeconds: 2, FailedOperations: 5, Errors: map[string]int64{"connection": 5}, Timeline: []spec.Interval{{Errors: 3}, {Second: 1, Errors: 2}}}, "100 % of operations"},
		"figures that none":  {spec.LoadResult{ElapsedSeconds: hole, Operations: 1, ThroughputOPS: math.Inf(1), Latency: spec.Latency{P50: hole, P99: hole}, Timeline: []spec.Interval{{Operations: 1, P50: hole, Max: math.Inf(1)}}, Percentiles: []spec.Percentile{{Percentile: hole, MS: 1}}}, "Measured"},
		"shards, no seconds": {spec.LoadResult{Server: sampleServer()}, "Not a second was measured."},
	} {
		t.Run(name, func(t *testing.T) {
			_, page := render(t, spec.LoadRun{}, c.res, nil)
			expect(t, page, c.want)
			_, page = render(t, spec.LoadRun{}, c.res, &c.res)
			expect(t, page, c.want)
			render(t, sampleRun(), sampleResult(), &c.res)
		})
	}
}

func TestVerdict(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*spec.LoadRun, *spec.LoadResult)
		class  string
		want   []string
	}{
		"kept":     {func(*spec.LoadRun, *spec.LoadResult) {}, "passed", []string{"All 4 objectives were kept."}},
		"none set": {func(run *spec.LoadRun, _ *spec.LoadResult) { run.Objectives = spec.Objectives{} }, "measured", []string{"No objectives were set."}},
		"one breached": {func(_ *spec.LoadRun, res *spec.LoadResult) {
			res.Passed, res.Latency.P99, res.Breaches = false, 9, []string{"p99 is 9 ms"}
		}, "breached", []string{"1 of 4 objectives was not kept.", "p99 is 9 ms", "Latency, p99 ✕ breached ≤ 5.00 ms 9.00 ms"}},
		"interrupted": {func(_ *spec.LoadRun, res *spec.LoadResult) {
			res.Interrupted, res.ElapsedSeconds, res.Timeline = true, 7.2, res.Timeline[:8]
		},
			"interrupted", []string{"Interrupted", "stopped after 7.2 s of 20 s"}},
		"interrupted and breached": {func(_ *spec.LoadRun, res *spec.LoadResult) {
			res.Interrupted, res.Passed, res.ThroughputOPS = true, false, 10
		},
			"breached", []string{"The load was stopped after", "Throughput, ops/s ✕ breached ≥ 50,000 10"}},
	} {
		t.Run(name, func(t *testing.T) {
			run, res := sampleRun(), sampleResult()
			c.change(&run, &res)
			_, page := render(t, run, res, nil)
			found := page.all("section", c.class)
			if len(found) != 1 {
				t.Fatalf("the verdict is not %s", c.class)
			}
			expect(t, found[0], c.want...)
		})
	}
}

func TestAlerts(t *testing.T) {
	run, res := sampleRun(), sampleResult()
	_, page := render(t, run, res, nil)
	if n := len(page.all("p", "alert")); n != 0 {
		t.Errorf("%d alerts on a good run", n)
	}
	run.Runners = 3
	res.Generator.Saturated, res.Generator.CPU, res.Generator.Unsent = true, 0.98, 4221
	res.LostWrites, res.LostKeys = 30, []string{"key:1", "key:2"}
	res.Faults = append(res.Faults, spec.FaultResult{Kind: spec.FaultIsolate, Node: "node-9", AtSeconds: 12, Error: "no such node."})
	_, page = render(t, run, res, nil)
	for i, want := range []string{"generator was saturated. These figures are its limit", "30 lost, 0 stale", "4,221 commands were due and not sent",
		"The fault “isolate” on node-9, due at 12.0 s, could not be done: no such node.", "1 of 3 runners delivered"} {
		expect(t, page.all("p", "alert")[i], want)
	}
	if len(page.all("section", "bad")) != 1 {
		t.Error("the generator's own section does not warn")
	}
	expect(t, page.section(t, "Verification of writes"), "Lost keys: key:1, key:2 and 28 more")
}

// TestHour checks that a long load stays small and keeps its spikes.
func TestHour(t *testing.T) {
	for _, shards := range []int{0, 3, 20, 1000} {
		res := longResult(shards)
		text, page := render(t, sampleRun(), res, &res)
		if len(text) > maxSize {
			t.Errorf("%d shards: %d bytes", shards, len(text))
		}
		table := page.section(t, "The figures behind the charts")
		rows := table.all("table", "")[0].all("tr", "")
		if n := len(rows) - 1; n != 180 {
			t.Errorf("%d points", n)
		}
		expect(t, table, "2.75 s")
		expect(t, page.section(t, "Over time"), "Each point is 20 s")
		// A second of 1 operation in the last shard, which must be among those drawn.
		if shards > 0 {
			expect(t, page.section(t, "By shard"), fmt.Sprintf("Shard %d ", shards-1))
			dip := rows[1+2500/20]
			if last := dip.children[len(dip.children)-1].text; last != "1" {
				t.Errorf("the dip shows as %s", last)
			}
		}
	}
}

// TestManyFaults checks that dozens of faults keep the page small and the labels few.
func TestManyFaults(t *testing.T) {
	res := longResult(20)
	for i := range 24 {
		f := sampleResult().Faults[0]
		f.AtSeconds, f.RecoveredAtSeconds = float64(140*i), ptr(float64(140*i+30))
		res.Faults = append(res.Faults, f)
	}
	text, _ := render(t, sampleRun(), res, nil)
	if len(text) > maxSize {
		t.Errorf("%d bytes", len(text))
	}
}

func TestOpenLoopShowsServiceTime(t *testing.T) {
	run, res := sampleRun(), sampleResult()
	run.Workload.Rate, run.Workload.Arrival = 90_000, "poisson"
	res.ServiceTime.P99 = 0.9
	_, page := render(t, run, res, nil)
	expect(t, page.section(t, "Latency"), "From the time it was due", "From the time it was sent (service time)", "900 µs")
	expect(t, page.all("dl", "setup")[0], "90,000 ops/s by schedule, poisson arrivals (open loop)")
	expect(t, page.section(t, "The load generator itself"), "Schedule slip")
}

type brokenPipe struct{}

var errPipe = errors.New("broken pipe")

func (brokenPipe) Write([]byte) (int, error) { return 0, errPipe }

func TestWriteError(t *testing.T) {
	if err := HTML(brokenPipe{}, sampleRun(), sampleResult(), nil); !errors.Is(err, errPipe) {
		t.Errorf("got %v", err)
	}
}

// TestContrast checks that text can be read in light and in dark: 4.5:1 as
// WCAG 2.2 AA asks for.
func TestContrast(t *testing.T) {
	light, dark, ok := strings.Cut(styles, "prefers-color-scheme")
	if !ok {
		t.Fatal("no dark colours")
	}
	for name, part := range map[string]string{"light": light, "dark": dark} {
		colours := map[string]float64{}
		for _, m := range regexp.MustCompile(`--([a-z-]+): #([0-9a-f]{6});`).FindAllStringSubmatch(part, -1) {
			colours[m[1]] = luminance(t, m[2])
		}
		for _, pair := range [][2]string{{"ink", "card"}, {"ink", "page"}, {"muted", "card"}, {"muted", "page"}, {"red", "card"}, {"card", "red"},
			{"green", "card"}, {"amber", "card"}, {"blue", "card"}, {"teal", "card"}, {"orange", "card"}, {"tip-ink", "tip"}} {
			a, b := colours[pair[0]], colours[pair[1]]
			if ratio := (max(a, b) + 0.05) / (min(a, b) + 0.05); ratio < 4.5 {
				t.Errorf("%s: %s on %s has a contrast of %.2f", name, pair[0], pair[1], ratio)
			}
		}
	}
}

// luminance is the relative luminance of WCAG 2.2.
func luminance(t *testing.T, hex string) float64 {
	t.Helper()
	n, err := strconv.ParseUint(hex, 16, 32)
	if err != nil {
		t.Fatal(err)
	}
	channel := func(shift uint) float64 {
		c := float64(n>>shift&0xff) / 255
		if c <= 0.04045 {
			return c / 12.92
		}
		return math.Pow((c+0.055)/1.055, 2.4)
	}
	return 0.2126*channel(16) + 0.7152*channel(8) + 0.0722*channel(0)
}
