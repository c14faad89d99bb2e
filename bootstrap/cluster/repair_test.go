//go:build linux

package cluster_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/cluster"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/clustertest"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// patient is a cluster of three shards with keys, to be damaged and repaired.
// Nodes 0 to 2 are its primaries, in the order of their slots.
type patient struct {
	*clustertest.Cluster
	t      *testing.T
	d      cluster.Desired
	client *redis.ClusterClient
}

const patientKeys = 20_000

func newPatient(t *testing.T) *patient { return newPatientOf(t, 1) }

func newPatientOf(t *testing.T, replicas int) *patient {
	c := clustertest.Start(t, 3+3*replicas, clustertest.Restart(), clustertest.Directive("appendonly", "yes"), clustertest.Directive("appendfsync", "no"))
	p := &patient{Cluster: c, t: t, d: cluster.Desired{Nodes: specNodes(t, c.Addrs()), ReplicasPerShard: replicas}}
	mustApply(t, p.d, spec.Auth{})
	p.client = c.NewClient()
	fill(t, p.client, patientKeys)
	return p
}

// do sends a command to node i.
func (p *patient) do(i int, args ...any) any {
	p.t.Helper()
	reply, err := p.Node(i).Client().Do(p.t.Context(), args...).Result()
	if err != nil {
		p.t.Fatalf("n%d: %v: %v", i, args, err)
	}
	return reply
}

func (p *patient) id(i int) any { return p.do(i, "CLUSTER", "MYID") }

// slotOf is a slot of node i with at least one key, and those keys.
func (p *patient) slotOf(i int) (slot int, keys []string) {
	p.t.Helper()
	bySlot := map[int][]string{}
	for k := range patientKeys {
		key := fmt.Sprintf("key:%d", k)
		bySlot[spec.Slot(key)] = append(bySlot[spec.Slot(key)], key)
	}
	mine, err := p.Node(i).Client().ClusterNodes(p.t.Context()).Result()
	if err != nil {
		p.t.Fatal(err)
	}
	peers, err := cluster.ParseNodes(mine)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, peer := range peers {
		if !peer.Has("myself") {
			continue
		}
		for slot := range peer.Slots.All {
			if len(bySlot[slot]) >= 2 {
				return slot, bySlot[slot]
			}
		}
	}
	p.t.Fatalf("n%d has no slot with two keys", i)
	return 0, nil
}

// rest has our connections do something else than what the damage was done with:
// one who is about to go on with it is waited for.
func (p *patient) rest() {
	for i := range p.Addrs() {
		p.do(i, "PING")
	}
}

// primaries are the indexes of three nodes that are primaries now.
func (p *patient) primaries() (at []int) {
	for i := range p.Addrs() {
		if strings.Contains(p.Node(i).Client().Info(p.t.Context(), "replication").Val(), "role:master") {
			at = append(at, i)
		}
	}
	return at
}

// replicaNot is a replica of another primary than node i.
func (p *patient) replicaNot(primary int) int {
	for i := range p.Addrs() {
		text := p.Node(i).Client().ClusterNodes(p.t.Context()).Val()
		for line := range strings.Lines(text) {
			if strings.Contains(line, "myself,slave") && !strings.Contains(line, fmt.Sprint(p.id(primary))) {
				return i
			}
		}
	}
	p.t.Fatal("no replica")
	return 0
}

// replicaOf is a replica of node primary.
func (p *patient) replicaOf(primary int) int {
	for i := range p.Addrs() {
		if strings.Contains(p.Node(i).Client().ClusterNodes(p.t.Context()).Val(), fmt.Sprintf("myself,slave %s ", p.id(primary))) {
			return i
		}
	}
	p.t.Fatalf("n%d has no replica", primary)
	return 0
}

func (p *patient) observe() cluster.Observed {
	fleet, err := cluster.NewFleet(p.d.Nodes, spec.Auth{}, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = fleet.Close() }()
	return cluster.Observe(p.t.Context(), fleet)
}

func (p *patient) migrate(from, to int, flags []any, keys ...string) {
	p.t.Helper()
	args := append([]any{"MIGRATE", "127.0.0.1", p.Node(to).Port(), "", 0, 5000}, flags...)
	args = append(args, "KEYS")
	for _, key := range keys {
		args = append(args, key)
	}
	p.do(from, args...)
}

