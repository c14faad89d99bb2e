package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// Observe asks all nodes at once. Nodes that do not answer are in the result too, with the reason.
func Observe(ctx context.Context, f *Fleet) Observed { return observeNodes(ctx, f, f.names()) }

func observeNodes(ctx context.Context, f *Fleet, names []string) Observed {
	members := make([]Member, len(names))
	var group errgroup.Group
	for i, name := range names {
		group.Go(func() error {
			members[i] = observe(ctx, f.client(name), f.node(name))
			return nil // an error stands in the member
		})
	}
	_ = group.Wait()
	o := Observed{Members: members}
	findOrphans(ctx, f, &o)
	return o
}

// findOrphans looks for keys in slots that have lost their owner, whose holders
// are the ones to own them, and for those of members that have lost all their
// slots. Blank nodes have no keys, so that forming does not pay for it.
func findOrphans(ctx context.Context, f *Fleet, o *Observed) {
	unowned := o.unowned()
	var group errgroup.Group
	for _, m := range o.reachable() {
		asked := unowned
		if len(m.Slots) == 0 && len(m.Peers) > 0 {
			asked = AllSlots()
		}
		if m.Keys == 0 || m.PrimaryID != "" || len(asked) == 0 {
			continue
		}
		group.Go(func() error {
			if held, err := keysIn(ctx, f.client(m.Node.Name), asked); err != nil {
				*m = Member{Node: m.Node, Err: err}
			} else {
				m.Orphans, m.Strays = held.Intersect(unowned), held.Minus(unowned)
			}
			return nil // an error stands in the member
		})
	}
	_ = group.Wait()
}

// Discover is Observe, and asks the members too that the nodes name.
func Discover(ctx context.Context, f *Fleet) Observed {
	for {
		o := Observe(ctx, f)
		grown := false
		for _, m := range o.reachable() {
			for _, p := range m.Peers {
				if p.Has("noaddr") || !p.Settled() || strings.HasPrefix(p.Addr, ":") {
					continue
				}
				if !slices.ContainsFunc(f.nodes, func(n spec.Node) bool { return n.Addr() == p.Addr }) {
					f.add(nodeAt(p))
					grown = true
				}
			}
		}
		if !grown {
			return o
		}
	}
}

func nodeAt(p Peer) spec.Node {
	colon := strings.LastIndexByte(p.Addr, ':')
	port, _ := strconv.Atoi(p.Addr[colon+1:]) // parseAddr has joined it from a reply of Redis
	host := strings.Trim(p.Addr[:colon], "[]")
	return spec.Node{Name: p.Addr, Address: host, Port: port, BusPort: p.BusPort, Host: host}
}

// errLoading says that a node reads its data into memory, which takes as long as it takes.
var errLoading = errors.New("still loads its data")

func observe(ctx context.Context, c *redis.Client, n spec.Node) Member {
	m := Member{Node: n}
	var nodes, clusterInfo, info *redis.StringCmd
	var size *redis.IntCmd
	var timeout *redis.MapStringStringCmd
	_, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
		nodes, clusterInfo, info, size = p.ClusterNodes(ctx), p.ClusterInfo(ctx), p.Info(ctx), p.DBSize(ctx)
		timeout = p.ConfigGet(ctx, nodeTimeout)
		return nil
	})
	if isReply(err, "LOADING") {
		m.Err = errLoading
		return m
	}
	if err == nil {
		err = errors.Join(m.readNodes(nodes.Val()), m.readClusterInfo(clusterInfo.Val()))
	}
	if err != nil {
		m = Member{Node: n, Err: explain(err)}
		return m
	}
	m.Keys = size.Val()
	m.readInfo(parseInfo(info.Val()))
	m.Stats.NodeTimeout, _ = strconv.Atoi(timeout.Val()[nodeTimeout]) // 0 where CONFIG is renamed
	return m
}

// explain says in our words what some of the server's refusals mean.
func explain(err error) error {
	switch {
	case isReply(err, "cluster support disabled"):
		return errors.New("it is no cluster node: start it with cluster-enabled yes")
	case isReply(err, "NOAUTH"):
		return errors.New("it wants a password, and none was given")
	case isReply(err, "WRONGPASS"):
		return errors.New("it refuses the password")
	case isReply(err, "DENIED"):
		return errors.New("it is in protected mode and accepts only connections from its own host: give it a password, or allow clients without one")
	}
	return err
}

// ownView is what a node says now of itself and of its peers.
func ownView(ctx context.Context, c *redis.Client) (m Member, err error) {
	text, err := c.ClusterNodes(ctx).Result()
	if err == nil {
		err = m.readNodes(text)
	}
	return m, err
}

func (m *Member) readNodes(text string) error {
	peers, err := ParseNodes(text)
	if err != nil {
		return err
	}
	for i, p := range peers {
		if !p.Has("myself") {
			continue
		}
		m.ID, m.PrimaryID, m.Slots, m.ConfigEpoch = p.ID, p.PrimaryID, p.Slots, p.ConfigEpoch
		m.BusPort = p.BusPort
		m.Migrating, m.Importing = p.Migrating, p.Importing
		if p.PrimaryID != "" {
			m.ConfigEpoch = 0 // a replica shows its primary's
		}
		m.Peers = slices.Delete(peers, i, i+1)
		slices.SortFunc(m.Peers, func(a, b Peer) int { return cmp.Compare(a.ID, b.ID) })
		return nil
	}
	return errors.New("CLUSTER NODES has no line for the node itself")
}

func (m *Member) readClusterInfo(text string) error {
	info := parseInfo(text)
	var err error
	if m.CurrentEpoch, err = strconv.ParseInt(info["cluster_current_epoch"], 10, 64); err != nil {
		return fmt.Errorf("CLUSTER INFO: cluster_current_epoch: %w", err)
	}
	m.StateOK = info["cluster_state"] == "ok"
	return nil
}

func (m *Member) readInfo(info map[string]string) {
	m.LinkUp = info["master_link_status"] == "up"
	number := func(name string) int64 {
		n, _ := strconv.ParseInt(info[name], 10, 64) // a field that a flavor lacks counts as 0
		return n
	}
	m.Stats = Stats{Version: info["redis_version"], Flavor: string(spec.FlavorRedis),
		UsedMemory: number("used_memory"), Dataset: number("used_memory_dataset"), Uptime: number("uptime_in_seconds"), ReplOffset: number("master_repl_offset")}
	if v := info["valkey_version"]; v != "" {
		m.Stats.Version, m.Stats.Flavor = v, string(spec.FlavorValkey)
	}
}

// parseInfo reads the "name:value" lines of INFO and CLUSTER INFO.
func parseInfo(text string) map[string]string {
	info := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			info[name] = value
		}
	}
	return info
}
