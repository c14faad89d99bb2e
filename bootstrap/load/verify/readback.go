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
	result := Result{Sampled: l.Sampled()}
	var mu sync.Mutex
	batches := make(chan []place)
	var g errgroup.Group
	for i := range readers {
		g.Go(func() error {
			r := &reader{
				client: client, values: workload.NewValues(p.Seed(), runner), keys: p.NewGenerator(workload.Share{Index: i, Count: readers}),
				expiry: uint64(expiry.Microseconds()), now: func() uint64 { return uint64(now().Microseconds()) },
			}
			for places := range batches {
				r.read(ctx, places)
			}
			mu.Lock()
			defer mu.Unlock()
			result.add(r.result)
			return nil
		})
	}
	var next []place
	for p := range l.written() {
		if next = append(next, p); len(next) == batch {
			batches <- next
			next = nil
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

func (r *reader) read(ctx context.Context, places []place) {
	deadline := time.Now().Add(patience)
	for {
		places = r.attempt(ctx, places)
		if len(places) == 0 {
			return
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
		if ctx.Err() != nil || time.Now().After(deadline) {
			r.result.Unread += int64(len(places))
			return
		}
	}
}

// attempt reads places once and returns those that gave no answer.
func (r *reader) attempt(ctx context.Context, places []place) (unread []place) {
	pipe := r.client.Pipeline()
	replies := make([]*redis.StringCmd, len(places))
	for i, p := range places {
		replies[i] = pipe.Get(ctx, r.key(p.key))
	}
	// The replies have the errors, each its own.
	_, _ = pipe.Exec(ctx)
	for i, p := range places {
		value, err := replies[i].Bytes()
		if err != nil && !errors.Is(err, redis.Nil) {
			unread = append(unread, p)
			continue
		}
		expired := r.expiry > 0 && r.now() >= p.entry.floor()+r.expiry
		r.count(p.key, p.judge(r.values, value, err == nil, expired))
	}
	return unread
}

func (r *reader) key(number uint64) string {
	return string(r.keys.AppendKey(nil, &workload.Item{Key: number}))
}

func (r *reader) count(number uint64, v Verdict) {
	r.result.Verified++
	switch v {
	case Lost:
		r.result.Lost++
		if len(r.result.LostKeys) < examples {
			r.result.LostKeys = append(r.result.LostKeys, r.key(number))
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
