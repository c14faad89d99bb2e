package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// turns has planned failovers come one after the other. A primary votes once in
// an epoch: of two replicas that ask for votes in the same one, each may get half
// of them, and both wait 5 s, in which their clients do too.
type turns struct {
	mu sync.Mutex
	// epoch is that of the last election.
	epoch int64
}

// take waits until no failover is under way and the replica has heard of the
// last one, or it would ask for votes in an epoch that is spent.
func (t *turns) take(ctx context.Context, replica *redis.Client) (done func(), err error) {
	t.mu.Lock()
	err = poll(ctx, formTimeout, func(ctx context.Context) error {
		now, err := currentEpoch(ctx, replica)
		if err == nil && now < t.epoch {
			return again(fmt.Errorf("it is in epoch %d, and the last failover was in %d", now, t.epoch))
		}
		return err
	})
	if err != nil {
		t.mu.Unlock()
		return nil, err
	}
	return t.mu.Unlock, nil
}

// elected notes the epoch of an election that has been won. Only who has the turn calls it.
func (t *turns) elected(ctx context.Context, winner *redis.Client) (err error) {
	t.epoch, err = currentEpoch(ctx, winner)
	return err
}

func currentEpoch(ctx context.Context, c *redis.Client) (int64, error) {
	text, err := c.ClusterInfo(ctx).Result()
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(parseInfo(text)["cluster_current_epoch"], 10, 64)
}

// failover asks for a planned failover and waits until the replica is the primary.
func (e *executor) failover(ctx context.Context, c *redis.Client, s Step) error {
	args := []any{"CLUSTER", "FAILOVER"}
	if s.Takeover {
		args = append(args, "TAKEOVER")
	} else {
		done, err := e.turns.take(ctx, c)
		if err != nil {
			return err
		}
		defer done()
	}
	if !s.Takeover {
		if err := e.awaitFollower(ctx, s); err != nil {
			return err
		}
	}
	if err := poll(ctx, syncTimeout, func(ctx context.Context) error {
		info := parseInfo(c.Info(ctx, "replication").Val())
		if info["role"] == "master" || s.Takeover || info["master_link_status"] == "up" {
			return nil
		}
		return again(errors.New("its link to the primary is not up"))
	}); err != nil {
		return err
	}
	if err := poll(ctx, formTimeout, func(ctx context.Context) error {
		err := c.Do(ctx, args...).Err()
		switch {
		case isReply(err, "should send CLUSTER FAILOVER to a replica"):
			return nil // it has taken over already
		case isReply(err, "is down or failed"):
			return again(err) // the link between them was opened anew just now
		}
		return err
	}); err != nil {
		return err
	}
	if err := e.awaitPromotion(ctx, c, args); err != nil || s.Takeover {
		return err
	}
	if err := e.turns.elected(ctx, c); err != nil {
		return err
	}
	// Were the old primary restarted before it knows, it would come back as one,
	// refuse its clients for 2 s and only then learn better.
	return poll(ctx, formTimeout, func(ctx context.Context) error {
		replica, err := isReplica(ctx, e.f.client(s.Target))
		if err == nil && !replica {
			return again(fmt.Errorf("%s does not follow it yet", s.Target))
		}
		return err
	})
}

// awaitPromotion waits until the replica is the primary. A planned failover that
// the primary did not answer in 5 s is given up by the replica without a word, so it is asked again.
func (e *executor) awaitPromotion(ctx context.Context, c *redis.Client, command []any) error {
	asked := time.Now()
	return poll(ctx, syncTimeout, func(ctx context.Context) error {
		replica, err := isReplica(ctx, c)
		if err != nil || !replica {
			return err
		}
		if time.Since(asked) > 6*time.Second {
			asked = time.Now()
			if err := c.Do(ctx, command...).Err(); err != nil {
				return err
			}
		}
		return again(errors.New("it is still a replica"))
	})
}

// awaitFollower waits until the primary knows that the node is a replica of it,
// and where it was attached just now, until those who vote know it too. They
// would learn it with its next ping, half a node timeout later, and until then
// let it wait without a word.
func (e *executor) awaitFollower(ctx context.Context, s Step) error {
	who := []string{s.Target}
	if _, justNow := e.attached.Load(s.Node); justNow {
		who = e.f.names()
	}
	var nudged time.Time
	return poll(ctx, formTimeout, func(ctx context.Context) error {
		if replica, err := isReplica(ctx, e.f.client(s.Node)); err != nil || !replica {
			return err // it has taken over already
		}
		var mu sync.Mutex
		var unaware []string
		_ = each(ctx, who, func(ctx context.Context, name string) error { // who does not answer does not vote either
			peers, err := ParseNodes(e.f.client(name).ClusterNodes(ctx).Val())
			if err == nil && slices.ContainsFunc(peers, func(p Peer) bool { return p.ID == e.ids[s.Node] && p.PrimaryID != e.ids[s.Target] }) {
				mu.Lock()
				defer mu.Unlock()
				unaware = append(unaware, name)
			}
			return err
		})
		if len(unaware) == 0 {
			return nil
		}
		if time.Since(nudged) > nudgeEvery {
			nudged = time.Now()
			if err := e.meet(ctx, e.f.client(s.Node), Step{Peers: unaware}); err != nil { // a ping that is sent at once
				return err
			}
		}
		return again(fmt.Errorf("%s does not know yet that it is a replica of %s", firstFew(unaware), s.Target))
	})
}
