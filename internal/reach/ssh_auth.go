package reach

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// RefusedError is a server that refuses every key we have.
type RefusedError struct {
	User, Addr string
	// Offered are the keys that were tried: type and fingerprint.
	Offered []string
}

// Error implements error.
func (e *RefusedError) Error() string {
	keys := "no key at all"
	if len(e.Offered) > 0 {
		keys = strings.Join(e.Offered, ", ")
	}
	return fmt.Sprintf("%s refuses user %q with %s; check ssh.user and the key, and that its public half is in the user's authorized_keys (on GCE: in the instance's ssh-keys metadata)",
		e.Addr, e.User, keys)
}

// login is who we are: a user and keys.
type login struct {
	user string
	// fixed are keys that we hold, agent is where others are.
	fixed []ssh.Signer
	agent agent.ExtendedAgent
	conn  net.Conn

	mu    sync.Mutex
	tried []string
}

func newLogin(cfg SSHConfig) (*login, error) {
	l := &login{user: cfg.User}
	if l.user == "" {
		me, err := user.Current()
		if err != nil {
			return nil, fmt.Errorf("ssh.user is not set, and the user that Terraform runs as is unknown: %w", err)
		}
		l.user = me.Username
	}
	if pem := cfg.PrivateKey.Reveal(); pem != "" {
		key, err := parseKey([]byte(pem))
		if err != nil {
			return nil, fmt.Errorf("ssh.private_key: %w", err)
		}
		l.fixed = append(l.fixed, key)
	}
	if cfg.PrivateKeyFile != "" {
		path, err := expandHome(cfg.PrivateKeyFile)
		if err != nil {
			return nil, err
		}
		pem, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("ssh.private_key_file: %w", err)
		}
		key, err := parseKey(pem)
		if err != nil {
			return nil, fmt.Errorf("ssh.private_key_file %s: %w", path, err)
		}
		l.fixed = append(l.fixed, key)
	}
	if cfg.Agent || len(l.fixed) == 0 {
		if err := l.openAgent(); err != nil {
			return nil, err
		}
	}
	return l, nil
}

func parseKey(pem []byte) (ssh.Signer, error) {
	key, err := ssh.ParsePrivateKey(pem)
	if locked := new(ssh.PassphraseMissingError); errors.As(err, &locked) {
		return nil, errors.New("the key is protected by a passphrase; add it to an SSH agent and set ssh.agent = true")
	}
	return key, err
}

func (l *login) openAgent() error {
	socket := os.Getenv("SSH_AUTH_SOCK")
	if socket == "" {
		return errors.New("no SSH key: set ssh.private_key or ssh.private_key_file, or start an SSH agent (SSH_AUTH_SOCK is not set)")
	}
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return fmt.Errorf("SSH agent at SSH_AUTH_SOCK: %w", err)
	}
	l.conn, l.agent = conn, agent.NewClient(conn)
	return nil
}

func (l *login) close() {
	if l.conn != nil {
		_ = l.conn.Close()
	}
}

// methods are the ways to log in, in the order in which they are tried.
func (l *login) methods() []ssh.AuthMethod {
	return []ssh.AuthMethod{ssh.PublicKeysCallback(l.signers)}
}

func (l *login) signers() ([]ssh.Signer, error) {
	signers := l.fixed
	if l.agent != nil {
		held, err := l.agent.Signers()
		if err != nil {
			return nil, fmt.Errorf("ask the SSH agent for its keys: %w", err)
		}
		signers = append(signers[:len(signers):len(signers)], held...)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tried = l.tried[:0]
	for _, s := range signers {
		l.tried = append(l.tried, s.PublicKey().Type()+" "+ssh.FingerprintSHA256(s.PublicKey()))
	}
	return signers, nil
}

// offered are the keys of the last attempt.
func (l *login) offered() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.tried...)
}

// expandHome replaces a leading ~/ by the home directory, as shells do.
func expandHome(path string) (string, error) {
	rest, ok := strings.CutPrefix(path, "~/")
	if !ok {
		return path, nil
	}
	home, err := os.UserHomeDir()
	return filepath.Join(home, rest), err
}
