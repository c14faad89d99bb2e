package fleet

import (
	"fmt"
	"strconv"
	"time"
)

// tolerated is how far a host's clock may be off before anybody is told.
const tolerated = 30 * time.Second

// skew is how far a clock is off that showed shown, in whole seconds, at some
// moment between begin and end: the least that it can be.
func skew(begin, end, shown time.Time) time.Duration {
	begin = begin.Truncate(time.Second)
	switch {
	case shown.Before(begin):
		return shown.Sub(begin)
	case shown.After(end):
		return shown.Sub(end)
	}
	return 0
}

// clock reads what `date +%s` said between begin and end.
func (h *Host) clock(begin, end time.Time, said string) {
	if seconds, err := strconv.ParseInt(said, 10, 64); err == nil {
		h.skew = skew(begin, end, time.Unix(seconds, 0))
	}
}

// ClockWarning says how far the host's clock is from this machine's, if it has
// been asked and if that is worth a warning; otherwise it is empty.
func (h *Host) ClockWarning() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.skew.Abs() <= tolerated {
		return ""
	}
	way := "ahead of"
	if h.skew < 0 {
		way = "behind"
	}
	return fmt.Sprintf("its clock is %s %s this machine's: its logs will not fit the others', certificates may seem invalid, and TTLs end at other times after a failover. Have it set by NTP (systemd-timesyncd, chrony).",
		h.skew.Abs().Round(time.Second), way)
}
