package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/redis/go-redis/v9"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// executor does the steps of a plan.
type executor struct {
	f     *Fleet
	log   hclog.Logger
	tempo *tempo
	// ids and busPorts of the nodes by name, as they said themselves.
	ids      map[string]string
	busPorts map[string]int
	// stats of the nodes by name, as they were observed last.
	stats map[string]Stats
	// donor is a primary that has served before, and has the functions that new ones need.
	donor string
	gates gates
	turns turns
	// attached names the nodes that were made replicas.
	attached sync.Map
	// dismissed are the ids of those that nodes were told to forget.
	dismissed map[string]bool
	progress  progress
	// wanted names the nodes that the cluster is to have, each shard with so many replicas.
	wanted   []string
	replicas int
	// absent are those of them that do not run yet.
	absent []string
	// last is what was observed last while waiting for the cluster to be whole.
	last Observed
}

func newExecutor(f *Fleet, log hclog.Logger, d Desired) *executor {
	e := &executor{f: f, log: log, tempo: newTempo(f), ids: map[string]string{}, busPorts: map[string]int{}, stats: map[string]Stats{}, dismissed: map[string]bool{},
		replicas: d.ReplicasPerShard, absent: d.Absent}
	for _, n := range d.Nodes {
		e.wanted = append(e.wanted, n.Name)
	}
	return e
}

// execute does steps stage by stage, those of one stage at once.
func (e *executor) execute(ctx context.Context, steps []Step) error {
	for _, s := range steps {
		if s.Kind == Forget {
			e.dismissed[s.TargetID] = true
		}
	}
	for len(steps) > 0 {
		n := 1
		for n < len(steps) && steps[n].Stage == steps[0].Stage {
			n++
		}
		stage := steps[:n]
		steps = steps[n:]
		for _, words := range Words(stage) {
			e.log.Info(words, spec.LogPhase, "form")
		}
		if err := e.stage(ctx, stage); err != nil {
			return err
		}
	}
	return nil
}

// stage does the steps of one stage: each node's own in their order, the nodes at once.
func (e *executor) stage(ctx context.Context, steps []Step) error {
	if chained(steps) { // each gives its target a new epoch
		for _, s := range steps {
			if err := e.stage(ctx, []Step{s}); err != nil {
				return err
			}
		}
		return nil
	}
	if slices.ContainsFunc(steps, needsOneOwner) {
		if err := e.settleClaims(ctx); err != nil {
			return err
		}
	}
	byNode := map[string][]Step{}
	var names []string
	slots, bytes := 0, int64(0)
	for _, s := range steps {
		if byNode[s.Node] == nil {
			names = append(names, s.Node)
		}
		byNode[s.Node] = append(byNode[s.Node], s)
		if s.Kind == Migrate {
			slots += s.Slots.Count()
			bytes += s.Bytes
		}
	}
	if slots > 0 {
		e.progress.begin(slots, bytes)
		if err := e.prepareMigration(ctx, steps); err != nil {
			return err
		}
	}
	return each(ctx, names, func(ctx context.Context, name string) error {
		for _, s := range byNode[name] {
			if err := e.step(ctx, s); err != nil {
				return fmt.Errorf("%s: %w", s, err)
			}
		}
		return nil
	})
}

func (e *executor) isWanted(name string) bool { return slices.Contains(e.wanted, name) }

func (e *executor) step(ctx context.Context, s Step) error {
	c := e.f.client(s.Node)
	switch s.Kind {
	case Forget:
		return e.forget(ctx, c, s)
	case Reset:
		return e.reset(ctx, c, s)
	case Claim:
		return e.claim(ctx, c, s)
	case Meet:
		return e.meet(ctx, c, s)
	case Replicate:
		return e.replicate(ctx, c, s)
	case Failover:
		return e.failover(ctx, c, s)
	case Close:
		return e.closeSlots(ctx, s)
	case Yield:
		return e.yield(ctx, s)
	case Migrate:
		return e.migrate(ctx, s)
	case Restart:
		return e.restart(ctx, c, s.Node)
	}
	return fmt.Errorf("no step of kind %q", s.Kind)
}

