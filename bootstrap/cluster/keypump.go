package cluster

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// keyPump moves keys from one node to another with MIGRATE, which blocks the
// source until the target has them. How much goes into one MIGRATE follows from
// the size of the keys and from how long the ones before took.
type keyPump struct {
	e              *executor
	source, target string // names
	// slow is the source, with time enough for a MIGRATE of a large key.
	slow *redis.Client
	// replace overwrites keys that the target has; without it they are an error.
	replace bool
	// patience is the longest that the source may be blocked: well within the
	// node timeout, or the others take it for failed.
	patience time.Duration

	mu sync.Mutex
	// rate is what the nodes move, in weight per second.
	rate float64
}

const (
	// blockFor is how long a MIGRATE is to block the source: a client's request
	// waits that long, and one whose connection comes after another pump's twice as long.
	blockFor = 8 * time.Millisecond
	// keyWeight is what a key weighs besides its bytes: to look it up, to answer
	// and to delete it takes as long as to move about so many bytes.
	keyWeight = 2 << 10
	// firstRate is in bytes per second, below what any machine does; maxRate bounds what is learned from tiny keys.
	firstRate, maxRate = 100e6, 4e9
	// targetTimeout bounds how long a target may refuse keys for a passing reason.
	targetTimeout = 20 * time.Second
	// mostKeys bounds what is asked for at once.
	mostKeys = 1000
)

func newKeyPump(e *executor, source, target string) *keyPump {
	nodeTimeout := time.Duration(max(e.stats[source].NodeTimeout, 1000)) * time.Millisecond
	k := &keyPump{e: e, source: source, target: target, patience: nodeTimeout / 2, rate: firstRate}
	k.slow = e.f.client(source).WithTimeout(k.patience + commandTimeout)
	return k
}

// emptySlot moves all keys of slot.
func (k *keyPump) emptySlot(ctx context.Context, slot int) error {
	c := k.e.f.client(k.source)
	keys, err := c.ClusterGetKeysInSlot(ctx, slot, mostKeys).Result()
	for err == nil && len(keys) > 0 {
		var sizes []int64
		if sizes, err = k.sizes(ctx, c, keys); err != nil {
			return err
		}
		for len(keys) > 0 {
			n := k.fitting(sizes)
			if err := k.move(ctx, keys[:n], sum(sizes[:n])); err != nil {
				return err
			}
			keys, sizes = keys[n:], sizes[n:]
		}
		keys, err = c.ClusterGetKeysInSlot(ctx, slot, mostKeys).Result()
	}
	return err
}

// sizes are the keys' sizes in bytes, 0 where the server does not say.
func (k *keyPump) sizes(ctx context.Context, c *redis.Client, keys []string) ([]int64, error) {
	usages := make([]*redis.IntCmd, len(keys))
	_, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, key := range keys {
			usages[i] = p.MemoryUsage(ctx, key)
		}
		return nil
	})
	if err != nil && !isReply(err, "") { // a key has expired since (ASK), or the command is not ours to call
		return nil, err
	}
	sizes := make([]int64, len(keys))
	for i, usage := range usages {
		sizes[i] = usage.Val()
	}
	return sizes, nil
}

// fitting is how many of the first keys go into one MIGRATE; a large key goes alone.
func (k *keyPump) fitting(sizes []int64) int {
	k.mu.Lock()
	budget := k.rate * blockFor.Seconds()
	k.mu.Unlock()
	weight := 0.0
	for i, size := range sizes {
		if weight += float64(size + keyWeight); weight > budget {
			return max(1, i)
		}
	}
	return len(sizes)
}

// move moves keys of bytes in all.
func (k *keyPump) move(ctx context.Context, keys []string, bytes int64) error {
	weight := float64(bytes + int64(len(keys))*keyWeight)
	if err := k.foresee(keys[0], bytes, weight); err != nil {
		return err
	}
	var start time.Time
	if err := poll(ctx, targetTimeout, func(ctx context.Context) error {
		start = time.Now()
		err := k.slow.Do(ctx, k.command(keys)...).Err()
		if isReply(err, "CLUSTERDOWN") || isReply(err, "LOADING") || isReply(err, "IOERR") {
			return again(err) // the target is busy, or fails over
		}
		return err
	}); err != nil {
		return err
	}
	k.e.progress.addKeys(len(keys), bytes)
	k.mu.Lock()
	defer k.mu.Unlock()
	now := min(weight/time.Since(start).Seconds(), maxRate)
	k.rate = min(now, (k.rate*3+now)/4) // slow down at once, speed up bit by bit
	return nil
}

// foresee refuses to move a key that would block the source for so long that
// the others take it for failed. Only a key that goes alone can be that large.
func (k *keyPump) foresee(key string, bytes int64, weight float64) error {
	took := time.Duration(weight / firstRate * float64(time.Second))
	if took < k.patience {
		return nil
	}
	return &spec.Failure{Host: k.source, Step: "move keys",
		Cause: fmt.Sprintf("the key %q has %s: moving it could block %s for %s, and after twice %s the others take it for failed",
			key, formatBytes(bytes), k.source, took.Round(time.Second), k.patience),
		Advice: "Split the key, or raise cluster-node-timeout while it is moved, and apply again: what has been moved stays moved.",
	}
}

func (k *keyPump) command(keys []string) []any {
	target, options := k.e.f.node(k.target), &k.e.f.options
	args := []any{"MIGRATE", target.Address, target.Port, "", 0, k.patience.Milliseconds()}
	if k.replace {
		args = append(args, "REPLACE")
	}
	switch {
	case options.Password != "" && options.Username != "":
		args = append(args, "AUTH2", options.Username, options.Password)
	case options.Password != "":
		args = append(args, "AUTH", options.Password)
	}
	args = append(args, "KEYS")
	for _, key := range keys {
		args = append(args, key)
	}
	return args
}

func sum(sizes []int64) (total int64) {
	for _, size := range sizes {
		total += size
	}
	return total
}
