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
	// maxWhole is the most bytes of a reply that is no event stream.
	maxWhole = 64 << 20
	// readSize is how much of a stream is read at once, at most.
	readSize = 32 << 10
	// smallBody is how much of each body is not counted.
	smallBody = 32 << 10
	// sharedMemory is how much the counted bodies may take together.
	sharedMemory = 16 << 20
	// mostClipped is how much is kept of what a failed attempt brought.
	mostClipped = 256 << 10
)

// bodyBuffer has what is read of a reply. It needs no more memory than half as much again as it reads, and asks for it.
type bodyBuffer struct {
	bytes  []byte
	length int64 // that the reply says, -1 where it does not
	room   func(size int) error
}

// grow makes room for more bytes: twice as much, and at the bound, where only the end is due, a few.
func (b *bodyBuffer) grow(more int) error {
	if cap(b.bytes)-len(b.bytes) >= more {
		return nil
	}
	least := 4 << 10
	if b.length >= 0 && b.length < 4<<10 { // a small body, of a length that is known, with a byte for its end
		least = int(b.length) + 1
	}
	size := max(least, min(2*cap(b.bytes), max(maxWhole, cap(b.bytes)+1<<10)), len(b.bytes)+more)
	if size > smallBody {
		if err := b.room(size); err != nil {
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

// tee hands on the bytes of an event stream as they are read, and keeps apart who failed.
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

// readEvents reads an event stream that came where a whole answer was asked for, to the end of the answer in it: the
// stream itself may never end. What it is, is read from the bytes.
func (s *attemptStage) readEvents(api wire.API, from io.Reader, to *bodyBuffer, end context.CancelCauseFunc) error {
	tee := &tee{from: from, to: to.write}
	err := s.follow(&Attempt{}, api.NewStream(tee), &discard{}, end)
	if err == io.EOF || tee.readErr == io.EOF { //nolint:errorlint // a wrapped io.EOF is a failure
		return nil
	}
	return cmp.Or(tee.writeErr, tee.readErr)
}

// rejectedWait is how long more of a body is waited for that stands under a status which is no success.
const rejectedWait = 5 * time.Second

// errRejected ends the reading of such a body.
var errRejected = errors.New("the status says enough")

// readRejected reads the body of a reply whose status is no success. Of a body that stays open it takes what came: the
// status says enough.
func (s *attemptStage) readRejected(ctx context.Context, from io.Reader, to *bodyBuffer, end context.CancelCauseFunc) error {
	more := s.newAlarm(end, errRejected)
	more.set(rejectedWait)
	defer more.stop()
	err := to.readAll(&watched{from, more, rejectedWait})
	if errors.Is(context.Cause(ctx), errRejected) {
		return nil
	}
	return err
}

// isEventType reports whether a reply says that it is an event stream.
func isEventType(resp *http.Response) bool {
	return strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream")
}

// encodingOf is the encoding that a reply says its body has, "" for none.
func encodingOf(resp *http.Response) string {
	said := strings.Join(resp.Header.Values("Content-Encoding"), ", ")
	if strings.EqualFold(said, "identity") {
		return ""
	}
	return said
}

// isEventStream looks at the first characters that are no space: a JSON body, a page, plain text or compressed bytes are
// no event stream, whatever the Content-Type says. A first field that is not one of the standard's needs that type. That
// the body cannot be read is found by the reader behind it.
func isEventStream(body *bufio.Reader, isType bool) bool {
	if start, _ := body.Peek(2); wire.EncodingOf(start) != "" {
		return false
	}
	for n := 1; n <= readSize; n++ {
		start, err := body.Peek(n)
		start = bytes.TrimLeft(bytes.TrimPrefix(start, byteOrderMark), " \t\r\n")
		switch {
		case len(start) == 0 && err != nil:
			return !errors.Is(err, io.EOF) // an empty body is no stream
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

// partialText is the text in the beginning of a body that did not come whole. It looks at half of the longest body, since it
// needs several copies of that.
func partialText(api wire.API, body []byte) string {
	return api.Partial(body[:min(len(body), maxWhole/2)])
}

// clip drops all but the beginning of what a failed attempt brought, before another one is made.
func (r *Result) clip() {
	short := func(body *[]byte) {
		if len(*body) > mostClipped {
			*body = slices.Clone(text.WholeRunes((*body)[:mostClipped]))
		}
	}
	short(&r.Body)
	if len(r.Answer.Text) > mostClipped {
		r.Answer.Text = string(text.WholeRunes([]byte(r.Answer.Text[:mostClipped])))
	}
	if last := r.last(); last != nil {
		if quote := quoted(last.Err); quote != nil {
			short(quote)
		}
	}
}

// Memory bounds what the bodies of calls that are made at the same time take together. What finds no more room among the
// others is read alone, one body at a time.
type Memory struct {
	shared atomic.Int64
	alone  chan struct{}
	freed  chan struct{} // gets a value when there may be room again, for one that waits
}

// NewMemory is the bound for one command's calls.
func NewMemory() *Memory {
	return &Memory{alone: make(chan struct{}, 1), freed: make(chan struct{}, 1)}
}

// fits takes more where there is room for it.
func (m *Memory) fits(more int64) bool {
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

// give takes size bytes back, and wakes one that waits.
func (m *Memory) give(size int64) {
	m.shared.Add(-size)
	select {
	case m.freed <- struct{}{}:
	default:
	}
}

// MemoryShare is one call's part of a Memory, nil for a call that is bounded by itself alone.
type MemoryShare struct {
	of    *Memory
	taken int64
	alone bool
}

// Share begins a call's part. Release ends it, once the call's result is no longer used.
func (m *Memory) Share() *MemoryShare { return &MemoryShare{of: m} }

// take has room for a body of size bytes in all, and waits for it where other bodies have it. A share that is alone never
// waits, so that there is no deadlock.
func (s *MemoryShare) take(ctx context.Context, size int) error {
	if s == nil || s.alone || size <= smallBody {
		return nil
	}
	more, freed := int64(size)-s.taken, s.of.freed
	if size > sharedMemory {
		freed = nil // there will never be room for it among others
	}
	for !s.of.fits(more) {
		select {
		case s.of.alone <- struct{}{}:
			s.of.give(s.taken)
			s.taken, s.alone = 0, true
			return nil
		case <-freed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	s.taken += more
	s.of.give(0) // there may be room for another one
	return nil
}

// Release gives back what was taken.
func (s *MemoryShare) Release() {
	if s == nil {
		return
	}
	s.of.give(s.taken)
	if s.alone {
		<-s.of.alone
	}
	s.taken, s.alone = 0, false
}
