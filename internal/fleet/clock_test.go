package fleet

import (
	"strings"
	"testing"
	"time"
)

func TestSkewIsTheLeastThatItCanBe(t *testing.T) {
	begin := time.Unix(1_000_000, 900_000_000)
	end := begin.Add(2 * time.Second)
	for _, c := range []struct {
		shown int64
		want  time.Duration
	}{
		{1_000_000, 0}, // cut off, not behind
		{1_000_002, 0},
		{1_003_603, time.Hour + 100*time.Millisecond},
		{996_400, -time.Hour},
	} {
		if got := skew(begin, end, time.Unix(c.shown, 0)); got != c.want {
			t.Errorf("a clock that showed %d is off by %v, want %v", c.shown, got, c.want)
		}
	}
}

func TestClockWarning(t *testing.T) {
	h := new(Host)
	now := time.Unix(1_000_000, 0)
	for said, want := range map[string]string{
		"1000010": "", "999980": "", "no number": "",
		"1003600": "1h0m0s ahead of this machine's", "996400": "1h0m0s behind this machine's",
	} {
		h.skew = 0
		h.clock(now, now, said)
		if got := h.ClockWarning(); want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: %q does not say %q", said, got, want)
		}
	}
}
