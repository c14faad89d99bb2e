package cluster

import "github.com/redis/go-redis/v9"

// AddHook has h see every command that goes to a node.
func (f *Fleet) AddHook(h redis.Hook) {
	for _, c := range f.clients {
		c.AddHook(h)
	}
}
