//go:build linux

package load

import (
	"context"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/load/engine"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/load/trace"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/load/workload"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// prepareReplay opens the recorded workload and asks the server what it knows of commands.
func (s *session) prepareReplay(ctx context.Context) error {
	w := s.run.Workload
	view := s.watcher.View()
	known, err := s.watcher.Client(view.Nodes[view.Primaries()[0]].Addr).Command(ctx).Result()
	if err != nil {
		return &spec.Failure{Step: "ask the server for its commands", Cause: err.Error()}
	}
	commands := make(map[string]trace.Command, len(known))
	for name, c := range known {
		commands[name] = trace.Command{FirstKey: int(c.FirstKeyPos), Write: !c.ReadOnly}
	}
	if s.replay, err = trace.NewReplay(*w.Trace, w.Rate, commands, trace.Share{Runner: s.run.Runner, Runners: s.run.Runners}); err != nil {
		return &spec.Failure{Step: "read the recorded workload", Cause: err.Error(), Advice: "Check trace.path and trace.format."}
	}
	if s.replay.Idle() {
		s.warn("the recording has fewer clients than there are runners, and each client's commands stay in their order, so this runner may have nothing to send")
	}
	s.program = workload.Recorded(s.replay.Commands())
	return nil
}

// feeds are the threads' parts of the replay, if there is one.
func (s *session) feeds(threads int) []engine.Feed {
	if s.replay == nil {
		return nil
	}
	var feeds []engine.Feed
	for _, f := range s.replay.Feeds(threads) {
		feeds = append(feeds, f)
	}
	return feeds
}

// feed reads the recording for the engine, until its end.
func (s *session) feed(ctx context.Context) {
	if s.replay == nil {
		return
	}
	if err := s.replay.Run(ctx); err != nil {
		s.warn("the recorded workload was not replayed whole: %v", err)
	}
	if n := s.replay.Skipped; n > 0 {
		s.warn("%d recorded commands were left out: they concern connections or the cluster itself", n)
	}
}
