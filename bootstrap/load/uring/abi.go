//go:build linux

package uring

// The layouts and numbers of linux/io_uring.h.

// Set-up flags.
const (
	setupSizedCompletions = 1 << 3  // IORING_SETUP_CQSIZE
	setupSubmitAll        = 1 << 7  // IORING_SETUP_SUBMIT_ALL
	setupSingleIssuer     = 1 << 12 // IORING_SETUP_SINGLE_ISSUER
	setupDeferred         = 1 << 13 // IORING_SETUP_DEFER_TASKRUN
)

// Offsets for mmap of the parts of a ring.
const (
	mapQueues  = 0          // IORING_OFF_SQ_RING; the completions lie in it too
	mapEntries = 0x10000000 // IORING_OFF_SQES
)

// Flags of io_uring_enter.
const (
	enterGetEvents   = 1 << 0 // IORING_ENTER_GETEVENTS
	enterExtendedArg = 1 << 3 // IORING_ENTER_EXT_ARG
)

// Operations and their flags.
const (
	opPollAdd = 6  // IORING_OP_POLL_ADD
	opSend    = 26 // IORING_OP_SEND
	opReceive = 27 // IORING_OP_RECV

	entryBufferSelect = 1 << 5 // IOSQE_BUFFER_SELECT
	entryQuiet        = 1 << 6 // IOSQE_CQE_SKIP_SUCCESS
	receiveMultishot  = 1 << 1 // IORING_RECV_MULTISHOT
)

// Flags of a completion.
const (
	completionBuffer      = 1 << 0 // IORING_CQE_F_BUFFER
	completionMore        = 1 << 1 // IORING_CQE_F_MORE
	completionBufferShift = 16     // IORING_CQE_BUFFER_SHIFT
)

const registerBuffers = 22 // IORING_REGISTER_PBUF_RING

type parameters struct {
	entries, completions, flags, threadCPU, threadIdle, features, workers uint32

	_ [3]uint32

	submission struct {
		head, tail, mask, entries, flags, dropped, array, _ uint32

		_ uint64
	}
	completion struct {
		head, tail, mask, entries, overflow, entriesAt, flags, _ uint32

		_ uint64
	}
}

// entry is a submission, struct io_uring_sqe.
type entry struct {
	operation, flags   uint8
	priority           uint16
	fd                 int32
	offset, address    uint64
	length, callFlags  uint32
	user               uint64
	group, personality uint16
	file               int32

	_ [2]uint64
}

// Completion says how a request ended, or that it has got something: struct io_uring_cqe.
type Completion struct {
	// User is what the request was given.
	User uint64
	// Result is what the system call of that kind returns: a number of bytes, or a negative errno.
	Result int32
	flags  uint32
}

// More says whether the request goes on, and will complete again.
func (c Completion) More() bool { return c.flags&completionMore != 0 }

// enterArgument is struct io_uring_getevents_arg.
type enterArgument struct {
	signals     uint64
	signalsSize uint32
	_           uint32
	timeout     uint64
}

// bufferRegistration is struct io_uring_buf_reg.
type bufferRegistration struct {
	address        uint64
	entries        uint32
	group, options uint16

	_ [3]uint64
}

// bufferEntry is struct io_uring_buf. The tail of the ring of buffers lies in the
// last field of its first entry.
type bufferEntry struct {
	address uint64
	length  uint32
	number  uint16
	tail    uint16
}
