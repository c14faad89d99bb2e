package report

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// maxOutageRows bounds the outages that are listed: the longest.
const maxOutageRows = 100

// end is when an outage was over, in seconds from the start.
func end(o spec.Outage) float64 { return o.AtSeconds + o.DurationMS/1000 }

// joined are the times in which any of the outages was on. Shades that lie on
// one another would be darker than others, and mean nothing by it.
func joined(outages []spec.Outage) []spec.Outage {
	var out []spec.Outage
	for _, o := range slices.SortedStableFunc(slices.Values(outages), func(a, b spec.Outage) int { return cmp.Compare(a.AtSeconds, b.AtSeconds) }) {
		if last := len(out) - 1; last >= 0 && o.AtSeconds <= end(out[last]) {
			out[last].DurationMS = max(out[last].DurationMS, (end(o)-out[last].AtSeconds)*1000)
			continue
		}
		out = append(out, o)
	}
	return out
}

// outagesOf are the outages of shard i.
func outagesOf(i int, outages []spec.Outage) []spec.Outage {
	return slices.DeleteFunc(slices.Clone(outages), func(o spec.Outage) bool { return o.Shard != i })
}

// outageTable lists the outages in the order of time.
func outageTable(res spec.LoadResult) (t table, omitted string) {
	t = table{Head: append(words("Shard", "Access"), numbers("From", "To", "For")...)}
	list := slices.Clone(res.Outages)
	if more := len(list) - maxOutageRows; more > 0 {
		slices.SortStableFunc(list, func(a, b spec.Outage) int { return cmp.Compare(b.DurationMS, a.DurationMS) })
		list = list[:maxOutageRows]
		omitted = fmt.Sprintf("These are the longest; there were %s more.", count(int64(more)))
	}
	slices.SortStableFunc(list, func(a, b spec.Outage) int { return cmp.Compare(a.AtSeconds, b.AtSeconds) })
	for _, o := range list {
		t.Rows = append(t.Rows, row{Cells: figures(fmt.Sprint(o.Shard), plain(o.Access), seconds(o.AtSeconds), seconds(end(o)), latency(o.DurationMS))})
	}
	return t, omitted
}
