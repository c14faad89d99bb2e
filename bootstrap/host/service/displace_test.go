//go:build linux

package service

import "testing"

func TestUnitInControlGroups(t *testing.T) {
	for groups, want := range map[string]string{
		"0::/system.slice/redis-server.service\n":                                                "redis-server.service",
		"4:memory:/\n1:name=systemd:/system.slice/system-redis.slice/redis@6380.service\n0::/\n": "redis@6380.service",
		"9:name=systemd:/\n8:pids:/system.slice\n0::/system.slice/mine.service\n":                "mine.service",
		"0::/user.slice/user-1000.slice/session-3.scope\n":                                       "session-3.scope",
		"0::/\n": "",
		"":       "",
	} {
		if got := unitIn(groups); got != want {
			t.Errorf("%q is %q, want %q", groups, got, want)
		}
	}
}
