//go:build linux

package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/host/server"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/redisconf"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// endOfFile is a line that every server refuses. It reads a file from the start
// and stops at the first mistake, before it does anything else: if this line is
// its first mistake, it has found no other.
func endOfFile() redisconf.Directive { return one("port", "end-of-file") }

// refusal is what a server says about one line of a redis.conf.
type refusal struct {
	line      int
	directive redisconf.Directive
	words     string
}

// validate has the server itself read the configuration, without starting, and
// returns its refusals of the user's directives as one error.
func validate(ctx context.Context, srv server.Program, c conf) error {
	dir, err := os.MkdirTemp("", "redis-bootstrap-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	// The server changes its directory and opens its log as it reads.
	c.home, c.dir, c.password = dir, dir, ""
	f := c.file()
	var refused []refusal
	for {
		r, err := read(ctx, srv, dir, f)
		if err != nil {
			return err
		}
		if r.line > len(f) {
			return explain(srv, c, refused)
		}
		refused = append(refused, r)
		// What comes after it may be wrong too, and is best said at once.
		f = slices.Delete(slices.Clone(f), r.line-1, r.line)
	}
}

// read returns the first refusal of the server, at the latest that of the last line.
func read(ctx context.Context, srv server.Program, dir string, f redisconf.File) (refusal, error) {
	f = append(slices.Clone(f), endOfFile())
	file := filepath.Join(dir, "redis.conf")
	if err := os.WriteFile(file, []byte(f.Render()), 0o600); err != nil {
		return refusal{}, err
	}
	cmd := exec.CommandContext(ctx, srv.Binary, file)
	cmd.Dir = dir
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	line, words, ok := parseRefusal(out.String())
	if !ok || line < 1 || line > len(f) {
		if err == nil {
			err = errors.New("it ended without a complaint")
		}
		return refusal{}, fmt.Errorf("%s cannot read a redis.conf: %w: %s", srv.Binary, err, strings.TrimSpace(out.String()))
	}
	return refusal{line: line, directive: f[line-1], words: words}, nil
}

// resolve finds directives that no module of the server knows. Since version 8
// it puts every name that it does not know aside, for modules to come and claim,
// and tells at its start whether they did; names with a dot it always did.
func resolve(ctx context.Context, srv server.Program, known *baselines, c conf) error {
	dotted := slices.ContainsFunc(c.users(), func(d redisconf.Directive) bool { return strings.Contains(d.Name, ".") })
	if !dotted && !srv.Version.AtLeast(server.Version{8}) {
		return nil
	}
	_, err := known.of(ctx, srv.Binary, c.file())
	if err == nil {
		return nil
	}
	names := unresolved(err.Error())
	var refused []refusal
	for _, d := range c.users() {
		if slices.Contains(names, d.Name) || names == nil && strings.Contains(d.Name, ".") && strings.Contains(err.Error(), abandoned) {
			refused = append(refused, refusal{directive: d, words: "neither the server nor a module knows this directive"})
		}
	}
	if len(refused) == 0 {
		return err
	}
	return explain(srv, c, refused)
}

// abandoned is how version 7 says that it has such directives, without names.
const abandoned = "Module Configuration detected"

var unresolvedPattern = regexp.MustCompile(`(?m)>>> '(\S+) .*'$`)

// unresolved reads "Unresolved Configuration(s) Detected": the names of the directives.
func unresolved(out string) []string {
	_, after, _ := strings.Cut(out, "Unresolved Configuration")
	var names []string
	for _, m := range unresolvedPattern.FindAllStringSubmatch(after, -1) {
		names = append(names, strings.ToLower(m[1]))
	}
	return names
}

var refusalPattern = regexp.MustCompile(`at line (\d+)\s*\n>>> '.*'\s*\n(.*)`)

// parseRefusal reads "FATAL CONFIG FILE ERROR": the line, counted from 1, and the server's words.
func parseRefusal(out string) (line int, words string, ok bool) {
	m := refusalPattern.FindStringSubmatch(out)
	if m == nil {
		return 0, "", false
	}
	line, err := strconv.Atoi(m[1])
	return line, strings.TrimSpace(m[2]), err == nil
}

// explain maps the server's words back to what the user wrote.
func explain(srv server.Program, c conf, refused []refusal) error {
	if len(refused) == 0 {
		return nil
	}
	var lines []string
	for _, r := range refused {
		lines = append(lines, fmt.Sprintf("%s: %s (the line was: %s)", attribute(c.config, r.directive.Name), r.words, r.directive))
	}
	return &spec.Failure{
		Cause:  fmt.Sprintf("%s %s refuses the configuration:\n%s", filepath.Base(srv.Binary), srv.Version, strings.Join(lines, "\n")),
		Advice: "Correct the directive, or remove it if this version of the server does not know it.",
	}
}

// attribute names what a directive comes from: config["maxmemory"].
func attribute(config map[string]string, name string) string {
	for key := range config {
		if strings.EqualFold(key, name) {
			return fmt.Sprintf("config[%q]", key)
		}
	}
	return name
}
