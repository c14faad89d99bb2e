package workload

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"math/rand/v2"
	"slices"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// fillSize is the size of the text that values are cut from. Short values are
// cut from its beginning, which stays in the processor's first cache.
const (
	fillSize   = 1 << 20
	shortFill  = 4 << 10
	shortValue = 1 << 10
)

// Values makes values, and tells whether a value is one that it made.
type Values struct {
	fill   []byte
	runner uint64
	want   []byte
}

// A verified value begins with 64 bits in base64: the write's time, its runner,
// and a check over these, the key and the size.
const (
	timeBits   = 40 // microseconds; 12 days
	runnerBits = 6
	checkBits  = 64 - timeBits - runnerBits
)

// MaxVerifiedRunners is how many runners a verified value can tell apart.
const MaxVerifiedRunners = 1 << runnerBits

// NewValues makes the values of one runner. All runners with the same seed cut
// from the same text.
func NewValues(seed uint64, runner int) *Values {
	v := &Values{fill: make([]byte, fillSize), runner: uint64(runner) % MaxVerifiedRunners}
	source := rand.NewPCG(seed, 0)
	for eight := range slices.Chunk(v.fill, 8) {
		random := source.Uint64()
		for i := range eight {
			eight[i] = keyAlphabet[int(byte(random>>(8*i)))*len(keyAlphabet)>>8]
		}
	}
	return v
}

// Append appends a value of the given size that tag chooses.
func (v *Values) Append(buf []byte, tag uint64, size int) []byte {
	if size <= shortValue {
		at := tag % shortFill
		return append(buf, v.fill[at:at+uint64(size)]...)
	}
	at := int(tag % (fillSize / 2))
	for size > 0 {
		n := min(size, fillSize-at)
		buf = append(buf, v.fill[at:at+n]...)
		size -= n
		at = 0
	}
	return buf
}

// short begins with the value that Append appends for tag.
func (v *Values) short(tag uint64) *[shortData]byte {
	return (*[shortData]byte)(v.fill[tag%shortFill:])
}

// AppendVerified appends the value of the write of key at tag, in microseconds
// from the start. Size is at least spec.MinVerifiedDataSize.
func (v *Values) AppendVerified(buf []byte, key, tag uint64, size int) []byte {
	return v.appendVerified(buf, key, tag%(1<<timeBits), v.runner, size)
}

func (v *Values) appendVerified(buf []byte, key, tag, runner uint64, size int) []byte {
	id := tag<<(runnerBits+checkBits) | runner<<checkBits | check(key, tag, runner, size)
	var raw [8]byte
	binary.BigEndian.PutUint64(raw[:], id)
	buf = base64.RawURLEncoding.AppendEncode(buf, raw[:])
	return v.Append(buf, mix(tag), size-spec.MinVerifiedDataSize)
}

func check(key, tag, runner uint64, size int) uint64 {
	return mix(key^mix(tag)^mix(runner+uint64(size)<<runnerBits)) >> (64 - checkBits)
}

// Identify says which write of key value is from. It returns false if value is
// none that any runner wrote to key, to the last byte.
func (v *Values) Identify(key uint64, value []byte) (tag uint64, runner int, ok bool) {
	var raw [8]byte
	if len(value) < spec.MinVerifiedDataSize {
		return 0, 0, false
	}
	if _, err := base64.RawURLEncoding.Decode(raw[:], value[:spec.MinVerifiedDataSize]); err != nil {
		return 0, 0, false
	}
	id := binary.BigEndian.Uint64(raw[:])
	tag, from := id>>(runnerBits+checkBits), id>>checkBits%MaxVerifiedRunners
	v.want = v.appendVerified(v.want[:0], key, tag, from, len(value))
	return tag, int(from), bytes.Equal(v.want, value)
}

// Own says whether a value with this runner number is from this runner.
func (v *Values) Own(runner int) bool { return uint64(runner) == v.runner }

// sizes draws the size of a value.
type sizes struct {
	fixed  int32
	ranges []sizeRange
}

type sizeRange struct {
	limit         float64 // cumulative share
	minimum, span int32
}

func sizesOf(fixed int, weighted []spec.DataSize) sizes {
	s := sizes{fixed: int32(fixed)}
	total := 0.0
	for _, d := range weighted {
		total += d.Weight
	}
	sum := 0.0
	for _, d := range weighted {
		sum += d.Weight
		s.ranges = append(s.ranges, sizeRange{sum / total, int32(d.Minimum), int32(d.Maximum - d.Minimum + 1)})
	}
	return s
}

// largest is the largest size that may be drawn.
func (s *sizes) largest() int {
	most := s.fixed
	for _, r := range s.ranges {
		most = max(most, r.minimum+r.span-1)
	}
	return int(most)
}

func (s *sizes) draw(rng *rand.Rand) int32 {
	if len(s.ranges) == 0 {
		return s.fixed
	}
	return s.drawWeighted(rng)
}

func (s *sizes) drawWeighted(rng *rand.Rand) int32 {
	i, share := 0, rng.Float64()
	for i < len(s.ranges)-1 && share >= s.ranges[i].limit {
		i++
	}
	return s.ranges[i].minimum + rng.Int32N(s.ranges[i].span)
}
