//go:build linux

package load

import (
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/load/engine"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// usage is what the generator itself took while it measured.
type usage struct {
	before, after reading
}

type reading struct {
	at time.Time
	// cpu is processor time, user and system; pauses are the garbage collector's.
	cpu, pauses time.Duration
	// busy is the time that the loops had something to do, in all.
	busy time.Duration
}

func read(e *engine.Engine) reading {
	var r unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &r) // can't fail with these arguments
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return reading{
		at: time.Now(), cpu: time.Duration(r.Utime.Nano() + r.Stime.Nano()),
		pauses: time.Duration(m.PauseTotalNs), busy: e.Busy(),
	}
}

func (u *usage) start(e *engine.Engine) { u.before = read(e) }
func (u *usage) stop(e *engine.Engine)  { u.after = read(e) }

// saturation is the part of their time that the loops may be busy before the
// figures are theirs rather than the cluster's.
const saturation = 0.95

// report sums the generator up, for threads loops that did so many operations.
func (u *usage) report(operations int64, threads int) spec.Generator {
	if u.before.at.IsZero() {
		u.before.at = u.after.at
	}
	elapsed := max(u.after.at.Sub(u.before.at), time.Microsecond)
	cpu := u.after.cpu - u.before.cpu
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	g := spec.Generator{
		CPU:       cpu.Seconds() / elapsed.Seconds() / float64(runtime.NumCPU()),
		GCPauseMS: float64((u.after.pauses - u.before.pauses).Microseconds()) / 1000,
		Hosts:     []string{host},
	}
	if operations > 0 {
		g.CPUMicrosPerOperation = float64(cpu.Nanoseconds()) / 1000 / float64(operations)
	}
	busy := u.after.busy - u.before.busy
	g.Saturated = busy.Seconds()/(elapsed.Seconds()*float64(threads)) > saturation
	return g
}
