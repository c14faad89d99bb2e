//go:build linux

package load

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/load/engine"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/load/verify"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

const (
	// verifiedKeys is how many keys are remembered at most, over all threads, unless
	// they are numbers: some 70 MB. Beyond that a sample of the keys is verified.
	verifiedKeys = 1 << 22
	// readBackTimeout bounds the verification as a whole.
	readBackTimeout = 10 * time.Minute
)

// newLedgers makes a ledger per thread, if writes are to be verified.
func (s *session) newLedgers(threads int) []engine.Ledger {
	if !s.run.Verify {
		return nil
	}
	var ledgers []engine.Ledger
	for range threads {
		l := verify.NewLedger(s.program, verifiedKeys/threads)
		s.ledgers = append(s.ledgers, l)
		ledgers = append(ledgers, l)
	}
	return ledgers
}

// readBack reads the acknowledged writes back and notes in res what became of them.
func (s *session) readBack(ctx context.Context, res *spec.LoadResult) {
	if s.hooks.Phase != nil {
		s.hooks.Phase("read the acknowledged writes back")
	}
	ctx, cancel := context.WithTimeout(ctx, readBackTimeout)
	defer cancel()
	conf, err := s.run.TLS.Config()
	if err != nil {
		s.warn("writes were not verified: %v", err)
		return
	}
	options := &redis.UniversalOptions{
		Username: s.run.Auth.Username, Password: s.run.Auth.Password.Reveal(), TLSConfig: conf,
		Protocol: 2, DisableIdentity: true, IsClusterMode: !s.watcher.View().Standalone,
	}
	for _, n := range s.watcher.View().Nodes {
		options.Addrs = append(options.Addrs, n.Addr)
	}
	client := redis.NewUniversalClient(options)
	defer func() { _ = client.Close() }()
	found, err := verify.ReadBack(ctx, client, verify.Merge(s.ledgers), s.program, s.run.Runner, s.run.Workload.Expiry.D(), func() time.Duration { return time.Since(s.base) })
	if err != nil {
		s.warn("not every write was verified: %v", err)
	}
	if found.Sampled < 1 {
		s.warn("there were too many keys to remember them all: %.2g %% of them, chosen by hash, were verified", 100*found.Sampled)
	}
	res.VerifiedWrites, res.LostWrites, res.LostKeys = found.Verified, found.Lost, found.LostKeys
	res.StaleWrites, res.CorruptWrites = found.Stale, found.Corrupt
}
