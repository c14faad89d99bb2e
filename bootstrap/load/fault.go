//go:build linux

package load

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/cluster"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/load/measure"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/load/topology"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// faults says when faults are due, and watches what the cluster makes of them.
type faults struct {
	session *session
	changed chan struct{} // has an element when a fault has got further

	mu   sync.Mutex
	list []*fault
}

// fault is one fault, from its plan to its end.
type fault struct {
	spec.Fault
	// nodes are the addresses that it hits, chosen when it is due; the first
	// stands for it in the result.
	nodes []string
	// shards are those that they were part of.
	shards []int
	// slots are what the first node served when it was hit.
	slots cluster.Slots
	// The moments so far; zero if it has not come to that.
	due, injected, detected, promotedAt, recovered, rejoined time.Time
	promoted, rejoinedAs                                     string
	failure                                                  string
	// seen is the node's own role, by itself, after the recovery.
	seen string
}

func newFaults(s *session) (*faults, error) {
	f := &faults{session: s, changed: make(chan struct{}, 1)}
	for i, planned := range s.run.Faults {
		nodes, err := s.targets(planned.Target)
		if err == nil && len(nodes) == 0 {
			err = fmt.Errorf("no node is meant by the target %q", planned.Target)
		}
		if w := s.run.Workload; err == nil && w.Duration > 0 && planned.At >= w.Duration {
			err = fmt.Errorf("it is due at %s, when the load of %s is over", planned.At, w.Duration)
		}
		if err != nil {
			return nil, &spec.Failure{Step: fmt.Sprintf("check fault %d", i), Cause: err.Error(),
				Advice: `A target is "primary", "primary:N" or "replica:N" (of shard N, from 0), "node:NAME" or "zone:NAME".`}
		}
		f.list = append(f.list, &fault{Fault: planned})
	}
	return f, nil
}

// targets are the addresses of the nodes that a fault's target means now.
func (s *session) targets(target string) ([]string, error) {
	view := s.watcher.View()
	kind, which, _ := strings.Cut(target, ":")
	switch kind {
	case "primary", "replica":
		return shardNode(view, kind, which)
	case "node":
		for _, n := range view.Nodes {
			if s.name(n.Addr) == which || n.Addr == which {
				return []string{n.Addr}, nil
			}
		}
		return nil, fmt.Errorf("the cluster has no node %q", which)
	case "zone":
		var nodes []string
		for _, n := range view.Nodes {
			if s.run.Zones[n.Addr] == which {
				nodes = append(nodes, n.Addr)
			}
		}
		return nodes, nil
	}
	return nil, fmt.Errorf("the target %q is not known", target)
}

func shardNode(view *topology.View, kind, which string) ([]string, error) {
	number := 0
	if which != "" {
		var err error
		if number, err = strconv.Atoi(which); err != nil {
			return nil, fmt.Errorf("%q is not the number of a shard", which)
		}
	}
	primaries := view.Primaries()
	if number < 0 || number >= len(primaries) {
		return nil, fmt.Errorf("there is no shard %d; there are %d, numbered from 0", number, len(primaries))
	}
	node := view.Nodes[primaries[number]]
	if kind == "replica" {
		if len(node.Replicas) == 0 {
			return nil, fmt.Errorf("shard %d has no replica", number)
		}
		node = view.Nodes[node.Replicas[0]]
	}
	return []string{node.Addr}, nil
}

// announce says when each fault is due, in the order of their times.
func (f *faults) announce(ctx context.Context, start time.Time) {
	order := make([]int, len(f.list))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return int(f.list[a].At - f.list[b].At) })
	for _, i := range order {
		if !until(ctx, start.Add(f.list[i].At.D())) {
			return
		}
		f.strike(i)
	}
}

