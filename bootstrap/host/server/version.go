//go:build linux

package server

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Version is a server's version: major, minor, patch.
type Version [3]int

// AtLeast says whether v is w or newer.
func (v Version) AtLeast(w Version) bool { return slices.Compare(v[:], w[:]) >= 0 }

// String is major.minor.patch.
func (v Version) String() string { return fmt.Sprintf("%d.%d.%d", v[0], v[1], v[2]) }

// Matches says whether v is the wanted version, or begins like it: 7.0 wants any 7.0.x.
func (v Version) Matches(want string) bool {
	return want == "" || strings.HasPrefix(v.String()+".", strings.TrimSuffix(want, ".")+".")
}

var versionPattern = regexp.MustCompile(`(\d+)\.(\d+)(?:\.(\d+))?`)

func parseVersion(s string) (Version, bool) {
	m := versionPattern.FindStringSubmatch(s)
	if m == nil {
		return Version{}, false
	}
	var v Version
	for i := range v {
		v[i], _ = strconv.Atoi(m[i+1])
	}
	return v, true
}
