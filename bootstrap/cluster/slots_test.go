package cluster

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// set is the plain model of Slots.
type set [spec.Slots]bool

func (b *set) slots() Slots {
	var ranges []Range
	for slot, in := range b {
		if in {
			ranges = append(ranges, Range{slot, slot})
		}
	}
	return SlotsOf(ranges...)
}

func drawSet(t *rapid.T, label string) *set {
	var b set
	for range rapid.IntRange(0, 5).Draw(t, label+" ranges") {
		first := rapid.IntRange(0, 40).Draw(t, label+" first")
		for slot := first; slot <= min(first+rapid.IntRange(0, 9).Draw(t, label+" length"), spec.Slots-1); slot++ {
			b[slot] = true
		}
	}
	return &b
}

func TestSlotsAreASet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawSet(t, "a"), drawSet(t, "b")
		var union, minus, both set
		count := 0
		for i := range a {
			union[i], minus[i], both[i] = a[i] || b[i], a[i] && !b[i], a[i] && b[i]
			if a[i] {
				count++
			}
		}
		sa, sb := a.slots(), b.slots()
		for _, c := range []struct {
			name      string
			got, want Slots
		}{
			{"union", sa.Union(sb), union.slots()},
			{"minus", sa.Minus(sb), minus.slots()},
			{"intersect", sa.Intersect(sb), both.slots()},
		} {
			if !c.got.Equal(c.want) {
				t.Fatalf("%s of %s and %s is %s, want %s", c.name, sa, sb, c.got, c.want)
			}
		}
		if sa.Count() != count {
			t.Fatalf("%s has %d slots, want %d", sa, sa.Count(), count)
		}
		for slot := range 60 {
			if sa.Contains(slot) != a[slot] {
				t.Fatalf("Contains(%d) of %s is %v", slot, sa, !a[slot])
			}
		}
		n := rapid.IntRange(0, 30).Draw(t, "n")
		for name, take := range map[string]func(int) (Slots, Slots){"first": sa.TakeFirst, "last": sa.TakeLast} {
			taken, rest := take(n)
			if taken.Count() != min(n, count) || !taken.Union(rest).Equal(sa) || len(taken.Intersect(rest)) > 0 {
				t.Fatalf("take %s %d of %s: %s and %s", name, n, sa, taken, rest)
			}
		}
		back, err := ParseSlots(sa.String())
		if err != nil || !back.Equal(sa) {
			t.Fatalf("%q reads back as %s (%v)", sa.String(), back, err)
		}
	})
}
