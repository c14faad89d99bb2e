package export

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// memtier is the file that memtier_benchmark writes, as far as there is something
// to write. Its names are memtier_benchmark's.
type memtier struct {
	Configuration map[string]any `json:"configuration"`
	Run           memtierRun     `json:"run information"`
	// All has "Runtime", "Totals", and a section for each command ("Sets", "Gets").
	All map[string]any `json:"ALL STATS"`
}

type memtierRun struct {
	Threads   int   `json:"Threads"`
	Clients   int   `json:"Connections per thread"`
	Requests  int64 `json:"Requests per client,omitempty"`
	TestTime  int64 `json:"Seconds,omitempty"`
	RateLimit int64 `json:"Rate limit,omitempty"`
}

type memtierRuntime struct {
	Start       int64  `json:"Start time"`
	Finish      int64  `json:"Finish time"`
	Duration    int64  `json:"Total duration"`
	Unit        string `json:"Time unit"`
	Interrupted string `json:"Interrupted"`
}

type memtierSection struct {
	Count       int64   `json:"Count"`
	Ops         float64 `json:"Ops/sec"`
	Hits        float64 `json:"Hits/sec"`
	Misses      float64 `json:"Misses/sec"`
	Latency     float64 `json:"Latency"`
	Average     float64 `json:"Average Latency"`
	Accumulated float64 `json:"Accumulated Latency"`
	Min         float64 `json:"Min Latency"`
	Max         float64 `json:"Max Latency"`
	// KB is in the totals only.
	KB          float64                  `json:"KB/sec"`
	Errors      int64                    `json:"Connection Errors"`
	Percentiles map[string]any           `json:"Percentile Latencies"`
	Series      map[string]memtierSecond `json:"Time-Serie"`
}

type memtierSecond struct {
	Count       int64   `json:"Count"`
	Average     float64 `json:"Average Latency"`
	Accumulated float64 `json:"Accumulated Latency"`
	Min         float64 `json:"Min Latency"`
	Max         float64 `json:"Max Latency"`
	P50         float64 `json:"p50.00"`
	P99         float64 `json:"p99.00"`
	P999        float64 `json:"p99.90"`
}

// memtierPercentiles are those of its "Percentile Latencies".
var memtierPercentiles = []float64{50, 90, 95, 99, 99.9, 99.99, 100}

// Memtier gives res as JSON in the shape of memtier_benchmark's --json-out-file.
// Latencies are milliseconds.
func Memtier(run spec.LoadRun, res spec.LoadResult) ([]byte, error) {
	w := run.Workload
	out := memtier{
		Configuration: map[string]any{
			"clients": w.Clients, "pipeline": w.Pipeline, "threads": w.Threads, "data_size": w.DataSize,
			"key_prefix": w.Keys.Prefix, "key_minimum": w.Keys.Minimum, "key_maximum": w.Keys.Maximum, "key_pattern": w.Keys.Pattern,
			"requests": w.Requests, "test_time": int64(w.Duration.D().Seconds()), "cluster_mode": "true",
		},
		Run: memtierRun{Threads: max(1, w.Threads), Clients: w.Clients, Requests: w.Requests, TestTime: int64(w.Duration.D().Seconds()), RateLimit: int64(w.Rate)},
		All: map[string]any{"Runtime": memtierRuntime{
			Start: res.StartedAt.UnixMilli(), Finish: res.StartedAt.UnixMilli() + int64(1000*res.ElapsedSeconds),
			Duration: int64(1000 * res.ElapsedSeconds), Unit: "MILLISECONDS", Interrupted: strconv.FormatBool(res.Interrupted),
		}},
	}
	total := spec.CommandResult{Operations: res.Operations, ThroughputOPS: res.ThroughputOPS, Histogram: res.Histogram}
	for i, c := range res.ByCommand {
		section, err := memtierOf(c, res, []int{i})
		if err != nil {
			return nil, err
		}
		out.All[memtierName(c.Command, out.All)] = section
		total.Misses += c.Misses
		total.Errors += c.Errors
	}
	every := make([]int, len(res.ByCommand))
	for i := range every {
		every[i] = i
	}
	section, err := memtierOf(total, res, every)
	if err != nil {
		return nil, err
	}
	section.KB = res.ThroughputMBPerSecond * 1e6 / 1024
	out.All["Totals"] = section
	for _, name := range []string{"Sets", "Gets", "Waits"} { // there even if nothing of it was sent
		if _, ok := out.All[name]; !ok {
			out.All[name] = memtierSection{Percentiles: map[string]any{}, Series: map[string]memtierSecond{}}
		}
	}
	return json.MarshalIndent(out, "", "\t")
}

