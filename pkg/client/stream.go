package client

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"time"

	"ferry/pkg/guard"
	"ferry/pkg/retry"
	"ferry/pkg/text"
	"ferry/pkg/wire"
)

// Sink takes what a stream brings, in the order in which it came. An error of it ends the call.
type Sink interface {
	// Reset comes before each attempt: what an earlier one left unshown is void.
	Reset()
	// Raw takes the bytes of the event stream.
	Raw(b []byte) error
	// Delta takes the text and reasoning of one event, which are the sink's until it returns.
	Delta(d wire.Delta) error
	// Flush comes when no further event has arrived yet: what is there should be shown.
	Flush() error
	// Shown reports whether anything has been shown, so that another attempt would show it twice.
	Shown() bool
}

// IdleError says that nothing came for so long.
type IdleError struct{ Timeout time.Duration }

func (e *IdleError) Error() string { return fmt.Sprintf("nothing came for %s", e.Timeout) }

// Hint tells what to do about it.
func (e *IdleError) Hint() string { return "--idle-timeout allows more time" }

// streamOnce hands the sink what arrives as it arrives. The answer is whole only when its terminal event came. An attempt
// after which something was shown is the last.
func (c *attemptStage) streamOnce(ctx context.Context, call *Call, a *Attempt) (wire.Answer, []byte) {
	call.Sink.Reset()
	answer, body := c.readStream(ctx, call, a)
	if a.Err != nil && call.Sink.Shown() {
		a.outcome.Kind = retry.Final
	}
	return answer, body
}

func (c *attemptStage) readStream(ctx context.Context, call *Call, a *Attempt) (wire.Answer, []byte) {
	p, sink := call.prepared, call.Sink
	ctx, idle := watch(ctx, call.Endpoint.IdleTimeout)
	defer idle.stop()
	resp, trace, err := c.send(ctx, call.Endpoint.Transport, p, a)
	if err != nil {
		return wire.Answer{}, nil
	}
	body := bufio.NewReaderSize(&watched{resp.Body, idle}, readSize)
	if resp.StatusCode != http.StatusOK || !isEventStream(body, isEventType(resp)) {
		whole, err := readAll(io.LimitReader(body, maxWhole+1), func(size int) error {
			idle.pause()
			defer idle.came()
			return call.Memory.take(ctx, size)
		})
		if len(whole) > maxWhole {
			whole, err = nil, &text.LimitError{What: "a reply that is no stream", Limit: maxWhole}
		}
		c.received(resp, trace, a)
		return c.notAStream(ctx, p, a, sink, resp, whole, err)
	}
	tee := &teed{from: body, sink: sink}
	stream := p.Node.API.NewStream(tee)
	a.Status = http.StatusOK
	if err = c.follow(a, stream, sink, idle.cancel); tee.failed != nil {
		err = tee.failed
	}
	answer := stream.Answer()
	a.Usage = answer.Usage
	c.received(resp, trace, a)
	a.streamed(ctx, resp, err) // last: an error event's status counts, and not the reply's
	if a.Err != nil && (!answer.Empty || answer.Usage != nil) {
		a.Ambiguous = true // a part of an answer was paid for
	}
	c.mask(&answer)
	a.clean(c.Masker, nil)
	var malformed *wire.MalformedError
	var apiErr *wire.APIError
	switch { // what the error quotes
	case errors.As(a.Err, &malformed):
		return answer, malformed.Body
	case errors.As(a.Err, &apiErr):
		return answer, apiErr.Body
	}
	return answer, nil
}

// readAll is io.ReadAll that needs no more memory than half as much again as it reads, and asks for it.
func readAll(r io.Reader, room func(size int) error) ([]byte, error) {
	body := make([]byte, 0, 4<<10)
	for {
		var err error
		if body, err = roomFor(body, 1, room); err != nil {
			return body, err
		}
		n, err := r.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		if err == io.EOF { //nolint:errorlint // the very end
			return body, nil
		}
		if err != nil {
			return body, err
		}
	}
}

// roomFor gives a body room for more bytes: twice as much, and at the bound, where only the end is due, a few.
func roomFor(body []byte, more int, room func(size int) error) ([]byte, error) {
	if cap(body)-len(body) >= more {
		return body, nil
	}
	size := max(min(2*cap(body), max(maxWhole, cap(body)+1<<10)), len(body)+more)
	if err := room(size); err != nil {
		return body, err
	}
	return append(make([]byte, 0, size), body...), nil
}

