package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

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
	const passes = 20
	for range passes {
		for _, name := range primaries {
			if err := e.surrender(ctx, name, s); err != nil {
				return fmt.Errorf("move keys from %s to their owner %s: %w", name, s.Node, err)
			}
		}
		// Until they were shut the MIGRATE of somebody else may have brought them more.
		if rest, err := e.shut(ctx, primaries, s.Slots); err != nil || len(rest) == 0 {
			return err
		}
	}
	return fmt.Errorf("somebody else keeps moving keys of %s away from %s", countSlots(s.Slots), s.Node)
}

// shut has nodes take no more keys into slots that they do not own, and returns
// the slots in which they have some.
func (e *executor) shut(ctx context.Context, names []string, slots Slots) (rest Slots, err error) {
	var mu sync.Mutex
	err = each(ctx, names, func(ctx context.Context, name string) error {
		c := e.f.client(name)
		if err := setSlots(ctx, c, slots, "STABLE", ""); isNoPrimary(err) {
			return nil
		} else if err != nil {
			return err
		}
		held, err := keysIn(ctx, c, slots)
		mu.Lock()
		defer mu.Unlock()
		rest = rest.Union(held)
		return err
	})
	return rest, err
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
// From Redis 7.2 on nodes pass on whom they were told to forget: a holder that
// forgets the owner once more closes its slots, which are opened again then.
func (e *executor) surrender(ctx context.Context, holder string, s Step) error {
	return poll(ctx, formTimeout, func(context.Context) error { // which bounds the waiting, not the moves
		err := e.surrenderOnce(ctx, holder, s)
		if isReply(err, "MOVED") || isReply(err, "CLUSTERDOWN") {
			return again(err)
		}
		return err
	})
}

func (e *executor) surrenderOnce(ctx context.Context, holder string, s Step) error {
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
	holder := e.f.client(k.source).Conn() // WATCH is for one connection
	defer func() {
		_ = holder.Do(ctx, "UNWATCH").Err() // before others get it
		_ = holder.Close()
	}()
	return poll(ctx, targetTimeout, func(ctx context.Context) error {
		keys, err := keysOf(ctx, e.f.client(k.source), Slots{{slot, slot}})
		if err != nil || len(keys) == 0 {
			return err
		}
		if err := watch(ctx, holder, keys); err != nil {
			return err
		}
		compared, err := compareKeys(ctx, e.f.client(k.source), e.f.client(k.target), keys)
		if err != nil {
			return err
		}
		found := map[comparison][]string{}
		for i, key := range keys {
			found[compared[i]] = append(found[compared[i]], key)
		}
		for _, key := range found[onOne] {
			if err := k.move(ctx, []string{key}, 0); err != nil && !isReply(err, "BUSYKEY") {
				return err
			}
		}
		if len(found[onOne]) > 0 {
			return again(fmt.Errorf("keys of slot %d come and go on %s and %s", slot, k.source, k.target))
		}
		if err := dropWatched(ctx, holder, found[same]); err != nil {
			return err
		}
		return refuseDiffering(k, slot, found[different])
	})
}

func refuseDiffering(k *keyPump, slot int, keys []string) error {
	if len(keys) == 0 {
		return nil
	}
	slices.Sort(keys)
	quoted := make([]string, len(keys))
	for i, key := range keys {
		quoted[i] = fmt.Sprintf("%q", key)
	}
	return &spec.Failure{Host: k.source, Step: "close slots",
		Cause: fmt.Sprintf("%d keys of slot %d are on %s, which owns it and serves them, and with other values on %s: %s",
			len(keys), slot, k.target, k.source, firstFew(quoted)),
		Advice: fmt.Sprintf("Nothing of them was deleted. Look at both, and delete those on %s (redis-cli: ASKING, then DEL) or on %s, whichever are not wanted. Then apply again.", k.source, k.target),
	}
}

// watch has the server note whether keys of slots that it does not own are written to.
func watch(ctx context.Context, c *redis.Conn, keys []string) error {
	_, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.Do(ctx, "UNWATCH") // of an earlier attempt
		for _, key := range keys {
			p.Do(ctx, "ASKING")
			p.Do(ctx, "WATCH", key)
		}
		return nil
	})
	return err
}

// dropWatched deletes keys of slots that the node does not own, whose owner had
// them after they were watched. A MIGRATE of somebody else may take them from the
// owner before they are deleted here, but not without writing them here first:
// then nothing is deleted.
func dropWatched(ctx context.Context, c *redis.Conn, keys []string) error {
	if len(keys) == 0 {
		return nil
	}
	args := []any{"DEL"}
	for _, key := range keys {
		args = append(args, key)
	}
	var done *redis.Cmd
	_, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.Do(ctx, "ASKING") // for the whole transaction
		p.Do(ctx, "MULTI")
		p.Do(ctx, args...)
		done = p.Do(ctx, "EXEC")
		return nil
	})
	switch {
	case errors.Is(done.Err(), redis.Nil), isReply(err, "TRYAGAIN"): // written to, or expired
		return again(errors.New("somebody else moves the same keys"))
	case err != nil:
		return err
	}
	return nil
}