// TestRepair damages one cluster in one way after the other, as interrupted
// tools and people do, and applies: it is whole again, with every key.
func TestRepair(t *testing.T) {
	t.Parallel()
	p := newPatient(t)
	var a, b int // the primaries that the damage is done to
	var slot int
	var keys []string
	open := func() {
		p.do(b, "CLUSTER", "SETSLOT", slot, "IMPORTING", p.id(a))
		p.do(a, "CLUSTER", "SETSLOT", slot, "MIGRATING", p.id(b))
	}
	for _, damage := range []struct {
		name string
		do   func()
		// mend, if set, is what a person has to do after a refusal that names the key.
		mend func()
	}{
		{name: "a move cut off halfway", do: func() {
			open()
			p.migrate(a, b, nil, keys[0])
		}},
		{name: "a move that only the source remembers", do: func() {
			open()
			p.migrate(a, b, nil, keys[0])
			p.do(b, "CLUSTER", "SETSLOT", slot, "STABLE")
		}},
		{name: "a move that only the target remembers, before any key", do: func() {
			p.do(b, "CLUSTER", "SETSLOT", slot, "IMPORTING", p.id(a))
		}},
		{name: "a move that only the target remembers, with keys", do: func() {
			open()
			p.migrate(a, b, nil, keys[0])
			p.do(a, "CLUSTER", "SETSLOT", slot, "STABLE")
		}},
		{name: "moves to a node one of whose sources died", do: func() { p.loseSource(a, b, slot, keys[0]) }},
		{name: "a key and its copy", do: func() {
			p.do(b, "CLUSTER", "SETSLOT", slot, "IMPORTING", p.id(a))
			p.migrate(a, b, []any{"COPY"}, keys...)
		}},
		{
			name: "a key with two values",
			do: func() {
				p.do(b, "CLUSTER", "SETSLOT", slot, "IMPORTING", p.id(a))
				p.migrate(a, b, []any{"COPY"}, keys...)
				p.asking(b, "SET", keys[0], "another value")
			},
			mend: func() {
				if got := p.Node(a).Client().Get(t.Context(), keys[0]).Val(); got == "" || got == "another value" {
					t.Errorf("the owner's %s is now %q", keys[0], got)
				}
				if got := p.asking(b, "GET", keys[0]); got != "another value" {
					t.Errorf("the copy of %s is now %v", keys[0], got)
				}
				p.asking(b, "DEL", keys[0])
			},
		},
		{name: "slots whose old owner has not heard of the new one", do: func() { p.handOverInSilence(a, b) }},
		{name: "slots that their owner gave up", do: func() {
			p.do(a, "CLUSTER", "DELSLOTS", slot, slot+1, slot+2)
		}},
		{name: "slots that everybody gave up", do: func() {
			for _, i := range p.primaries() {
				p.do(i, "CLUSTER", "DELSLOTS", slot, slot+1, slot+2)
			}
		}},
		{name: "an owner that only some believe", do: func() {
			for _, i := range p.primaries() {
				if i != a && i != b {
					p.do(i, "CLUSTER", "SETSLOT", slot, "NODE", p.id(b))
				}
			}
		}},
		{name: "an address nobody is at", do: func() {
			p.do(a, "CLUSTER", "MEET", "127.0.0.1", 1)
		}},
		{name: "nodes that forgot each other", do: func() {
			p.do(a, "CLUSTER", "FORGET", p.id(b))
			p.do(b, "CLUSTER", "FORGET", p.id(a))
		}},
		{name: "a replica that was reset", do: func() {
			p.do(p.replicaNot(a), "CLUSTER", "RESET")
		}},
		{name: "a replica that was reset hard", do: func() {
			p.do(p.replicaNot(a), "CLUSTER", "RESET", "HARD")
		}},
		{name: "a replica that was attached elsewhere", do: func() {
			p.do(p.replicaNot(a), "CLUSTER", "REPLICATE", p.id(a))
		}},
		{name: "a reshard by redis-cli that was killed", do: func() { p.killReshard(a, b) }},
		{name: "a replica that came back as a stranger", do: func() {
			i := p.replicaNot(a)
			p.Node(i).Kill()
			p.Node(i).Wipe()
			p.Node(i).Start()
			p.Node(a).Await("aware of the stranger", func() error { // who has the address of the one it knew
				if text := p.Node(a).Client().ClusterNodes(t.Context()).Val(); !strings.Contains(text, "noaddr") && !strings.Contains(text, "fail") {
					return errors.New(text)
				}
				return nil
			})
		}},
		{name: "a primary that was away while another took over", do: func() {
			p.Node(a).Pause()
			awaitSuccessor(t, p.Cluster, a, len(p.Addrs()))
			p.Node(a).Resume()
		}},
		{name: "a split of which both halves took writes", do: func() { p.split(a, keys[0], keys[1], "") }},
		{
			name: "a split of which both halves wrote a key",
			do:   func() { p.split(a, keys[0], keys[1], keys[0]) },
			mend: func() { p.do(a, "DEL", keys[0]) },
		},
		{name: "addresses that changed", do: func() { p.moveAddresses() }},
	} {
		t.Run(damage.name, func(t *testing.T) {
			p.t = t
			at := p.primaries()
			a, b = at[0], at[1]
			slot, keys = p.slotOf(a)
			damage.do()
			p.rest()
			if damage.mend != nil {
				_, err := apply(t.Context(), t, p.d, spec.Auth{})
				var f *spec.Failure
				if !errors.As(err, &f) {
					t.Fatalf("got %v, want a refusal", err)
				}
				if !strings.Contains(f.Error(), keys[0]) || f.Advice == "" {
					t.Errorf("%q does not name %q, or does not say what to do", f.Error(), keys[0])
				}
				damage.mend()
				p.rest()
			}
			start := time.Now()
			mustApply(t, p.d, spec.Auth{})
			t.Logf("repaired in %s", time.Since(start).Round(time.Millisecond))
			p.check()
		})
		if t.Failed() {
			return
		}
	}
}

