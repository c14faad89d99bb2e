package verify

import "math/bits"

// entry is what is known of one key, in 64 bits: when its last answer came
// (acknowledged), how much earlier the earliest write was sent that may be the
// last one (lag), and its state. Times are microseconds on the load's clock, plus
// one. A key of which nothing is known is 0.
type entry uint64

const (
	timeBits     = 40 // as in a value; 12 days
	mantissaBits = 16
	lagBits      = mantissaBits + 5 // the exponent
	stateBits    = 64 - timeBits - lagBits
)

// state is a set of flags.
type state uint8

const (
	// written: a write was acknowledged, so that there is a floor.
	written state = 1 << iota
	// doubtful: a connection broke during a write. What it sent may yet be done,
	// at any time.
	doubtful
	// deleted: the key may rightly be missing.
	deleted
)

// entryOf packs an entry. A floor more than 65 ms before acknowledged comes out a
// little earlier, by one part in 65,536: that accuses nobody of anything.
func entryOf(floor, acknowledged uint64, s state) entry {
	lag, exponent := acknowledged-min(floor, acknowledged), 0
	if lag >= 1<<mantissaBits {
		exponent = bits.Len64(lag) - mantissaBits
		lag = (lag + 1<<exponent - 1) >> exponent
		if lag == 1<<mantissaBits {
			lag >>= 1
			exponent++
		}
	}
	packed := acknowledged<<lagBits | uint64(exponent)<<mantissaBits | lag
	return entry(packed<<stateBits | uint64(s))
}

func (e entry) is(s state) bool { return state(e)&s != 0 }

func (e entry) state() state { return state(e) & (1<<stateBits - 1) }

func (e entry) acknowledged() uint64 { return uint64(e) >> (lagBits + stateBits) }

// floor is when the earliest write was sent that may be the last; 0 if none was
// acknowledged.
func (e entry) floor() uint64 {
	if !e.is(written) {
		return 0
	}
	lag := uint64(e) >> stateBits
	lag = lag % (1 << mantissaBits) << (lag >> mantissaBits % (1 << (lagBits - mantissaBits)))
	return max(e.acknowledged(), lag+1) - lag
}

// write notes a write that was sent and acknowledged at these times.
func (e *entry) write(sent, acknowledged uint64) {
	floor, before, s := e.floor(), e.acknowledged(), e.state()
	switch {
	case sent > before:
		floor = sent
		s &^= deleted
	case floor == 0:
		floor = sent
	default:
		floor = min(floor, sent)
	}
	*e = entryOf(floor, max(before, acknowledged), s|written)
}

// remove notes a deletion that was acknowledged.
func (e *entry) remove(acknowledged uint64) {
	*e = entryOf(e.floor(), max(e.acknowledged(), acknowledged), e.state()|deleted)
}

// mark adds to the state.
func (e *entry) mark(s state) { *e |= entry(s) }

// join adds what another thread knows of the same key.
func (e *entry) join(o entry) {
	floor := e.floor()
	switch {
	case floor == 0 || o.floor() > e.acknowledged(): // all of e is superseded
		floor = max(floor, o.floor())
	case o.floor() == 0 || floor > o.acknowledged():
	default:
		floor = min(floor, o.floor())
	}
	*e = entryOf(floor, max(e.acknowledged(), o.acknowledged()), e.state()|o.state())
}
