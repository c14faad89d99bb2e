package reach

import (
	"context"
	"fmt"
	"sync"

	"golang.org/x/crypto/ssh"
)

// sharedClient is one connection for all who want it at the same time; the last
// one to leave closes it.
type sharedClient struct {
	mu     sync.Mutex
	client *ssh.Client
	users  int
}

// acquire gives the connection to cfg's bastion, made if need be.
func (s *sharedClient) acquire(ctx context.Context, cfg SSHConfig) (*ssh.Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client != nil && !alive(ctx, s.client) {
		_ = s.client.Close()
		s.client = nil
	}
	if s.client == nil {
		cfg, target := cfg.forBastion()
		login, err := newLogin(cfg)
		if err != nil {
			return nil, err
		}
		defer login.close()
		client, err := connect(ctx, cfg, target, login)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", target.Name, err)
		}
		s.client = client
	}
	s.users++
	return s.client, nil
}

// release gives the connection back.
func (s *sharedClient) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users--; s.users == 0 && s.client != nil {
		_ = s.client.Close()
		s.client = nil
	}
}
