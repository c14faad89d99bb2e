//go:build linux

package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// writeFiles writes what makes this host differ from the image below it.
func (h *Host) writeFiles(base string) error {
	type file struct {
		path, text string
		mode       fs.FileMode
		uid        int
	}
	address := netip.PrefixFrom(netip.MustParseAddr(h.Addr), subnet.Bits())
	files := []file{
		{"etc/hostname", h.Name + "\n", 0o644, 0},
		{"etc/hosts", "127.0.0.1 localhost\n127.0.1.1 " + h.Name + "\n", 0o644, 0},
		{"etc/systemd/network/10-host0.network", fmt.Sprintf("[Match]\nName=host0\n[Link]\nMACAddress=%s\n[Network]\nAddress=%s\nLinkLocalAddressing=no\n", hardwareAddress(h.Addr), address), 0o644, 0},
		{"etc/ssh/ssh_host_ed25519_key", h.key.Private, 0o600, 0},
		{"etc/ssh/ssh_host_ed25519_key.pub", h.key.Public + "\n", 0o644, 0},
	}
	if h.options.StartupScript != "" {
		const unit = "[Unit]\nDescription=Startup script\nAfter=network.target ssh.service\n" +
			"[Service]\nType=oneshot\nStandardOutput=journal+console\nStandardError=journal+console\nExecStart=/var/lib/startup-script\n[Install]\nWantedBy=multi-user.target\n"
		files = append(files,
			file{"var/lib/startup-script", h.options.StartupScript, 0o755, 0},
			file{"etc/systemd/system/startup-script.service", unit, 0o644, 0})
		if err := h.enable(base, "startup-script.service"); err != nil {
			return err
		}
	}
	users, err := h.users(base)
	if err != nil {
		return err
	}
	for _, u := range users {
		if u.uid >= firstNewUID {
			files = append(files, file{"etc/sudoers.d/" + u.name, u.name + " ALL=(ALL) NOPASSWD: ALL\n", 0o440, 0})
		}
		if len(u.keys) > 0 {
			files = append(files, file{u.home + "/.ssh/authorized_keys", strings.Join(u.keys, "\n") + "\n", 0o600, u.uid})
		}
	}
	if err := h.writeAccounts(base, users); err != nil {
		return err
	}
	for _, f := range files {
		path := filepath.Join(h.dir(), "upper", f.path)
		if err := mkdirAs(base, filepath.Join(h.dir(), "upper"), filepath.Dir(f.path), f.uid); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(f.text), f.mode); err != nil {
			return err
		}
		if err := os.Chown(path, f.uid, f.uid); err != nil {
			return err
		}
	}
	return nil
}

// enable has the unit, one of the host's own, start with it.
func (h *Host) enable(base, unit string) error {
	const wants = "etc/systemd/system/multi-user.target.wants"
	upper := filepath.Join(h.dir(), "upper")
	if err := mkdirAs(base, upper, wants, 0); err != nil {
		return err
	}
	return os.Symlink("/etc/systemd/system/"+unit, filepath.Join(upper, wants, unit))
}

// mkdirAs makes the directory dir (relative) in upper, with the owners and modes
// that its parts have in base; new ones are private to uid.
func mkdirAs(base, upper, dir string, uid int) error {
	path := ""
	for part := range strings.SplitSeq(dir, "/") {
		path = filepath.Join(path, part)
		mode, owner := fs.FileMode(0o755), 0
		if info, err := os.Stat(filepath.Join(base, path)); err == nil {
			mode, owner = info.Mode().Perm(), int(info.Sys().(*syscall.Stat_t).Uid)
		} else if part == ".ssh" {
			mode, owner = 0o700, uid
		} else if strings.HasPrefix(path, "home/") {
			owner = uid
		}
		err := os.Mkdir(filepath.Join(upper, path), mode)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err := errors.Join(err, os.Chown(filepath.Join(upper, path), owner, owner)); err != nil {
			return err
		}
	}
	return nil
}

// firstNewUID is where the ids of HostOptions.Users begin, above the image's.
const firstNewUID = 2000

type user struct {
	name, home string
	uid        int
	keys       []string
}

// SetUser lets a user log in with keys and sudo, on a host that runs. Without
// keys nobody logs in as that user any more.
func (h *Host) SetUser(ctx context.Context, name string, keys []string) error {
	const script = `id "$1" >/dev/null 2>&1 || useradd --create-home --shell /bin/bash "$1"
echo "$1 ALL=(ALL) NOPASSWD: ALL" >"/etc/sudoers.d/$1"
chmod 440 "/etc/sudoers.d/$1"
install -d -m 700 -o "$1" -g "$1" "/home/$1/.ssh"
printf %s "$2" >"/home/$1/.ssh/authorized_keys"
chown "$1:$1" "/home/$1/.ssh/authorized_keys"`
	_, err := h.Run(ctx, script, name, strings.Join(append(keys, ""), "\n"))
	return err
}

// users are those who can log in: root and the image's by the lab's key, and the host's own.
func (h *Host) users(base string) ([]user, error) {
	users := []user{{name: "root", home: "root"}}
	passwd, err := os.ReadFile(filepath.Join(base, "etc/passwd"))
	if err != nil {
		return nil, err
	}
	for _, name := range []string{Admin, Guest} {
		u := user{name: name, home: "home/" + name}
		for line := range strings.Lines(string(passwd)) {
			if f := strings.Split(line, ":"); f[0] == name {
				u.uid, err = strconv.Atoi(f[2])
			}
		}
		if u.uid == 0 {
			return nil, fmt.Errorf("the image has no user %s: %w", name, err)
		}
		users = append(users, u)
	}
	for i := range users {
		if !h.options.NoLabKey {
			users[i].keys = []string{h.lab.Key.Public}
		}
	}
	for name, keys := range h.options.Users {
		if i := slices.IndexFunc(users, func(u user) bool { return u.name == name }); i >= 0 {
			users[i].keys = append(users[i].keys, keys...)
			continue
		}
		users = append(users, user{name: name, home: "home/" + name, uid: firstNewUID + len(users), keys: keys})
	}
	return users, nil
}

// writeAccounts adds the users that the image does not have to the host's accounts.
func (h *Host) writeAccounts(base string, users []user) error {
	for _, account := range []struct {
		file, line string
		mode       fs.FileMode
	}{
		{"etc/passwd", "NAME:x:UID:UID::/home/NAME:/bin/bash\n", 0o644},
		{"etc/group", "NAME:x:UID:\n", 0o644},
		{"etc/shadow", "NAME:*:19000:0:99999:7:::\n", 0o640},
	} {
		text, err := os.ReadFile(filepath.Join(base, account.file))
		if err != nil {
			return err
		}
		lines := string(text)
		for _, u := range users {
			if u.uid >= firstNewUID {
				lines += strings.NewReplacer("NAME", u.name, "UID", strconv.Itoa(u.uid)).Replace(account.line)
			}
		}
		upper := filepath.Join(h.dir(), "upper")
		if err := mkdirAs(base, upper, "etc", 0); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(upper, account.file), []byte(lines), account.mode); err != nil {
			return err
		}
	}
	return nil
}

// hardwareAddress is made of the host's address, as Google's are: a host that
// gets the address of another is reached at once, whoever remembers the other.
func hardwareAddress(addr string) net.HardwareAddr {
	ip := netip.MustParseAddr(addr).As4()
	return net.HardwareAddr{0x42, 0x01, ip[0], ip[1], ip[2], ip[3]}
}
