package redisconf

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// servers are the names under which servers run: Debian's are links to another program.
var servers = []string{"redis-server", "valkey-server", "redis-check-rdb", "valkey-check-rdb"} //nolint:gochecknoglobals // a constant table

// Find looks for the redis.conf of a server on this host that somebody else
// started on port: in the working directories of servers, and where packages
// have theirs. It is empty if there is none that may be read.
func Find(port int) (path string, f File) {
	for _, file := range candidates() {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		f, err := Parse(string(text))
		if err != nil {
			continue
		}
		if p, ok := f.Lookup("port"); ok && p == strconv.Itoa(port) {
			return file, f
		}
	}
	return "", nil
}

// candidates lists the files that may be a server's configuration.
func candidates() []string {
	patterns := []string{"/etc/redis/*.conf", "/etc/valkey/*.conf"}
	names, _ := filepath.Glob("/proc/[0-9]*/comm")
	for _, name := range names {
		text, err := os.ReadFile(name)
		// A process of several threads is called by its main one, at most 15 bytes.
		if err != nil || !slices.ContainsFunc(servers, func(s string) bool { return strings.HasPrefix(s, strings.TrimSpace(string(text))) }) {
			continue
		}
		if dir, err := os.Readlink(filepath.Join(filepath.Dir(name), "cwd")); err == nil {
			patterns = append(patterns, filepath.Join(dir, "*.conf"))
		}
	}
	var files []string
	for _, pattern := range patterns {
		found, _ := filepath.Glob(pattern)
		files = append(files, found...)
	}
	slices.Sort(files)
	return slices.Compact(files)
}
