//go:build linux

package engine

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/load/workload"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// pacer is one thread's part of an open loop's schedule. With constant arrivals
// the threads of all runners take turns, so that the whole is even.
type pacer struct {
	plan    ratePlan
	share   workload.Share
	poisson bool
	rng     *rand.Rand
	// next is the intended time of the next command, in nanoseconds.
	next int64
	// exact is next before it was rounded: with constant arrivals, count steps
	// from since, so that errors don't add up.
	exact, since, step float64
	count              int64
}

func newPacer(w spec.Workload, share workload.Share, start time.Duration) *pacer {
	p := &pacer{
		plan: newRatePlan(w, start), share: share, poisson: w.Arrival == spec.ArrivalPoisson,
		rng: rand.New(rand.NewPCG(w.Seed, ^uint64(share.Index))),
	}
	if p.poisson {
		p.advance()
	} else {
		p.since = float64(share.Index) / p.plan.at(0) * float64(time.Second)
		p.set(p.since)
	}
	return p
}

func (p *pacer) set(at float64) { p.exact, p.next = at, int64(math.Round(at)) }

// advance goes on to the next command.
func (p *pacer) advance() {
	step := float64(p.share.Count) / p.plan.at(p.exact) * float64(time.Second)
	if p.poisson {
		p.set(p.exact + step*p.rng.ExpFloat64())
		return
	}
	if step != p.step {
		p.since, p.step, p.count = p.exact, step, 0
	}
	p.count++
	p.set(p.since + float64(p.count)*step)
}

// ratePlan is the rate over time: pieces one after the other.
type ratePlan struct {
	pieces []ratePiece
}

type ratePiece struct {
	until    float64 // nanoseconds on the load's clock
	from, to float64 // commands per second at its ends
	length   float64
}

// slowestStart is the part of a ramp's final rate that it starts with at least:
// from a rate of nothing the first command would never be due.
const slowestStart = 0.001

func newRatePlan(w spec.Workload, start time.Duration) ratePlan {
	var plan ratePlan
	rate, at := w.Rate, float64(start)
	if rate == 0 && len(w.Stages) > 0 {
		rate = w.Stages[0].Rate
		if w.Stages[0].Ramp {
			rate *= slowestStart
		}
	}
	plan.pieces = append(plan.pieces, ratePiece{until: at, from: rate, to: rate, length: at})
	for _, s := range w.Stages {
		piece := ratePiece{from: rate, to: rate, length: float64(s.Duration)}
		if s.Rate > 0 {
			piece.to = s.Rate
			if rate = s.Rate; !s.Ramp {
				piece.from = rate
			}
		}
		at += piece.length
		piece.until = at
		piece.from = max(piece.from, piece.to*slowestStart)
		plan.pieces = append(plan.pieces, piece)
	}
	last := &plan.pieces[len(plan.pieces)-1]
	plan.pieces = append(plan.pieces, ratePiece{until: math.Inf(1), from: last.to, to: last.to, length: 1})
	return plan
}

// at is the rate at ns, in commands per second of the whole test.
func (p *ratePlan) at(ns float64) float64 {
	for len(p.pieces) > 1 && ns >= p.pieces[0].until {
		p.pieces = p.pieces[1:]
	}
	piece := &p.pieces[0]
	if piece.from == piece.to {
		return piece.from
	}
	return piece.to - (piece.to-piece.from)*(piece.until-ns)/piece.length
}
