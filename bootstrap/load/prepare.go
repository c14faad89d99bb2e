//go:build linux

package load

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sys/unix"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// askServer learns what the server is and what it thinks of the commands.
func (s *session) askServer(ctx context.Context) error {
	view := s.watcher.View()
	client := s.watcher.Client(view.Nodes[view.Primaries()[0]].Addr)
	info, err := client.Info(ctx, "server").Result()
	if err != nil {
		return &spec.Failure{Host: client.Options().Addr, Step: "ask the server for its version", Cause: err.Error()}
	}
	s.server = spec.LoadServer{Version: field(info, "redis_version"), Flavor: string(spec.FlavorRedis), Nodes: len(view.Nodes)}
	if v := field(info, "valkey_version"); v != "" {
		s.server.Version, s.server.Flavor = v, string(spec.FlavorValkey)
	}
	for _, p := range view.Primaries() {
		slots := view.SlotsOf(p)
		shard := spec.Shard{Slots: slots.String(), SlotCount: slots.Count(), Primary: s.name(view.Nodes[p].Addr), Replicas: []string{}}
		for _, r := range view.Nodes[p].Replicas {
			shard.Replicas = append(shard.Replicas, s.name(view.Nodes[r].Addr))
		}
		// A count that can't be had is no reason not to run.
		shard.Keys, _ = s.watcher.Client(view.Nodes[p].Addr).DBSize(ctx).Result()
		s.server.Shards = append(s.server.Shards, shard)
	}
	if err := s.checkSizes(ctx, client); err != nil {
		return err
	}
	if err := s.checkMaxClients(ctx, s.run.Workload); err != nil {
		return err
	}
	if s.replay == nil {
		if err := s.checkCommands(ctx, client); err != nil {
			return err
		}
	}
	return s.checkRate(ctx, client)
}

// name is what the user calls the node at addr.
func (s *session) name(addr string) string {
	if n := s.run.Names[addr]; n != "" {
		return n
	}
	return addr
}

