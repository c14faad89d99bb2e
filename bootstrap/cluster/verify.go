package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// verify waits until every wanted node agrees on a whole cluster.
func (e *executor) verify(ctx context.Context) (Observed, error) {
	e.log.Info("wait until every node agrees", spec.LogPhase, "verify")
	if err := e.awaitOK(ctx, e.wanted); err != nil {
		return Observed{}, err
	}
	err := e.awaitWhole(ctx, formTimeout)
	return e.last, err
}

// awaitWhole waits until there is no problem.
func (e *executor) awaitWhole(ctx context.Context, limit time.Duration) error {
	n := newNudger(e)
	return poll(ctx, limit, func(ctx context.Context) error {
		e.last = e.observe(ctx, e.wanted)
		problems := Problems(e.last, e.replicas)
		if len(problems) == 0 {
			return nil
		}
		if err := n.nudge(ctx, e.last); err != nil {
			return err
		}
		return again(errors.New(firstFew(problems)))
	})
}

// nudger has nodes that others see as they were tell those others what they are.
// Left alone a node does so with its next ping, half a node timeout later.
type nudger struct {
	e     *executor
	began time.Time
	// last is when a node, the first, was made to tell another.
	last map[[2]string]time.Time
	// bumped are primaries that got a new epoch because others did not believe them.
	bumped map[string]bool
}

func newNudger(e *executor) *nudger {
	return &nudger{e: e, began: time.Now(), last: map[[2]string]time.Time{}, bumped: map[string]bool{}}
}

const (
	nudgeEvery = time.Second
	mostNudges = 2000 // of one wait
	// disbelief is how long others may hold on to another view of who owns a slot
	// before the owner, who is told apart by its epoch, gets a newer one.
	disbelief = 4 * time.Second
)

func (n *nudger) nudge(ctx context.Context, o Observed) error {
	members := o.reachable()
	byID := make(map[string]*Member, len(members))
	for _, m := range members {
		byID[m.ID] = m
	}
	if err := n.closeOnReplicas(ctx, members, byID); err != nil {
		return err
	}
	var undeserving []misattribution
	bump := time.Since(n.began) > disbelief
	if bump {
		undeserving = o.misattributions()
	}
	listeners := map[string][]string{}
	for _, m := range members {
		for _, p := range m.Peers {
			self := byID[p.ID]
			if self == nil || !outdated(p, self) || len(n.last) >= mostNudges {
				continue
			}
			if bump && n.deserves(self, undeserving) {
				n.bumped[self.Node.Name] = true
				if err := n.e.f.client(self.Node.Name).Do(ctx, "CLUSTER", "BUMPEPOCH").Err(); err != nil {
					return fmt.Errorf("%s: %w", self.Node.Name, err)
				}
			}
			pair := [2]string{self.Node.Name, m.Node.Name}
			if time.Since(n.last[pair]) > nudgeEvery {
				n.last[pair] = time.Now()
				listeners[self.Node.Name] = append(listeners[self.Node.Name], m.Node.Name)
			}
		}
	}
	return each(ctx, slices.Collect(maps.Keys(listeners)), func(ctx context.Context, name string) error {
		// Of those that know each other, a MEET is a ping that is sent at once.
		return n.e.meet(ctx, n.e.f.client(name), Step{Peers: listeners[name]})
	})
}

// closeOnReplicas closes slots that a replica has open and its primary has not:
// Valkey has replicas follow what their primary is told of slots, and one that was
// away for a while missed it. It follows when the primary is told again.
func (n *nudger) closeOnReplicas(ctx context.Context, members []*Member, byID map[string]*Member) error {
	for _, m := range members {
		primary, told := byID[m.PrimaryID], [2]string{m.Node.Name}
		if primary == nil || time.Since(n.last[told]) <= nudgeEvery {
			continue
		}
		rest := openSlots(m).Minus(openSlots(primary))
		if len(rest) == 0 {
			continue
		}
		n.last[told] = time.Now()
		if err := setSlots(ctx, n.e.f.client(primary.Node.Name), rest, "STABLE", ""); err != nil {
			return fmt.Errorf("%s: %w", primary.Node.Name, err)
		}
	}
	return nil
}

// openSlots are the slots that m migrates or imports.
func openSlots(m *Member) Slots {
	var open []Range
	for _, slots := range []map[int]string{m.Migrating, m.Importing} {
		for slot := range slots {
			open = append(open, Range{slot, slot})
		}
	}
	return SlotsOf(open...)
}

