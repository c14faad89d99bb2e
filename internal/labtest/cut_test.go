//go:build linux

package labtest_test

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redisfleet/terraform-provider-redis/internal/lab"
	"github.com/redisfleet/terraform-provider-redis/internal/provider/acctest"
)

// TestAppliesAreCutOff has an apply lose its coordinator, its way to the hosts or
// its life just when a step begins: the next apply ends the change, no key is lost,
// and nothing is left to do. With CRASH_SWEEP each step of each change is such a
// one, otherwise a step of one change.
func TestAppliesAreCutOff(t *testing.T) {
	t.Parallel()
	sweep := os.Getenv("CRASH_SWEEP") != ""
	hosts, limit := 3, 5*time.Minute
	if sweep {
		hosts, limit = 4, 3*time.Hour
	}
	l := lab.ForTest(t, lab.Options{Hosts: hosts, Log: t.Output()})
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	w := newHostsWorkspace(t, ctx, l)
	write(t, filepath.Join(w.dir, "main.tf"), strings.Replace(hostsConfig, `"appendonly" = "yes"`, `"appendonly" = "yes", "tcp-backlog" = var.backlog`, 1)+
		"\nvariable \"backlog\" { default = \"200\" }\n")
	four := nodesOn(l, 2)
	three := maps.Clone(four)
	delete(three, "vm-4")
	random := rand.New(rand.NewPCG(crashSeed(t), 1))
	create := &change{name: "create", nodes: three, steps: 30}
	out := &change{name: "scale out", nodes: four}
	in := &change{name: "scale in", nodes: three}
	roll := &change{name: "rolling change", nodes: three, steps: 12, restarts: true}
	c := cutter{t: t, ctx: ctx, lab: l, w: w, fate: random.IntN(len(fates))}
	if sweep {
		for c.round = 0; c.round == 0 || create.left() || out.left() || in.left() || roll.left(); c.round++ {
			if c.data = nil; c.round > 0 {
				w.run("destroy", "-auto-approve", "-no-color")
			}
			for _, ch := range []*change{create, out, in, roll} {
				if c.round > 0 && !out.left() && !in.left() && !roll.left() && ch != create {
					break
				}
				c.make(ch, ch.left() && c.round > 0)
			}
		}
	} else {
		drawn := []*change{create, roll}[random.IntN(2)]
		drawn.next = random.IntN(drawn.steps)
		c.make(create, drawn == create)
		if drawn != create {
			c.make(drawn, true)
		}
	}
	for _, ch := range []*change{create, out, in, roll} {
		t.Logf("%s: %d steps, cut off %d times", ch.name, ch.steps, ch.cuts)
	}
	w.keepsSecrets()
	w.run("destroy", "-auto-approve", "-no-color")
}

// change is one that is made again and again.
type change struct {
	name     string
	nodes    map[string]node
	restarts bool
	// steps is how many it has, or about so many before it was made undisturbed.
	steps int
	// next counts those that were the moment to be cut off, and cuts when it came to that.
	next, cuts int
}

func (c *change) left() bool { return c.next < c.steps }

// fates are the ways to be cut off, which take turns.
var fates = []string{"the coordinator dies", "SSH is filtered", "sshd dies", "Terraform dies"}

type cutter struct {
	t     *testing.T
	ctx   context.Context
	lab   *lab.Lab
	w     *workspace
	data  *dataSet
	round int
	// fate has steps meet others of the fates: this one is added to their number.
	fate, backlog int
}

