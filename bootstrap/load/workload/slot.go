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
}

// slotterOf is the slotter of keys made by arg, where a key is prefix and a
// varying part of letters, digits and hyphens.
func slotterOf(arg *argument, prefix string) slotter {
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
	return s.end(crcDecimal(s.start, number))
}

// end is the slot of a key that is at its tail with this sum.
func (s *slotter) end(sum uint16) uint16 {
	if s.tail != "" {
		sum = crc(sum, s.tail)
	}
	return sum % spec.Slots
}

// crcDecimal continues the sum with the digits of number, three at a time: a CRC
// of three bytes more is that of three zero bytes more, exclusive-or that of the
// three bytes by themselves.
func crcDecimal(sum uint16, number uint64) uint16 {
	if number >= 1000 {
		sum = crcDecimal(sum, number/1000)
		return decimals.shift[0][sum>>8] ^ decimals.shift[1][sum&0xff] ^ decimals.digits[number%1000]
	}
	if number >= 100 {
		return decimals.shift[0][sum>>8] ^ decimals.shift[1][sum&0xff] ^ decimals.digits[number]
	}
	if number >= 10 {
		sum = sum<<8 ^ crcTable[byte(sum>>8)^byte('0'+number/10)]
	}
	return sum<<8 ^ crcTable[byte(sum>>8)^byte('0'+number%10)]
}

// decimals has the sums of three digits, and what three zero bytes make of
// either byte of a sum.
var decimals = func() (t struct {
	digits [1000]uint16
	shift  [2][256]uint16
}) {
	for i := range t.digits {
		t.digits[i] = crc(0, []byte{byte('0' + i/100), byte('0' + i/10%10), byte('0' + i%10)})
	}
	for i := range t.shift[0] {
		t.shift[0][i] = crc(uint16(i)<<8, "\x00\x00\x00")
		t.shift[1][i] = crc(uint16(i), "\x00\x00\x00")
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
