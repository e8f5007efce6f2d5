package client

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"ferry/pkg/text"
	"ferry/pkg/wire"
)

const (
	// maxBody is the maximum size in bytes of a reply that is not an event stream.
	maxBody = 64 << 20
	// readSize is the maximum number of bytes of a stream read at once.
	readSize = 32 << 10
	// smallBody is the number of bytes of each body that Memory does not count.
	smallBody = 32 << 10
	// sharedMemory is the maximum total size of the counted bodies in bytes.
	sharedMemory = 16 << 20
	// maxClipped is the number of bytes that are kept of the body of a failed attempt.
	maxClipped = 256 << 10
)

// bodyBuffer holds a reply body. Before it grows to more than smallBody, it calls acquire for the memory.
type bodyBuffer struct {
	bytes   []byte
	length  int64 // from the reply's header, -1 if unknown
	acquire func(size int) error
}

// grow makes space for more bytes. It doubles the buffer. At maxBody, where only the end is expected, it adds a few
// bytes.
func (b *bodyBuffer) grow(more int) error {
	if cap(b.bytes)-len(b.bytes) >= more {
		return nil
	}
	least := 4 << 10
	if b.length >= 0 && b.length < 4<<10 { // a small body of known length, and one byte to read its end
		least = int(b.length) + 1
	}
	size := max(least, min(2*cap(b.bytes), max(maxBody, cap(b.bytes)+1<<10)), len(b.bytes)+more)
	if size > smallBody {
		if err := b.acquire(size); err != nil {
			return err
		}
	}
	b.bytes = append(make([]byte, 0, size), b.bytes...)
	return nil
}

