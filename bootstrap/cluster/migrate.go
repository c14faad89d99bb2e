package cluster

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"
)

// Slots are opened in batches. While a slot is open its missing keys are asked
// for with ASK, and commands with several keys may be told TRYAGAIN, so a batch
// is to take between these times.
const (
	batchAtLeast = 150 * time.Millisecond
	batchAtMost  = 600 * time.Millisecond
	firstBatch   = 32
	largestBatch = 1024
)

// pumps is how many slots of a batch are emptied at once: while the server moves
// the keys of one, the keys of the next are being asked for.
const pumps = 2

// sourcesPerTarget bounds how many sources fill one target at once: each is
// blocked while it waits for the target, and so for the others.
const sourcesPerTarget = 3

// gates admit sources to targets.
type gates struct {
	mu     sync.Mutex
	places map[string]chan struct{}
}

func (g *gates) enter(ctx context.Context, target string) (leave func(), err error) {
	g.mu.Lock()
	if g.places == nil {
		g.places = map[string]chan struct{}{}
	}
	if g.places[target] == nil {
		g.places[target] = make(chan struct{}, sourcesPerTarget)
	}
	place := g.places[target]
	g.mu.Unlock()
	select {
	case place <- struct{}{}:
		return func() { <-place }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// migrate moves slots with their keys.
func (e *executor) migrate(ctx context.Context, s Step) error {
	leave, err := e.gates.enter(ctx, s.Target)
	if err != nil {
		return err
	}
	defer leave()
	if err := copyFunctions(ctx, e.f.client(s.Node), e.f.client(s.Target)); err != nil {
		return err
	}
	e.progress.start()
	for _, name := range []string{s.Node, s.Target} {
		atomic := e.migratesAtomically(name)
		if atomic {
			view, err := ownView(ctx, e.f.client(name))
			if err != nil {
				return err
			}
			// One that has slots open, by a move that was cut off, refuses to.
			atomic = len(view.Migrating)+len(view.Importing) == 0
		}
		if !atomic {
			return e.migrateOpenly(ctx, s)
		}
	}
	return e.migrateAtomically(ctx, s)
}

// migrateOpenly opens slots, moves their keys and hands them over, in the order
// of https://redis.io/docs/latest/commands/cluster-setslot/: the target imports before the
// source migrates, and the target owns before the source lets go, so that at
// every moment a client is led to a node that has the key.
func (e *executor) migrateOpenly(ctx context.Context, s Step) error {
	pump := newKeyPump(e, s.Node, s.Target)
	pump.replace = true // what the target has is the copy of a MIGRATE that was cut off
	size := firstBatch
	for rest := s.Slots; len(rest) > 0; {
		var batch Slots
		batch, rest = rest.TakeFirst(size)
		start := time.Now()
		if err := e.openSlots(ctx, s, batch); err != nil {
			return err
		}
		if err := pump.empty(ctx, batch); err != nil {
			return err
		}
		if err := e.handOver(ctx, s, batch); err != nil {
			return err
		}
		e.progress.add(e.log, batch.Count())
		switch took := time.Since(start); {
		case took > batchAtMost:
			size = max(1, size/2)
		case took < batchAtLeast:
			size = min(largestBatch, size*2)
		}
	}
	return nil
}

// prepareMigration waits until the targets take keys, and has the nodes be as
// patient with each other as they always are.
func (e *executor) prepareMigration(ctx context.Context, steps []Step) error {
	var targets []string
	for _, s := range steps {
		if s.Kind == Migrate && !slices.Contains(targets, s.Target) {
			targets = append(targets, s.Target)
		}
	}
	if err := each(ctx, targets, e.awaitServing); err != nil {
		return err
	}
	if err := e.tempo.slacken(ctx); err != nil {
		return err
	}
	return e.keepPrimaries(ctx)
}

// awaitServing waits until a node takes keys: one that has just joined says
// CLUSTERDOWN until it has been in a majority for a while.
func (e *executor) awaitServing(ctx context.Context, name string) error {
	return poll(ctx, formTimeout, func(ctx context.Context) error {
		text, err := e.f.client(name).ClusterInfo(ctx).Result()
		if err == nil && parseInfo(text)["cluster_state"] != "ok" {
			return again(fmt.Errorf("%s says that the cluster's state is fail", name))
		}
		return err
	})
}

func (e *executor) openSlots(ctx context.Context, s Step, slots Slots) error {
	open := func(on, state, other string) error {
		return poll(ctx, formTimeout, func(ctx context.Context) error {
			err := e.setSlots(ctx, on, slots, state, e.ids[other])
			switch {
			case isUnknownNode(err):
				return again(err)
			case err != nil:
				return fmt.Errorf("open slots on %s: %w", on, err)
			}
			return nil
		})
	}
	if err := open(s.Target, "IMPORTING", s.Node); err != nil {
		return err
	}
	return open(s.Node, "MIGRATING", s.Target)
}

func isUnknownNode(err error) bool {
	return isReply(err, "don't know about node") || isReply(err, "Unknown node")
}

// handOver gives emptied slots to the target, then takes them from the source.
// Everybody else is told by the target itself, which announces its new epoch.
func (e *executor) handOver(ctx context.Context, s Step, slots Slots) error {
	if err := e.takeSlots(ctx, s.Target, slots); err != nil {
		return fmt.Errorf("give slots to %s: %w", s.Target, err)
	}
	err := e.setSlots(ctx, s.Node, slots, "NODE", e.ids[s.Target])
	if err != nil && !isNoPrimary(err) { // it heard of it from the target, and with its last slot gone became a replica
		return fmt.Errorf("take slots from %s: %w", s.Node, err)
	}
	return nil
}

// takeSlots makes a node the owner of slots that it imports. A node that is given
// a slot while it imports it announces that to all others, slot by slot. Of
// slots that it imports no more it says nothing, so all but the last are taken
// so, and the announcement of the last, with its new epoch, is for all of them.
// Nobody sees them in between, because it is one transaction.
func (e *executor) takeSlots(ctx context.Context, name string, slots Slots) error {
	if e.stats[name].replicatesSetSlot() {
		return e.setSlots(ctx, name, slots, "NODE", e.ids[name])
	}
	silent, last := slots.TakeFirst(slots.Count() - 1)
	_, err := e.f.client(name).TxPipelined(ctx, func(p redis.Pipeliner) error {
		for slot := range silent.All {
			p.Do(ctx, "CLUSTER", "SETSLOT", slot, "STABLE")
			p.Do(ctx, "CLUSTER", "SETSLOT", slot, "NODE", e.ids[name])
		}
		p.Do(ctx, "CLUSTER", "SETSLOT", last[0].First, "NODE", e.ids[name])
		return nil
	})
	return err
}

// replicatesSetSlot says whether the server has its replicas acknowledge SETSLOT,
// which does not go into a transaction (Valkey from 8.0 on).
func (s Stats) replicatesSetSlot() bool {
	return s.Flavor == flavorValkey && compareVersions(s.Version, "8") >= 0
}

// isNoPrimary says whether SETSLOT was refused because the node is a replica.
func isNoPrimary(err error) bool {
	return isReply(err, "only with masters") || isReply(err, "only with primaries")
}

// setSlots changes the state of slots on one node. A server that waits for its
// replicas at each SETSLOT is talked to over several connections at once.
func (e *executor) setSlots(ctx context.Context, name string, slots Slots, state, id string) error {
	lanes := 1
	if e.stats[name].replicatesSetSlot() {
		lanes = connections
	}
	group, ctx := errgroup.WithContext(ctx)
	for share := (slots.Count() + lanes - 1) / lanes; len(slots) > 0; {
		var part Slots
		part, slots = slots.TakeFirst(share)
		group.Go(func() error { return setSlots(ctx, e.f.client(name), part, state, id) })
	}
	return group.Wait()
}

// setSlots changes the state of slots on one node, in their order.
func setSlots(ctx context.Context, c *redis.Client, slots Slots, state, id string) error {
	_, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
		for slot := range slots.All {
			args := []any{"CLUSTER", "SETSLOT", slot, state}
			if id != "" {
				args = append(args, id)
			}
			p.Do(ctx, args...)
		}
		return nil
	})
	return err
}

