//go:build linux

package releases_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/redisfleet/terraform-provider-redis/internal/releases"
)

func TestServersRunOnThisMachine(t *testing.T) {
	servers := releases.Need(t, releases.Trixie)
	for path, version := range map[string]string{servers.Redis: "Redis server v=8.", servers.Valkey: "Valkey server v=8."} {
		out, err := exec.CommandContext(t.Context(), path, "--version").CombinedOutput()
		if err != nil || !strings.HasPrefix(string(out), version) {
			t.Errorf("%s says %q (%v), and %q was expected", path, out, err, version)
		}
	}
}