func (b *bodyBuffer) readAll(r io.Reader) error {
	for {
		if err := b.grow(1); err != nil {
			return err
		}
		n, err := r.Read(b.bytes[len(b.bytes):cap(b.bytes)])
		b.bytes = b.bytes[:len(b.bytes)+n]
		if err == io.EOF { //nolint:errorlint // the very end
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (b *bodyBuffer) write(p []byte) error {
	if err := b.grow(len(p)); err != nil {
		return err
	}
	b.bytes = append(b.bytes, p...)
	return nil
}

// tee passes on the bytes of an event stream as they are read, and records separately whether the reader or the writer
// failed.
type tee struct {
	from              io.Reader
	to                func(p []byte) error
	readErr, writeErr error
}

func (t *tee) Read(p []byte) (int, error) {
	n, err := t.from.Read(p)
	t.readErr = err
	if n > 0 {
		if t.writeErr = t.to(p[:n]); t.writeErr != nil {
			return n, t.writeErr
		}
	}
	return n, err
}

// readEvents reads an event stream that arrived instead of a complete answer. It stops at the end of the answer,
// because the stream itself may never end. The caller decodes the bytes.
func (s *attemptStage) readEvents(api wire.API, from io.Reader, to *bodyBuffer, end context.CancelCauseFunc) error {
	tee := &tee{from: from, to: to.write}
	err := s.forwardEvents(&Attempt{}, api.NewStream(tee), &discard{}, end)
	if err == io.EOF || tee.readErr == io.EOF { //nolint:errorlint // a wrapped io.EOF is a failure
		return nil
	}
	return cmp.Or(tee.writeErr, tee.readErr)
}

// rejectedWait is how long to wait for more of the body of a reply whose status is not 200.
const rejectedWait = 5 * time.Second

// errRejected ends the reading of such a body.
var errRejected = errors.New("the status says enough")

// readRejected reads the body of a reply whose status is not 200. If the body does not end, it uses the bytes that
// arrived: the status is enough.
func readRejected(ctx context.Context, from io.Reader, to *bodyBuffer, end context.CancelCauseFunc) error {
	more := &alarm{end: end, cause: errRejected}
	more.set(rejectedWait)
	defer more.stop()
	err := to.readAll(&alarmReader{from, more, rejectedWait})
	if errors.Is(context.Cause(ctx), errRejected) {
		return nil
	}
	return err
}

// isEventType reports whether the Content-Type of a reply is an event stream.
func isEventType(resp *http.Response) bool {
	return strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream")
}

// encodingOf returns the Content-Encoding of a reply, "" for none.
func encodingOf(resp *http.Response) string {
	said := strings.Join(resp.Header.Values("Content-Encoding"), ", ")
	if strings.EqualFold(said, "identity") {
		return ""
	}
	return said
}

// isEventStream decides by the first characters that are not white space: JSON, HTML, plain text and compressed bytes
// are not an event stream, whatever the Content-Type is. If the first field is not a standard SSE field, the body is a
// stream only if isType is true. A read error is left to the next reader.
func isEventStream(body *bufio.Reader, isType bool) bool {
	if start, _ := body.Peek(2); wire.EncodingOf(start) != "" {
		return false
	}
	for n := 1; n <= readSize; n++ {
		start, err := body.Peek(n)
		start = bytes.TrimLeft(bytes.TrimPrefix(start, byteOrderMark), " \t\r\n")
		switch {
		case len(start) == 0 && err != nil:
			return !errors.Is(err, io.EOF) // an empty body is not a stream
		case len(start) == 0:
		case bytes.IndexByte([]byte("{<["), start[0]) >= 0:
			return false
		case isType, err != nil && !errors.Is(err, io.EOF):
			return true
		default:
			begins, whole := wire.BeginsEvents(start)
			if whole || !begins || err != nil {
				return whole
			}
		}
	}
	return true
}

// partialText returns the text at the beginning of an incomplete body. It uses at most maxBody/2 bytes, because it
// makes several copies.
func partialText(api wire.API, body []byte) string {
	return api.Partial(body[:min(len(body), maxBody/2)])
}

// clip shortens the body and text of a failed attempt before the next attempt.
func (r *Result) clip() {
	short := func(body *[]byte) {
		if len(*body) > maxClipped {
			*body = slices.Clone(text.WholeRunes((*body)[:maxClipped]))
		}
	}
	short(&r.Body)
	if len(r.Answer.Text) > maxClipped {
		r.Answer.Text = strings.Clone(text.WholeRunes(r.Answer.Text[:maxClipped]))
	}
	if last := r.last(); last != nil {
		if quote := quotedBody(last.Err); quote != nil {
			short(quote)
		}
	}
}

// Memory bounds the total size of the bodies of concurrent calls. One body that does not fit is read without being
// counted; any other such body waits.
type Memory struct {
	shared    atomic.Int64
	exclusive chan struct{}
	freed     chan struct{} // receives a value when there may be space again for a waiting call
}

// NewMemory returns the bound for the calls of one command.
func NewMemory() *Memory {
	return &Memory{exclusive: make(chan struct{}, 1), freed: make(chan struct{}, 1)}
}

// tryAcquire takes more bytes if there is space.
func (m *Memory) tryAcquire(more int64) bool {
	for {
		was := m.shared.Load()
		if was+more > sharedMemory {
			return false
		}
		if m.shared.CompareAndSwap(was, was+more) {
			return true
		}
	}
}

// release returns size bytes and wakes one waiting call.
func (m *Memory) release(size int64) {
	m.shared.Add(-size)
	select {
	case m.freed <- struct{}{}:
	default:
	}
}

// MemoryShare is the part of Memory that one call uses. A nil share is not bounded by Memory.
type MemoryShare struct {
	of        *Memory
	acquired  int64
	exclusive bool
}

// Share returns a new share. Call Release when the call's result is no longer used.
func (m *Memory) Share() *MemoryShare { return &MemoryShare{of: m} }

// acquire takes memory for a body of size bytes in total. If other bodies use it, acquire waits. An exclusive share
// never waits, so there is no deadlock.
func (s *MemoryShare) acquire(ctx context.Context, size int) error {
	if s == nil || s.exclusive || size <= smallBody {
		return nil
	}
	more, freed := int64(size)-s.acquired, s.of.freed
	if size > sharedMemory {
		freed = nil // it can never fit with others
	}
	for !s.of.tryAcquire(more) {
		select {
		case s.of.exclusive <- struct{}{}:
			s.of.release(s.acquired)
			s.acquired, s.exclusive = 0, true
			return nil
		case <-freed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	s.acquired += more
	s.of.release(0) // there may be space for another call
	return nil
}

// Release returns the acquired memory.
func (s *MemoryShare) Release() {
	if s == nil {
		return
	}
	s.of.release(s.acquired)
	if s.exclusive {
		<-s.of.exclusive
	}
	s.acquired, s.exclusive = 0, false
}
