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

// Sink receives a stream in the order in which it arrives. An error of the sink ends the call.
type Sink interface {
	// Reset is called before each attempt: it discards what an earlier attempt left unshown.
	Reset()
	// Raw receives the bytes of the event stream.
	Raw(b []byte) error
	// Delta receives the text and reasoning of one event, which are valid until it returns.
	Delta(d wire.Delta) error
	// Flush is called when no further event has arrived yet: the sink should show what it has.
	Flush() error
	// Shown reports whether anything has been shown, so that another attempt would show it twice.
	Shown() bool
}

// sinkError marks an error of the sink, which may have the same type as a network error.
type sinkError struct{ error }

// stream passes what arrives to the sink immediately. The answer is complete only after its terminal event.
func (s *attemptStage) stream(ctx context.Context, call *Call, attempt *Attempt) (wire.Answer, []byte) {
	if s.OnStart != nil {
		defer s.show(call, attempt)()
	}
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	timeout := call.Endpoint.IdleTimeout
	idle := &alarm{end: end, cause: &IdleError{timeout}}
	idle.set(timeout) // the wait for the response header counts too
	defer idle.stop()
	resp := s.send(ctx, call, attempt)
	if resp == nil {
		return wire.Answer{}, nil
	}
	from := bufio.NewReaderSize(&alarmReader{resp.Body, idle, timeout}, readSize)
	if resp.StatusCode != http.StatusOK || !isEventStream(from, isEventType(resp) && encodingOf(resp) == "") {
		body := bodyBuffer{length: resp.ContentLength, acquire: func(size int) error {
			idle.stop()
			defer idle.set(timeout)
			return call.Memory.acquire(ctx, size)
		}}
		limited, err := io.LimitReader(from, maxBody+1), error(nil)
		if resp.StatusCode == http.StatusOK {
			err = body.readAll(limited)
		} else {
			err = readRejected(ctx, limited, &body, end)
		}
		if len(body.bytes) > maxBody {
			body.bytes, err = nil, &text.LimitError{What: "a reply that is not a stream", Limit: maxBody}
		}
		s.received(resp, attempt)
		return s.showCompleteReply(ctx, call, attempt, resp, body.bytes, err)
	}
	tee := &tee{from: from, to: call.Sink.Raw}
	stream := call.Endpoint.API.NewStream(tee)
	attempt.Status = http.StatusOK
	err := s.forwardEvents(attempt, stream, call.Sink, end)
	if tee.writeErr != nil {
		err = &sinkError{tee.writeErr}
	}
	answer := stream.Answer()
	attempt.Usage = answer.Usage
	s.received(resp, attempt)
	attempt.recordStreamEnd(ctx, resp, err) // last: the status of an error event overrides the reply's status
	attempt.unfinished = attempt.Err != nil && answer.StopReason == ""
	if attempt.Err != nil && (!answer.Empty || answer.Usage != nil) {
		attempt.Ambiguous = true // a part of an answer arrived, which is billed
	}
	attempt.mask(s.Masker, &answer)
	return answer, attempt.clean(s.Masker, nil)
}

// forwardEvents passes the events to the sink one by one, and flushes after all events that arrived together. After the
// end of the answer it waits only a moment for more, even if the stream stays open.
func (s *attemptStage) forwardEvents(attempt *Attempt, stream *wire.Stream, sink Sink, end context.CancelCauseFunc) error {
	linger, wait := &alarm{end: end, cause: errLingered}, time.Duration(0)
	defer linger.stop()
	for {
		delta, err := stream.Next()
		if len(delta.Text) > 0 || stream.Linger() != wait { // only text restarts a wait of the same length
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

// recordStreamEnd records the end of a stream.
func (a *Attempt) recordStreamEnd(ctx context.Context, resp *http.Response, err error) {
	var refused *sinkError
	var apiErr *wire.APIError
	var encoding *transport.EncodingError
	switch {
	case err == io.EOF: // not a wrapped io.EOF, which means a cut stream
		a.outcome.Kind = retry.Answered
		return
	case errors.As(err, &refused):
		a.recordSinkError(refused.error)
		return
	case errors.As(err, &apiErr):
		a.recordAPIError(apiErr, resp)
		return
	}
	a.Ambiguous = true
	switch {
	case errors.As(err, &encoding):
		a.setFailure(NotAnAnswer, encoding, retry.Final)
	case errors.As(err, new(*text.LimitError)):
		a.setFailure(TooLarge, err, retry.Final)
	case errors.As(err, new(*wire.MalformedError)), errors.As(err, new(*wire.NotAnswerError)):
		a.setFailure(NotAnAnswer, err, retry.NotAnAnswer)
	case ctx.Err() != nil && !errors.Is(context.Cause(ctx), errLingered):
		a.fail(ctx, err)
	case transport.IsReset(err):
		// The answer was already arriving, so it is billed: do not retry.
		a.setFailure(Truncated, err, retry.Final)
	default:
		a.setFailure(Truncated, err, retry.NotAnAnswer)
	}
}

// showCompleteReply shows a reply that is not the requested stream: an error, a page, or the complete answer at once,
// which some gateways send even for a stream.
func (s *attemptStage) showCompleteReply(
	ctx context.Context, call *Call, attempt *Attempt, resp *http.Response, body []byte, err error,
) (wire.Answer, []byte) {
	asAnswer, sink := *call, call.Sink
	asAnswer.Reading = AsAnswer
	answer, masked := s.decode(ctx, &asAnswer, attempt, resp, body, err)
	if none, ok := errors.AsType[*wire.NotAnswerError](attempt.Err); ok {
		none.Object = false // its hint names -o raw, which does not print such a body of a stream
	}
	if attempt.Err != nil {
		return answer, masked
	}
	err = sink.Raw(body)
	const piece = 1 << 20 // each piece is copied
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
		attempt.recordSinkError(err)
	}
	answer.Text = ""
	return answer, nil
}

// IdleError says that nothing arrived for Timeout.
type IdleError struct{ Timeout time.Duration }

func (e *IdleError) Error() string { return fmt.Sprintf("no data arrived for %s", e.Timeout) }

// Hint returns advice.
func (e *IdleError) Hint() string { return "--idle-timeout allows more time" }

// errLingered ends the reading of a stream whose answer is complete.
var errLingered = errors.New("the answer has ended")

// alarm ends a context with a cause after some time, unless it is set again or stopped before.
type alarm struct {
	end   context.CancelCauseFunc
	cause error
	timer *time.Timer // nil before the first set
}

// set restarts the alarm with the given wait; 0 means never.
func (a *alarm) set(wait time.Duration) {
	a.stop()
	if wait > 0 {
		a.timer = time.AfterFunc(wait, func() { a.end(a.cause) })
	}
}

func (a *alarm) stop() {
	if a.timer != nil {
		a.timer.Stop()
	}
}

// alarmReader is a body that sets an alarm for each read. While nothing is read, such as while a pager accepts no
// output, the server cannot send, so that time does not count.
type alarmReader struct {
	io.Reader
	alarm *alarm
	wait  time.Duration
}

func (w *alarmReader) Read(p []byte) (int, error) {
	w.alarm.set(w.wait)
	defer w.alarm.stop()
	return w.Reader.Read(p)
}
