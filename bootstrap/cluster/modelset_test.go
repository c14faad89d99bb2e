package cluster

import "math/bits"

// nodeSet is a set of the nodes of a model, by their numbers. Property tests
// spend their time on such sets.
type nodeSet []uint64

func (s *nodeSet) add(n *modelNode) {
	for len(*s) <= n.number/64 {
		*s = append(*s, 0)
	}
	(*s)[n.number/64] |= 1 << (n.number % 64)
}

func (s *nodeSet) addAll(t nodeSet) {
	for len(*s) < len(t) {
		*s = append(*s, 0)
	}
	for i, word := range t {
		(*s)[i] |= word
	}
}

func (s nodeSet) remove(n *modelNode) {
	if n.number/64 < len(s) {
		s[n.number/64] &^= 1 << (n.number % 64)
	}
}

func (s nodeSet) has(n *modelNode) bool {
	return n.number/64 < len(s) && s[n.number/64]&(1<<(n.number%64)) != 0
}

func (s nodeSet) size() (n int) {
	for _, word := range s {
		n += bits.OnesCount64(word)
	}
	return n
}

// all yields the numbers in the set, in order.
func (s nodeSet) all(yield func(int) bool) {
	for i, word := range s {
		for ; word != 0; word &= word - 1 {
			if !yield(i*64 + bits.TrailingZeros64(word)) {
				return
			}
		}
	}
}

// keyEvery is the distance between slots with a key in a used cluster; it divides no share.
const keyEvery = 61

// keySet is the keys of a node: one in some of every keyEvery-th slots.
type keySet [5]uint64

// keysInSlots are the keys of a used cluster in these slots.
func keysInSlots(slots Slots) (s keySet) {
	for _, r := range slots {
		for i := (r.First + keyEvery - 1) / keyEvery; i*keyEvery <= r.Last; i++ {
			s[i/64] |= 1 << (i % 64)
		}
	}
	return s
}

func (s keySet) count() (n int) {
	for _, word := range s {
		n += bits.OnesCount64(word)
	}
	return n
}

func (s keySet) and(t keySet) keySet {
	for i := range s {
		s[i] &= t[i]
	}
	return s
}

func (s keySet) or(t keySet) keySet {
	for i := range s {
		s[i] |= t[i]
	}
	return s
}

func (s keySet) minus(t keySet) keySet {
	for i := range s {
		s[i] &^= t[i]
	}
	return s
}
