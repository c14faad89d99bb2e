package reach

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// HostKeyError is a server whose host key is not the expected one, or that no
// key is known of.
type HostKeyError struct {
	Addr string
	// Got is the key that the server showed; nil if it was not asked.
	Got ssh.PublicKey
	// Want are the keys that it should have, Source says who says so.
	Want   []ssh.PublicKey
	Source string
	// pending: the key may become known yet.
	pending bool
}

// Error implements error.
func (e *HostKeyError) Error() string {
	if len(e.Want) == 0 {
		got := ""
		if e.Got != nil {
			got = "; it shows " + fingerprint(e.Got)
		}
		return fmt.Sprintf("the host key of %s is not known (%s)%s. Set the node's host_key, add it to known_hosts, or set ssh.host_key_policy",
			e.Addr, e.Source, got)
	}
	var want []string
	for _, k := range e.Want {
		want = append(want, fingerprint(k))
	}
	return fmt.Sprintf("REFUSED: %s shows the host key %s, but %s says %s. Either the machine was made anew, and then its key has to be replaced there, or somebody else answers in its place",
		e.Addr, fingerprint(e.Got), e.Source, strings.Join(want, " or "))
}

func fingerprint(k ssh.PublicKey) string { return k.Type() + " " + ssh.FingerprintSHA256(k) }

// hostKeys are the keys that a server may show.
type hostKeys struct {
	addr   string
	source string
	keys   []ssh.PublicKey
	// callback, if set, decides instead: known_hosts knows more than keys
	// (certificates, revocation).
	callback ssh.HostKeyCallback
	// remember is where a new key is written to, if it is to be.
	remember string
	insecure bool
	pending  bool
	// anyType has the server show whatever key it has.
	anyType bool
}

// settingError is a mistake in the configuration: trying again does not help.
type settingError struct{ error }

func (e *settingError) Unwrap() error { return e.error }

// NoKeysError says that waiting for a host's keys is in vain: there is no such
// instance, or it does not publish them.
type NoKeysError struct{ Err error }

// Error implements error.
func (e *NoKeysError) Error() string { return e.Err.Error() }

// Unwrap gives what the cloud said.
func (e *NoKeysError) Unwrap() error { return e.Err }

// knownKeys collects what is known of t's host key, best source first: the
// configuration, known_hosts, the cloud.
func knownKeys(ctx context.Context, cfg SSHConfig, t Target, addr string) (*hostKeys, error) {
	h := &hostKeys{addr: addr}
	if t.HostKey != "" {
		key, err := parseHostKey(t.HostKey)
		if err != nil {
			return nil, &settingError{fmt.Errorf("host_key of %s: %w", t.Name, err)}
		}
		h.source, h.keys = "host_key of "+t.Name, []ssh.PublicKey{key}
		return h, nil
	}
	if cfg.HostKeyPolicy == HostKeyInsecure {
		h.insecure = true
		return h, nil
	}
	file, err := h.readKnownHosts(cfg)
	if err != nil || len(h.keys) > 0 {
		return h, err
	}
	if cfg.HostKeyPolicy == HostKeyAcceptNew {
		h.remember = file
	}
	if cfg.HostKeys == nil || t.Instance == "" {
		return h, nil
	}
	h.callback, h.remember = nil, ""
	h.source, h.pending = "the guest attributes of its instance are empty so far", true
	lines, err := cfg.HostKeys(ctx, t)
	if err != nil {
		return nil, err
	}
	for _, line := range lines {
		key, err := parseHostKey(line)
		if err != nil {
			return nil, fmt.Errorf("host key from the cloud: %w", err)
		}
		h.keys = append(h.keys, key)
		h.source, h.pending = "the instance's guest attributes", false
	}
	return h, nil
}

func (h *hostKeys) readKnownHosts(cfg SSHConfig) (file string, err error) {
	file = cfg.KnownHostsFile
	if file == "" {
		file = "~/.ssh/known_hosts"
	}
	if file, err = expandHome(file); err != nil {
		return "", err
	}
	h.source = file + " has no entry"
	callback, err := knownhosts.New(file)
	if errors.Is(err, fs.ErrNotExist) {
		return file, nil
	}
	if err != nil {
		return "", &settingError{fmt.Errorf("read known_hosts: %w", err)}
	}
	h.callback = callback
	// known_hosts is asked by showing it a key: it answers which ones it wants.
	unknown := new(knownhosts.KeyError)
	if errors.As(callback(h.addr, noAddr{}, noKey{}), &unknown) {
		for _, want := range unknown.Want {
			h.keys = append(h.keys, want.Key)
			h.source = fmt.Sprintf("%s:%d", want.Filename, want.Line)
		}
	}
	return file, nil
}

// verify implements ssh.HostKeyCallback.
func (h *hostKeys) verify(hostname string, remote net.Addr, key ssh.PublicKey) error {
	if h.insecure {
		return nil
	}
	if h.callback != nil {
		err := h.callback(hostname, remote, key)
		if unknown := new(knownhosts.KeyError); err == nil || !errors.As(err, &unknown) {
			return err
		}
	} else if slices.ContainsFunc(h.keys, func(k ssh.PublicKey) bool { return bytes.Equal(k.Marshal(), key.Marshal()) }) {
		return nil
	}
	if len(h.keys) == 0 && h.remember != "" {
		return remember(h.remember, hostname, key)
	}
	return &HostKeyError{Addr: h.addr, Got: key, Want: h.keys, Source: h.source, pending: h.pending}
}

// algorithms are those that the known keys can be used with: a server shows
// one key only, and should show one that can be compared. nil means any.
func (h *hostKeys) algorithms() []string {
	if h.anyType {
		return nil
	}
	var names []string
	for _, k := range h.keys {
		switch k.Type() {
		case ssh.KeyAlgoRSA:
			names = append(names, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256)
		default:
			names = append(names, k.Type())
		}
	}
	return names
}

// parseHostKey reads "ssh-ed25519 AAAA… comment", with or without a host before it.
func parseHostKey(line string) (ssh.PublicKey, error) {
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
	if err != nil {
		return nil, fmt.Errorf("%q is no public key such as \"ssh-ed25519 AAAA…\"", line)
	}
	return key, nil
}

// remember adds a key to known_hosts.
func remember(file, addr string, key ssh.PublicKey) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("remember the host key: %w", err)
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("remember the host key: %w", err)
	}
	_, err = f.WriteString(knownhosts.Line([]string{knownhosts.Normalize(addr)}, key) + "\n")
	return errors.Join(err, f.Close())
}

// noKey and noAddr are what known_hosts is asked with.
type (
	noKey  struct{}
	noAddr struct{}
)

func (noKey) Type() string                        { return "none" }
func (noKey) Marshal() []byte                     { return []byte("none") }
func (noKey) Verify([]byte, *ssh.Signature) error { return errors.New("no key") }
func (noAddr) Network() string                    { return "tcp" }
func (noAddr) String() string                     { return "0.0.0.0:0" }