// memtierName is the section of a command: "Sets", or "Hsets" for a line of the
// user's, numbered if another one is called so.
func memtierName(command string, taken map[string]any) string {
	word, _, _ := strings.Cut(command, " ")
	if word == "" {
		word = "other"
	}
	name := strings.ToUpper(word[:1]) + strings.ToLower(word[1:]) + "s"
	for i := 2; ; i++ {
		if _, ok := taken[name]; !ok {
			return name
		}
		name = fmt.Sprintf("%s%ss_%d", strings.ToUpper(word[:1]), strings.ToLower(word[1:]), i)
	}
}

// memtierOf is the section of c, whose seconds are the sums of the given commands'.
func memtierOf(c spec.CommandResult, res spec.LoadResult, commands []int) (memtierSection, error) {
	h, err := decode(c.Histogram)
	if err != nil {
		return memtierSection{}, fmt.Errorf("%s: %w", c.Command, err)
	}
	s := memtierSection{
		Count: c.Operations, Ops: c.ThroughputOPS, Errors: c.Errors,
		Percentiles: map[string]any{"Histogram log format": map[string]any{"Compressed Histogram": c.Histogram}},
		Series:      map[string]memtierSecond{},
	}
	if res.ElapsedSeconds > 0 {
		s.Misses = float64(c.Misses) / res.ElapsedSeconds
	}
	for _, i := range commands {
		if got := res.ByCommand[i]; got.Command == "GET" && res.ElapsedSeconds > 0 {
			s.Hits = float64(got.Operations-got.Misses) / res.ElapsedSeconds
		}
	}
	for _, p := range memtierPercentiles {
		s.Percentiles[percentileName(p)] = milliseconds(h.ValueAtQuantile(p))
	}
	of := memtierSecondOf(h)
	s.Latency, s.Average, s.Accumulated, s.Min, s.Max = of.Average, of.Average, of.Accumulated, of.Min, of.Max
	for i, second := range res.Timeline {
		sum := empty()
		for _, command := range commands {
			if command >= len(second.Histograms) {
				continue
			}
			part, err := decode(second.Histograms[command])
			if err != nil {
				return s, fmt.Errorf("%s, second %d: %w", c.Command, i, err)
			}
			sum.Merge(part)
		}
		s.Series[strconv.Itoa(i)] = memtierSecondOf(sum)
	}
	return s, nil
}

func memtierSecondOf(h *hdrhistogram.Histogram) memtierSecond {
	if h.TotalCount() == 0 {
		return memtierSecond{}
	}
	mean := h.Mean() / microseconds
	return memtierSecond{
		Count: h.TotalCount(), Average: mean, Accumulated: mean * float64(h.TotalCount()), Min: milliseconds(h.Min()), Max: milliseconds(h.Max()),
		P50: milliseconds(h.ValueAtQuantile(50)), P99: milliseconds(h.ValueAtQuantile(99)), P999: milliseconds(h.ValueAtQuantile(99.9)),
	}
}

// percentileName is "p99.90".
func percentileName(p float64) string { return fmt.Sprintf("p%.2f", p) }
