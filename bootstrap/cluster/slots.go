package cluster

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// Range is a run of hash slots, both ends included.
type Range struct{ First, Last int }

// Slots is a set of hash slots as disjoint ranges in ascending order, no two of
// which touch. The zero value is empty. Methods never change their receiver.
type Slots []Range

// AllSlots is the set of all 16384 slots.
func AllSlots() Slots { return Slots{{0, spec.Slots - 1}} }

// SlotsOf makes a set of ranges in any order, which may overlap.
func SlotsOf(ranges ...Range) Slots {
	sorted := slices.Clone(ranges)
	slices.SortFunc(sorted, func(a, b Range) int { return a.First - b.First })
	var s Slots
	for _, r := range sorted {
		if n := len(s); n > 0 && r.First <= s[n-1].Last+1 {
			s[n-1].Last = max(s[n-1].Last, r.Last)
			continue
		}
		s = append(s, r)
	}
	return s
}

// ParseSlots reads Redis's own notation: "0-5460 5462".
func ParseSlots(text string) (Slots, error) {
	var ranges []Range
	for f := range strings.FieldsSeq(text) {
		r, err := parseRange(f)
		if err != nil {
			return nil, err
		}
		ranges = append(ranges, r)
	}
	return SlotsOf(ranges...), nil
}

func parseRange(text string) (Range, error) {
	first, last, isRange := strings.Cut(text, "-")
	if !isRange {
		last = first
	}
	lo, err1 := strconv.Atoi(first)
	hi, err2 := strconv.Atoi(last)
	if err1 != nil || err2 != nil || lo < 0 || hi < lo || hi >= spec.Slots {
		return Range{}, fmt.Errorf("%q is no range of slots", text)
	}
	return Range{lo, hi}, nil
}

// String writes Redis's own notation.
func (s Slots) String() string {
	var b strings.Builder
	for i, r := range s {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(strconv.Itoa(r.First))
		if r.Last > r.First {
			b.WriteByte('-')
			b.WriteString(strconv.Itoa(r.Last))
		}
	}
	return b.String()
}

// Count is the number of slots in s.
func (s Slots) Count() int {
	n := 0
	for _, r := range s {
		n += r.Last - r.First + 1
	}
	return n
}

// Contains says whether slot is in s.
func (s Slots) Contains(slot int) bool {
	i, _ := slices.BinarySearchFunc(s, slot, func(r Range, slot int) int { return r.Last - slot })
	return i < len(s) && s[i].First <= slot
}

// Union is the set of slots in s, t or both.
func (s Slots) Union(t Slots) Slots { return SlotsOf(slices.Concat(s, t)...) }

// Minus is the set of slots in s that are not in t.
func (s Slots) Minus(t Slots) Slots {
	var out Slots
	for _, r := range s {
		from := r.First
		for _, cut := range t {
			if cut.Last < from || cut.First > r.Last {
				continue
			}
			if cut.First > from {
				out = append(out, Range{from, cut.First - 1})
			}
			from = cut.Last + 1
		}
		if from <= r.Last {
			out = append(out, Range{from, r.Last})
		}
	}
	return out
}

// Intersect is the set of slots in both s and t.
func (s Slots) Intersect(t Slots) Slots { return s.Minus(s.Minus(t)) }

// Equal says whether s and t are the same set.
func (s Slots) Equal(t Slots) bool { return slices.Equal(s, t) }

// TakeLast splits the n highest slots off s (all, if it has fewer).
func (s Slots) TakeLast(n int) (taken, rest Slots) {
	rest = slices.Clone(s)
	var cut []Range
	for n > 0 && len(rest) > 0 {
		r := &rest[len(rest)-1]
		size := r.Last - r.First + 1
		if size <= n {
			cut = append(cut, *r)
			rest = rest[:len(rest)-1]
			n -= size
			continue
		}
		cut = append(cut, Range{r.Last - n + 1, r.Last})
		r.Last -= n
		n = 0
	}
	return SlotsOf(cut...), rest
}

// TakeFirst splits the n lowest slots off s (all, if it has fewer).
func (s Slots) TakeFirst(n int) (taken, rest Slots) {
	rest, taken = s.TakeLast(s.Count() - n)
	return taken, rest
}

// All yields every slot in ascending order.
func (s Slots) All(yield func(int) bool) {
	for _, r := range s {
		for slot := r.First; slot <= r.Last; slot++ {
			if !yield(slot) {
				return
			}
		}
	}
}
