package verify

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/load/workload"
)

const (
	// batch is how many keys are asked for at once, and readers how many batches.
	batch   = 500
	readers = 4
	// examples is how many lost keys are named.
	examples = 10
	// patience bounds how long a batch is asked for again while its nodes do not answer.
	patience = 30 * time.Second
	pause    = 100 * time.Millisecond
)

// Result counts keys by what became of their acknowledged writes.
type Result struct {
	Verified, Lost, Stale, Corrupt, Indeterminate int64
	// Unread keys could not be read.
	Unread int64
	// LostKeys are examples of keys whose write is lost.
	LostKeys []string
	// Sampled is the part of the keys that was looked at, 1 for all.
	Sampled float64
}

// ReadBack reads every key of l from its primary and says what became of it.
// Expiry is the time to live of the written keys, 0 for none, and now the
// load's clock.
func ReadBack(ctx context.Context, client redis.UniversalClient, l *Ledger, p *workload.Program, runner int, expiry time.Duration, now func() time.Duration) (Result, error) {
	result := Result{Sampled: 1 / float64(uint64(1)<<l.level)}
	var mu sync.Mutex
	batches := make(chan []*entry)
	var g errgroup.Group
	for i := range readers {
		g.Go(func() error {
			r := &reader{
				client: client, values: workload.NewValues(p.Seed(), runner), keys: p.NewGenerator(workload.Share{Index: i, Count: readers}),
				expiry: uint64(expiry.Microseconds()), now: func() uint64 { return uint64(now().Microseconds()) },
			}
			for entries := range batches {
				r.read(ctx, entries)
			}
			mu.Lock()
			defer mu.Unlock()
			result.add(r.result)
			return nil
		})
	}
	var next []*entry
	for i := range l.entries {
		if e := &l.entries[i]; e.state&occupied != 0 && e.floor != 0 {
			if next = append(next, e); len(next) == batch {
				batches <- next
				next = nil
			}
		}
	}
	if len(next) > 0 {
		batches <- next
	}
	close(batches)
	err := g.Wait()
	if result.Unread > 0 {
		err = errors.Join(err, fmt.Errorf("%d keys could not be read back", result.Unread))
	}
	return result, err
}

func (r *Result) add(o Result) {
	r.Verified += o.Verified
	r.Lost += o.Lost
	r.Stale += o.Stale
	r.Corrupt += o.Corrupt
	r.Indeterminate += o.Indeterminate
	r.Unread += o.Unread
	for _, key := range o.LostKeys {
		if len(r.LostKeys) < examples {
			r.LostKeys = append(r.LostKeys, key)
		}
	}
}

// reader reads batches; each goroutine has its own.
type reader struct {
	client redis.UniversalClient
	values *workload.Values
	keys   *workload.Generator
	expiry uint64
	now    func() uint64
	result Result
}

func (r *reader) read(ctx context.Context, entries []*entry) {
	deadline := time.Now().Add(patience)
	for {
		entries = r.attempt(ctx, entries)
		if len(entries) == 0 {
			return
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
		if ctx.Err() != nil || time.Now().After(deadline) {
			r.result.Unread += int64(len(entries))
			return
		}
	}
}

// attempt reads entries once and returns those that gave no answer.
func (r *reader) attempt(ctx context.Context, entries []*entry) (unread []*entry) {
	pipe := r.client.Pipeline()
	replies := make([]*redis.StringCmd, len(entries))
	for i, e := range entries {
		replies[i] = pipe.Get(ctx, r.key(e))
	}
	// The replies have the errors, each its own.
	_, _ = pipe.Exec(ctx)
	for i, e := range entries {
		value, err := replies[i].Bytes()
		if err != nil && !errors.Is(err, redis.Nil) {
			unread = append(unread, e)
			continue
		}
		expired := r.expiry > 0 && r.now() >= e.floor+r.expiry
		r.count(e, e.judge(r.values, value, err == nil, expired))
	}
	return unread
}

func (r *reader) key(e *entry) string {
	return string(r.keys.AppendKey(nil, &workload.Item{Key: e.key}))
}

func (r *reader) count(e *entry, v Verdict) {
	r.result.Verified++
	switch v {
	case Lost:
		r.result.Lost++
		if len(r.result.LostKeys) < examples {
			r.result.LostKeys = append(r.result.LostKeys, r.key(e))
		}
	case Stale:
		r.result.Stale++
	case Corrupt:
		r.result.Corrupt++
	case Indeterminate:
		r.result.Indeterminate++
	case Kept:
	}
}
