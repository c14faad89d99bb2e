package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

const flavorValkey = string(spec.FlavorValkey)

// migratesAtomically says whether a node moves whole slots by itself: Valkey from 9.0 on
// (https://valkey.io/topics/atomic-slot-migration/). The source then replicates
// the slots to the target and hands them over at one moment, with no ASK and no
// TRYAGAIN, and a key's size does not matter.
func (e *executor) migratesAtomically(name string) bool {
	s := e.stats[name]
	return s.Flavor == flavorValkey && compareVersions(s.Version, "9") >= 0
}

// migrateAtomically has the source move the slots, and waits. A move that was
// begun before goes on by itself when nobody waits for it any more, and is waited for here.
func (e *executor) migrateAtomically(ctx context.Context, s Step) error {
	source := e.f.client(s.Node)
	const attempts = 3
	var last error
	for range attempts {
		now, err := ownView(ctx, source)
		if err != nil {
			return err
		}
		rest := now.Slots.Intersect(s.Slots)
		if len(rest) == 0 {
			e.progress.add(e.log, s.Slots.Count())
			return nil
		}
		args := []any{"CLUSTER", "MIGRATESLOTS", "SLOTSRANGE"}
		for _, r := range rest {
			args = append(args, r.First, r.Last)
		}
		err = source.Do(ctx, append(args, "NODE", e.ids[s.Target])...).Err()
		if isReply(err, "manually migrated") {
			return &spec.Failure{Host: s.Node, Step: "move slots",
				Cause:  fmt.Sprintf("somebody else has begun to move slots key by key: %v", err),
				Advice: "Wait until it is done, or end it. Then apply again."}
		}
		if err != nil && !isReply(err, "already migrating") {
			return fmt.Errorf("have %s move slots: %w", s.Node, err)
		}
		if last, err = e.awaitMigrations(ctx, s.Node); err != nil {
			return err
		}
	}
	return fmt.Errorf("%s gave up moving slots to %s %d times: %w", s.Node, s.Target, attempts, last)
}

// awaitMigrations waits until a node moves no slots to others any more, and
// returns how the last of the moves ended: nil if it succeeded.
func (e *executor) awaitMigrations(ctx context.Context, name string) (ended, err error) {
	err = poll(ctx, syncTimeout, func(ctx context.Context) error {
		reply, err := e.f.client(name).Do(ctx, "CLUSTER", "GETSLOTMIGRATIONS").Slice()
		if err != nil {
			return err
		}
		ended = errors.New("it says nothing of the move")
		for i, job := range reply { // the newest comes first
			fields := stringFields(job)
			if fields["operation"] != "EXPORT" {
				continue
			}
			switch fields["state"] {
			case "success", "failed", "cancelled":
				if i == 0 {
					ended = nil
				}
				if i == 0 && fields["state"] != "success" {
					ended = fmt.Errorf("%s: %s", fields["state"], fields["message"])
				}
			default:
				return again(fmt.Errorf("%s is still moving slots (%s, %s left)", name, fields["state"], fields["remaining_repl_size"]))
			}
		}
		return nil
	})
	return ended, err
}

// stringFields reads a flat list of names and values.
func stringFields(reply any) map[string]string {
	fields := map[string]string{}
	list, _ := reply.([]any)
	for i := 0; i+1 < len(list); i += 2 {
		fields[strings.ToLower(fmt.Sprint(list[i]))] = fmt.Sprint(list[i+1])
	}
	return fields
}
