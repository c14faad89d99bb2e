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

// freshText follows it if the package is new to this host.
const freshText = "# The package was not here before.\n"

// aside is where a policy of somebody else waits meanwhile.
func (a *apt) aside() string { return a.policy + ".before-redis-bootstrap" }

// held says whether our policy is in place, as it is after an installation that
// was cut off, and whether that was of a package that is new to this host.
func (a *apt) held() (held, fresh bool, err error) {
	b, err := os.ReadFile(a.policy)
	if errors.Is(err, fs.ErrNotExist) {
		return false, false, nil
	}
	rest, held := strings.CutPrefix(string(b), policyText)
	return held, rest == freshText, err
}

// hold forbids packages to start services, in place of the policy that is there.
func (a *apt) hold() error {
	held, _, err := a.held()
	if err != nil || held {
		return err
	}
	text := policyText
	if a.fresh {
		text += freshText
	}
	if err := os.Rename(a.policy, a.aside()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.WriteFile(a.policy, []byte(text), 0o755)
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
