package reach

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

const (
	// attemptTimeout bounds one attempt to connect: dial and handshake.
	attemptTimeout = 10 * time.Second
	// retryPause is the time between attempts while a host boots.
	retryPause = 500 * time.Millisecond
	// keyGrace is how long a key may be refused: a cloud's agent installs it
	// after the SSH server is up already.
	keyGrace = 20 * time.Second
	// downAfter is how long a host does not answer before its cloud is asked whether
	// it can, and downPause how long after that it is asked again.
	downAfter = time.Second
	downPause = 10 * time.Second
)

// DialSSH connects to t and logs in. It waits for a host that still boots and
// for a key that is not there yet, but not for a host key that is wrong. The
// error is an *UnreachableError.
func DialSSH(ctx context.Context, cfg SSHConfig, t Target) (Host, error) {
	login, err := newLogin(cfg)
	if err != nil {
		return nil, &UnreachableError{Host: t.Name, Err: err}
	}
	defer login.close()
	ctx, cancel := context.WithTimeoutCause(ctx, cfg.connectTimeout(), errTimedOut)
	defer cancel()

	h := &sshHost{name: t.Name, user: login.user}
	if cfg.Bastion != nil {
		if h.bastion, err = cfg.Bastion.shared.acquire(ctx, cfg); err != nil {
			return nil, &UnreachableError{Host: t.Name, Err: err}
		}
		cfg.Dial = h.bastion.DialContext
	}
	if h.client, err = connect(ctx, cfg, t, login); err != nil {
		if cfg.Bastion != nil {
			cfg.Bastion.shared.release()
		}
		return nil, &UnreachableError{Host: t.Name, Err: lastWords(ctx, cfg, t, err)}
	}
	if cfg.Bastion != nil {
		h.onClose = cfg.Bastion.shared.release
	}
	h.start()
	return h, nil
}

var (
	errTimedOut = errors.New("timed out")
	errDown     = errors.New("its machine does not run")
)

// whileUp is ctx until the cloud says that t does not run.
func whileUp(ctx context.Context, cfg SSHConfig, t Target) (context.Context, context.CancelFunc) {
	up, cancel := context.WithCancelCause(ctx)
	if cfg.Down != nil && t.Instance != "" {
		go func() {
			for pause := downAfter; ; pause = downPause {
				select {
				case <-up.Done():
					return
				case <-time.After(pause):
				}
				// A cloud that does not say leaves the host its time.
				if down, err := cfg.Down(up, t); down && err == nil {
					cancel(errDown)
					return
				}
			}
		}()
	}
	return up, func() { cancel(context.Canceled) }
}

// lastWords adds what the cloud says about the host to err.
func lastWords(ctx context.Context, cfg SSHConfig, t Target, err error) error {
	if cfg.LastWords == nil || t.Instance == "" || errors.Is(context.Cause(ctx), context.Canceled) {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), attemptTimeout)
	defer cancel()
	if words := strings.TrimSpace(cfg.LastWords(ctx, t)); words != "" {
		return fmt.Errorf("%w\n%s", err, words)
	}
	return err
}

// connect tries until it works, until trying again cannot help, or until ctx ends.
func connect(ctx context.Context, cfg SSHConfig, t Target, login *login) (*ssh.Client, error) {
	ctx, done := whileUp(ctx, cfg, t)
	defer done()
	var firstRefusal time.Time
	var last error
	begin := time.Now()
	for attempts := 1; ; attempts++ {
		client, err := attempt(ctx, cfg, t, login)
		if err == nil {
			return client, nil
		}
		// An attempt that was cut short says less than the one before.
		cut := ctx.Err() != nil || isPast(ctx)
		if !cut || last == nil {
			last = err
		}
		refused := new(RefusedError)
		switch {
		case errors.As(err, &refused) && firstRefusal.IsZero():
			firstRefusal = time.Now()
		case errors.As(err, &refused) && time.Since(firstRefusal) > keyGrace:
			return nil, err
		}
		if !cut && !worthAnotherTry(err) {
			return nil, err
		}
		select {
		case <-time.After(retryPause):
		case <-ctx.Done():
			if cause := context.Cause(ctx); !errors.Is(cause, errTimedOut) {
				return nil, cause
			}
			return nil, fmt.Errorf("gave up after %v and %d attempts, the last of which said: %w",
				time.Since(begin).Round(time.Second), attempts, last)
		}
	}
}

// isPast says whether ctx's time is over. What has the same deadline may end
// before ctx itself does.
func isPast(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ok && !time.Now().Before(deadline)
}

// worthAnotherTry says whether err is one that a host shows while it boots.
func worthAnotherTry(err error) bool {
	if mismatch := new(HostKeyError); errors.As(err, &mismatch) {
		return mismatch.pending
	}
	if setting := new(settingError); errors.As(err, &setting) {
		return false
	}
	if none := new(NoKeysError); errors.As(err, &none) {
		return false
	}
	if dns := new(net.DNSError); errors.As(err, &dns) && dns.IsNotFound {
		return false
	}
	return !errors.Is(err, context.Canceled)
}

// attempt makes one connection.
func attempt(ctx context.Context, cfg SSHConfig, t Target, login *login) (*ssh.Client, error) {
	addr := cfg.addr(t)
	keys, err := knownKeys(ctx, cfg, t, addr)
	if err != nil {
		return nil, fmt.Errorf("verify the host key of %s: %w", addr, err)
	}
	client, err := handshake(ctx, cfg, addr, keys, login)
	if negotiation := new(ssh.AlgorithmNegotiationError); errors.As(err, &negotiation) && !keys.anyType {
		// The server has no key of the types that we know it by. Ask for the one
		// that it has, to show it.
		keys.anyType = true
		return handshake(ctx, cfg, addr, keys, login)
	}
	return client, err
}

// handshake dials and logs in.
func handshake(ctx context.Context, cfg SSHConfig, addr string, keys *hostKeys, login *login) (*ssh.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	conn, err := cfg.dial(ctx, addr)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", addr, err)
	}
	// The handshake knows no context: closing what it reads from ends it.
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	c, channels, requests, err := ssh.NewClientConn(conn, addr, &ssh.ClientConfig{
		User:              login.user,
		Auth:              login.methods(),
		HostKeyCallback:   keys.verify,
		HostKeyAlgorithms: keys.algorithms(),
	})
	if err != nil {
		_ = conn.Close()
		return nil, login.explain(ctx, addr, err)
	}
	return ssh.NewClient(c, channels, requests), nil
}

// explain gives a failed handshake its name.
func (l *login) explain(ctx context.Context, addr string, err error) error {
	mismatch := new(HostKeyError)
	switch {
	case errors.As(err, &mismatch):
		return mismatch
	case ctx.Err() != nil:
		return fmt.Errorf("SSH handshake with %s: no answer within %v", addr, attemptTimeout)
	case strings.Contains(err.Error(), "unable to authenticate"):
		// x/crypto has no type for this one.
		return &RefusedError{User: l.user, Addr: addr, Offered: l.offered()}
	case errors.Is(err, io.EOF), errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("SSH handshake with %s: the server hung up; it may still be booting", addr)
	default:
		return fmt.Errorf("SSH handshake with %s: %w", addr, err)
	}
}