func (e *executor) forget(ctx context.Context, c *redis.Client, s Step) error {
	return poll(ctx, formTimeout, func(ctx context.Context) error {
		err := c.ClusterForget(ctx, s.TargetID).Err()
		switch {
		case isReply(err, "Unknown node"):
			return nil // done before
		case isReply(err, "Can't forget my master"), isReply(err, "Can't forget my primary"):
			return again(err) // it follows its new primary in a moment
		}
		return err
	})
}

func (e *executor) reset(ctx context.Context, c *redis.Client, s Step) error {
	if replica, err := isReplica(ctx, c); err != nil {
		return err
	} else if !replica && s.Keys > 0 {
		return fmt.Errorf("it is a primary with %d keys, which a reset would lose", s.Keys)
	}
	if s.Anew {
		return c.ClusterResetHard(ctx).Err()
	}
	return c.ClusterResetSoft(ctx).Err() // it stays a member, under its id
}

// isReplica asks a node for its role.
func isReplica(ctx context.Context, c *redis.Client) (bool, error) {
	m, err := ownView(ctx, c)
	return m.PrimaryID != "", err
}

// claim assigns slots in one batch, all or none. A slot that the node thinks is
// another's, which disowned it, is taken from that one with a new epoch.
func (e *executor) claim(ctx context.Context, c *redis.Client, s Step) error {
	if e.donor != "" && e.donor != s.Node {
		if err := copyFunctions(ctx, e.f.client(e.donor), c); err != nil {
			return err
		}
	}
	text, err := c.ClusterNodes(ctx).Result()
	if err != nil {
		return err
	}
	peers, err := ParseNodes(text)
	if err != nil {
		return err
	}
	var taken, mine Slots
	for _, p := range peers {
		if p.Has("myself") {
			mine = p.Slots
		} else {
			taken = taken.Union(p.Slots.Intersect(s.Slots))
		}
	}
	_, err = c.TxPipelined(ctx, func(p redis.Pipeliner) error {
		if len(taken) > 0 {
			p.Do(ctx, slotsCommand("DELSLOTS", taken)...)
		}
		if wanted := s.Slots.Minus(mine); len(wanted) > 0 {
			p.Do(ctx, slotsCommand("ADDSLOTS", wanted)...)
		}
		if s.Epoch != 0 {
			p.Do(ctx, "CLUSTER", "SET-CONFIG-EPOCH", s.Epoch)
		} else {
			p.Do(ctx, "CLUSTER", "BUMPEPOCH")
		}
		return nil
	})
	return err
}

// slotsCommand spells the slots out one by one: ADDSLOTSRANGE exists from Redis 7 on only.
func slotsCommand(command string, slots Slots) []any {
	args := make([]any, 0, slots.Count()+2)
	args = append(args, "CLUSTER", command)
	for slot := range slots.All {
		args = append(args, slot)
	}
	return args
}

func (e *executor) meet(ctx context.Context, c *redis.Client, s Step) error {
	_, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, peer := range s.Peers {
			n := e.f.node(peer)
			args := []any{"CLUSTER", "MEET", n.Address, n.Port}
			if bus := e.busPorts[peer]; bus != n.Port+spec.BusPortOffset {
				args = append(args, bus)
			}
			p.Do(ctx, args...)
		}
		return nil
	})
	return err
}

// replicate waits until the node has met its primary, which takes one exchange
// of pings after the introduction.
func (e *executor) replicate(ctx context.Context, c *redis.Client, s Step) error {
	id := e.ids[s.Target]
	e.attached.Store(s.Node, true)
	return poll(ctx, formTimeout, func(ctx context.Context) error {
		err := c.ClusterReplicate(ctx, id).Err()
		if isReply(err, "Unknown node") || isReply(err, "can only replicate a master") {
			return again(err)
		}
		return err
	})
}

