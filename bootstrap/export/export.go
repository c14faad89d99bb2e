// Package export writes a load's result in the formats that other tools read:
// HdrHistogram's logs (.hlog) and percentile distributions (.hgrm), and JSON in
// the shape of memtier_benchmark's.
package export

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// The ends of the files' names. A distribution's is its command's name between
// an underscore and .hgrm.
const (
	ResultFile        = ".json"
	MemtierFile       = ".memtier.json"
	LogFile           = ".hlog"
	DistributionFile  = ".hgrm"
	wholeDistribution = "_FULL"
)

// Files gives res in every format, by the end of the file's name. res has the
// histograms of its seconds; the file of the result itself leaves them out.
func Files(run spec.LoadRun, res spec.LoadResult) (map[string]string, error) {
	files := map[string]string{}
	own := WithoutHistograms(res)
	own.ReportHTML = ""
	text, err := json.MarshalIndent(own, "", "  ")
	if err != nil {
		return nil, err
	}
	files[ResultFile] = string(text) + "\n"
	memtier, err := Memtier(run, res)
	if err != nil {
		return nil, err
	}
	files[MemtierFile] = string(memtier)
	hdr, err := HDR(res)
	for name, text := range hdr {
		files[name] = text
	}
	return files, err
}

// HDR gives the files of HdrHistogram: the log, and a distribution for each command.
func HDR(res spec.LoadResult) (map[string]string, error) {
	var log bytes.Buffer
	if err := Log(&log, res); err != nil {
		return nil, err
	}
	files := map[string]string{LogFile: log.String()}
	distribution := func(name, histogram string) error {
		var out bytes.Buffer
		err := Distribution(&out, histogram)
		files[name+DistributionFile] = out.String()
		return err
	}
	if err := distribution(wholeDistribution, res.Histogram); err != nil {
		return nil, err
	}
	for i, c := range res.ByCommand {
		name := "_" + fileWord(c.Command)
		if _, taken := files[name+DistributionFile]; taken {
			name += fmt.Sprintf("_%d", i)
		}
		if err := distribution(name, c.Histogram); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// WithoutHistograms gives res without those of its seconds, which are many.
func WithoutHistograms(res spec.LoadResult) spec.LoadResult {
	res.Timeline = append([]spec.Interval{}, res.Timeline...)
	for i := range res.Timeline {
		res.Timeline[i].Histograms = nil
	}
	return res
}

// fileWord makes a command fit a file's name.
func fileWord(command string) string {
	const longest = 40
	word := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-':
			return r
		}
		return '_'
	}, command)
	return word[:min(len(word), longest)]
}

// empty is a histogram that holds nothing, of the kind that results have.
func empty() *hdrhistogram.Histogram {
	const anHourOfMicroseconds, digits = 3_600_000_000, 3
	return hdrhistogram.New(1, anHourOfMicroseconds, digits)
}

// decode reads a result's histogram; an empty text is an empty one.
func decode(text string) (*hdrhistogram.Histogram, error) {
	if text == "" {
		return empty(), nil
	}
	return hdrhistogram.Decode([]byte(text))
}

// microseconds are in a millisecond.
const microseconds = 1000

func milliseconds(us int64) float64 { return float64(us) / microseconds }
