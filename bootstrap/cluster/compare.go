package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"
)

// comparison is what came of comparing a key on two nodes.
type comparison int

const (
	// onOne is for a key that one of them, at most, has.
	onOne comparison = iota
	same
	different
)

// compareKeys compares what two nodes have under each of the keys.
func compareKeys(ctx context.Context, a, b *redis.Client, keys []string) ([]comparison, error) {
	mine, err := dumps(ctx, a, keys)
	if err != nil {
		return nil, err
	}
	theirs, err := dumps(ctx, b, keys)
	if err != nil {
		return nil, err
	}
	compared := make([]comparison, len(keys))
	for i, key := range keys {
		switch {
		case mine[i] == "" || theirs[i] == "":
		case mine[i] == theirs[i]:
			compared[i] = same
		default:
			if compared[i], err = compareUnordered(ctx, a, b, key); err != nil {
				return nil, err
			}
		}
	}
	return compared, nil
}

// dumps are the keys' serialized values, "" for keys that are not there.
func dumps(ctx context.Context, c *redis.Client, keys []string) ([]string, error) {
	replies := make([]*redis.StringCmd, len(keys))
	_, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, key := range keys {
			p.Do(ctx, "ASKING") // it may have given the slot up
			replies[i] = p.Dump(ctx, key)
		}
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, err
	}
	values := make([]string, len(keys))
	for i, reply := range replies {
		if err := reply.Err(); err != nil && !errors.Is(err, redis.Nil) {
			return nil, err
		}
		values[i] = reply.Val()
	}
	return values, nil
}

// compareUnordered compares what does not depend on order: another process
// serializes the same set or hash in another one.
func compareUnordered(ctx context.Context, a, b *redis.Client, key string) (comparison, error) {
	mine, err := unordered(ctx, a, key)
	if err != nil || mine == nil {
		return different, err
	}
	theirs, err := unordered(ctx, b, key)
	if err == nil && slices.Equal(mine, theirs) {
		return same, nil
	}
	return different, err
}

// unordered are the members of a set, or the fields of a hash with their values,
// sorted; nil for other types.
func unordered(ctx context.Context, c *redis.Client, key string) ([]string, error) {
	var kind *redis.StatusCmd
	if _, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.Do(ctx, "ASKING")
		kind = p.Type(ctx, key)
		return nil
	}); err != nil {
		return nil, err
	}
	var set *redis.StringSliceCmd
	var hash *redis.MapStringStringCmd
	_, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.Do(ctx, "ASKING")
		switch kind.Val() {
		case "set":
			set = p.SMembers(ctx, key)
		case "hash":
			hash = p.HGetAll(ctx, key)
		}
		return nil
	})
	var values []string
	switch {
	case err != nil:
		return nil, err
	case set != nil:
		values = append([]string{kind.Val()}, set.Val()...)
	case hash != nil:
		values = []string{kind.Val()}
		for field, value := range hash.Val() {
			values = append(values, fmt.Sprintf("%q=%q", field, value))
		}
	}
	slices.Sort(values)
	return values, nil
}
