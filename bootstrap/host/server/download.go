//go:build linux

package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"strings"
)

// fetcher gives the command that writes what is at an address to its output, and
// what it has to read on its input: the address, which may hold a password that
// other users could read among the arguments. It verifies the server's
// certificate, takes the environment's proxy but nobody's settings, and gives up
// where nothing comes any more.
func fetcher(u *url.URL) (command []string, input string, err error) {
	if u.Scheme == "file" {
		return []string{"cat", "--", u.Path}, "", nil
	}
	if curl, err := exec.LookPath("curl"); err == nil {
		escaped := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(u.String())
		return []string{curl, "--disable", "--fail", "--silent", "--show-error", "--location", "--proto", "=http,https",
			"--connect-timeout", "30", "--speed-limit", "1", "--speed-time", "60", "--config", "-"}, `url = "` + escaped + "\"\n", nil
	}
	if wget, err := exec.LookPath("wget"); err == nil {
		return []string{wget, "--no-config", "--no-verbose", "--tries=3", "--timeout=60", "--output-document=-", "--input-file=-"}, u.String() + "\n", nil
	}
	return nil, "", errors.New("there is neither curl nor wget")
}

// download writes what is at an address to w. It is left to the host's tools: an
// HTTP client would make every host's redis-bootstrap larger for the few that
// build from source.
func download(ctx context.Context, u *url.URL, w io.Writer) error {
	command, input, err := fetcher(u)
	if err != nil {
		return err
	}
	var said bytes.Buffer
	cmd := exec.CommandContext(ctx, command[0], command[1:]...) //nolint:gosec // G204: our own arguments.
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = strings.NewReader(input), w, &said, killDelay
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("%s: %w: %s", command[0], err, tail(said.String()))
	}
	return nil
}
