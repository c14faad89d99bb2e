//go:build linux

// Package uring is Linux's io_uring as far as a load generator needs it: one
// system call hands over what many connections send and brings what many have
// received. See io_uring(7).
package uring

import (
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Ring is the pair of queues that a thread shares with the kernel. The thread
// that makes it has to be the one that uses it, and to live as long: the kernel
// does its part of the work in that thread, when it enters.
//
// The memory of a request's bytes must stay as it is until the request has ended.
type Ring struct {
	fd int
	// queues and requests are the memory shared with the kernel.
	queues, requests []byte

	entries        []entry
	head, tail     *uint32 // of the submissions
	queued, handed uint32  // up to where they are filled in, and given to the kernel

	completions []Completion
	first, last *uint32 // of the completions
	next        uint32  // the one that is looked at next

	buffers buffers
}

// New makes a ring for entries requests at a time, and buffers of a size in which
// what is received arrives. Entries and buffers are powers of two. An error says
// that this kernel has no io_uring that will do (6.1 or later), or does not allow it.
func New(entries, buffers, size int) (*Ring, error) {
	r := &Ring{}
	if err := r.setUp(entries); err != nil {
		return nil, err
	}
	if err := r.provide(buffers, size); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// completionsPerEntry is how many completions the queue has room for, by request: a
// request that goes on completes many times. The kernel keeps what does not fit.
const completionsPerEntry = 8

func (r *Ring) setUp(entries int) error {
	p := parameters{
		flags:       setupSizedCompletions | setupSubmitAll | setupSingleIssuer | setupDeferred,
		completions: uint32(entries * completionsPerEntry),
	}
	fd, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, uintptr(entries), uintptr(unsafe.Pointer(&p)), 0)
	if errno != 0 {
		return fmt.Errorf("io_uring_setup: %w", errno)
	}
	r.fd = int(fd)
	unix.CloseOnExec(r.fd)
	var err error
	size := max(p.completion.entriesAt+p.completions*uint32(unsafe.Sizeof(Completion{})), p.submission.array+p.entries*4)
	if r.queues, err = r.share(mapQueues, int(size)); err == nil {
		r.requests, err = r.share(mapEntries, int(p.entries)*int(unsafe.Sizeof(entry{})))
	}
	if err != nil {
		return errors.Join(err, r.Close())
	}
	word := func(at uint32) *uint32 { return (*uint32)(unsafe.Pointer(&r.queues[at])) }
	r.head, r.tail = word(p.submission.head), word(p.submission.tail)
	r.first, r.last = word(p.completion.head), word(p.completion.tail)
	r.entries = unsafe.Slice((*entry)(unsafe.Pointer(unsafe.SliceData(r.requests))), p.entries)
	r.completions = unsafe.Slice((*Completion)(unsafe.Pointer(word(p.completion.entriesAt))), p.completions)
	for i := range p.entries { // the kernel looks a request's place up in an array
		*word(p.submission.array + 4*i) = i
	}
	return nil
}

func (r *Ring) share(offset int64, size int) ([]byte, error) {
	memory, err := unix.Mmap(r.fd, offset, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return nil, fmt.Errorf("map the queues of io_uring: %w", err)
	}
	return memory, nil
}

// Close gives everything back. What is still under way is cancelled.
func (r *Ring) Close() error {
	err := unix.Close(r.fd)
	for _, memory := range [][]byte{r.queues, r.requests, r.buffers.ring, r.buffers.memory} {
		if memory != nil {
			err = errors.Join(err, unix.Munmap(memory))
		}
	}
	*r = Ring{fd: -1}
	return err
}

// Room is how many requests can be added before the next Enter.
func (r *Ring) Room() int { return len(r.entries) - int(r.queued-r.handed) }

// add takes the next request's place. There must be room.
func (r *Ring) add() *entry {
	e := &r.entries[r.queued&uint32(len(r.entries)-1)]
	r.queued++
	return e
}

// Send sends p, as far as that goes at once. It completes only if that is not all
// of it: with the number of bytes sent, or an errno.
func (r *Ring) Send(fd int32, p []byte, user uint64) {
	*r.add() = entry{
		operation: opSend, flags: entryQuiet, fd: fd, user: user, length: uint32(len(p)),
		address:   uint64(uintptr(unsafe.Pointer(unsafe.SliceData(p)))),
		callFlags: unix.MSG_NOSIGNAL | unix.MSG_DONTWAIT | unix.MSG_WAITALL,
	}
}

// Receive receives until the end of the stream, an error, or until there is no
// buffer; it completes with every piece, whose bytes are in Bytes.
func (r *Ring) Receive(fd int32, user uint64) {
	*r.add() = entry{operation: opReceive, flags: entryBufferSelect, priority: receiveMultishot, fd: fd, user: user}
}

// AwaitWritable completes once when fd can be written to, or has failed.
func (r *Ring) AwaitWritable(fd int32, user uint64) {
	*r.add() = entry{operation: opPollAdd, fd: fd, user: user, callFlags: unix.POLLOUT}
}

// Enter hands the requests over. Then it waits until there is a completion, or for
// the timeout; 0 does not wait. A signal ends a wait.
//
// Like the other system calls of a load, it is made without telling Go's scheduler:
// a thread that waits here keeps its place there.
func (r *Ring) Enter(timeout time.Duration) error {
	atomic.StoreUint32(r.first, r.next)
	atomic.StoreUint32(r.tail, r.queued)
	r.buffers.publish()
	ts := unix.NsecToTimespec(timeout.Nanoseconds())
	arg := enterArgument{timeout: uint64(uintptr(unsafe.Pointer(&ts)))}
	least := 0
	if timeout > 0 {
		least = 1
	}
	for {
		_, _, errno := syscall.RawSyscall6(unix.SYS_IO_URING_ENTER, uintptr(r.fd), uintptr(r.queued-r.handed), uintptr(least),
			enterGetEvents|enterExtendedArg, uintptr(unsafe.Pointer(&arg)), unsafe.Sizeof(arg))
		r.handed = atomic.LoadUint32(r.head)
		switch errno {
		case 0, unix.EINTR, unix.ETIME, unix.EBUSY: // EBUSY: completions wait until there is room
			if r.handed == r.queued {
				return nil
			}
		default:
			return fmt.Errorf("io_uring_enter: %w", errno)
		}
	}
}

// Next is the next completion, if there is one.
func (r *Ring) Next() (c Completion, ok bool) {
	if r.next == atomic.LoadUint32(r.last) {
		return Completion{}, false
	}
	c = r.completions[r.next&uint32(len(r.completions)-1)]
	r.next++
	return c, true
}

// Unseen calls see with every completion that Next has not returned yet.
func (r *Ring) Unseen(see func(Completion)) {
	for i, end := r.next, atomic.LoadUint32(r.last); i != end; i++ {
		see(r.completions[i&uint32(len(r.completions)-1)])
	}
}
