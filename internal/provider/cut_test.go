//go:build linux

package provider_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/redisfleet/terraform-provider-redis/internal/provider/acctest"
)

// sweep has each change killed at each of its steps, and each time by the loss of
// another victim.
func (w workspace) sweep(t *testing.T, place acctest.Place, random *rand.Rand) {
	t.Helper()
	six, eight := place.Nodes(0, 6), place.Nodes(0, 8)
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{fmt.Sprintf("127.0.0.1:%d", place.Ports[0])}})
	defer func() { _ = client.Close() }()
	filled, backlog := false, 200
	changes := []*cuts{
		{name: "create", nodes: six, before: func() {
			w.run(t, "destroy", "-auto-approve")
			filled = false
		}},
		{name: "scale out", nodes: eight},
		{name: "scale in", nodes: six},
		{name: "rolling change", nodes: six, before: func() { backlog++ }},
		{name: "replacement", nodes: six, before: func() { vanish(t, place, random.IntN(6)) }},
	}
	for round := 0; round == 0 || slices.ContainsFunc(changes, (*cuts).left); round++ {
		for i, c := range changes {
			if i > 0 && round > 0 && !slices.ContainsFunc(changes[1:], (*cuts).left) {
				break // only creates are left
			}
			if c.before != nil {
				c.before()
			}
			w.configure(t, place.ClusterOf(c.nodes, fmt.Sprintf("config = { \"tcp-backlog\" = \"%d\" }", backlog))+status)
			switch {
			case round == 0:
				_, c.steps = w.cut(t, place, 0, "")
			case c.left():
				c.suffer(t, w, place)
			}
			w.run(t, "apply", "-auto-approve")
			w.plansNothing(t)
			if !filled {
				fill(t, client)
				filled = true
			}
			checkFilled(t, client, c.name)
			if t.Failed() {
				t.FailNow()
			}
		}
	}
	for _, c := range changes {
		t.Logf("%s: %d steps, cut off %d times", c.name, c.steps, c.made)
	}
	w.converges(t)
}

// cutSomewhere begins a change of about so many steps and kills somebody at one.
func (w workspace) cutSomewhere(t *testing.T, place acctest.Place, random *rand.Rand, change string, steps int) {
	t.Helper()
	c := cuts{name: change, steps: steps}
	c.next = random.IntN(steps * len(victims()))
	c.suffer(t, w, place)
}

// victim is who is killed.
type victim string

const (
	// The provider dies with Terraform, and its redis-bootstrap is left alone.
	theProvider victim = "the provider"
	// redis-bootstrap dies, and the provider sees it.
	theBootstrap victim = "redis-bootstrap"
	// The machine of Terraform, which is the only host here too, loses both at once.
	both victim = "both"
)

func victims() []victim { return []victim{theProvider, theBootstrap, both} }

// cuts has the same change cut off at one step after the other. A step is a line
// of the progress file: what is being done now.
type cuts struct {
	name, nodes string
	before      func()
	// steps is how many there are, which is known when the change was made undisturbed.
	steps int
	// next counts the steps through, and then again for the next victim.
	next int
	// made is how often it was cut off indeed.
	made int
}

// left says whether a sweep has not been through yet.
func (c *cuts) left() bool { return c.next < c.steps*len(victims()) }

// suffer begins the change, which does not come to its end.
func (c *cuts) suffer(t *testing.T, w workspace, place acctest.Place) {
	t.Helper()
	at, who := 1+c.next%c.steps, victims()[c.next/c.steps%len(victims())]
	c.next++
	last, steps := w.cut(t, place, at, who)
	if steps < at {
		t.Logf("%s: it was done before step %d: %s", c.name, at, last)
		return
	}
	c.made++
	t.Logf("%s: %s killed at step %d of %d: %s", c.name, who, at, c.steps, last)
}

// cut runs an apply, and kills who when it begins its step number at, from 1; with
// 0 it comes to its end. It returns that step, or the last one, and their number.
func (w workspace) cut(t *testing.T, place acctest.Place, at int, who victim) (last string, steps int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var out strings.Builder
	cmd := w.command(ctx, "apply", "-auto-approve")
	cmd.Stdout, cmd.Stderr = &out, &out
	last, steps, err := acctest.Cut(t, cmd, at, func(cli int) { kill(t, place, cli, who) })
	if err != nil && steps != at {
		t.Fatalf("apply: %v\n%s", err, &out)
	}
	return last, steps
}

// kill ends who at once. Terraform and the provider are the process group cli.
func kill(t *testing.T, place acctest.Place, cli int, who victim) {
	t.Helper()
	if who != theBootstrap {
		_ = syscall.Kill(-cli, syscall.SIGKILL)
	}
	if who == theProvider {
		return
	}
	own := filepath.Join(place.BaseDir, "bin/redis-bootstrap")
	for pid, line := range place.Processes(t) {
		if strings.HasPrefix(line, own) && !strings.Contains(line, " supervise ") {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

const filledKeys = 5000

func fill(t *testing.T, c *redis.ClusterClient) {
	t.Helper()
	c.ReloadState(t.Context())
	pipe := c.Pipeline()
	for i := range filledKeys {
		pipe.Set(t.Context(), fmt.Sprint("k", i), i, 0)
	}
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// checkFilled checks that no key was lost in a change.
func checkFilled(t *testing.T, c *redis.ClusterClient, change string) {
	t.Helper()
	c.ReloadState(t.Context())
	for i := range filledKeys {
		if got, err := c.Get(t.Context(), fmt.Sprint("k", i)).Result(); err != nil || got != fmt.Sprint(i) {
			t.Fatalf("%s: k%d is %q (%v)", change, i, got, err)
		}
	}
}