// loseSource has node a die while slots move from there to b, and come back when
// its replica has taken over. To b the slots are nobody's then, since nobody tells
// it of slots that it imports: it serves nothing any more, and moves to it from
// elsewhere wait for that.
func (p *patient) loseSource(a, b, slot int, key string) {
	p.t.Helper()
	other := 0
	for _, i := range p.primaries() {
		if i != a && i != b {
			other = i
		}
	}
	open := func(from, slot int) {
		p.do(b, "CLUSTER", "SETSLOT", slot, "IMPORTING", p.id(from))
		p.do(from, "CLUSTER", "SETSLOT", slot, "MIGRATING", p.id(b))
	}
	elsewhere, _ := p.slotOf(other)
	open(other, elsewhere)
	for i := range 3 {
		open(a, slot+i)
	}
	p.migrate(a, b, nil, key)
	id, heir := p.id(a), p.Node(p.replicaOf(a))
	p.Node(a).Kill()
	heir.Await("the successor", func() error {
		if role := heir.Client().Info(p.t.Context(), "replication").Val(); !strings.Contains(role, "role:master") {
			return errors.New(role)
		}
		return nil
	})
	p.Node(a).Start()
	p.Node(b).Await("without an owner of what it imports", func() error {
		text := p.Node(b).Client().ClusterNodes(p.t.Context()).Val()
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, fmt.Sprint(id)) && strings.Contains(line, "slave") {
				return nil
			}
		}
		return errors.New(text)
	})
}

// handOverInSilence moves slots with their keys, and ends before the source is
// told. The target claims them with a new epoch, and that comes to the source with its next ping only.
func (p *patient) handOverInSilence(from, to int) {
	p.t.Helper()
	p.do(to, "CLUSTER", "BUMPEPOCH")
	slots, _ := p.slots(from).TakeFirst(30)
	for slot := range slots.All {
		p.do(to, "CLUSTER", "SETSLOT", slot, "IMPORTING", p.id(from))
		p.do(from, "CLUSTER", "SETSLOT", slot, "MIGRATING", p.id(to))
		p.Node(from).Await("rid of a slot's keys", func() error {
			source := p.Node(from).Client()
			keys := source.ClusterGetKeysInSlot(p.t.Context(), slot, 100).Val()
			if len(keys) == 0 {
				return nil
			}
			args := []any{"MIGRATE", "127.0.0.1", p.Node(to).Port(), "", 0, 5000, "KEYS"}
			for _, key := range keys {
				args = append(args, key)
			}
			return source.Do(p.t.Context(), args...).Err() // a busy machine's cluster may be down for a moment
		})
		p.do(to, "CLUSTER", "SETSLOT", slot, "STABLE") // nothing is said of slots that it does not import
	}
	for slot := range slots.All {
		p.do(to, "CLUSTER", "SETSLOT", slot, "NODE", p.id(to))
	}
}

