package cluster

import (
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// progress counts the slots that a stage moves, with what is in them, and says so
// with the time that is left, not too often. It is
// safe for concurrent use.
type progress struct {
	mu          sync.Mutex
	slots, of   int
	keys, bytes int64
	// ofBytes is about how many bytes are to be moved.
	ofBytes     int64
	began, said time.Time
}

// reportEvery is how often progress is reported at most.
const reportEvery = 500 * time.Millisecond

// begin sets the counts back, for so many slots with about so many bytes that
// are to be moved.
func (p *progress) begin(slots int, bytes int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.slots, p.of, p.keys, p.bytes, p.ofBytes = 0, slots, 0, 0, bytes
	p.began, p.said = time.Time{}, time.Time{}
}

// start has the time count, from the first call on.
func (p *progress) start() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.began.IsZero() {
		p.began = time.Now()
		p.said = p.began
	}
}

// addKeys counts keys that were moved, with bytes in all.
func (p *progress) addKeys(keys int, bytes int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys += int64(keys)
	p.bytes += bytes
}

// add counts slots that were moved.
func (p *progress) add(log hclog.Logger, slots int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.slots += slots
	now := time.Now()
	if p.slots < p.of && now.Sub(p.said) < reportEvery {
		return
	}
	p.said = now
	text := fmt.Sprintf("moved %d of %d slots", p.slots, p.of)
	if p.keys > 0 {
		text += fmt.Sprintf(" (%s, %s", countKeys(p.keys), formatBytes(p.bytes))
		if p.ofBytes > p.bytes && p.slots < p.of {
			text += " of about " + formatBytes(p.ofBytes)
		}
		text += ")"
	}
	if left := p.left(now); left > 0 {
		text += fmt.Sprintf(", %s left", left)
	}
	log.Info(text, spec.LogPhase, "migrate", spec.LogDone, p.slots, spec.LogTotal, p.of, spec.LogUnit, "slots")
}

// left is about how long the rest will take, in whole seconds.
func (p *progress) left(now time.Time) time.Duration {
	if p.slots == 0 || p.slots >= p.of {
		return 0
	}
	return (now.Sub(p.began) * time.Duration(p.of-p.slots) / time.Duration(p.slots)).Round(time.Second)
}

// formatBytes writes a size for people: "12 B", "3.4 MB".
func formatBytes(n int64) string {
	const unit = 1000
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	value, prefix := float64(n)/unit, "k"
	for _, next := range []string{"M", "G", "T"} {
		if value < unit {
			break
		}
		value, prefix = value/unit, next
	}
	return fmt.Sprintf("%.1f %sB", value, prefix)
}

// countKeys writes a number of keys for people: "1 key", "260,000 keys".
func countKeys(n int64) string {
	if n == 1 {
		return "1 key"
	}
	return groupThousands(n) + " keys"
}

func groupThousands(n int64) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", groupThousands(n/1000), n%1000)
}
