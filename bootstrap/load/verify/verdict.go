package verify

import (
	"github.com/redisfleet/terraform-provider-redis/bootstrap/load/workload"
)

// Verdict is what became of a key's acknowledged writes.
type Verdict uint8

// The verdicts.
const (
	// Kept: the value is the last one acknowledged, or one that may be later.
	Kept Verdict = iota
	// Lost: there is nothing.
	Lost
	// Stale: the value was written before the last one acknowledged.
	Stale
	// Corrupt: the value is none that was written to this key.
	Corrupt
	// Indeterminate: it looks lost or stale, but a connection broke during a
	// write of this key, and that write may have been done late.
	Indeterminate
)

// judge says what became of a key. Value is what the server has for it; found is
// false if it has nothing. Expired says that the key may have expired.
func (p *place) judge(values *workload.Values, value []byte, found, expired bool) Verdict {
	if !found {
		switch {
		case p.entry.is(deleted) || expired:
			return Kept
		case p.entry.is(doubtful):
			return Indeterminate
		}
		return Lost
	}
	tag, runner, ok := values.Identify(p.key, value)
	switch {
	case !ok:
		return Corrupt
	case !values.Own(runner):
		return Kept // another runner's clock says nothing about ours
	case tag+1 >= p.entry.floor():
		return Kept
	case p.entry.is(doubtful):
		return Indeterminate
	}
	return Stale
}
