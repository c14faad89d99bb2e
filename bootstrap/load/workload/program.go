// Package workload turns a workload's description into commands: which one a
// client sends next, with which key and value, encoded for the wire. Nothing is
// allocated once it runs.
package workload

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/redisconf"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// AnySlot is the slot of a command without a key: any node will do.
const AnySlot = spec.Slots

// Item is one command to be sent, small enough to be kept while it is under way
// and encoded again for a retry.
type Item struct {
	// Key is the key's number; what it means is up to the workload's keys.
	Key uint64
	// Tag chooses the value. With verified values it is the write's time, and in
	// a recorded workload it stands for the command itself.
	Tag uint64
	// Size is the value's size in bytes.
	Size int32
	// Command is an index in Program.Commands.
	Command uint16
	Slot    uint16
}

// Program is a compiled workload. It is read-only and shared by all threads.
type Program struct {
	Commands []Command
	// Verified has the values say which write they are from.
	Verified bool

	keys    spec.Keys
	stages  []sizes
	cycle   []uint16
	weights []float64
	seed    uint64
	runner  int
	clients int
}

// Seed is the seed of the workload.
func (p *Program) Seed() uint64 { return p.seed }

// KeyRange is the first key's number and how many keys there may be; a size of 0
// means that keys are not numbers from a range.
func (p *Program) KeyRange() (first, size uint64) {
	if p.keys.ClientUUID || p.keys.Length > 0 || p.keys.Maximum == 0 {
		return 0, 0
	}
	return uint64(p.keys.Minimum), uint64(p.keys.Maximum - p.keys.Minimum + 1)
}

// Round is how many commands a client sends until it begins again: those of a
// cycle, or one.
func (p *Program) Round() int { return max(1, len(p.cycle)) }

// LargestValue is the size of the largest value, in bytes; 0 if that is not known.
func (p *Program) LargestValue() (most int) {
	for i := range p.stages {
		most = max(most, p.stages[i].largest())
	}
	return most
}

// Command is one kind of command of a program.
type Command struct {
	// Name is what results call it.
	Name string
	// Write says that the command changes data, so that its fate matters when a
	// connection breaks.
	Write bool
	// Kind tells what a verification has to know of.
	Kind Kind

	template template
	slots    slotter
}

// Kind is what a command does to a verified key.
type Kind uint8

// The kinds.
const (
	KindOther Kind = iota
	KindSet
	KindDelete
)

// Compile makes a program of w, which must be valid. Runner is this runner's number.
func Compile(w spec.Workload, verify bool, runner int) (*Program, error) {
	w = w.WithDefaults()
	p := &Program{Verified: verify, keys: w.Keys, seed: w.Seed, runner: runner, clients: w.Clients}
	for _, name := range spec.OperationNames() {
		if weight := operationWeight(w, name); weight > 0 {
			line, _ := spec.OperationLine(name)
			if ms := w.Expiry.D().Milliseconds(); name == "set" && ms > 0 {
				line += " PX " + strconv.FormatInt(ms, 10)
			}
			if err := p.add(strings.ToUpper(name), line, weight); err != nil {
				return nil, err
			}
			p.Commands[len(p.Commands)-1].Kind = operationKind(name)
		}
	}
	for _, c := range w.Commands {
		if c.Weight > 0 {
			if err := p.add(c.Command, c.Command, c.Weight); err != nil {
				return nil, err
			}
		}
	}
	if w.Sequence == spec.SequenceCycle {
		p.cycle = cycleOf(p.weights)
	}
	base := sizesOf(w.DataSize, w.DataSizes)
	p.stages = []sizes{base}
	for i, s := range w.Stages {
		here := base
		if s.DataSize > 0 {
			here = sizesOf(s.DataSize, nil)
		}
		if i == 0 {
			p.stages[0] = here
			continue
		}
		p.stages = append(p.stages, here)
	}
	return p, nil
}

// Recorded is the program of a recorded workload: it has the commands' names, and
// the recording has the rest.
func Recorded(names []string, writes []bool) *Program {
	p := &Program{stages: make([]sizes, 1)}
	for i, name := range names {
		p.Commands = append(p.Commands, Command{Name: name, Write: writes[i]})
		p.weights = append(p.weights, 1)
	}
	return p
}

// operationWeight is the weight of the operation called name, in any case.
func operationWeight(w spec.Workload, name string) (sum float64) {
	for n, weight := range w.Operations {
		if strings.EqualFold(n, name) {
			sum += weight
		}
	}
	return sum
}

func operationKind(name string) Kind {
	switch name {
	case "set":
		return KindSet
	case "del", "unlink":
		return KindDelete
	}
	return KindOther
}

// add compiles one command line.
func (p *Program) add(name, line string, weight float64) error {
	args, err := redisconf.Split(line)
	if err != nil {
		return fmt.Errorf("command %q: %w", line, err)
	}
	c := Command{Name: name, Write: !readOnly(args[0]), template: compileTemplate(args)}
	c.slots = slotterOf(c.template.key, p.keys.Prefix)
	p.Commands = append(p.Commands, c)
	p.weights = append(p.weights, weight)
	return nil
}

// readOnly is what is assumed of a command until the server has been asked.
func readOnly(name string) bool {
	switch strings.ToLower(name) {
	case "get", "exists", "strlen", "ttl", "llen", "lrange", "scard", "hget", "zcard", "ping":
		return true
	}
	return false
}

// maxCycle bounds the length of a cycle; finer weights are rounded.
const maxCycle = 1000

// cycleOf lays the commands out in order, each as often as its weight says
// relative to the others.
func cycleOf(weights []float64) []uint16 {
	sum := 0.0
	for _, w := range weights {
		sum += w
	}
	best, bestError := 1.0, math.Inf(1)
	for scale := 1.0; scale*sum/slices.Min(weights) <= maxCycle || scale == 1; scale++ {
		off := 0.0
		for _, w := range weights {
			times := w / slices.Min(weights) * scale
			off = max(off, math.Abs(times-math.Round(times)))
		}
		if off < bestError-1e-9 {
			best, bestError = scale, off
		}
	}
	var cycle []uint16
	for i, w := range weights {
		times := math.Round(w / slices.Min(weights) * best)
		for range int(min(times, maxCycle)) {
			cycle = append(cycle, uint16(i))
		}
	}
	return cycle
}

// Example is command i as its words, with some key and value, for asking the
// server about it. Key is empty if the command has none.
func (p *Program) Example(i int) (args []string, key string) {
	k := string(p.appendKeyBody(append([]byte(nil), p.keys.Prefix...), &Item{Key: uint64(max(1, p.keys.Minimum))}))
	t := p.Commands[i].template
	for _, a := range t.args {
		args = append(args, a.render(k, "1"))
	}
	if t.key != nil {
		key = t.key.render(k, "1")
	}
	return args, key
}
