package workload

import (
	"encoding/hex"
	"math"
	"math/bits"
	"math/rand/v2"
	"strconv"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// keyAlphabet is what keys of a given length are made of.
const keyAlphabet = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

// maxNumberedLength is the longest key whose every possible value has a number
// of 64 bits: 62¹⁰ < 2⁶⁴.
const maxNumberedLength = 10

// counterBits is how many bits of the number of a key with a UUID count the
// client's keys; the rest says which client it is.
const counterBits = 40

// appendKeyBody appends the part of the key that varies.
func (p *Program) appendKeyBody(buf []byte, it *Item) []byte {
	switch {
	case p.keys.ClientUUID:
		buf = appendUUID(buf, p.seed, it.Key>>counterBits)
		buf = append(buf, '-')
		return strconv.AppendUint(buf, it.Key%(1<<counterBits), 10)
	case p.keys.Length > 0:
		return appendLetters(buf, it.Key, p.keys.Length)
	}
	return strconv.AppendUint(buf, it.Key, 10)
}

// appendLetters appends length letters and digits that number stands for.
func appendLetters(buf []byte, number uint64, length int) []byte {
	for i := range length {
		if i > 0 && i%maxNumberedLength == 0 {
			number = mix(number + uint64(i))
		}
		buf = append(buf, keyAlphabet[number%uint64(len(keyAlphabet))])
		number /= uint64(len(keyAlphabet))
	}
	return buf
}

// appendUUID appends a random (version 4) UUID, always the same for one client of one seed.
func appendUUID(buf []byte, seed, client uint64) []byte {
	hi, lo := mix(seed^mix(client)), mix(seed+mix(client+1))
	raw := [16]byte{6: byte(hi)&0x0f | 0x40, 8: byte(lo)&0x3f | 0x80}
	for i := range raw {
		switch {
		case i == 6 || i == 8:
		case i < 8:
			raw[i] = byte(hi >> (8 * i))
		default:
			raw[i] = byte(lo >> (8 * (i - 8)))
		}
	}
	buf = hex.AppendEncode(buf, raw[:4])
	for _, group := range [][]byte{raw[4:6], raw[6:8], raw[8:10], raw[10:]} {
		buf = hex.AppendEncode(append(buf, '-'), group)
	}
	return buf
}

// mix is the finaliser of splitmix64: every bit of x changes every bit of the result.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// keyPicker draws keys by a random pattern.
type keyPicker struct {
	rng     *rand.Rand
	source  *rand.PCG
	uniform bool
	pattern string
	minimum uint64
	size    uint64
	zipf    zipf
}

func newKeyPicker(k spec.Keys, rng *rand.Rand, source *rand.PCG) keyPicker {
	p := keyPicker{rng: rng, source: source, uniform: k.Pattern == spec.PatternUniform, pattern: k.Pattern, minimum: uint64(k.Minimum), size: uint64(k.Maximum - k.Minimum + 1)}
	if k.Length > 0 {
		p.minimum, p.size = 0, 0
		if k.Length <= maxNumberedLength {
			p.size = uint64(math.Pow(float64(len(keyAlphabet)), float64(k.Length)))
		}
	}
	if k.Pattern == spec.PatternZipfian {
		p.zipf = newZipf(k.ZipfExponent, p.size)
	}
	return p
}

// of is the key that a random number of 64 bits chooses in the uniform pattern.
// Some keys get one more of these than others; nobody will see it.
func (p *keyPicker) of(random uint64) uint64 {
	high, _ := bits.Mul64(random, p.size)
	return p.minimum + high
}

// deviations is how many standard deviations of the gaussian pattern lie
// between the middle of the range and either end, as in memtier_benchmark.
const deviations = 3

func (p *keyPicker) draw() uint64 {
	if p.uniform && p.size > 0 {
		return p.of(p.source.Uint64())
	}
	switch p.pattern {
	case spec.PatternGaussian:
		middle := float64(p.size-1) / 2
		for {
			// What falls outside the range, 3 in 1000, is drawn again.
			if x := math.Round(middle + p.rng.NormFloat64()*middle/deviations); x >= 0 && x < float64(p.size) {
				return p.minimum + uint64(x)
			}
		}
	case spec.PatternZipfian:
		return p.minimum + p.zipf.draw(p.rng) - 1
	}
	return p.source.Uint64() // every number of 64 bits
}
