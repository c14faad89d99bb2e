package export

import (
	"bufio"
	"bytes"
	"encoding/json"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// sample is a result of three seconds, in the last of which nothing but SETs
// were answered, with the histograms that it was made of, by command.
func sample(t *testing.T) (spec.LoadResult, []*hdrhistogram.Histogram) {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	res := spec.LoadResult{StartedAt: time.UnixMilli(1_790_000_000_250), ElapsedSeconds: 2.5, ThroughputMBPerSecond: 1.024}
	names := []string{"SET", "GET", "HSET __key__ a,b __data__"}
	whole := empty()
	byCommand := make([]*hdrhistogram.Histogram, len(names))
	for i := range names {
		byCommand[i] = empty()
	}
	for second := range 3 {
		iv := spec.Interval{Second: float64(second)}
		for i := range names {
			h := empty()
			if second < 2 || i == 0 {
				for range 1000 {
					if err := h.RecordValue(1 + r.Int64N(1_000_000)); err != nil {
						t.Fatal(err)
					}
				}
			}
			iv.Operations += h.TotalCount()
			byCommand[i].Merge(h)
			iv.Histograms = append(iv.Histograms, text(t, h))
		}
		res.Timeline = append(res.Timeline, iv)
	}
	for i, name := range names {
		n := byCommand[i].TotalCount()
		res.ByCommand = append(res.ByCommand, spec.CommandResult{Command: name, Operations: n, ThroughputOPS: float64(n) / 2.5, Misses: int64(100 * i), Histogram: text(t, byCommand[i])})
		whole.Merge(byCommand[i])
	}
	res.Operations, res.ThroughputOPS, res.Histogram = whole.TotalCount(), float64(whole.TotalCount())/2.5, text(t, whole)
	return res, append(byCommand, whole)
}

func text(t *testing.T, h *hdrhistogram.Histogram) string {
	t.Helper()
	if h.TotalCount() == 0 {
		return ""
	}
	encoded, err := h.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		t.Fatal(err)
	}
	return string(encoded)
}

func TestALogIsReadBackWhole(t *testing.T) {
	res, want := sample(t)
	files, err := HDR(res)
	if err != nil {
		t.Fatal(err)
	}
	log := files[LogFile]
	reader := hdrhistogram.NewHistogramLogReader(strings.NewReader(log))
	tags := map[string]int{"SET": 0, "GET": 1, "HSET___key___a_b___data__": 2, "": 3}
	sums := make([]*hdrhistogram.Histogram, len(want))
	for i := range sums {
		sums[i] = empty()
	}
	lines := 0
	for {
		h, err := reader.NextIntervalHistogram()
		if err != nil {
			t.Fatal(err)
		}
		if h == nil {
			break
		}
		at, ok := tags[h.Tag()]
		if begin := h.StartTimeMs() - res.StartedAt.UnixMilli(); !ok || begin%1000 != 0 || begin < 0 || begin > 2000 || h.EndTimeMs()-h.StartTimeMs() > 1000 {
			t.Errorf("line %d: tag %q from %d to %d", lines, h.Tag(), h.StartTimeMs(), h.EndTimeMs())
			continue
		}
		sums[at].Merge(h)
		lines++
	}
	if lines != 3+7 {
		t.Errorf("%d lines:\n%s", lines, log)
	}
	for i := range want {
		if !sums[i].Equals(want[i]) {
			t.Errorf("histogram %d: %d values up to %d, want %d up to %d", i, sums[i].TotalCount(), sums[i].Max(), want[i].TotalCount(), want[i].Max())
		}
	}
}