// maxWhole is the most bytes of a reply that is no event stream.
const maxWhole = 64 << 20

// readSize is how much of a stream is read at once, at most.
const readSize = 32 << 10

// follow hands the sink one event after the other, and lets it show what came together in one go. Once the answer has
// ended, what may come behind it is waited for only a moment, whatever keeps the stream open.
func (c *attemptStage) follow(a *Attempt, stream *wire.Stream, sink Sink, end context.CancelCauseFunc) error {
	lingers := lingerTimer{afterFunc: c.AfterFunc, end: end}
	defer lingers.stop()
	for {
		delta, err := stream.Next()
		lingers.set(stream.Linger(), len(delta.Text) > 0)
		if len(delta.Text) > 0 && a.FirstText == 0 {
			a.FirstText = c.Clock.Now().Sub(a.Started)
		}
		if len(delta.Text)+len(delta.Reasoning) > 0 {
			if failed := sink.Delta(delta); failed != nil {
				return &sinkError{failed}
			}
		}
		if err == nil && stream.Buffered() {
			continue
		}
		if failed := sink.Flush(); failed != nil {
			return &sinkError{failed}
		}
		if err != nil {
			return err
		}
	}
}

// errLingered ends the reading of a stream whose answer is whole.
var errLingered = errors.New("the answer has ended")

// lingerTimer ends the reading of a stream some time after its answer has ended.
type lingerTimer struct {
	afterFunc func(d time.Duration, f func()) (stop func() bool)
	end       context.CancelCauseFunc
	current   time.Duration
	halt      func() bool
}

// set says how long is waited from now on, 0 for no bound. Only text begins the same wait anew.
func (l *lingerTimer) set(wait time.Duration, anew bool) {
	if wait == l.current && !anew {
		return
	}
	l.stop()
	if l.current = wait; wait == 0 {
		return
	}
	after := l.afterFunc
	if after == nil {
		after = func(d time.Duration, f func()) func() bool { return time.AfterFunc(d, f).Stop }
	}
	l.halt = after(wait, func() { l.end(errLingered) })
}

func (l *lingerTimer) stop() {
	if l.halt != nil {
		l.halt()
		l.halt = nil
	}
}

// sinkError keeps an error of the sink apart from errors of the network, which may be of the same kind.
type sinkError struct{ error }

func (e *sinkError) Unwrap() error { return e.error }

// streamed records how a stream ended.
func (a *Attempt) streamed(ctx context.Context, resp *http.Response, err error) {
	var broken *sinkError
	var apiErr *wire.APIError
	var malformed *wire.MalformedError
	var limit *text.LimitError
	switch {
	case err == io.EOF: // and nothing that wraps it: a cut stream does
		a.outcome.Kind = retry.Answered
		return
	case errors.As(err, &broken):
		a.refused(broken.error)
		return
	case errors.As(err, &apiErr):
		a.reject(apiErr, resp)
		return
	}
	a.Ambiguous, a.outcome.Kind = true, retry.NotAnAnswer
	switch {
	case errors.As(err, &limit):
		a.Class, a.Err, a.outcome.Kind = TooLarge, limit, retry.Final
	case errors.As(err, &malformed):
		a.Class, a.Err = NotAnAnswer, malformed
	case ctx.Err() != nil && !errors.Is(context.Cause(ctx), errLingered):
		a.Class, a.Err = classify(ctx, err)
		a.outcome.Kind = retry.Unreachable
		if final(a.Class, a.Err) {
			a.outcome.Kind = retry.Final
		}
	default:
		a.Class, a.Err = Truncated, err
		if errors.Is(err, syscall.ECONNRESET) {
			// The answer was on its way, so it was paid for: it is not asked for again.
			a.outcome.Kind = retry.Final
		}
	}
}

// refused records that the sink did not take what came. It is not asked for again: it was paid for, and would be no
// other.
func (a *Attempt) refused(err error) {
	a.Class, a.Err, a.outcome.Kind = Output, err, retry.Final
	var blocked *guard.BlockedError
	if errors.As(err, &blocked) {
		a.Class = Blocked
	}
}