// strike chooses the nodes of fault i as the cluster stands now and says that it is due.
func (f *faults) strike(i int) {
	s, flt := f.session, f.list[i]
	nodes, err := s.targets(flt.Target)
	f.mu.Lock()
	flt.due = time.Now()
	if err != nil || len(nodes) == 0 {
		flt.failure = fmt.Sprintf("no node is meant by the target any more: %v", err)
		f.mu.Unlock()
		return
	}
	view := s.watcher.View()
	flt.nodes = nodes
	for _, addr := range nodes {
		if shard := s.shardOf(view, addr); shard >= 0 && !slices.Contains(flt.shards, shard) {
			flt.shards = append(flt.shards, shard)
		}
	}
	flt.slots = view.SlotsOf(view.Index(nodes[0]))
	f.mu.Unlock()
	s.watcher.Focus(f.focus())
	for _, addr := range nodes {
		if s.hooks.FaultDue != nil {
			s.hooks.FaultDue(i, addr)
		}
	}
}

// shardOf is the number, as of the load's start, of the shard that the node at addr is part of.
func (s *session) shardOf(view *topology.View, addr string) int {
	index := view.Index(addr)
	for _, p := range view.Primaries() {
		if p != index && !slices.Contains(view.Nodes[p].Replicas, index) {
			continue
		}
		slots := view.SlotsOf(p)
		for i, shard := range s.server.Shards {
			if was, err := cluster.ParseSlots(shard.Slots); err == nil && was.Contains(slots[0].First) {
				return i
			}
		}
	}
	return -1
}

// focus are the nodes to be asked again and again while faults are on: those
// that are hit, and who may take over from them.
func (f *faults) focus() []string {
	view := f.session.watcher.View()
	f.mu.Lock()
	defer f.mu.Unlock()
	var addrs []string
	for _, flt := range f.list {
		if flt.due.IsZero() || flt.over() {
			continue
		}
		for _, addr := range flt.nodes {
			addrs = append(addrs, addr)
			if i := view.Index(addr); i >= 0 {
				for _, r := range view.Nodes[i].Replicas {
					addrs = append(addrs, view.Nodes[r].Addr)
				}
			}
		}
	}
	return addrs
}

// over says whether nothing more can come of it.
func (flt *fault) over() bool { return flt.failure != "" || !flt.rejoined.IsZero() }

// control takes the caller's word on a fault.
func (f *faults) control(c spec.LoadControl, now time.Time) {
	if c.Fault < 0 || c.Fault >= len(f.list) {
		return
	}
	f.mu.Lock()
	flt := f.list[c.Fault]
	switch {
	case c.FaultFailed != "":
		flt.failure = c.FaultFailed
	case c.FaultInjected && flt.injected.IsZero():
		flt.injected = now
	case c.FaultRecovered:
		flt.recovered, flt.seen = now, ""
	}
	f.mu.Unlock()
	f.progress()
}

func (f *faults) progress() {
	f.session.watcher.Focus(f.focus())
	select {
	case f.changed <- struct{}{}:
	default:
	}
}

// observe looks for signs in what a node says.
func (f *faults) observe(s topology.Sighting) {
	if s.Err != nil || s.Peers == nil {
		return
	}
	f.mu.Lock()
	moved := false
	for _, flt := range f.list {
		if len(flt.nodes) > 0 && !flt.over() {
			flt.look(s, f.session.name)
			moved = moved || flt.over()
		}
	}
	f.mu.Unlock()
	if moved {
		f.progress()
	}
}

// look updates the fault with one node's answer.
func (flt *fault) look(s topology.Sighting, name func(addr string) string) {
	hit := slices.IndexFunc(s.Peers, func(p cluster.Peer) bool { return p.Addr == flt.nodes[0] })
	if hit < 0 {
		return
	}
	peer := s.Peers[hit]
	own := s.From == flt.nodes[0]
	if !own && flt.detected.IsZero() && peer.Has("fail") {
		flt.detected = s.At
	}
	if !own && flt.promoted == "" && len(flt.slots) > 0 {
		for _, p := range s.Peers {
			if p.ID != peer.ID && len(p.Slots.Intersect(flt.slots)) > 0 && p.PrimaryID == "" {
				flt.promoted, flt.promotedAt = name(p.Addr), s.At
				break
			}
		}
	}
	if flt.recovered.IsZero() || s.At.Before(flt.recovered) {
		return
	}
	if own {
		flt.seen = roleOf(peer)
		return
	}
	// It is back when it and another node agree on what it is. One whose place is
	// taken believes for a moment that it is still the primary.
	if role := roleOf(peer); !peer.Failing() && peer.LinkUp && role == flt.seen && (flt.promoted == "" || role == "replica") {
		flt.rejoinedAs, flt.rejoined = role, s.At
	}
}