// restart shuts the node down, waits until its service has started it again and
// it has loaded its data, and then until every node finds the cluster whole.
func (e *executor) restart(ctx context.Context, c *redis.Client, name string) error {
	runID := func(ctx context.Context) (string, error) {
		text, err := c.Info(ctx, "server").Result()
		return parseInfo(text)["run_id"], err
	}
	var before string
	if err := poll(ctx, formTimeout, func(ctx context.Context) (err error) {
		if before, err = runID(ctx); isDialError(err) {
			return again(err) // somebody else restarts it just now
		}
		return err
	}); err != nil {
		return err
	}
	if err := awaitQuiet(ctx, c); err != nil {
		return err
	}
	if err := shutDown(ctx, c); err != nil {
		return err
	}
	if err := poll(ctx, formTimeout, func(ctx context.Context) error {
		now, err := runID(ctx)
		switch {
		case err != nil:
			return again(err)
		case now == before:
			return again(errors.New("it has not shut down yet"))
		}
		return nil
	}); err != nil {
		return fmt.Errorf("it did not come back after its shutdown: %w", err)
	}
	if err := e.tempo.hasten(ctx, []string{name}); err != nil {
		return err
	}
	return e.awaitWhole(ctx, syncTimeout)
}

// awaitQuiet waits, but not for long, until clients have stopped coming to a node
// for keys that it does not own any more. Those that found it gone instead of
// being led on would back off, and wait longer than they have to.
func awaitQuiet(ctx context.Context, c *redis.Client) error {
	const quiet, longest = 200 * time.Millisecond, 3 * time.Second
	began := time.Now()
	redirected, since := "", began
	return poll(ctx, syncTimeout, func(ctx context.Context) error {
		text, err := c.Info(ctx, "errorstats").Result()
		if err != nil {
			return err
		}
		if now := parseInfo(text)["errorstat_MOVED"]; now != redirected {
			redirected, since = now, time.Now()
		}
		if time.Since(since) < quiet && time.Since(began) < longest {
			return again(errors.New("clients still come to it"))
		}
		return nil
	})
}

// shutDown ends the process. The only copy of keys is written to disk even where
// the configuration has nothing written, or the restart would lose it.
func shutDown(ctx context.Context, c *redis.Client) error {
	var replication *redis.StringCmd
	var size *redis.IntCmd
	var appendOnly, save *redis.MapStringStringCmd
	if _, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
		replication, size = p.Info(ctx, "replication"), p.DBSize(ctx)
		appendOnly, save = p.ConfigGet(ctx, "appendonly"), p.ConfigGet(ctx, "save")
		return nil
	}); err != nil {
		return err
	}
	info := parseInfo(replication.Val())
	only := info["role"] == "master" && info["connected_slaves"] == "0"
	volatile := appendOnly.Val()["appendonly"] == "no" && save.Val()["save"] == ""
	// The reply is the end of the connection, which go-redis takes for success.
	if only && volatile && size.Val() > 0 {
		return c.WithTimeout(syncTimeout).ShutdownSave(ctx).Err()
	}
	return c.WithTimeout(syncTimeout).Shutdown(ctx).Err()
}

// Bounds of waiting for conditions that healthy nodes reach far sooner.
const (
	// A node that comes back right after it left is banned for the first 60 s.
	formTimeout = 90 * time.Second
	syncTimeout = 30 * time.Minute
)

// againError marks a condition that does not hold yet.
type againError struct{ error }

func (e againError) Unwrap() error { return e.error }

func again(err error) error { return againError{err} }

// poll calls check until it returns nil or an error that is not again, at
// intervals that grow from 5 to 100 ms. When the time is up it returns the last reason.
func poll(ctx context.Context, limit time.Duration, check func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	wait := 5 * time.Millisecond
	var last error
	for {
		err := check(ctx)
		var retry againError
		if err == nil || !errors.As(err, &retry) {
			if last != nil && ctx.Err() != nil {
				return fmt.Errorf("%w (last: %w)", context.Cause(ctx), last)
			}
			return err
		}
		last = retry.error
		select {
		case <-ctx.Done():
			return fmt.Errorf("gave up waiting: %w (%w)", last, context.Cause(ctx))
		case <-time.After(wait):
		}
		wait = min(wait*3/2, 100*time.Millisecond)
	}
}
