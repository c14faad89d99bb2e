package workload

import (
	"math"
	"math/rand/v2"
)

// zipf draws ranks 1…n, rank k with a probability in proportion to k^-exponent,
// for any exponent > 0 (math/rand's needs one above 1). It is rejection-inversion:
// W. Hörmann, G. Derflinger, "Rejection-inversion to generate variates from
// monotone discrete distributions", ACM TOMACS 6 (1996).
type zipf struct {
	exponent float64
	n        float64
	// first and last are the integral's values at the ends; accept is the
	// distance within which a draw needs no further look.
	first, last, accept float64
}

func newZipf(exponent float64, n uint64) zipf {
	z := zipf{exponent: exponent, n: float64(n)}
	z.first = z.integral(1.5) - 1
	z.last = z.integral(z.n + 0.5)
	z.accept = 2 - z.inverse(z.integral(2.5)-z.density(2))
	return z
}

func (z *zipf) density(x float64) float64 { return math.Exp(-z.exponent * math.Log(x)) }

// integral is the antiderivative of density, written so that it holds near exponent 1.
func (z *zipf) integral(x float64) float64 {
	log := math.Log(x)
	return expm1Over((1-z.exponent)*log) * log
}

func (z *zipf) inverse(y float64) float64 {
	t := max(y*(1-z.exponent), -1)
	return math.Exp(log1pOver(t) * y)
}

// draw returns a rank, from 1.
func (z *zipf) draw(rng *rand.Rand) uint64 {
	for {
		u := z.last + rng.Float64()*(z.first-z.last)
		x := z.inverse(u)
		k := min(max(math.Round(x), 1), z.n)
		if k-x <= z.accept || u >= z.integral(k+0.5)-z.density(k) {
			return uint64(k)
		}
	}
}

// expm1Over is (eˣ-1)/x, and log1pOver is ln(1+x)/x, continued to x = 0.
func expm1Over(x float64) float64 {
	if math.Abs(x) > 1e-8 {
		return math.Expm1(x) / x
	}
	return 1 + x/2
}

func log1pOver(x float64) float64 {
	if math.Abs(x) > 1e-8 {
		return math.Log1p(x) / x
	}
	return 1 - x/2
}