func roleOf(p cluster.Peer) string {
	if p.PrimaryID != "" {
		return "replica"
	}
	return "primary"
}

// settle waits until every fault that was injected has been mended and its node
// is back, for at most timeout longer than they were to last.
func (f *faults) settle(ctx context.Context, timeout time.Duration) {
	for {
		deadline, open := f.open(timeout)
		if !open {
			return
		}
		timer := time.NewTimer(time.Until(deadline))
		select {
		case <-ctx.Done():
		case <-f.changed:
			timer.Stop()
			continue
		case <-timer.C:
		}
		timer.Stop()
		return
	}
}

func (f *faults) open(timeout time.Duration) (deadline time.Time, open bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, flt := range f.list {
		if flt.injected.IsZero() || flt.over() {
			continue
		}
		end := flt.injected.Add(flt.RecoverAfter.D() + timeout)
		if !flt.recovered.IsZero() {
			end = flt.recovered.Add(timeout)
		}
		if end.After(deadline) {
			deadline = end
		}
		open = true
	}
	return deadline, open
}

// results reports on the faults, with the outages of their shards.
func (f *faults) results(start time.Time, outages []measure.Outage, base time.Time) []spec.FaultResult {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []spec.FaultResult
	for i, flt := range f.list {
		r := spec.FaultResult{Kind: flt.Kind, Target: flt.Target, AtSeconds: flt.At.D().Seconds(), Error: flt.failure, Promoted: flt.promoted, RejoinedAs: flt.rejoinedAs}
		if len(flt.nodes) > 0 {
			r.Node, r.Shards = f.session.name(flt.nodes[0]), flt.shards
		}
		switch {
		case flt.due.IsZero():
			r.Error = "the load ended before it was due"
		case flt.injected.IsZero() && flt.failure == "":
			r.Error = "nobody injected it"
		}
		if !flt.injected.IsZero() {
			r.AtSeconds = flt.injected.Sub(start).Seconds()
			r.RecoveredAtSeconds = secondsSince(start, flt.recovered)
			r.DetectedMS = millisecondsSince(flt.injected, flt.detected)
			r.PromotedMS = millisecondsSince(flt.injected, flt.promotedAt)
			r.RejoinedMS = millisecondsSince(flt.injected, flt.rejoined)
			r.UnavailableMS = longestOutage(outages, flt.shards, flt.injected.Sub(base), f.nextOn(i, base))
		}
		out = append(out, r)
	}
	return out
}

// nextOn is when a shard of fault i was hit by the next fault, on the load's clock.
func (f *faults) nextOn(i int, base time.Time) time.Duration {
	next := time.Duration(1<<63 - 1)
	for _, other := range f.list {
		if common(other.shards, f.list[i].shards) && other.injected.After(f.list[i].injected) {
			next = min(next, other.injected.Sub(base))
		}
	}
	return next
}

// injectionSlack is how much earlier than we hear of it a fault may have hit.
const injectionSlack = 250 * time.Millisecond

// common says whether two lists of shards have one in common.
func common(a, b []int) bool {
	return slices.ContainsFunc(a, func(shard int) bool { return slices.Contains(b, shard) })
}

// longestOutage is the longest outage of one of the shards that began between from and to, in milliseconds.
func longestOutage(outages []measure.Outage, shards []int, from, to time.Duration) (longest float64) {
	for _, o := range outages {
		if slices.Contains(shards, o.Shard()) && o.To > from.Nanoseconds() && o.From > (from-injectionSlack).Nanoseconds() && o.From < to.Nanoseconds() {
			longest = max(longest, float64(o.To-o.From)/1e6)
		}
	}
	return longest
}

func secondsSince(start, at time.Time) *float64 {
	if at.IsZero() {
		return nil
	}
	s := at.Sub(start).Seconds()
	return &s
}

func millisecondsSince(start, at time.Time) *float64 {
	if at.IsZero() {
		return nil
	}
	ms := float64(at.Sub(start).Microseconds()) / 1000
	return &ms
}
