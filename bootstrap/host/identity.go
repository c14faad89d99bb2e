//go:build linux

package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// identity is whom the processes of this host run as.
type identity struct {
	user, group string
	uid, gid    int
	// missing says that the user has to be created first.
	missing bool
}

// identityOf is the user of the server's package under systemd, and ourselves elsewhere.
func identityOf(f spec.Facts, flavor spec.Flavor) (identity, error) {
	if !f.Systemd {
		return identity{uid: os.Geteuid(), gid: os.Getegid()}, nil
	}
	id := identity{user: string(flavor), group: string(flavor)}
	u, err := user.Lookup(id.user)
	if unknown := user.UnknownUserError(""); errors.As(err, &unknown) {
		id.missing = true
		return id, nil
	}
	if err != nil {
		return id, err
	}
	g, err := user.LookupGroupId(u.Gid)
	if err != nil {
		return id, err
	}
	id.group = g.Name
	id.uid, err = strconv.Atoi(u.Uid)
	if err != nil {
		return id, err
	}
	id.gid, err = strconv.Atoi(u.Gid)
	return id, err
}

// identityOfFile is the owner of a file.
func identityOfFile(file string) (identity, error) {
	st, err := os.Stat(file)
	if err != nil {
		return identity{}, err
	}
	sys, ok := st.Sys().(*syscall.Stat_t)
	if !ok {
		return identity{}, fmt.Errorf("%s has no owner", file)
	}
	id := identity{uid: int(sys.Uid), gid: int(sys.Gid)}
	u, err := user.LookupId(strconv.Itoa(id.uid))
	if err != nil {
		return id, err
	}
	g, err := user.LookupGroupId(strconv.Itoa(id.gid))
	if err != nil {
		return id, err
	}
	id.user, id.group = u.Username, g.Name
	return id, nil
}

// identityNamed looks up a user and a group.
func identityNamed(userName, groupName string) (identity, error) {
	id := identity{user: userName, group: groupName}
	u, err := user.Lookup(userName)
	if err != nil {
		return id, err
	}
	g, err := user.LookupGroup(groupName)
	if err != nil {
		return id, err
	}
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(g.Gid)
	id.uid, id.gid = uid, gid
	return id, errors.Join(err1, err2)
}

// create makes the user, as the server's package would have.
func (id identity) create(ctx context.Context, f spec.Facts) (identity, error) {
	out, err := exec.CommandContext(ctx, "useradd", "--system", "--user-group", "--no-create-home",
		"--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin", "--comment", "Made by redis-bootstrap", id.user).CombinedOutput()
	if err != nil {
		return id, fmt.Errorf("useradd %s: %w: %s", id.user, err, strings.TrimSpace(string(out)))
	}
	return identityOf(f, spec.Flavor(id.user))
}

// reachable says whether id may enter dir, or if that is still to be made the
// directory that it will be in.
func reachable(dir string, id identity) bool {
	for ; dir != "/"; dir = filepath.Dir(dir) {
		st, err := os.Stat(dir)
		if err != nil {
			continue
		}
		sys, ok := st.Sys().(*syscall.Stat_t)
		if !ok {
			continue
		}
		enter := st.Mode().Perm() & 0o001
		switch {
		case int(sys.Uid) == id.uid:
			enter = st.Mode().Perm() & 0o100
		case int(sys.Gid) == id.gid:
			enter = st.Mode().Perm() & 0o010
		}
		if enter == 0 {
			return false
		}
	}
	return true
}
