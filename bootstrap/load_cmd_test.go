//go:build linux

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/clustertest"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

func TestALoadWritesFilesForOtherTools(t *testing.T) {
	t.Parallel()
	binary := buildBinary(t)
	c := clustertest.Start(t, 3)
	c.Form(0)
	dir := t.TempDir()
	prefix := filepath.Join(dir, "run")
	load := []string{"load", "--requests", "4000", "--clients", "4", "--sequence", "cycle", "--json", c.Addrs()[0]}

	first, stderr, code := invoke(t, binary, "", append(load, "--hdr-file-prefix", prefix, "--json-out-file", prefix+".json", "--report", prefix+".html")...)
	if code != 0 {
		t.Fatalf("code %d: %s", code, stderr)
	}
	var res spec.LoadResult
	if err := json.Unmarshal([]byte(first), &res); err != nil || res.Operations != 4000 || res.Timeline[0].Histograms != nil {
		t.Fatalf("result: %v\n%s", err, first)
	}
	var memtier struct {
		All map[string]struct{ Count int } `json:"ALL STATS"`
	}
	if err := json.Unmarshal(read(t, prefix+".json"), &memtier); err != nil || memtier.All["Sets"].Count != 2000 || memtier.All["Totals"].Count != 4000 {
		t.Errorf("memtier's file: %v, %+v", err, memtier)
	}
	log := hdrhistogram.NewHistogramLogReader(strings.NewReader(string(read(t, prefix+".hlog"))))
	counts := map[string]int64{}
	for {
		h, err := log.NextIntervalHistogram()
		if err != nil {
			t.Fatal(err)
		}
		if h == nil {
			break
		}
		counts[h.Tag()] += h.TotalCount()
	}
	if counts[""] != 4000 || counts["SET"] != 2000 || counts["GET"] != 2000 {
		t.Errorf("the log has %v", counts)
	}
	for _, name := range []string{"_FULL.hgrm", "_SET.hgrm", "_GET.hgrm"} {
		if !strings.Contains(string(read(t, prefix+name)), "Total count") {
			t.Errorf("%s is no distribution", name)
		}
	}

	// What the first run printed is what a second one is compared with.
	earlier := filepath.Join(dir, "earlier.json")
	if err := os.WriteFile(earlier, []byte(first), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, stderr, code := invoke(t, binary, "", append(load, "--baseline", earlier, "--report", prefix+".html")...); code != 0 || !strings.Contains(string(read(t, prefix+".html")), "Baseline") {
		t.Errorf("code %d: %s", code, stderr)
	}

	// A load of hours is not begun if nothing can be kept of it.
	for flag, path := range map[string]string{"--report": filepath.Join(dir, "gone", "x.html"), "--json-out-file": dir, "--hdr-file-prefix": filepath.Join(earlier, "x")} {
		_, stderr, code := invoke(t, binary, "", "load", flag, path, "127.0.0.1:1")
		if code == 0 || !strings.Contains(stderr, flag) || !strings.Contains(stderr, "cannot be written") {
			t.Errorf("%s %s: code %d, %s", flag, path, code, stderr)
		}
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
