//go:build linux

package lab

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"strings"

	"golang.org/x/crypto/ssh"
)

// Key is an SSH key pair.
type Key struct {
	// Private is PEM, as OpenSSH writes it.
	Private string
	// Public is the line of an authorized_keys file: type, key and comment.
	Public string
}

func newKey(comment string) (Key, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return Key{}, err
	}
	block, err := ssh.MarshalPrivateKey(private, comment)
	if err != nil {
		return Key{}, err
	}
	sshPublic, err := ssh.NewPublicKey(public)
	if err != nil {
		return Key{}, err
	}
	line := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(sshPublic)))
	return Key{Private: string(pem.EncodeToMemory(block)), Public: line + " " + comment}, nil
}
