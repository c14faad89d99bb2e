package fleet

import (
	"testing"
	"time"
)

func TestFormat(t *testing.T) {
	now := time.Date(2026, 11, 20, 13, 4, 5, 0, time.UTC)
	tests := map[string]struct {
		host, raw, want string
	}{
		"plain":  {"kv-1", `{"@level":"info","@message":"push it"}`, "13:04:05  kv-1: push it\n"},
		"node":   {"kv-1", `{"@level":"info","@message":"write redis.conf","node":"kv-1:6380"}`, "13:04:05  kv-1:6380: write redis.conf\n"},
		"count":  {"", `{"@level":"info","@message":"move slots","done":3,"total":7,"unit":"slots"}`, "13:04:05  move slots (3/7 slots)\n"},
		"fields": {"h", `{"@level":"info","@message":"go","b":2,"a":"x","phase":"load","event":"load_started"}`, "13:04:05  h: go a=x b=2\n"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			l, ok := parseLine([]byte(test.raw))
			if !ok {
				t.Fatal("no line")
			}
			if got := format(now, test.host, l); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestParseLineRefusesOtherText(t *testing.T) {
	for _, raw := range []string{"panic: x", `{"failure":{}}`, "", "[1]"} {
		if _, ok := parseLine([]byte(raw)); ok {
			t.Errorf("%q was taken for a log line", raw)
		}
	}
}
