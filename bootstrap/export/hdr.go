package export

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// Log writes the seconds of res as an HdrHistogram log: a line for all commands
// without a tag, and one tagged with its name for each command that had answers.
// Values are microseconds; times and the column of maxima, as usual, seconds and
// milliseconds. The library's own writer has no maxima in milliseconds for that
// unit, and rounds the start to a second.
func Log(w io.Writer, res spec.LoadResult) error {
	start := float64(res.StartedAt.UnixMilli()) / 1000
	_, err := fmt.Fprintf(w, "#[Histogram log format version %s]\n#[StartTime: %.3f (seconds since epoch), %s]\n#[BaseTime: %.3f (seconds since epoch)]\n"+
		"\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n",
		hdrhistogram.HISTOGRAM_LOG_FORMAT_VERSION, start, res.StartedAt.UTC().Format(time.RFC3339), start)
	if err != nil {
		return err
	}
	for _, second := range res.Timeline {
		if err := logSecond(w, second, res); err != nil {
			return fmt.Errorf("second %g: %w", second.Second, err)
		}
	}
	return nil
}

func logSecond(w io.Writer, second spec.Interval, res spec.LoadResult) error {
	length := min(1, max(0, res.ElapsedSeconds-second.Second))
	line := func(tag string, maximum int64, histogram string) error {
		_, err := fmt.Fprintf(w, "%s%.3f,%.3f,%.3f,%s\n", tag, second.Second, length, milliseconds(maximum), histogram)
		return err
	}
	all := empty()
	var tagged []func() error
	for i, text := range second.Histograms {
		h, err := decode(text)
		if err != nil {
			return err
		}
		all.Merge(h)
		if text != "" && i < len(res.ByCommand) {
			tagged = append(tagged, func() error { return line("Tag="+tag(res.ByCommand[i].Command)+",", h.Max(), text) })
		}
	}
	encoded, err := all.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		return err
	}
	if err := line("", all.Max(), string(encoded)); err != nil {
		return err
	}
	for _, write := range tagged {
		if err := write(); err != nil {
			return err
		}
	}
	return nil
}

// tag makes a command a tag, which has no commas, blanks or line breaks.
func tag(command string) string {
	return strings.Map(func(r rune) rune {
		if r == ',' || r <= ' ' {
			return '_'
		}
		return r
	}, command)
}

// Distribution writes a result's histogram as a table of percentiles, in
// milliseconds, as HdrHistogram's plotters read it.
func Distribution(w io.Writer, histogram string) error {
	h, err := decode(histogram)
	if err != nil {
		return err
	}
	const ticksPerHalving = 5
	_, err = h.PercentilesPrint(w, ticksPerHalving, microseconds)
	return err
}