// deserves says whether a node may be given a new epoch, once: it owns slots, and
// nobody takes it for the owner of those of another.
func (n *nudger) deserves(m *Member, wrong []misattribution) bool {
	return m.PrimaryID == "" && len(m.Slots) > 0 && !n.bumped[m.Node.Name] &&
		!slices.ContainsFunc(wrong, func(x misattribution) bool { return x.to == m.ID })
}

func firstFew(problems []string) string {
	const shown = 3
	if len(problems) <= shown {
		return strings.Join(problems, "; ")
	}
	return fmt.Sprintf("%s; and %d more", strings.Join(problems[:shown], "; "), len(problems)-shown)
}

// awaitOK asks each node for cluster_state only: on a large fleet full views,
// over and over, would cost more than the forming itself.
func (e *executor) awaitOK(ctx context.Context, names []string) error {
	known := fmt.Sprint(len(names))
	return each(ctx, names, func(ctx context.Context, name string) error {
		return poll(ctx, formTimeout, func(ctx context.Context) error {
			text, err := e.f.client(name).ClusterInfo(ctx).Result()
			if err != nil {
				return err
			}
			info := parseInfo(text)
			if info["cluster_state"] != "ok" || info["cluster_known_nodes"] != known {
				e.forgetStrays(ctx, name)
				return again(fmt.Errorf("cluster_state is %s and it knows %s of %s nodes", info["cluster_state"], info["cluster_known_nodes"], known))
			}
			return nil
		})
	})
}

// forgetStrays has a node forget members that nobody wants, that own nothing, and
// that failed or are to go. A node that has just joined may hear of one from
// a message that was on its way while the others forgot it, and would remember it for good.
func (e *executor) forgetStrays(ctx context.Context, name string) {
	c := e.f.client(name)
	peers, err := ParseNodes(c.ClusterNodes(ctx).Val())
	if err != nil {
		return // it is asked again
	}
	wanted, leaving := map[string]bool{}, map[string]bool{}
	for _, n := range e.wanted {
		wanted[e.ids[n]] = true
	}
	for _, id := range e.ids {
		leaving[id] = !wanted[id]
	}
	for _, p := range peers {
		gone := p.Failing() || p.Has("noaddr") || e.dismissed[p.ID] || leaving[p.ID]
		if !wanted[p.ID] && p.Settled() && gone && len(p.Slots) == 0 && !p.Has("myself") {
			_ = c.ClusterForget(ctx, p.ID).Err() // it is asked again
		}
	}
}

// probe writes, reads and deletes one key per shard, asking a node of another
// shard first, as a client does that does not know the slots yet.
func (e *executor) probe(ctx context.Context, o Observed) error {
	var primaries []*Member
	var names []string
	for _, m := range o.reachable() {
		if len(m.Slots) > 0 {
			primaries, names = append(primaries, m), append(names, m.Node.Name)
		}
	}
	index := map[string]int{}
	for i, name := range names {
		index[name] = i
	}
	return each(ctx, names, func(ctx context.Context, name string) error {
		owner := primaries[index[name]]
		key, slot := probeKey(owner.Slots)
		if len(primaries) > 1 {
			other := primaries[(index[name]+1)%len(primaries)]
			err := e.f.client(other.Node.Name).Get(ctx, key).Err()
			if want := fmt.Sprintf("MOVED %d %s", slot, owner.Node.Addr()); !isReply(err, want) {
				return fmt.Errorf("asked for a key of slot %d, %s did not answer %q: %w", slot, other.Node.Name, want, cmp.Or(err, errors.New("it answered itself")))
			}
		}
		return probeShard(ctx, e.f.client(name), key)
	})
}

func probeShard(ctx context.Context, c *redis.Client, key string) error {
	const value = "written by redis-bootstrap to verify the cluster"
	var got *redis.StringCmd
	_, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.Set(ctx, key, value, formTimeout) // it expires, should the DEL not come
		got = p.Get(ctx, key)
		p.Del(ctx, key)
		return nil
	})
	if err == nil && got.Val() != value {
		err = fmt.Errorf("read %q after writing %q", got.Val(), value)
	}
	if err != nil {
		return fmt.Errorf("write and read a key: %w", err)
	}
	return nil
}

// probeKey is a key in one of the slots, and its slot.
func probeKey(slots Slots) (key string, slot int) {
	for i := 0; ; i++ {
		key = fmt.Sprintf("redis-bootstrap:probe:%d", i)
		if slot = spec.Slot(key); slots.Contains(slot) {
			return key, slot
		}
	}
}