func TestADistributionIsReadBack(t *testing.T) {
	res, want := sample(t)
	files, err := HDR(res)
	if err != nil {
		t.Fatal(err)
	}
	for name, h := range map[string]*hdrhistogram.Histogram{"_SET.hgrm": want[0], "_GET.hgrm": want[1], "_HSET___key___a_b___data__.hgrm": want[2], "_FULL.hgrm": want[3]} {
		rows := 0
		var last []string
		for lines := bufio.NewScanner(strings.NewReader(files[name])); lines.Scan(); {
			fields := strings.Fields(lines.Text())
			if len(fields) != 4 || fields[0] == "Value" || strings.HasPrefix(fields[0], "#") {
				continue
			}
			value, err1 := strconv.ParseFloat(fields[0], 64)
			percentile, err2 := strconv.ParseFloat(fields[1], 64)
			if at := milliseconds(h.ValueAtQuantile(100 * percentile)); err1 != nil || err2 != nil || math.Abs(value-at) > 0.01*at {
				t.Errorf("%s: %q, want %g ms", name, lines.Text(), at)
			}
			rows, last = rows+1, fields
		}
		if rows < 20 || last[2] != strconv.FormatInt(h.TotalCount(), 10) {
			t.Errorf("%s: %d rows, the last %q:\n%s", name, rows, last, files[name])
		}
	}
}

func TestTheShapeOfMemtiersFile(t *testing.T) {
	res, want := sample(t)
	run := spec.LoadRun{Workload: spec.Workload{Clients: 8, Pipeline: 2, Duration: spec.Duration(3 * time.Second)}}
	files, err := Files(run, res)
	if err != nil {
		t.Fatal(err)
	}
	type section struct {
		Count       int64
		Ops         float64 `json:"Ops/sec"`
		Hits        float64 `json:"Hits/sec"`
		Misses      float64 `json:"Misses/sec"`
		Latency     float64
		Average     float64            `json:"Average Latency"`
		Accumulated float64            `json:"Accumulated Latency"`
		Percentiles map[string]any     `json:"Percentile Latencies"`
		Series      map[string]section `json:"Time-Serie"`
		P99         float64            `json:"p99.00"`
	}
	var got struct {
		All map[string]section `json:"ALL STATS"`
	}
	if err := json.Unmarshal([]byte(files[MemtierFile]), &got); err != nil {
		t.Fatal(err)
	}
	for name, h := range map[string]*hdrhistogram.Histogram{"Sets": want[0], "Gets": want[1], "Hsets": want[2], "Totals": want[3]} {
		s := got.All[name]
		if s.Count != h.TotalCount() || s.Ops != float64(h.TotalCount())/2.5 || s.Average != s.Latency || math.Abs(s.Accumulated/float64(s.Count)-s.Average) > 1e-9 {
			t.Errorf("%s: %+v", name, s)
		}
		if p := s.Percentiles["p99.00"]; p != milliseconds(h.ValueAtQuantile(99)) || s.Percentiles["p99.90"] == nil {
			t.Errorf("%s: percentiles %v", name, s.Percentiles)
		}
		sum := int64(0)
		for _, second := range s.Series {
			sum += second.Count
		}
		if len(s.Series) != 3 || sum != s.Count || s.Series["0"].P99 == 0 {
			t.Errorf("%s: seconds %v", name, s.Series)
		}
	}
	if g := got.All["Gets"]; g.Misses != 40 || g.Hits != 760 || got.All["Sets"].Hits != 0 || got.All["Totals"].Hits != 760 {
		t.Errorf("hits and misses: %+v", g)
	}
	if _, ok := got.All["Waits"]; !ok {
		t.Error("there is no section for WAIT, which is always there")
	}
	var own spec.LoadResult
	if err := json.Unmarshal([]byte(files[ResultFile]), &own); err != nil || own.Operations != res.Operations || own.Timeline[0].Histograms != nil || res.Timeline[0].Histograms == nil {
		t.Errorf("the result's own file: %v, %+v", err, own.Timeline)
	}
}

func TestNothingMeasuredIsStillWritten(t *testing.T) {
	files, err := Files(spec.LoadRun{}, spec.LoadResult{Timeline: []spec.Interval{{}}, ByCommand: []spec.CommandResult{{Command: "GET"}, {Command: "GET "}}})
	if err != nil {
		t.Fatal(err)
	}
	if !json.Valid([]byte(files[MemtierFile])) || len(files) != 6 {
		t.Errorf("files: %q", files)
	}
	if err := Log(&bytes.Buffer{}, spec.LoadResult{Timeline: []spec.Interval{{Histograms: []string{"nonsense"}}}}); err == nil {
		t.Error("a broken histogram was written")
	}
}
