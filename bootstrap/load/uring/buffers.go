//go:build linux

package uring

import (
	"fmt"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// buffers are the memory in which what is received arrives. The kernel takes one
// from the ring for each piece, and gets it back when the piece has been seen.
type buffers struct {
	ring, memory []byte
	entries      []bufferEntry
	size, stride int
	tail         uint16
}

// cacheLine keeps buffers whose sizes are powers of two from all beginning in the
// same lines of a cache.
const cacheLine = 64

// provide makes count buffers and lends them to the kernel.
func (r *Ring) provide(count, size int) error {
	b := &r.buffers
	b.size, b.stride = size, size+cacheLine
	for part, length := range map[*[]byte]int{&b.ring: count * int(unsafe.Sizeof(bufferEntry{})), &b.memory: count * b.stride} {
		var err error
		if *part, err = unix.Mmap(-1, 0, length, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE); err != nil {
			return fmt.Errorf("map the buffers of io_uring: %w", err)
		}
	}
	b.entries = unsafe.Slice((*bufferEntry)(unsafe.Pointer(unsafe.SliceData(b.ring))), count)
	registration := bufferRegistration{address: uint64(uintptr(unsafe.Pointer(unsafe.SliceData(b.ring)))), entries: uint32(count)}
	if _, _, errno := unix.Syscall6(unix.SYS_IO_URING_REGISTER, uintptr(r.fd), registerBuffers, uintptr(unsafe.Pointer(&registration)), 1, 0, 0); errno != 0 {
		return fmt.Errorf("io_uring_register: %w", errno)
	}
	for i := range count {
		b.lend(uint16(i))
	}
	b.publish()
	return nil
}

// lend gives a buffer to the kernel, which sees it after publish.
func (b *buffers) lend(number uint16) {
	e := &b.entries[int(b.tail)&(len(b.entries)-1)]
	e.address = uint64(uintptr(unsafe.Pointer(&b.memory[int(number)*b.stride])))
	e.length, e.number = uint32(b.size), number
	b.tail++
}

// publish has the kernel see what was lent.
func (b *buffers) publish() {
	// There is no atomic store of 16 bits: the number beside the tail is the kernel's
	// only to read, so both are stored as one.
	first := &b.entries[0]
	pair := [2]uint16{first.number, b.tail}
	atomic.StoreUint32((*uint32)(unsafe.Pointer(&first.number)), *(*uint32)(unsafe.Pointer(&pair)))
}

// Bytes is what a completion of Receive has brought, valid until Recycle; nil if
// it has brought none.
func (r *Ring) Bytes(c Completion) []byte {
	if c.flags&completionBuffer == 0 || c.Result <= 0 {
		return nil
	}
	at := int(c.flags>>completionBufferShift) * r.buffers.stride
	return r.buffers.memory[at : at+int(c.Result)]
}

// Recycle gives the buffer of a completion back, if it has one.
func (r *Ring) Recycle(c Completion) {
	if c.flags&completionBuffer != 0 {
		r.buffers.lend(uint16(c.flags >> completionBufferShift))
	}
}