// field is a value of INFO.
func field(info, name string) string {
	for line := range strings.Lines(info) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// checkSizes compares the values with what the server takes. A user who may not
// ask for that is left to find out.
func (s *session) checkSizes(ctx context.Context, client *redis.Client) error {
	limit, err := strconv.Atoi(client.ConfigGet(ctx, "proto-max-bulk-len").Val()["proto-max-bulk-len"])
	known := err == nil
	w := s.run.Workload
	largest := w.DataSize
	for _, d := range w.DataSizes {
		largest = max(largest, d.Maximum)
	}
	for _, st := range w.Stages {
		largest = max(largest, st.DataSize)
	}
	if known && largest > limit {
		return &spec.Failure{Step: "check the workload", Cause: fmt.Sprintf("values of %d bytes are larger than the %d bytes of the servers' proto-max-bulk-len", largest, limit),
			Advice: "Make data_size smaller, or raise proto-max-bulk-len in the cluster's config."}
	}
	return nil
}

// checkCommands has the server say whether it knows each command, where its key
// is and whether it writes. A user who may not ask is left to find out.
func (s *session) checkCommands(ctx context.Context, client *redis.Client) error {
	for i := range s.program.Commands {
		c := &s.program.Commands[i]
		words, key := s.program.Example(i)
		info, err := commandInfo(ctx, client, words[0])
		if err != nil {
			s.warn("the server did not say what the command %q is: %v", c.Name, err)
			continue
		}
		cause, advice := "", ""
		switch {
		case !info.known:
			cause, advice = "the server does not know it", "Check the command's name."
		case !info.takes(len(words)):
			cause, advice = "it has the wrong number of arguments", "Check the command's syntax."
		case len(words) > 1:
			keys, err := client.CommandGetKeys(ctx, anys(words)...).Result()
			cause, advice = judgeKeys(keys, err, key)
		}
		if cause != "" {
			return &spec.Failure{Step: "check the workload", Cause: fmt.Sprintf("command %q: %s", c.Name, cause), Advice: advice}
		}
		c.Write = info.writes
	}
	return nil
}

// judgeKeys says what is wrong with the keys that the server finds in a command,
// where placed is the one that stands for the placeholder.
func judgeKeys(keys []string, err error, placed string) (cause, advice string) {
	const place = spec.KeyPlaceholder
	switch {
	case err != nil && strings.Contains(err.Error(), "no key arguments"):
		return "", "" // a key that it only mentions does no harm
	case err != nil:
		return "the server finds no key in it: " + err.Error(), "Check the command's syntax."
	case placed == "":
		return "it has a key, but no " + place, "Put " + place + " where the key goes, so that it is sent to the node that has the key."
	case !slices.Contains(keys, placed):
		return place + " does not stand where the command has its key", "Move " + place + " to the key's position."
	case !sameSlot(keys):
		return "its keys are in different slots", "Give all its keys the same hash tag, such as {" + place + "}:a."
	}
	return "", ""
}

// command is what the server says about one.
type command struct {
	known, writes bool
	// arity counts its words, its name included; -n means n or more.
	arity int64
}

func (c command) takes(words int) bool {
	return c.arity == int64(words) || c.arity < 0 && int64(words) >= -c.arity
}

// commandInfo asks COMMAND INFO, whose reply is described at
// https://redis.io/docs/latest/commands/command/: name, arity, flags, ….
func commandInfo(ctx context.Context, client *redis.Client, name string) (command, error) {
	reply, err := client.Do(ctx, "COMMAND", "INFO", name).Slice()
	if err != nil || len(reply) != 1 {
		return command{}, err
	}
	info, _ := reply[0].([]any)
	if len(info) < 3 {
		return command{}, nil // unknown
	}
	arity, _ := info[1].(int64)
	flags, _ := info[2].([]any)
	return command{known: true, arity: arity, writes: slices.Contains(flags, any("write"))}, nil
}

func anys(words []string) []any {
	out := make([]any, len(words))
	for i, w := range words {
		out[i] = w
	}
	return out
}

func sameSlot(keys []string) bool {
	for _, k := range keys {
		if spec.Slot(k) != spec.Slot(keys[0]) {
			return false
		}
	}
	return true
}

// pings is how often the way to the server is timed, to judge the rate.
const pings = 20

// checkRate says before the run when the clients can't keep the rate up.
func (s *session) checkRate(ctx context.Context, client *redis.Client) error {
	w := s.run.Workload
	rate := w.Rate
	for _, st := range w.Stages {
		rate = max(rate, st.Rate)
	}
	if rate == 0 {
		return nil
	}
	best := time.Hour
	for range pings {
		start := time.Now()
		if err := client.Ping(ctx).Err(); err != nil {
			return &spec.Failure{Host: client.Options().Addr, Step: "time the way to the server", Cause: err.Error()}
		}
		best = min(best, time.Since(start))
	}
	rate /= float64(max(1, s.run.Runners))
	if possible := float64(w.Clients*w.Pipeline) / best.Seconds(); rate > possible {
		s.warn("a rate of %.0f commands per second needs %.0f or more clients here (a round trip takes %s at best), and there are %d: commands will be sent late, which their latency shows",
			rate, rate*best.Seconds()/float64(w.Pipeline), best.Round(time.Microsecond), w.Clients)
	}
	return nil
}

// spareDescriptors are for all but the clients' connections.
const spareDescriptors = 200

// checkDescriptors makes sure that the clients' connections can be opened.
func (s *session) checkDescriptors(w spec.Workload) error {
	nodes := len(s.server.Shards)
	if w.ReadFrom == spec.FromReplica {
		nodes = s.server.Nodes
	}
	need := uint64(w.Clients*nodes + spareDescriptors)
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("read the limit of file descriptors: %w", err)
	}
	if limit.Cur >= need {
		return nil
	}
	// Only root may go above the hard limit.
	raised := unix.Rlimit{Cur: need, Max: max(limit.Max, need)}
	if unix.Setrlimit(unix.RLIMIT_NOFILE, &raised) == nil {
		return nil
	}
	return &spec.Failure{Step: "check the limits of this host",
		Cause:  fmt.Sprintf("%d clients with a connection to each of %d nodes need %d file descriptors, and this process may have %d", w.Clients, nodes, need, limit.Max),
		Advice: "Raise the limit (ulimit -Hn), use fewer clients with a longer pipeline, or more runners."}
}