// make makes a change, which at first is cut off if that is wanted.
func (c *cutter) make(ch *change, cut bool) {
	c.t.Helper()
	if ch.restarts {
		c.backlog++
	}
	c.w.env = append(c.w.env, "TF_VAR_"+variable(c.t, "hosts", ch.nodes), "TF_VAR_backlog="+strconv.Itoa(200+c.backlog))
	load := func() {}
	if c.data != nil && cut {
		watched := c.lab.Hosts[1] // not the coordinator
		running := startLoad(c.t, c.ctx, watched, watched.Addr+":6379")
		load = func() {
			seen := running.stop()
			c.t.Logf("the load: %d operations, %d failed, %d writes lost, longest %.0f ms", seen.Operations, seen.FailedOperations, seen.LostWrites, seen.Latency.Max)
			if seen.Operations == 0 || seen.LostWrites > 0 {
				c.t.Errorf("%d operations, lost %q", seen.Operations, seen.LostKeys)
			}
		}
	}
	if !cut {
		_, ch.steps = c.apply(0, nil)
	} else {
		ch.next++
		fate := fates[(c.fate+ch.next)%len(fates)]
		began := time.Now()
		last, steps := c.apply(ch.next, func(terraform int) error { return c.strike(fate, terraform) })
		if steps < ch.next {
			c.t.Logf("%s: it was done before step %d", ch.name, ch.next)
		} else {
			ch.cuts++
			c.t.Logf("%s: %s at step %d of %d (%s): it ended after %s", ch.name, fate, ch.next, ch.steps, last, time.Since(began).Round(100*time.Millisecond))
			if err := c.mend(fate); err != nil {
				c.t.Fatal(err)
			}
		}
		began = time.Now()
		c.w.apply()
		c.t.Logf("the next apply took %s", time.Since(began).Round(100*time.Millisecond))
		c.w.plansNothing()
	}
	if status := output[string](c.w, "status"); status != "ok" {
		c.t.Errorf("%s: status %q", ch.name, status)
	}
	load()
	if c.data == nil {
		d := newDataSet(c.t, c.lab, c.lab.Hosts[0].Addr+":6379")
		c.data = &d
	}
	c.data.check()
	if c.t.Failed() {
		c.t.FailNow()
	}
}

func (c *cutter) strike(fate string, terraform int) error {
	switch fate {
	case "the coordinator dies":
		return c.lab.Hosts[0].Kill(c.ctx)
	case "SSH is filtered":
		return c.lab.Filter(c.ctx, nil, []string{"tcp dport 22 drop"})
	case "sshd dies":
		return c.onAll("pkill -KILL sshd || :")
	default:
		return syscall.Kill(-terraform, syscall.SIGKILL)
	}
}

func (c *cutter) mend(fate string) error {
	switch fate {
	case "the coordinator dies":
		return c.lab.Hosts[0].Start(c.ctx)
	case "SSH is filtered":
		return c.lab.Filter(c.ctx, nil, nil)
	case "sshd dies":
		return c.onAll("systemctl restart ssh")
	}
	return nil
}

func (c *cutter) onAll(script string) error {
	var errs []error
	for _, h := range c.lab.Hosts {
		_, err := h.Run(c.ctx, script)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// apply runs an apply, and strikes when it begins its step number at, from 1; with
// 0 it comes to its end. It returns that step, or the last one, and their number.
func (c *cutter) apply(at int, strike func(terraform int) error) (last string, steps int) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.ctx, 2*time.Minute)
	defer cancel()
	cmd := c.lab.Command(ctx, "terraform", "apply", "-auto-approve", "-no-color", "-var", "connect_timeout=5s")
	cmd.Dir, cmd.Env = c.w.dir, c.w.env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	var strikeErr error
	last, steps, err := acctest.Cut(c.t, cmd, at, func(cli int) { strikeErr = strike(cli) })
	c.w.log.Write(out.Bytes())
	if strikeErr != nil {
		c.t.Fatal(strikeErr)
	}
	if ctx.Err() != nil {
		c.t.Fatalf("cut off at step %d (%s), the apply does not end:\n%s", steps, last, &out)
	}
	if err != nil && steps != at {
		c.t.Fatalf("apply: %v\n%s", err, &out)
	}
	return last, steps
}

// crashSeed is CRASH_SEED, or a new one; it is said either way.
func crashSeed(t *testing.T) uint64 {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("CRASH_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("CRASH_SEED=%d", seed)
	return seed
}
