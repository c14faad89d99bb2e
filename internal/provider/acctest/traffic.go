package acctest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// Traffic is a load that reads back what it wrote: each of its workers counts
// its own keys up, and knows what each has to hold.
type Traffic struct {
	client *redis.ClusterClient
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu sync.Mutex
	// operations, and those of them that failed; writes that were acknowledged and then gone.
	operations, failed, lost int
	// longest is the longest operation, with its retries.
	longest time.Duration
	first   error
}

const (
	trafficWorkers = 4
	trafficKeys    = 200 // of each worker
	trafficPause   = 500 * time.Microsecond
)

// NewTraffic starts a load on the cluster at addresses. It runs until Stop.
func NewTraffic(t testing.TB, addresses ...string) *Traffic {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	tr := &Traffic{cancel: cancel, client: redis.NewClusterClient(&redis.ClusterOptions{Addrs: addresses, MaxRedirects: 10})}
	for worker := range trafficWorkers {
		tr.done.Go(func() { tr.work(ctx, worker) })
	}
	t.Cleanup(func() { _ = tr.Stop() })
	return tr
}

// Stop ends the load. The error says what clients noticed.
func (tr *Traffic) Stop() error {
	tr.cancel()
	tr.done.Wait()
	_ = tr.client.Close()
	if tr.failed > 0 || tr.lost > 0 || tr.operations == 0 {
		return fmt.Errorf("the load saw %s; the first failure: %w", tr, tr.first)
	}
	return nil
}

// String gives the figures.
func (tr *Traffic) String() string {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return fmt.Sprintf("%d operations, %d failed, %d acknowledged writes lost, longest %d ms",
		tr.operations, tr.failed, tr.lost, tr.longest.Milliseconds())
}

func (tr *Traffic) work(ctx context.Context, worker int) {
	var acknowledged [trafficKeys]int
	for i := 0; ctx.Err() == nil; i = (i + 1) % trafficKeys {
		key, next := fmt.Sprintf("traffic:%d:%d", worker, i), acknowledged[i]+1
		if acknowledged[i] > 0 {
			tr.verify(key, acknowledged[i])
		}
		if tr.timed(func(ctx context.Context) error { return tr.client.Set(ctx, key, next, 0).Err() }) == nil {
			acknowledged[i] = next
		}
		time.Sleep(trafficPause)
	}
	for i, want := range acknowledged {
		if want > 0 {
			tr.verify(fmt.Sprintf("traffic:%d:%d", worker, i), want)
		}
	}
}

// verify reads back what was acknowledged. A key that was written by a load
// before this one holds more.
func (tr *Traffic) verify(key string, want int) {
	var got int
	err := tr.timed(func(ctx context.Context) (err error) {
		got, err = tr.client.Get(ctx, key).Int()
		if err != nil && strings.Contains(err.Error(), "nil") {
			return nil
		}
		return err
	})
	if err == nil && got < want {
		tr.mu.Lock()
		tr.lost++
		tr.mu.Unlock()
	}
}

// timed runs one operation and counts it.
func (tr *Traffic) timed(operation func(context.Context) error) error {
	start := time.Now()
	err := operation(context.Background())
	took := time.Since(start)
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.operations++
	tr.longest = max(tr.longest, took)
	if err != nil {
		tr.failed++
		if tr.first == nil {
			tr.first = err
		}
	}
	return err
}
