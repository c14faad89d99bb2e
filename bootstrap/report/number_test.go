package report

import (
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestNumbers(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{count(0), "0"}, {count(999), "999"}, {count(1000), "1,000"}, {count(1812345), "1,812,345"}, {count(-1234), "−1,234"}, {count(math.MinInt64), "−9,223,372,036,854,775,808"},
		{rate(0), "0"}, {rate(0.25), "0.2"}, {rate(9.94), "9.9"}, {rate(9.96), "10"}, {rate(90411.6), "90,412"}, {rate(math.NaN()), "–"},
		{short(0), "0"}, {short(0.25), "0.25"}, {short(25000), "25 k"}, {short(1.25e6), "1.25 M"}, {short(2e9), "2 G"},
		{latency(0), "0 ms"}, {latency(0.0004), "0.40 µs"}, {latency(0.061), "61.0 µs"}, {latency(0.412), "412 µs"}, {latency(0.9996), "1.00 ms"},
		{latency(1.2351), "1.24 ms"}, {latency(12.35), "12.3 ms"}, {latency(412), "412 ms"}, {latency(999.6), "1.00 s"}, {latency(1304), "1.30 s"},
		{latency(80_000), "80.0 s"}, {latency(125_500), "2 m 5.5 s"}, {latency(math.Inf(1)), "–"},
		{axisLatency(1), "1 ms"}, {axisLatency(0.05), "50 µs"}, {axisLatency(100), "100 ms"}, {axisLatency(2500), "2.5 s"},
		{seconds(8.002), "8.0 s"}, {seconds(119.94), "119.9 s"}, {seconds(119.96), "2 m"}, {seconds(750.5), "12 m 30.5 s"}, {seconds(3600), "1 h"}, {seconds(3723), "1 h 2 m 3 s"},
		{clock(12, false), "12 s"}, {clock(0.5, false), "0.5 s"}, {clock(150, true), "2:30"}, {clock(3750, true), "1:02:30"},
		{size(16), "16 B"}, {size(512 << 10), "512 KiB"}, {size(3 << 19), "1.5 MiB"},
		{percent(0), "0 %"}, {percent(1), "100 %"}, {percent(0.123), "12.3 %"}, {percent(0.0004834), "0.048 %"}, {percent(1e-9), "< 0.0001 %"},
		{change(100, 104.24), "+4.2 %"}, {change(100, 88), "−12.0 %"}, {change(2, 7), "×3.5"}, {change(5, 5), "±0 %"}, {change(0, 1), "–"},
		{plural(1, "shard"), "1 shard"}, {plural(3000, "shard"), "3,000 shards"},
		{list([]string{"a"}), "a"}, {list([]string{"a", "b", "c"}), "a, b and c"},
		{plain("key:\x00\xff\u202e\"<"), `key:\x00\xff\u202e"<`}, {cut("abcdef", 3), "abc…"}, {cut("\ufffd", 3), "\ufffd"},
	} {
		if got := strings.ReplaceAll(c.got, nbsp, " "); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

// TestScales checks that whatever is to be drawn has a scale that holds it,
// with a few ticks, all of them on it.
func TestScales(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lo := rapid.Float64Range(1e-4, 1e6).Draw(t, "lo")
		hi := lo * rapid.Float64Range(1, 1e7).Draw(t, "span")
		s := rapid.SampledFrom([]scale{spread(lo, hi), linear(hi)}).Draw(t, "scale")
		if s.lo > lo || s.hi < hi*(1-1e-9) {
			t.Fatalf("the scale from %v to %v does not hold %v to %v", s.lo, s.hi, lo, hi)
		}
		if n := len(s.ticks); n < 2 || n > 12 {
			t.Fatalf("%d ticks: %v", n, s.ticks)
		}
		for i, v := range s.ticks {
			if v < s.lo*(1-1e-9) || v > s.hi*(1+1e-9) || i > 0 && v <= s.ticks[i-1] {
				t.Fatalf("ticks %v on a scale from %v to %v", s.ticks, s.lo, s.hi)
			}
		}
		if a, b := s.at(lo), s.at(hi); a < 0 || b > 1 || a > b {
			t.Fatalf("%v is at %v, %v at %v", lo, a, hi, b)
		}
	})
}
