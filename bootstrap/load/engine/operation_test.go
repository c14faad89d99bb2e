//go:build linux

package engine

import (
	"testing"
	"unsafe"

	"pgregory.net/rapid"
)

func TestAnOperationIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(operation{}); size > 48 {
		t.Errorf("it has %d bytes", size)
	}
}

func TestAQueueKeepsTheOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var q queue
		var want []int64
		for next := range rapid.Int64Range(1, 200).Draw(t, "steps") {
			switch {
			case len(want) > 0 && rapid.Bool().Draw(t, "drop"):
				if got := q.first().sent; got != want[0] {
					t.Fatalf("got %d, want %d", got, want[0])
				}
				q.drop(1)
				want = want[1:]
			default:
				q.push(&operation{sent: next})
				want = append(want, next)
			}
			if q.length != len(want) {
				t.Fatalf("it has %d, want %d", q.length, len(want))
			}
			for i := range want {
				if q.at(i).sent != want[i] {
					t.Fatalf("place %d has %d, want %d", i, q.at(i).sent, want[i])
				}
			}
		}
	})
}
