//go:build linux

package load

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/clustertest"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// What lives on the heap of a load with many connections, second by second, does
// not grow, and commands allocate nothing.
func TestMemoryStaysFlat(t *testing.T) {
	const (
		clients    = 2000
		growth     = 1 << 20 // bytes, over the load
		perCommand = 0.05    // allocations; the rest of the program makes a few a second
	)
	c := clustertest.Start(t, 1, clustertest.Directive("cluster-enabled", "no"))
	for name, w := range map[string]spec.Workload{
		"closed loop": {Pipeline: 4},
		"open loop":   {Rate: 10_000},
	} {
		t.Run(name, func(t *testing.T) {
			w.Duration, w.Clients = seconds(3), clients
			// A connection has its buffers from its first command on, which in an open
			// loop is late if the machine has been fast enough until then.
			attempt(t, func() (wrong []string) {
				var seen []Progress
				var memory []runtime.MemStats
				run(t, request(c.Addrs(), w), Hooks{Progress: func(p Progress) {
					var m runtime.MemStats
					runtime.GC()
					runtime.ReadMemStats(&m)
					seen, memory = append(seen, p), append(memory, m)
				}})
				last := len(seen) - 1
				if grown := int64(memory[last].HeapAlloc) - int64(memory[0].HeapAlloc); grown > growth {
					wrong = append(wrong, fmt.Sprintf("the heap grew by %d bytes", grown))
				}
				commands, allocations := seen[last].Operations-seen[0].Operations, memory[last].Mallocs-memory[0].Mallocs
				if float64(allocations) > perCommand*float64(commands) {
					wrong = append(wrong, fmt.Sprintf("%d allocations for %d commands", allocations, commands))
				}
				t.Logf("%d commands, %d allocations, heap %d then %d", commands, allocations, memory[0].HeapAlloc, memory[last].HeapAlloc)
				return wrong
			})
		})
	}
}
