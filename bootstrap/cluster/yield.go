package cluster

import (
	"context"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// yield has a node give up slots that another owns too. What the two hold is
// compared before anything is touched: where one key has two values, both go on
// serving theirs until somebody has decided.
func (e *executor) yield(ctx context.Context, s Step) error {
	if err := e.refuseConflicts(ctx, s); err != nil {
		return err
	}
	c := e.f.client(s.Node)
	now, err := ownView(ctx, c)
	if err != nil {
		return err
	}
	rest := now.Slots.Intersect(s.Slots)
	if now.PrimaryID != "" || len(rest) == 0 {
		return nil // it has heard of the other one
	}
	return c.Do(ctx, slotsCommand("DELSLOTS", rest)...).Err()
}

// How many slots' keys, and how many keys' values, are asked for at once.
const slotsAtOnce, keysAtOnce = 100, 200

// refuseConflicts compares the keys that Node holds in the slots with what Target
// has under their names.
func (e *executor) refuseConflicts(ctx context.Context, s Step) error {
	mine, theirs := e.f.client(s.Node), e.f.client(s.Target)
	held, err := keysIn(ctx, mine, s.Slots)
	if err != nil {
		return err
	}
	var differing []string
	for len(held) > 0 {
		var some Slots
		some, held = held.TakeFirst(slotsAtOnce)
		keys, err := keysOf(ctx, mine, some)
		if err != nil {
			return err
		}
		for some := range slices.Chunk(keys, keysAtOnce) {
			compared, err := compareKeys(ctx, mine, theirs, some)
			if err != nil {
				return fmt.Errorf("compare keys: %w", err)
			}
			for i, c := range compared {
				if c == different {
					differing = append(differing, fmt.Sprintf("%q", some[i]))
				}
			}
		}
	}
	if len(differing) == 0 {
		return nil
	}
	return &spec.Failure{Host: s.Node, Step: "heal a split",
		Cause: fmt.Sprintf("%s and %s both own %s and took writes: %d keys have one value here and another there: %s",
			s.Node, s.Target, countSlots(s.Slots), len(differing), firstFew(differing)),
		Advice: fmt.Sprintf("Nothing was changed, both go on serving. Look at these keys on both (redis-cli -h … get), and delete each on the one whose value is not wanted, or give both the same. Then apply again: %s gets what only %s has, and nothing is dropped.", s.Target, s.Node),
	}
}

// keysOf are the keys that a node has in the slots.
func keysOf(ctx context.Context, c *redis.Client, slots Slots) (keys []string, err error) {
	const all = 1 << 30 // of each slot
	var replies []*redis.StringSliceCmd
	_, err = c.Pipelined(ctx, func(p redis.Pipeliner) error {
		for slot := range slots.All {
			replies = append(replies, p.ClusterGetKeysInSlot(ctx, slot, all))
		}
		return nil
	})
	for _, reply := range replies {
		keys = append(keys, reply.Val()...)
	}
	return keys, err
}
