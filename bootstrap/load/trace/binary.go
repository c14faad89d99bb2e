package trace

import (
	"bufio"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
)

// The format is: the magic line; then, compressed with gzip, records; then an end
// mark. A record is these numbers, each a varint: the count of its words, at
// least 1; microseconds since the record before; the client; and of each word
// its length, doubled, plus 1 if the word itself is left out. Words that are not
// left out follow their length. The end mark is the number 0 and the count of
// records, which tells a whole recording from one that was cut off.
const magic = "redis-bootstrap trace 1\n"

// Writer writes a recording.
type Writer struct {
	out     io.Writer
	zip     *gzip.Writer
	buf     []byte
	last    time.Duration
	records uint64
}

// NewWriter begins a recording.
func NewWriter(out io.Writer) (*Writer, error) {
	if _, err := io.WriteString(out, magic); err != nil {
		return nil, err
	}
	zip, err := gzip.NewWriterLevel(out, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	return &Writer{out: out, zip: zip}, nil
}

// Write adds a record. Words for which omit says yes are written as their length
// alone; omit may be nil.
func (w *Writer) Write(r *Record, omit func(i int, word []byte) bool) error {
	w.buf = binary.AppendUvarint(w.buf[:0], uint64(len(r.Args)))
	w.buf = binary.AppendUvarint(w.buf, uint64(max(0, r.At-w.last).Microseconds()))
	w.last = max(w.last, r.At.Truncate(time.Microsecond))
	w.buf = binary.AppendUvarint(w.buf, uint64(r.Client))
	for i, word := range r.Args {
		if omit != nil && omit(i, word) {
			w.buf = binary.AppendUvarint(w.buf, uint64(len(word))<<1|1)
			continue
		}
		w.buf = append(binary.AppendUvarint(w.buf, uint64(len(word))<<1), word...)
	}
	w.records++
	_, err := w.zip.Write(w.buf)
	return err
}

// Close ends the recording. It does not close what it was written to.
func (w *Writer) Close() error {
	_, err := w.zip.Write(binary.AppendUvarint([]byte{0}, w.records))
	return errors.Join(err, w.zip.Close())
}

// binaryReader reads what Writer wrote.
type binaryReader struct {
	in      *bufio.Reader
	records uint64
	at      time.Duration
	memory  []byte
	ended   bool
}

func newBinaryReader(r io.Reader) (*binaryReader, error) {
	head := make([]byte, len(magic))
	if _, err := io.ReadFull(r, head); err != nil || string(head) != magic {
		return nil, errors.New("it is no recording of redis-bootstrap record")
	}
	zip, err := gzip.NewReader(r)
	if err != nil {
		return nil, err
	}
	return &binaryReader{in: bufio.NewReaderSize(zip, 256<<10)}, nil
}

func (b *binaryReader) Read(r *Record) error {
	if b.ended {
		return io.EOF
	}
	if err := b.read(r); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = ErrTruncated
		}
		return fmt.Errorf("after %d commands: %w", b.records, err)
	}
	if b.ended {
		return io.EOF
	}
	b.records++
	return nil
}

func (b *binaryReader) read(r *Record) error {
	n, err := binary.ReadUvarint(b.in)
	if err != nil {
		return err
	}
	if n == 0 {
		return b.end()
	}
	after, err1 := binary.ReadUvarint(b.in)
	client, err2 := binary.ReadUvarint(b.in)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	if n > maxArgs || after > uint64((longest-b.at).Microseconds()) || client > 1<<31 {
		return errors.New("the file is damaged")
	}
	b.at += time.Duration(after) * time.Microsecond
	r.At, r.Client, r.Args, b.memory = b.at, int(client), r.Args[:0], b.memory[:0]
	for range n {
		if err := b.word(r); err != nil {
			return err
		}
	}
	return nil
}

// word reads one word. The memory of earlier words may move; they stay where they were.
func (b *binaryReader) word(r *Record) error {
	head, err := binary.ReadUvarint(b.in)
	if err != nil {
		return err
	}
	length := head >> 1
	if length > maxArg {
		return errors.New("the file is damaged")
	}
	start := len(b.memory)
	if head&1 != 0 {
		b.memory = appendFiller(b.memory, int(length))
	} else if b.memory, err = appendFrom(b.memory, b.in, int(length)); err != nil {
		return err
	}
	r.Args = append(r.Args, b.memory[start:len(b.memory):len(b.memory)])
	return nil
}

// appendFrom reads n bytes, in pieces: a length that lies costs no memory.
func appendFrom(buf []byte, in io.Reader, n int) ([]byte, error) {
	const piece = 64 << 10
	for n > 0 {
		start, take := len(buf), min(n, piece)
		buf = append(buf, make([]byte, take)...)
		if _, err := io.ReadFull(in, buf[start:]); err != nil {
			return buf, err
		}
		n -= take
	}
	return buf, nil
}

// appendFiller stands in for a value that was left out.
func appendFiller(buf []byte, n int) []byte {
	const text = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"
	for ; n > len(text); n -= len(text) {
		buf = append(buf, text...)
	}
	return append(buf, text[:n]...)
}

func (b *binaryReader) end() error {
	count, err := binary.ReadUvarint(b.in)
	if err != nil {
		return err
	}
	if count != b.records {
		return fmt.Errorf("it should have %d: the file is damaged", count)
	}
	// gzip checks its sum when it is read to its end.
	switch _, err := b.in.ReadByte(); {
	case err == nil:
		return errors.New("there is more after its end mark: the file is damaged")
	case !errors.Is(err, io.EOF):
		return err
	}
	b.ended = true
	return nil
}
