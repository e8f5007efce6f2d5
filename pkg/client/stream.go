package client

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"ferry/pkg/retry"
	"ferry/pkg/text"
	"ferry/pkg/transport"
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

// sinkError keeps an error of the sink apart from errors of the network, which may be of the same kind.
type sinkError struct{ error }

// stream hands the sink what arrives as it arrives. The answer is whole only when its terminal event came.
func (s *attemptStage) stream(ctx context.Context, call *Call, attempt *Attempt) (wire.Answer, []byte) {
	if s.OnStart != nil {
		defer s.show(call, attempt)()
	}
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	timeout := call.Endpoint.IdleTimeout
	idle := &alarm{after: afterFunc, end: end, cause: &IdleError{timeout}}
	idle.set(timeout) // the head of the reply counts too
	defer idle.stop()
	resp := s.send(ctx, call, attempt)
	if resp == nil {
		return wire.Answer{}, nil
	}
	from := bufio.NewReaderSize(&watched{resp.Body, idle, timeout}, readSize)
	if resp.StatusCode != http.StatusOK || !isEventStream(from, isEventType(resp) && encodingOf(resp) == "") {
		body := bodyBuffer{length: resp.ContentLength, room: func(size int) error {
			idle.stop()
			defer idle.set(timeout)
			return call.Memory.take(ctx, size)
		}}
		limited, err := io.LimitReader(from, maxWhole+1), error(nil)
		if resp.StatusCode == http.StatusOK {
			err = body.readAll(limited)
		} else {
			err = s.readRejected(ctx, limited, &body, end)
		}
		if len(body.bytes) > maxWhole {
			body.bytes, err = nil, &text.LimitError{What: "a reply that is no stream", Limit: maxWhole}
		}
		s.received(resp, attempt)
		return s.showWhole(ctx, call, attempt, resp, body.bytes, err)
	}
	tee := &tee{from: from, to: call.Sink.Raw}
	stream := call.Endpoint.API.NewStream(tee)
	attempt.Status = http.StatusOK
	err := s.follow(attempt, stream, call.Sink, end)
	if tee.writeErr != nil {
		err = &sinkError{tee.writeErr}
	}
	answer := stream.Answer()
	attempt.Usage = answer.Usage
	s.received(resp, attempt)
	attempt.streamed(ctx, resp, err) // last: an error event's status counts, and not the reply's
	attempt.unfinished = attempt.Err != nil && answer.StopReason == ""
	if attempt.Err != nil && (!answer.Empty || answer.Usage != nil) {
		attempt.Ambiguous = true // a part of an answer was paid for
	}
	attempt.mask(s.Masker, &answer)
	return answer, attempt.clean(s.Masker, nil)
}

// follow hands the sink one event after the other, and lets it show what came together in one go. Once the answer has
// ended, what may come behind it is waited for only a moment, whatever keeps the stream open.
func (s *attemptStage) follow(attempt *Attempt, stream *wire.Stream, sink Sink, end context.CancelCauseFunc) error {
	linger, wait := s.newAlarm(end, errLingered), time.Duration(0)
	defer linger.stop()
	for {
		delta, err := stream.Next()
		if len(delta.Text) > 0 || stream.Linger() != wait { // only text begins the same wait anew
			wait = stream.Linger()
			linger.set(wait)
		}
		if len(delta.Text) > 0 && attempt.FirstText == 0 {
			attempt.FirstText = s.Clock.Now().Sub(attempt.Started)
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

// streamed records how a stream ended.
func (a *Attempt) streamed(ctx context.Context, resp *http.Response, err error) {
	var refused *sinkError
	var apiErr *wire.APIError
	var malformed *wire.MalformedError
	var none *wire.NotAnswerError
	var limit *text.LimitError
	switch {
	case err == io.EOF: // and nothing that wraps it: a cut stream does
		a.outcome.Kind = retry.Answered
		return
	case errors.As(err, &refused):
		a.refuse(refused.error)
		return
	case errors.As(err, &apiErr):
		a.reject(apiErr, resp)
		return
	}
	a.Ambiguous = true
	var encoding *transport.EncodingError
	switch {
	case errors.As(err, &encoding):
		a.end(NotAnAnswer, encoding, retry.Final)
	case errors.As(err, &limit):
		a.end(TooLarge, limit, retry.Final)
	case errors.As(err, &malformed):
		a.end(NotAnAnswer, malformed, retry.NotAnAnswer)
	case errors.As(err, &none):
		a.end(NotAnAnswer, none, retry.NotAnAnswer)
	case ctx.Err() != nil && !errors.Is(context.Cause(ctx), errLingered):
		a.fail(ctx, err)
	case transport.IsReset(err):
		// The answer was on its way, so it was paid for: it is not asked for again.
		a.end(Truncated, err, retry.Final)
	default:
		a.end(Truncated, err, retry.NotAnAnswer)
	}
}

// showWhole reads a reply that is none of the stream asked for: an error, a page, or the whole answer at once, which some
// gateways send all the same.
func (s *attemptStage) showWhole(
	ctx context.Context, call *Call, attempt *Attempt, resp *http.Response, body []byte, err error,
) (wire.Answer, []byte) {
	asAnswer, sink := *call, call.Sink
	asAnswer.Reading = AsAnswer
	answer, masked := s.decode(ctx, &asAnswer, attempt, resp, body, err)
	if attempt.Err != nil {
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
		attempt.refuse(err)
	}
	answer.Text = ""
	return answer, nil
}

// IdleError says that nothing came for so long.
type IdleError struct{ Timeout time.Duration }

func (e *IdleError) Error() string { return fmt.Sprintf("nothing came for %s", e.Timeout) }

// Hint tells what to do about it.
func (e *IdleError) Hint() string { return "--idle-timeout allows more time" }

// errLingered ends the reading of a stream whose answer is whole.
var errLingered = errors.New("the answer has ended")

// alarm ends a context with a cause after some time, unless it is set anew or stopped before.
type alarm struct {
	after func(d time.Duration, f func()) (stop func() bool)
	end   context.CancelCauseFunc
	cause error
	halt  func() bool
}

func (e *Env) newAlarm(end context.CancelCauseFunc, cause error) *alarm {
	after := e.AfterFunc
	if after == nil {
		after = afterFunc
	}
	return &alarm{after: after, end: end, cause: cause}
}

// set begins to wait so long, 0 for ever.
func (a *alarm) set(wait time.Duration) {
	a.stop()
	if wait > 0 {
		a.halt = a.after(wait, func() { a.end(a.cause) })
	}
}

func (a *alarm) stop() {
	if a.halt != nil {
		a.halt()
		a.halt = nil
	}
}

func afterFunc(d time.Duration, f func()) (stop func() bool) { return time.AfterFunc(d, f).Stop }

// watched is a body whose bytes keep an alarm from ending it.
type watched struct {
	io.Reader
	alarm *alarm
	wait  time.Duration
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	if n > 0 {
		w.alarm.set(w.wait)
	}
	return n, err
}