// notAStream reads a reply that is none of the stream asked for: an error, a page, or the whole answer at once, which
// some gateways send all the same.
func (c *attemptStage) notAStream(
	ctx context.Context, p *Prepared, a *Attempt, sink Sink, resp *http.Response, body []byte, err error,
) (wire.Answer, []byte) {
	answer, masked := c.whole(ctx, p, a, AsAnswer, resp, body, err)
	if a.Err != nil {
		return answer, masked
	}
	err = sink.Raw(body)
	const piece = 1 << 20 // each is copied
	for text := answer.Text; err == nil && text != ""; {
		n := min(len(text), piece)
		if err = sink.Delta(wire.Delta{Text: []byte(text[:n])}); err == nil {
			err = sink.Flush()
		}
		text = text[n:]
	}
	if err == nil {
		err = sink.Flush()
	}
	if err != nil {
		a.refused(err)
	}
	answer.Text = ""
	return answer, nil
}

// isEventStream looks at the first characters that are no space: a JSON body, a page or plain text is no event stream,
// whatever its Content-Type says. A first field that is not one of the standard's needs that type. That the body cannot
// be read is found by the reader behind it.
func isEventStream(body *bufio.Reader, isType bool) bool {
	for n := 1; n <= readSize; n++ {
		start, err := body.Peek(n)
		start = bytes.TrimLeft(bytes.TrimPrefix(start, []byte("\xef\xbb\xbf")), " \t\r\n")
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

// teed hands the sink the bytes of the event stream as they are read.
type teed struct {
	from   io.Reader
	sink   Sink
	failed error // of the sink
	err    error // of the reader
}

func (t *teed) Read(p []byte) (int, error) {
	n, err := t.from.Read(p)
	t.err = err
	if n > 0 {
		if failed := t.sink.Raw(p[:n]); failed != nil {
			t.failed = &sinkError{failed}
			return n, t.failed
		}
	}
	return n, err
}

// isEventType reports whether a reply says that it is an event stream.
func isEventType(resp *http.Response) bool {
	return strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream")
}

// readEvents reads an event stream that came where a whole answer was asked for, to the end of the answer in it: the
// stream itself may never end. What it is, is read from the bytes.
func (c *attemptStage) readEvents(
	api wire.API, from io.Reader, room func(size int) error, end context.CancelCauseFunc,
) ([]byte, error) {
	all := gathered{room: room}
	tee := &teed{from: from, sink: &all}
	err := c.follow(&Attempt{}, api.NewStream(tee), &all, end)
	if err == io.EOF || tee.err == io.EOF { //nolint:errorlint // a wrapped io.EOF is a failure
		return all.body, nil
	}
	return all.body, cmp.Or(all.failed, tee.err)
}

// gathered is a sink that keeps the bytes alone.
type gathered struct {
	body   []byte
	room   func(size int) error
	failed error
}

func (g *gathered) Raw(b []byte) error {
	if g.body, g.failed = roomFor(g.body, len(b), g.room); g.failed == nil {
		g.body = append(g.body, b...)
	}
	return g.failed
}

func (g *gathered) Reset()                 { g.body = nil }
func (g *gathered) Delta(wire.Delta) error { return nil }
func (g *gathered) Flush() error           { return nil }
func (g *gathered) Shown() bool            { return false }

// idleTimer ends a context when nothing has come for so long.
type idleTimer struct {
	timer   *time.Timer
	timeout time.Duration
	cancel  context.CancelCauseFunc
}

// watch bounds how long nothing may come; the head of the reply counts too.
func watch(ctx context.Context, timeout time.Duration) (context.Context, *idleTimer) {
	ctx, cancel := context.WithCancelCause(ctx)
	idle := &idleTimer{timeout: timeout, cancel: cancel}
	if timeout > 0 {
		idle.timer = time.AfterFunc(timeout, func() { cancel(&IdleError{timeout}) })
	}
	return ctx, idle
}

// came notes that something came.
func (i *idleTimer) came() {
	if i.timer != nil {
		i.timer.Reset(i.timeout)
	}
}

// pause lets any time pass until something comes.
func (i *idleTimer) pause() {
	if i.timer != nil {
		i.timer.Stop()
	}
}

func (i *idleTimer) stop() {
	i.pause()
	i.cancel(nil)
}

// watched is a body whose bytes keep the timer from ending it.
type watched struct {
	io.Reader
	idle *idleTimer
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	if n > 0 {
		w.idle.came()
	}
	return n, err
}
