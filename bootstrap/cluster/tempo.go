package cluster

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"sync"

	"github.com/redis/go-redis/v9"
)

// tempo makes a cluster form quickly: while it does, nodes ping each other often
// and replicas are served at once. What is changed is put back.
//
// The reasons are in Redis's cluster.c and replication.c: nodes ping a peer when
// its last pong is half a cluster-node-timeout old; a primary that was in a
// minority turns ok only min(max(timeout, 500), 5000) ms after it stopped being
// one; a diskless sync waits repl-diskless-sync-delay seconds for other replicas.
type tempo struct {
	f  *Fleet
	mu sync.Mutex
	// before has what each node had, by node and parameter.
	before map[string]map[string]string
}

// The parameters that forming changes. Failovers are off meanwhile, because a
// busy machine answers late, and late is failed with a timeout this short.
const (
	nodeTimeout = "cluster-node-timeout"
	syncDelay   = "repl-diskless-sync-delay"
	noFailover  = "cluster-replica-no-failover"
)

// A forming timeout ends in markTimeout ms, which nobody would choose: a node
// whose forming was killed is recognised by it and gets the server's defaults
// back. 501 is also the least that is of use, because of the 500 ms above.
const markTimeout = 501

// serverDefaults are what Redis and Valkey set where redis.conf says nothing.
func serverDefaults() map[string]string {
	return map[string]string{nodeTimeout: "15000", syncDelay: "5", noFailover: "no"}
}

// formingParameters are set while forming.
func formingParameters(timeoutMS int) map[string]string {
	return map[string]string{
		nodeTimeout: strconv.Itoa(timeoutMS),
		syncDelay:   "0",
		noFailover:  "yes",
	}
}

// formingTimeout is the node timeout that n nodes can take while they form, when
// at most perHost of them share a host. Each node pings all others every half
// timeout, so a host sends and gets n·perHost pings in it; 36,000 a second is
// what two cores did (300 processes on one machine with a timeout of 5000).
func formingTimeout(n, perHost int) int {
	const pingsPerMS = 36
	return n*perHost*2/pingsPerMS/1000*1000 + markTimeout
}

// isForming says whether a node timeout is one that only forming sets.
func isForming(timeoutMS int) bool { return timeoutMS%1000 == markTimeout }

func newTempo(f *Fleet) *tempo { return &tempo{f: f, before: map[string]map[string]string{}} }

// quicken sets the forming parameters on the nodes that serve nobody yet. A
// parameter that a server does not know, or that is quicker already, is left as it is.
func (t *tempo) quicken(ctx context.Context, o Observed, steps []Step) error {
	perHost := map[string]int{}
	most := 0
	for _, n := range t.f.nodes {
		perHost[n.Host]++
		most = max(most, perHost[n.Host])
	}
	wanted := formingParameters(formingTimeout(len(t.f.nodes), most))
	return each(ctx, idle(o, steps), func(ctx context.Context, name string) error {
		before, err := t.read(ctx, name, slices.Sorted(maps.Keys(wanted)))
		if err != nil {
			return err
		}
		maps.DeleteFunc(before, func(parameter, now string) bool { return !quicker(wanted[parameter], now) })
		t.remember(name, before)
		return t.set(ctx, name, before, wanted)
	})
}

// hasten has primaries begin a full sync at once instead of waiting for other
// replicas. Unlike the other parameters it may change while a node serves.
func (t *tempo) hasten(ctx context.Context, names []string) error {
	wanted := map[string]string{syncDelay: "0"}
	return each(ctx, names, func(ctx context.Context, name string) error {
		before, err := t.read(ctx, name, []string{syncDelay})
		if err != nil {
			return err
		}
		t.remember(name, before)
		return t.set(ctx, name, before, wanted)
	})
}

// idle are the nodes whose parameters nobody depends on: all, if the cluster
// serves nobody; otherwise the blank ones and those that become blank.
func idle(o Observed, steps []Step) []string {
	members := o.reachable()
	serving := slices.ContainsFunc(members, func(m *Member) bool { return m.StateOK })
	var names []string
	for _, m := range members {
		reset := slices.ContainsFunc(steps, func(s Step) bool { return s.Kind == Reset && s.Node == m.Node.Name })
		if !serving || m.Blank() || reset {
			names = append(names, m.Node.Name)
		}
	}
	return names
}

func quicker(wanted, now string) bool {
	w, err1 := strconv.Atoi(wanted)
	n, err2 := strconv.Atoi(now)
	if err1 != nil || err2 != nil {
		return wanted != now
	}
	return w < n
}

// read gets those of the parameters that the node's server knows.
func (t *tempo) read(ctx context.Context, name string, parameters []string) (map[string]string, error) {
	gets := make([]*redis.MapStringStringCmd, len(parameters))
	_, err := t.f.client(name).Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, parameter := range parameters {
			gets[i] = p.ConfigGet(ctx, parameter)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	values := map[string]string{}
	for _, get := range gets {
		maps.Copy(values, get.Val())
	}
	return values, nil
}

// set sets those parameters that are in only to their values.
func (t *tempo) set(ctx context.Context, name string, only, values map[string]string) error {
	if len(only) == 0 {
		return nil
	}
	_, err := t.f.client(name).Pipelined(ctx, func(p redis.Pipeliner) error {
		for parameter := range only {
			p.ConfigSet(ctx, parameter, values[parameter])
		}
		return nil
	})
	return err
}

// restore puts back what was changed. It is called with a context of its own, so
// that it still happens when the caller's was cancelled.
func (t *tempo) restore(ctx context.Context) error {
	return t.putBack(ctx, func(string) bool { return true })
}

// slacken puts back what was changed but for the speed of syncs: nodes are about
// to get slots, and must not take a busy moment for the loss of the others.
func (t *tempo) slacken(ctx context.Context) error {
	return t.putBack(ctx, func(parameter string) bool { return parameter != syncDelay })
}

// putBack sets those of the changed parameters back.
func (t *tempo) putBack(ctx context.Context, which func(parameter string) bool) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return each(ctx, slices.Collect(maps.Keys(t.before)), func(ctx context.Context, name string) error {
		values := maps.Clone(t.before[name])
		maps.DeleteFunc(values, func(parameter, _ string) bool { return !which(parameter) })
		return t.set(ctx, name, values, values)
	})
}

// mend has restore put the defaults back on nodes whose forming was killed before it could.
func (t *tempo) mend(o Observed) {
	for _, m := range o.reachable() {
		if isForming(m.Stats.NodeTimeout) {
			t.remember(m.Node.Name, serverDefaults())
		}
	}
}

// remember keeps what was there first.
func (t *tempo) remember(name string, before map[string]string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.before[name] == nil {
		t.before[name] = map[string]string{}
	}
	for parameter, value := range before {
		if _, known := t.before[name][parameter]; !known {
			t.before[name][parameter] = value
		}
	}
}
