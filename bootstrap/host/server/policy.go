//go:build linux

package server

import (
	"errors"
	"io/fs"
	"os"
	"strings"
)

// policyFile is asked by every package before it starts a service.
const policyFile = "/usr/sbin/policy-rc.d"

// policyText forbids it. The first lines tell our file from others.
const policyText = `#!/bin/sh
# Put here by redis-bootstrap while it installs a package, and taken away afterwards.
exit 101
`

// aside is where a policy of somebody else waits meanwhile.
func (a *apt) aside() string { return a.policy + ".before-redis-bootstrap" }

// held says whether our policy is in place, as it is after an installation that was cut off.
func (a *apt) held() (bool, error) {
	b, err := os.ReadFile(a.policy)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return strings.HasPrefix(string(b), policyText), err
}

// hold forbids packages to start services, in place of the policy that is there.
func (a *apt) hold() error {
	held, err := a.held()
	if err != nil || held {
		return err
	}
	if err := os.Rename(a.policy, a.aside()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.WriteFile(a.policy, []byte(policyText), 0o755)
}

// releaseHold leaves the policy as it was.
func (a *apt) releaseHold() error {
	if err := os.Remove(a.policy); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Rename(a.aside(), a.policy); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