// keepPrimaries has the nodes that leave stay what they are when their last slot
// is gone: by default they would become replicas of who took it, and copy all
// its data just before they go. Before Redis 7.0 they cannot be told.
func (e *executor) keepPrimaries(ctx context.Context) error {
	var leaving []string
	for _, name := range e.f.names() {
		if e.ids[name] != "" && !e.isWanted(name) {
			leaving = append(leaving, name)
		}
	}
	return each(ctx, leaving, func(ctx context.Context, name string) error {
		err := e.f.client(name).ConfigSet(ctx, "cluster-allow-replica-migration", "no").Err()
		if isReply(err, "") {
			return nil
		}
		return err
	})
}

// copyFunctions gives the functions of one primary to another that has none, as
// clients of a cluster expect them on every primary.
func copyFunctions(ctx context.Context, from, to *redis.Client) error {
	has, err := to.Do(ctx, "FUNCTION", "DUMP").Text()
	if isReply(err, "") {
		return nil // before Redis 7.0 there are none
	}
	if err != nil {
		return fmt.Errorf("look for functions: %w", err)
	}
	gives, err := from.Do(ctx, "FUNCTION", "DUMP").Text()
	if err != nil {
		return fmt.Errorf("dump functions: %w", err)
	}
	const none = 10 // bytes of a dump's version and checksum
	if len(has) > none || len(gives) <= none {
		return nil
	}
	// Another source of this target may have been here at the same moment.
	if err := to.Do(ctx, "FUNCTION", "RESTORE", gives, "REPLACE").Err(); err != nil {
		return fmt.Errorf("restore functions: %w", err)
	}
	return nil
}

// empty moves all keys of the slots.
func (k *keyPump) empty(ctx context.Context, slots Slots) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(pumps)
	for slot := range slots.All {
		group.Go(func() error {
			if err := k.emptySlot(ctx, slot); err != nil {
				return fmt.Errorf("slot %d: %w", slot, err)
			}
			return nil
		})
	}
	return group.Wait()
}
