package measure

import "github.com/HdrHistogram/hdrhistogram-go"

// Second is the sum of all threads' intervals of one second.
type Second struct {
	Index              int
	Operations, Errors int64
	// Shards counts operations by shard.
	Shards []int64
	// P50, P99 and Max are latencies of all commands, in µs.
	P50, P99, Max int64
	// Histograms are the latencies by command, encoded, empty where there are
	// none; only with Shape.Histograms.
	Histograms []string
	// commands add the latencies up while the second lasts. A load of an hour has
	// thousands of seconds, so they are given back when it is over.
	commands []*hdrhistogram.Histogram
	threads  int
}

func (s *Second) add(iv *Interval) {
	for i := range iv.Commands {
		s.Operations += iv.Commands[i].Latency.TotalCount()
		s.commands[min(i, len(s.commands)-1)].Merge(iv.Commands[i].Latency)
	}
	for i, n := range iv.Shards {
		s.Shards[i] += n
	}
	for _, n := range iv.Errors {
		s.Errors += n
	}
}

// finish keeps of the latencies what is asked for.
func (s *Second) finish(encode bool) {
	all := s.commands[0]
	if encode {
		all = NewHistogram()
		for _, h := range s.commands {
			s.Histograms = append(s.Histograms, Encode(h))
			all.Merge(h)
		}
	}
	s.P50, s.P99, s.Max = all.ValueAtQuantile(50), all.ValueAtQuantile(99), all.Max()
}

// Encode gives a histogram as text: V2, compressed, base64. An empty one is empty.
func Encode(h *hdrhistogram.Histogram) string {
	if h.TotalCount() == 0 {
		return ""
	}
	text, err := h.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		return "" // only a histogram that is broken can't be encoded
	}
	return string(text)
}

// open begins a second, with histograms of one that is over, if there are any.
func (c *Collector) open(index int) *Second {
	s := &Second{Index: index, Shards: make([]int64, c.shape.Shards)}
	n := 1
	if c.shape.Histograms {
		n = max(1, c.shape.Commands)
	}
	for range n {
		if last := len(c.spare) - 1; last >= 0 {
			s.commands, c.spare = append(s.commands, c.spare[last]), c.spare[:last]
		} else {
			s.commands = append(s.commands, NewHistogram())
		}
	}
	return s
}

func (c *Collector) finish(s *Second) {
	if s.commands == nil {
		return
	}
	s.finish(c.shape.Histograms)
	for _, h := range s.commands {
		h.Reset()
	}
	c.spare, s.commands = append(c.spare, s.commands...), nil
}
