//go:build linux

package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/clustertest"
)

// traffic is a load that reads back what it wrote. Each of its workers has keys
// of its own, so that it knows what each of them must hold.
type traffic struct {
	t      testing.TB
	client *redis.ClusterClient
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu      sync.Mutex
	figures figures
}

// figures are what the clients of a cluster saw.
type figures struct {
	operations, failed, lost int
	// stall is the longest operation, retries and redirections included; slip is
	// how late the machine woke a sleeper at worst, which no cluster is to blame for.
	stall, slip time.Duration
	// first is the first failure.
	first string
}

func (f figures) String() string {
	return fmt.Sprintf("%d operations, %d failed, %d lost, longest %d ms (machine %d ms)",
		f.operations, f.failed, f.lost, f.stall.Milliseconds(), f.slip.Milliseconds())
}

const (
	trafficWorkers = 6
	trafficKeys    = 3000 // of each worker
	trafficPause   = 300 * time.Microsecond
)

// startTraffic writes all its keys once, then runs until stop.
func startTraffic(t testing.TB, c *clustertest.Cluster, addrs []string) *traffic {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	tr := &traffic{t: t, cancel: cancel, client: redis.NewClusterClient(&redis.ClusterOptions{
		Addrs: addrs, Password: c.Password(), MaxRedirects: 10,
	})}
	ready := make(chan struct{}, trafficWorkers)
	for w := range trafficWorkers {
		tr.done.Go(func() { tr.work(ctx, w, func() { ready <- struct{}{} }) })
	}
	tr.done.Go(func() { tr.watch(ctx) })
	for range trafficWorkers {
		<-ready
	}
	tr.mu.Lock()
	tr.figures.operations, tr.figures.stall, tr.figures.slip = 0, 0, 0
	tr.mu.Unlock()
	return tr
}

// stop ends the traffic, reads every key once more and returns what was seen.
func (tr *traffic) stop() figures {
	tr.cancel()
	tr.done.Wait()
	_ = tr.client.Close()
	return tr.figures
}

// work writes and reads its keys at random.
func (tr *traffic) work(ctx context.Context, worker int, ready func()) {
	random := rand.New(rand.NewPCG(uint64(worker), 1))
	acknowledged := make([]int, trafficKeys)
	uncertain := make([]int, trafficKeys) // the value of a write that failed, which may have been done
	key := func(i int) string { return fmt.Sprintf("w%d:%d", worker, i) }
	set := func(i int) {
		value := max(acknowledged[i], uncertain[i]) + 1
		if tr.timed(key(i), func() error { return tr.client.Set(context.WithoutCancel(ctx), key(i), value, time.Hour).Err() }) {
			acknowledged[i] = value
		} else {
			uncertain[i] = value
		}
	}
	get := func(i int) {
		var got string
		if !tr.timed(key(i), func() (err error) {
			got, err = tr.client.Get(context.WithoutCancel(ctx), key(i)).Result()
			if errors.Is(err, redis.Nil) {
				err = nil
			}
			return err
		}) {
			return
		}
		if n, _ := strconv.Atoi(got); n != acknowledged[i] && (n != uncertain[i] || n == 0) {
			tr.mu.Lock()
			tr.figures.lost++
			tr.mu.Unlock()
			tr.t.Logf("%s is %q, acknowledged was %d", key(i), got, acknowledged[i])
			acknowledged[i] = n // counted once
		}
	}
	for i := range trafficKeys {
		set(i)
	}
	ready()
	for ctx.Err() == nil {
		if i := random.IntN(trafficKeys); random.IntN(2) == 0 {
			set(i)
		} else {
			get(i)
		}
		time.Sleep(trafficPause)
	}
	for i := range trafficKeys {
		get(i)
	}
}

// timed runs one operation and counts it.
func (tr *traffic) timed(key string, operation func() error) (ok bool) {
	start := time.Now()
	err := operation()
	took := time.Since(start)
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.figures.operations++
	tr.figures.stall = max(tr.figures.stall, took)
	if err != nil {
		tr.figures.failed++
		if tr.figures.first == "" {
			tr.figures.first = fmt.Sprintf("%s after %s: %v", key, took, err)
		}
	}
	return err == nil
}

// watch measures how late the machine is.
func (tr *traffic) watch(ctx context.Context) {
	const nap = 5 * time.Millisecond
	for ctx.Err() == nil {
		start := time.Now()
		time.Sleep(nap)
		slip := time.Since(start) - nap
		tr.mu.Lock()
		tr.figures.slip = max(tr.figures.slip, slip)
		tr.mu.Unlock()
	}
}
