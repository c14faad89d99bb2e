package topology

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/cluster"
)

const (
	// minInterval is the least time between two rounds of questions.
	minInterval = 20 * time.Millisecond
	// restFactor keeps questions below a tenth of the time, up to maxRest, if the
	// answers of a big cluster take long; a change is noticed within maxRest.
	restFactor = 10
	maxRest    = 50 * time.Millisecond
	// witnesses is how many nodes are asked in a round, besides those in focus.
	witnesses = 3
	// askTimeout bounds one question; a frozen node keeps its witness busy that long.
	askTimeout = 500 * time.Millisecond
)

// Options say how to reach the nodes.
type Options struct {
	// Endpoints are address:port of some nodes.
	Endpoints          []string
	Username, Password string
	TLS                *tls.Config
}

// Sighting is one node's answer, or that it gave none.
type Sighting struct {
	From string
	// At is when the answer came.
	At time.Time
	// Took is how long the answer took.
	Took  time.Duration
	Peers []cluster.Peer
	Err   error
}

// Watcher keeps a View current. Refresh asks for a new one; while there is a
// focus it goes on asking. It is safe for concurrent use.
type Watcher struct {
	options Options
	view    atomic.Pointer[View]
	refresh chan struct{}
	// Observe, if set before Run, gets every sighting, one at a time.
	Observe func(Sighting)

	// merged is used by Discover, and then by Run alone.
	merged merger

	mu    sync.Mutex
	nodes map[string]*witness
	focus []string
	turn  int
}

// witness is a node that can be asked.
type witness struct {
	client *redis.Client
	busy   bool
}

// NewWatcher makes a Watcher; nothing is dialled yet.
func NewWatcher(options Options) *Watcher {
	w := &Watcher{options: options, refresh: make(chan struct{}, 1), nodes: map[string]*witness{}}
	for _, addr := range options.Endpoints {
		w.add(addr)
	}
	return w
}

// Client is a control connection to the node at addr; it belongs to the watcher.
func (w *Watcher) Client(addr string) *redis.Client {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.add(addr).client
}

func (w *Watcher) add(addr string) *witness {
	if w.nodes[addr] == nil {
		w.nodes[addr] = &witness{client: redis.NewClient(&redis.Options{
			Addr: addr, Username: w.options.Username, Password: w.options.Password, TLSConfig: w.options.TLS,
			DialTimeout: askTimeout, ReadTimeout: askTimeout, WriteTimeout: askTimeout,
			DialerRetries: 1, MaxRetries: -1, PoolSize: 2, Protocol: 2, DisableIdentity: true,
		})}
	}
	return w.nodes[addr]
}

// Close drops the control connections.
func (w *Watcher) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	var errs []error
	for _, n := range w.nodes {
		errs = append(errs, n.client.Close())
	}
	return errors.Join(errs...)
}

// View is the newest view; nil before Discover.
func (w *Watcher) View() *View { return w.view.Load() }

// Refresh asks for a new view, soon. It never blocks.
func (w *Watcher) Refresh() {
	select {
	case w.refresh <- struct{}{}:
	default:
	}
}

// Focus has the watcher go on asking, the nodes at addrs each time, until it is
// called with none.
func (w *Watcher) Focus(addrs []string) {
	w.mu.Lock()
	w.focus = slices.Clone(addrs)
	for _, a := range addrs {
		w.add(a)
	}
	w.mu.Unlock()
	w.Refresh()
}

// Discover asks the endpoints, and the nodes that they name, once each and fails
// unless some node answered.
func (w *Watcher) Discover(ctx context.Context) (*View, error) {
	asked := map[string]bool{}
	var errs []error
	for {
		var next []string
		for _, addr := range slices.Sorted(maps.Keys(w.nodes)) {
			if !asked[addr] {
				next = append(next, addr)
			}
		}
		// One answer names every node; a few more settle who is behind.
		if len(next) == 0 || len(asked)-len(errs) > witnesses {
			break
		}
		next = next[:min(len(next), witnesses)]
		for _, s := range w.askAll(ctx, next) {
			asked[s.From] = true
			if s.Err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", s.From, s.Err))
				continue
			}
			w.absorb(s)
		}
	}
	v := w.View()
	if v == nil {
		return nil, errors.Join(errs...)
	}
	return v, nil
}

