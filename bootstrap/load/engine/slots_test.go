//go:build linux

package engine

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

func TestTheAtlasKnowsEverySlot(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var a atlas
		var want [spec.Slots]place
		for range rapid.IntRange(0, 20).Draw(t, "changes") {
			first, value := rapid.IntRange(0, spec.Slots-1).Draw(t, "first"), rapid.IntRange(0, 3).Draw(t, "value")
			for slot := first; slot <= min(spec.Slots-1, first+rapid.SampledFrom([]int{0, 1, 63, 64, 200}).Draw(t, "more")); slot++ {
				if rapid.Bool().Draw(t, "target") {
					a.setTarget(slot, &target{index: value})
					want[slot].target = uint16(value)
				} else {
					a.setShard(slot, uint16(value))
					want[slot].shard = uint16(value)
				}
			}
		}
		for slot := range want {
			if got := a.at(uint16(slot)); got != want[slot] {
				t.Fatalf("slot %d: %v, want %v", slot, got, want[slot])
			}
		}
	})
}
