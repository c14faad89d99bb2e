package workload

import (
	"strings"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// slotter computes the slot of a command's key from the part of it that varies.
// What stands before and after that part is reckoned in once, hash tags too.
// spec.Slot is the same for a whole key; this one is for every command sent.
type slotter struct {
	// fixed: the slot is always slot.
	fixed bool
	slot  uint16
	// start is the CRC of what comes before the part, tail is what comes after it.
	start uint16
	tail  string
	// numbers are what the sums of the digits of a number have to be combined
	// with, by how many digits there are.
	numbers [maxDigits + 1]uint16
}

// slotterOf is the slotter of keys made by arg, where a key is prefix and a
// varying part of letters, digits and hyphens.
func slotterOf(arg *argument, prefix string) slotter {
	s := slotterAround(arg, prefix)
	for n := 1; n <= maxDigits; n++ {
		s.numbers[n] = startOfDecimal(s.start, n)
	}
	return s
}

func slotterAround(arg *argument, prefix string) slotter {
	if arg == nil {
		return slotter{fixed: true, slot: AnySlot}
	}
	before, after, _ := strings.Cut(arg.render("\x00", "1"), "\x00")
	before += prefix
	after = strings.ReplaceAll(after, "\x00", prefix) // a second key in the word; its varying part is not hashed exactly
	open := strings.IndexByte(before, '{')
	if open < 0 {
		if tag, ok := closedTag(after); ok {
			return slotter{fixed: true, slot: uint16(spec.Slot(tag))}
		}
		return slotter{start: crc(0, before), tail: after}
	}
	inside := before[open+1:]
	if end := strings.IndexByte(inside, '}'); end > 0 {
		return slotter{fixed: true, slot: uint16(spec.Slot(inside[:end]))}
	} else if end == 0 {
		return slotter{start: crc(0, before), tail: after}
	}
	if end := strings.IndexByte(after, '}'); end >= 0 {
		return slotter{start: crc(0, inside), tail: after[:end]}
	}
	return slotter{start: crc(0, before), tail: after}
}

// closedTag is the hash tag in text, if there is one that is not empty.
func closedTag(text string) (string, bool) {
	open := strings.IndexByte(text, '{')
	if open < 0 {
		return "", false
	}
	end := strings.IndexByte(text[open:], '}')
	return text[open+1 : open+max(end, 1)], end > 1
}

// of is the slot of the key whose varying part is body.
func (s *slotter) of(body []byte) uint16 {
	return s.end(crc(s.start, body))
}

// ofNumber is the slot of the key whose varying part is number in decimal.
func (s *slotter) ofNumber(number uint64) uint16 {
	if s.fixed {
		return s.slot
	}
	return s.end(s.numbers[digits(number)] ^ crcDecimal(number))
}

// end is the slot of a key that is at its tail with this sum.
func (s *slotter) end(sum uint16) uint16 {
	if s.tail != "" {
		sum = crc(sum, s.tail)
	}
	return sum % spec.Slots
}

// maxDigits is how many digits a number has at most.
const maxDigits = 20

// A CRC is linear: that of a text is the exclusive-or of those of its parts, each
// with zero bytes in place of the others. So the sum of the digits of a number is
// looked up three at a time, and combined with that of all that is always the same.

// crcDecimal is the part of the sum that the digits of number make up, with zeros
// before them up to a multiple of three digits, and six at least.
func crcDecimal(number uint64) uint16 {
	high := number / 1000
	sum := decimals[0][number-1000*high]
	for i := 1; ; i++ {
		if high < 1000 {
			return sum ^ decimals[i][high]
		}
		number, high = high, high/1000
		sum ^= decimals[i][number-1000*high]
	}
}

// startOfDecimal is the rest of the sum, if it is start before a number of so many digits.
func startOfDecimal(start uint16, length int) uint16 {
	rest := crc(start, make([]byte, length))
	if zeros := max(6, (length+2)/3*3) - length; zeros > 0 {
		rest ^= crc(crc(0, "00000"[:zeros]), make([]byte, length))
	}
	return rest
}

// decimals has the sums of three digits with as many threes of zero bytes after them.
var decimals = func() (t [(maxDigits + 2) / 3][1000]uint16) {
	for i := range t[0] {
		t[0][i] = crc(0, []byte{byte('0' + i/100), byte('0' + i/10%10), byte('0' + i%10)})
		for j := range t[1:] {
			t[j+1][i] = crc(t[j][i], "\x00\x00\x00")
		}
	}
	return t
}()

// crc continues the CRC-16/XMODEM sum with data.
func crc[T string | []byte](sum uint16, data T) uint16 {
	for i := range len(data) {
		sum = sum<<8 ^ crcTable[byte(sum>>8)^data[i]]
	}
	return sum
}

var crcTable = func() (table [256]uint16) {
	const polynomial = 0x1021
	for i := range table {
		sum := uint16(i) << 8
		for range 8 {
			carry := sum&0x8000 != 0
			if sum <<= 1; carry {
				sum ^= polynomial
			}
		}
		table[i] = sum
	}
	return table
}()
