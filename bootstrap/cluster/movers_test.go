//go:build linux

package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/redis/go-redis/v9"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/cluster"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// TestRepairWhileRedisCLIMovesSlots applies while a redis-cli is at work, which is
// waited for, and while one rests that has a slot open, which is named: whatever
// it does when it goes on, no key is lost.
func TestRepairWhileRedisCLIMovesSlots(t *testing.T) {
	t.Parallel()
	p := newPatientOf(t, 0)
	cmd := p.reshard(0, 1)
	_, err := apply(t.Context(), t, p.d, spec.Auth{})
	var f *spec.Failure
	if err != nil && (!errors.As(err, &f) || f.Step != "move slots") { // on a busy machine it takes too long
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("redis-cli did not get to its end: %v", err)
	}
	mustApply(t, p.d, spec.Auth{})
	p.check()

	cmd = p.reshard(1, 2)
	p.Node(1).Await("stopped with an open slot", func() error {
		_ = cmd.Process.Signal(syscall.SIGSTOP)
		p.do(1, "PING") // which is answered after what redis-cli has sent
		if text := fmt.Sprint(p.do(1, "CLUSTER", "NODES")); !strings.Contains(text, "->-") {
			_ = cmd.Process.Signal(syscall.SIGCONT)
			return errors.New(text)
		}
		return nil
	})
	_, err = apply(t.Context(), t, p.d, spec.Auth{})
	if !errors.As(err, &f) || !strings.Contains(f.Advice, "CLIENT KILL") {
		t.Fatalf("got %v, want a refusal that names the client", err)
	}
	if addrs := p.others(); !slices.ContainsFunc(addrs, func(addr string) bool { return strings.Contains(f.Error(), addr) }) {
		t.Errorf("%v does not name one of %v", err, addrs)
	}
	_ = cmd.Process.Signal(syscall.SIGCONT)
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	mustApply(t, p.d, spec.Auth{})
	p.check()
}

// others are the addresses of the nodes' clients that are not of this process.
func (p *patient) others() (addrs []string) {
	for i := range p.Addrs() {
		for line := range strings.Lines(p.Node(i).Client().ClientList(p.t.Context()).Val()) {
			if strings.Contains(line, "cmd=cluster|setslot") || strings.Contains(line, "cmd=migrate") {
				_, rest, _ := strings.Cut(line, " addr=")
				addrs = append(addrs, strings.Fields(rest)[0])
			}
		}
	}
	return addrs
}

// TestRepairDropsNoCopyThatIsTheLast has somebody else move a key from its owner
// to where there is a copy of it, after the two were found to be equal and before
// the copy is deleted.
func TestRepairDropsNoCopyThatIsTheLast(t *testing.T) {
	t.Parallel()
	p := newPatientOf(t, 0)
	slot, keys := p.slotOf(0)
	p.do(1, "CLUSTER", "SETSLOT", slot, "IMPORTING", p.id(0))
	p.migrate(0, 1, []any{"COPY"}, keys...)
	p.rest()
	fleet, err := cluster.NewFleet(p.d.Nodes, spec.Auth{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = fleet.Close() }()
	moved := false
	move := sync.OnceFunc(func() {
		moved = true
		p.migrate(0, 1, []any{"REPLACE"}, keys[0])
	})
	fleet.AddHooks(func(node string) redis.Hook { return interloper{node == p.d.Nodes[1].Name, keys[0], move} })
	if _, err := cluster.Apply(t.Context(), hclog.NewNullLogger(), fleet, p.d); err != nil {
		t.Fatal(err)
	}
	if !moved {
		t.Error("no copy was deleted")
	}
	mustApply(t, p.d, spec.Auth{})
	p.check()
}

// interloper does something before a key is deleted on a node.
type interloper struct {
	there bool
	key   string
	do    func()
}

// DialHook implements redis.Hook.
func (i interloper) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook implements redis.Hook.
func (i interloper) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

// ProcessPipelineHook implements redis.Hook.
func (i interloper) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if i.there && slices.ContainsFunc(cmds, func(cmd redis.Cmder) bool { return cmd.Name() == "del" && slices.Contains(cmd.Args(), any(i.key)) }) {
			i.do()
		}
		return next(ctx, cmds)
	}
}
