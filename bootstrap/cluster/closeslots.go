package cluster

import (
	"context"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// closeSlots ends moves of slots that were cut off, in favour of their owner: it
// gets the keys that others hold in them, and the slots are closed everywhere.
func (e *executor) closeSlots(ctx context.Context, s Step) error {
	// An owner that migrates a slot takes no key into it.
	if err := setSlots(ctx, e.f.client(s.Node), s.Slots, "STABLE", ""); err != nil {
		return err
	}
	var primaries []string
	for _, name := range e.f.names() {
		if name == s.Node || e.ids[name] == "" {
			continue
		}
		replica, err := isReplica(ctx, e.f.client(name))
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if !replica {
			primaries = append(primaries, name)
		}
	}
	if err := each(ctx, primaries, func(ctx context.Context, name string) error { return e.tellOwner(ctx, name, s) }); err != nil {
		return err
	}
	for _, name := range primaries {
		if err := e.surrender(ctx, name, s); err != nil {
			return fmt.Errorf("move keys from %s to their owner %s: %w", name, s.Node, err)
		}
	}
	return each(ctx, primaries, func(ctx context.Context, name string) error {
		err := setSlots(ctx, e.f.client(name), s.Slots, "STABLE", "")
		if isNoPrimary(err) {
			return nil
		}
		return err
	})
}

// tellOwner tells a node that imports slots who owns them. It does not learn that
// from others while they are open, and when the one that it imports from has become
// a replica they are nobody's to it: then it serves nothing, and moves no keys.
func (e *executor) tellOwner(ctx context.Context, name string, s Step) error {
	c := e.f.client(name)
	view, err := ownView(ctx, c)
	if err != nil {
		return err
	}
	var open []Range
	for slot := range view.Importing {
		if s.Slots.Contains(slot) && !view.Slots.Contains(slot) {
			open = append(open, Range{slot, slot})
		}
	}
	return e.assign(ctx, c, SlotsOf(open...), "NODE", s.Node)
}

// assign sets the state of slots on a node, which may have met the other one just now.
func (e *executor) assign(ctx context.Context, c *redis.Client, slots Slots, state, other string) error {
	return poll(ctx, formTimeout, func(ctx context.Context) error {
		err := setSlots(ctx, c, slots, state, e.ids[other])
		if isUnknownNode(err) {
			return again(err)
		}
		return err
	})
}

// surrender moves the keys that holder has in slots of another node to that one.
func (e *executor) surrender(ctx context.Context, holder string, s Step) error {
	c := e.f.client(holder)
	held, err := keysIn(ctx, c, s.Slots)
	if err != nil || len(held) == 0 {
		return err
	}
	// Only from an open slot may a node that does not own it move keys, and only
	// if it knows who does; while it is open it does not learn that from others.
	for _, state := range []string{"NODE", "IMPORTING"} {
		if err := e.assign(ctx, c, held, state, s.Node); err != nil {
			return err
		}
	}
	pump := newKeyPump(e, holder, s.Node)
	for slot := range held.All {
		err := pump.emptySlot(ctx, slot)
		if isReply(err, "BUSYKEY") {
			err = e.dropCopies(ctx, pump, slot)
		}
		if err != nil {
			return fmt.Errorf("slot %d: %w", slot, err)
		}
	}
	return nil
}

// keysIn are those of the slots in which a node has keys, whoever owns them.
func keysIn(ctx context.Context, c *redis.Client, slots Slots) (Slots, error) {
	var counts []*redis.IntCmd
	_, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
		for slot := range slots.All {
			counts = append(counts, p.ClusterCountKeysInSlot(ctx, slot))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var held []Range
	for slot := range slots.All {
		if counts[0].Val() > 0 {
			held = append(held, Range{slot, slot})
		}
		counts = counts[1:]
	}
	return SlotsOf(held...), nil
}

// dropCopies settles the keys of a slot that its owner has too: a copy that is
// equal goes. Where the two differ the owner's is what clients have been seeing,
// but only a person knows whether the other one holds something that is missed.
func (e *executor) dropCopies(ctx context.Context, k *keyPump, slot int) error {
	c := e.f.client(k.source)
	keys, err := keysOf(ctx, c, Slots{{slot, slot}})
	if err != nil {
		return err
	}
	compared, err := compareKeys(ctx, c, e.f.client(k.target), keys)
	if err != nil {
		return err
	}
	var differing, copies []string
	for i, key := range keys {
		if compared[i] == onOne {
			if compared[i], err = e.settleKey(ctx, k, key); err != nil {
				return err
			}
		}
		switch compared[i] {
		case different:
			differing = append(differing, fmt.Sprintf("%q", key))
		case same:
			copies = append(copies, key)
		}
	}
	if err := deleteAsking(ctx, c, copies); err != nil {
		return err
	}
	if len(differing) == 0 {
		return nil
	}
	slices.Sort(differing)
	return &spec.Failure{Host: k.source, Step: "close slots",
		Cause: fmt.Sprintf("%d keys of slot %d are on %s, which owns it and serves them, and with other values on %s: %s",
			len(differing), slot, k.target, k.source, firstFew(differing)),
		Advice: fmt.Sprintf("Nothing was deleted. Look at both, and delete those on %s (redis-cli: ASKING, then DEL) or on %s, whichever are not wanted. Then apply again.", k.source, k.target),
	}
}

// settleKey moves a key that the target has not, and says what is there if it has
// come to have one.
func (e *executor) settleKey(ctx context.Context, k *keyPump, key string) (comparison, error) {
	for {
		if err := k.move(ctx, []string{key}, 0); !isReply(err, "BUSYKEY") {
			return onOne, err
		}
		compared, err := compareKeys(ctx, e.f.client(k.source), e.f.client(k.target), []string{key})
		switch {
		case err != nil:
			return onOne, err
		case compared[0] != onOne:
			return compared[0], nil
		} // The target has just lost it.
	}
}

// deleteAsking deletes keys of slots that the node does not own.
func deleteAsking(ctx context.Context, c *redis.Client, keys []string) error {
	if len(keys) == 0 {
		return nil
	}
	_, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, key := range keys {
			p.Do(ctx, "ASKING")
			p.Del(ctx, key)
		}
		return nil
	})
	return err
}
