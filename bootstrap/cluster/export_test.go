package cluster

import "github.com/redis/go-redis/v9"

// AddHooks has the hook that hook makes for each node see every command to it.
func (f *Fleet) AddHooks(hook func(node string) redis.Hook) {
	for name, c := range f.clients {
		c.AddHook(hook(name))
	}
}
