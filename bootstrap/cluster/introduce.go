package cluster

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// Who was told to forget a node takes no introduction to it for a minute (from
// Redis 7.2 on), and a second more at most.
const ban = 61 * time.Second

// introduceAgain repeats, until ctx ends, the introductions that have not led to
// anything, as when a node with slots was forgotten just now. The servers don't
// say how long they still refuse it, so it says how long that can be at most.
func (e *executor) introduceAgain(ctx context.Context, steps []Step) {
	const every, reported = 2 * time.Second, 5 * time.Second
	began := time.Now()
	said := began
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(every):
		}
		waiting := map[string]bool{}
		for _, s := range steps {
			if s.Kind != Meet {
				continue
			}
			c := e.f.client(s.Node)
			view := c.ClusterNodes(ctx).Val() // what fails is tried again
			for _, peer := range s.Peers {
				if view != "" && !strings.Contains(view, e.ids[peer]) {
					waiting[fmt.Sprintf("%s and %s", s.Node, peer)] = true
					_ = e.meet(ctx, c, Step{Peers: []string{peer}})
					_ = e.meet(ctx, e.f.client(peer), Step{Peers: []string{s.Node}})
				}
			}
		}
		if len(waiting) > 0 && time.Since(said) >= reported {
			said = time.Now()
			e.log.Info(banInWords(slices.Sorted(maps.Keys(waiting)), time.Since(began)), spec.LogPhase, "form",
				spec.LogDone, int(min(time.Since(began), ban).Seconds()), spec.LogTotal, int(ban.Seconds()), spec.LogUnit, "s")
		}
	}
}

// banInWords says who waits for whom, and how long it takes at most.
func banInWords(pairs []string, waited time.Duration) string {
	text := "wait until these know each other: " + listNames(pairs)
	if left := (ban - waited).Round(time.Second); left > 0 {
		text += fmt.Sprintf("; if one was told to forget the other just now, it takes it back in %s at the latest", left)
	}
	return text
}
