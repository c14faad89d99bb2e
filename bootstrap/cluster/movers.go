package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// A mover is a client of a node, not of this process, whose last command moved
// slots or keys: redis-cli --cluster reshard, a person, or an apply before this one.
type mover struct {
	id, addr, name, command string
	idle                    time.Duration
}

const (
	// moversTimeout bounds waiting for somebody else who moves slots.
	moversTimeout = 10 * time.Second
	// moverPause is longer than one who moves slots lets a node rest.
	moverPause = 3 * time.Second
)

// awaitMovers waits until nobody else moves slots, and says whether it had to.
// Two who move slots at once undo each other's work, and where both give a slot
// away its keys are lost; the servers do not prevent that. Where a slot is open,
// one who may have opened it and is still connected may go on at any time.
func (e *executor) awaitMovers(ctx context.Context, o Observed, steps []Step) (waited bool, err error) {
	if !slices.ContainsFunc(steps, needsOneOwner) {
		return false, nil
	}
	var primaries []string
	open := false
	for _, m := range o.reachable() {
		if m.PrimaryID == "" {
			primaries = append(primaries, m.Node.Name)
		}
		open = open || len(m.Migrating) > 0 || len(m.Importing) > 0
	}
	var busy *spec.Failure
	err = poll(ctx, moversTimeout, func(ctx context.Context) error {
		var mu sync.Mutex
		busy = nil
		if err := each(ctx, primaries, func(ctx context.Context, name string) error {
			movers, err := e.movers(ctx, name)
			for _, m := range movers {
				if open || m.idle < moverPause {
					mu.Lock()
					defer mu.Unlock()
					busy, waited = m.refusal(name), true
					break
				}
			}
			return err
		}); err != nil || busy == nil {
			return err
		}
		return again(errors.New(busy.Cause))
	})
	if err != nil && busy != nil && ctx.Err() == nil {
		return waited, busy
	}
	return waited, err
}

func (m mover) refusal(node string) *spec.Failure {
	return &spec.Failure{Host: node, Step: "move slots",
		Cause:  fmt.Sprintf("somebody else moves slots: the client at %s is connected to %s and sent %s %s ago", m.addr, node, m.command, m.idle),
		Advice: fmt.Sprintf("Wait until it is done, or end it. If it is gone and only its connection was left behind, drop that (redis-cli, on %s: CLIENT KILL ADDR %s). Then apply again.", node, m.addr)}
}

// movers are those that are connected to a node. An apply before this one is not
// among them: its connections are dropped, which ends it if it still runs. They
// stay behind for minutes where its host is gone.
func (e *executor) movers(ctx context.Context, name string) ([]mover, error) {
	c := e.f.client(name)
	list, err := c.ClientList(ctx).Result()
	if isReply(err, "") {
		return nil, nil // the command is not ours to call
	}
	if err != nil {
		return nil, err
	}
	var others []mover
	for _, m := range parseMovers(list) {
		switch {
		case m.name == e.f.clientName:
		case strings.HasPrefix(m.name, clientPrefix):
			if err := c.ClientKillByFilter(ctx, "ID", m.id).Err(); err != nil && !isReply(err, "") {
				return nil, err
			}
		default:
			others = append(others, m)
		}
	}
	return others, nil
}

// parseMovers finds those in the reply of CLIENT LIST
// (https://redis.io/docs/latest/commands/client-list/) that move slots. Before
// Redis 7.0 it does not tell SETSLOT from other commands for the cluster.
func parseMovers(list string) (movers []mover) {
	for line := range strings.Lines(list) {
		fields := map[string]string{}
		for field := range strings.FieldsSeq(line) {
			name, value, _ := strings.Cut(field, "=")
			fields[name] = value
		}
		if command := fields["cmd"]; command == "migrate" || command == "cluster|setslot" {
			idle, _ := strconv.Atoi(fields["idle"]) // in s; absent is 0
			movers = append(movers, mover{fields["id"], fields["addr"], fields["name"],
				strings.ToUpper(strings.ReplaceAll(command, "|", " ")), time.Duration(idle) * time.Second})
		}
	}
	return movers
}

// clientPrefix is what the names of our connections begin with.
const clientPrefix = "redis-bootstrap-"

// introduceItself gives a connection its name, which tells it from others'. A
// user who may not do that goes without.
func (f *Fleet) introduceItself(ctx context.Context, c *redis.Conn) error {
	_ = c.ClientSetName(ctx, f.clientName).Err()
	return nil
}