// split has node a's replica be made the primary where nobody knows it, as by
// hand in the lesser half of a partition. Then both take writes: mine is written
// in its shard on a only, theirs on the other only, and both, if set, on both.
func (p *patient) split(a int, mine, theirs, both string) {
	p.t.Helper()
	b := p.replicaOf(a)
	for _, key := range []string{mine, theirs} {
		p.do(a, "DEL", key)
	}
	p.Node(b).Await("without the keys", func() error {
		if had, has := p.do(a, "DBSIZE"), p.do(b, "DBSIZE"); had != has {
			return fmt.Errorf("it has %v keys, and its primary %v", has, had)
		}
		return nil
	})
	for i := range p.Addrs() {
		if i != b {
			p.do(i, "CLUSTER", "FORGET", p.id(b))
		}
	}
	p.do(b, "CLUSTER", "FAILOVER", "TAKEOVER")
	value := func(key string) string { return strings.TrimPrefix(key, "key:") }
	p.do(a, "SET", mine, value(mine))
	p.do(b, "SET", theirs, value(theirs))
	if both != "" {
		p.do(a, "SET", both, "another value")
		p.do(b, "SET", both, value(both))
	}
	problems := strings.Join(cluster.Problems(p.observe(), 1), "\n")
	if !strings.Contains(problems, "the cluster is split") {
		p.t.Errorf("the split is not among the problems:\n%s", problems)
	}
}

// killReshard has redis-cli move slots from one node to the other, and kills it halfway.
func (p *patient) killReshard(from, to int) {
	p.t.Helper()
	cmd := p.reshard(from, to)
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
}

// reshard has redis-cli move slots from one node to the other, and returns when it has begun.
func (p *patient) reshard(from, to int) *exec.Cmd {
	p.t.Helper()
	before := p.slots(from).Count()
	cmd := exec.CommandContext(p.t.Context(), "redis-cli", "--cluster", "reshard", p.Node(from).Addr(), "--cluster-from", fmt.Sprint(p.id(from)),
		"--cluster-to", fmt.Sprint(p.id(to)), "--cluster-slots", "2000", "--cluster-pipeline", "1", "--cluster-yes")
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.Node(from).Await("moving slots", func() error {
		if left := p.slots(from).Count(); left > before-20 {
			return fmt.Errorf("%d of %d slots are left", left, before)
		}
		return nil
	})
	return cmd
}

// check looks for every key, where it belongs and nowhere else.
func (p *patient) check() {
	p.t.Helper()
	p.client.ReloadState(p.t.Context())
	checkFilled(p.t, p.client, patientKeys)
	if total := p.keys(); total != patientKeys {
		p.t.Errorf("the primaries hold %d keys, want %d", total, patientKeys)
	}
}

func (p *patient) asking(i int, args ...any) any {
	p.t.Helper()
	var last *redis.Cmd
	if _, err := p.Node(i).Client().Pipelined(p.t.Context(), func(pipe redis.Pipeliner) error {
		pipe.Do(p.t.Context(), "ASKING")
		last = pipe.Do(p.t.Context(), args...)
		return nil
	}); err != nil {
		p.t.Fatal(err)
	}
	return last.Val()
}

func (p *patient) keys() (total int64) {
	for _, i := range p.primaries() {
		total += p.Node(i).Client().DBSize(p.t.Context()).Val()
	}
	return total
}

// moveAddresses stops all nodes and has each remember the others at ports where
// nobody is, as if all hosts had got new addresses.
func (p *patient) moveAddresses() {
	p.t.Helper()
	for i := range p.Addrs() {
		p.Node(i).Stop()
	}
	for i := range p.Addrs() {
		file := filepath.Join(p.Node(i).Dir(), "nodes.conf")
		text, err := os.ReadFile(file)
		if err != nil {
			p.t.Fatal(err)
		}
		moved := string(text)
		for j := range p.Addrs() {
			if j != i {
				moved = strings.ReplaceAll(moved, fmt.Sprintf("127.0.0.1:%d@%d", p.Node(j).Port(), p.Node(j).Port()+10000), fmt.Sprintf("127.0.0.2:%d@%d", 2+j, 102+j))
			}
		}
		if err := os.WriteFile(file, []byte(moved), 0o600); err != nil {
			p.t.Fatal(err)
		}
	}
	for i := range p.Addrs() {
		p.Node(i).Start()
	}
}

// TestRepairEqualEpochs joins primaries that were all given the same epoch.
func TestRepairEqualEpochs(t *testing.T) {
	t.Parallel()
	c := clustertest.Start(t, 3)
	for i, slots := range [][2]int{{0, 5460}, {5461, 10922}, {10923, 16383}} {
		client := c.Node(i).Client()
		if err := client.Do(t.Context(), "CLUSTER", "SET-CONFIG-EPOCH", 7).Err(); err != nil {
			t.Fatal(err)
		}
		if err := client.ClusterAddSlotsRange(t.Context(), slots[0], slots[1]).Err(); err != nil {
			t.Fatal(err)
		}
	}
	mustApply(t, cluster.Desired{Nodes: specNodes(t, c.Addrs())}, spec.Auth{})
}