func (w *Watcher) askAll(ctx context.Context, addrs []string) []Sighting {
	sightings := make([]Sighting, len(addrs))
	var wg sync.WaitGroup
	for i, addr := range addrs {
		client := w.Client(addr)
		wg.Go(func() { sightings[i] = ask(ctx, client, addr) })
	}
	wg.Wait()
	return sightings
}

// clusterOff is in the error of a server whose cluster mode is off.
const clusterOff = "cluster support disabled"

func ask(ctx context.Context, client *redis.Client, addr string) Sighting {
	start := time.Now()
	text, err := client.ClusterNodes(ctx).Result()
	s := Sighting{From: addr, At: time.Now(), Took: time.Since(start), Err: err}
	switch {
	case err != nil && strings.Contains(err.Error(), clusterOff):
		s.Err = nil
	case err == nil:
		s.Peers, s.Err = cluster.ParseNodes(text)
	}
	return s
}

// absorb publishes what s changes.
func (w *Watcher) absorb(s Sighting) {
	if w.View() != nil && blank(s.Peers) {
		return // it was made anew, and has not joined yet: it says nothing of the others
	}
	var v *View
	if s.Peers == nil {
		v = standalone(s.From)
	} else {
		v = w.merged.absorb(s.From, s.Peers)
	}
	old := w.View()
	if old != nil && old.sameAs(v) {
		return
	}
	if v.Version = 1; old != nil {
		v.Version = old.Version + 1
	}
	w.view.Store(v)
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, n := range v.Nodes {
		w.add(n.Addr)
	}
}

// blank says whether an answer is that of a node which knows nobody and owns nothing.
func blank(peers []cluster.Peer) bool {
	return len(peers) == 1 && len(peers[0].Slots) == 0
}

// Run answers Refresh and Focus until ctx ends.
func (w *Watcher) Run(ctx context.Context) {
	answers := make(chan Sighting)
	var asking sync.WaitGroup
	defer asking.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	<-timer.C
	wanted, resting, rest := false, false, minInterval
	for {
		if (wanted || w.focused()) && !resting {
			w.round(ctx, &asking, answers)
			wanted, resting = false, true
			timer.Reset(rest)
		}
		select {
		case <-ctx.Done():
			return
		case <-w.refresh:
			wanted = true
		case <-timer.C:
			resting = false
		case s := <-answers:
			if s.Err == nil {
				w.absorb(s)
				rest = min(max(minInterval, restFactor*s.Took), maxRest)
			}
			if w.Observe != nil {
				w.Observe(s)
			}
		}
	}
}

func (w *Watcher) focused() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.focus) > 0
}

// round puts the question to the nodes in focus and to some others in turn.
// A node that still owes an answer is left alone.
func (w *Watcher) round(ctx context.Context, asking *sync.WaitGroup, answers chan<- Sighting) {
	for addr, n := range w.choose() {
		asking.Go(func() {
			s := ask(ctx, n.client, addr)
			w.mu.Lock()
			n.busy = false
			w.mu.Unlock()
			select {
			case answers <- s:
			case <-ctx.Done():
			}
		})
	}
}

// choose marks the nodes of the next round as busy and returns them.
func (w *Watcher) choose() map[string]*witness {
	w.mu.Lock()
	defer w.mu.Unlock()
	chosen := map[string]*witness{}
	take := func(addr string) {
		if n := w.nodes[addr]; !n.busy {
			n.busy = true
			chosen[addr] = n
		}
	}
	for _, addr := range w.focus {
		take(addr)
	}
	all := slices.Sorted(maps.Keys(w.nodes))
	for range min(witnesses, len(all)) {
		w.turn++
		take(all[w.turn%len(all)])
	}
	return chosen
}
