package client

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"ferry/pkg/retry"
	"ferry/pkg/text"
	"ferry/pkg/transport"
	"ferry/pkg/wire"
)

// attemptStage makes one attempt: it sends one request, and repeats it once if a reused connection was closed.
type attemptStage struct{ *Env }

func (s *attemptStage) Do(ctx context.Context, call *Call) (*Result, error) {
	attempt := &Attempt{Node: call.Endpoint.Name, Number: call.number, Started: s.Clock.Now()}
	result := &Result{Attempts: []*Attempt{attempt}}
	if !call.Deadline.IsZero() { // at most the rest of the call's time, or an equal share if other endpoints remain
		left, cause := call.Deadline.Sub(s.Clock.Now()), &DeadlineError{Timeout: call.Timeout}
		if call.Remaining > 0 && call.Sink == nil { // a stream has its idle timeout instead
			left /= time.Duration(call.Remaining + 1)
			cause.Share = left
		}
		if each := call.AttemptTimeout; each > 0 && each < left {
			left, cause = each, &DeadlineError{Timeout: each}
		}
		attempt.limit = left
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, left, cause)
		defer cancel()
	}
	if call.Sink == nil {
		if resp, body, err := s.exchange(ctx, call, attempt); resp != nil {
			result.Answer, result.Body = s.decode(ctx, call, attempt, resp, body, err)
		}
	} else {
		call.Sink.Reset()
		result.Answer, result.Body = s.stream(ctx, call, attempt)
		if attempt.Err != nil && call.Sink.Shown() {
			attempt.outcome.Kind = retry.Final // another attempt would show the text twice
		}
	}
	attempt.Ambiguous = attempt.Ambiguous || attempt.Reconnected
	if attempt.Err != nil {
		return result, &Error{Class: attempt.Class, Status: attempt.Status, Node: attempt.Node, Err: attempt.Err}
	}
	return result, nil
}

// exchange sends the request and reads the complete body; err is set if the body was cut. Without a reply resp is nil
// and attempt has the reason.
func (s *attemptStage) exchange(ctx context.Context, call *Call, attempt *Attempt) (resp *http.Response, read []byte, err error) {
	if s.OnStart != nil {
		defer s.show(call, attempt)()
	}
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	resp = s.send(ctx, call, attempt)
	if resp == nil {
		return nil, nil, attempt.Err
	}
	body := bodyBuffer{length: resp.ContentLength, acquire: func(size int) error { return call.Memory.acquire(ctx, size) }}
	switch {
	case resp.StatusCode != http.StatusOK:
		err = readRejected(ctx, resp.Body, &body, end)
	case isEventType(resp):
		err = s.readEvents(call.Endpoint.API, resp.Body, &body, end)
	default:
		err = body.readAll(resp.Body)
	}
	s.received(resp, attempt)
	return resp, body.bytes, err
}

// send sends the request and waits for the response header. Without one it returns nil and attempt has the reason. The
// server can close a reused connection before the request arrives. So if one is closed before any byte of an answer,
// send sends the request once more on a new connection, as curl does.
func (s *attemptStage) send(ctx context.Context, call *Call, attempt *Attempt) *http.Response {
	once := func(ctx context.Context) (*http.Response, error) {
		attempt.trace = new(transport.Trace)
		if attempt.active != nil {
			attempt.active.trace.Store(attempt.trace)
		}
		return call.prepared.roundTrip(transport.WithTrace(ctx, attempt.trace), call.Endpoint.Transport, s.UserAgent)
	}
	resp, err := once(ctx)
	if err != nil && ctx.Err() == nil && attempt.reusedConnClosed(err) {
		attempt.Reconnected = !transport.Unsent(err)
		resp, err = once(transport.Fresh(ctx))
	}
	if err == nil {
		return resp
	}
	attempt.Latency = s.Clock.Now().Sub(attempt.Started)
	attempt.fail(ctx, err)
	// A server that rejects the client certificate has discarded what was sent with it.
	attempt.Sent = attempt.Class != Trust && !transport.Unsent(err)
	attempt.Ambiguous = attempt.Sent
	attempt.recordTrace(time.Time{})
	attempt.clean(s.Masker, nil)
	return nil
}

// received records the status, times and request ID of a reply whose body has been read.
func (s *attemptStage) received(resp *http.Response, attempt *Attempt) {
	resp.Body.Close()
	ended := s.Clock.Now()
	attempt.Latency = ended.Sub(attempt.Started)
	attempt.recordTrace(ended)
	attempt.Sent = true
	attempt.HTTPStatus, attempt.Status = resp.StatusCode, resp.StatusCode
	for _, name := range []string{"request-id", "x-request-id"} {
		if id := resp.Header.Get(name); id != "" && attempt.RequestID == "" {
			attempt.RequestID = s.Masker.String(id)
		}
	}
	header := resp.Header
	attempt.header = func() []Field { return shownHeader(header, s.Masker) }
}

// decode interprets a reply. err says why its body is incomplete. decode returns the answer and the body, both masked.
func (s *attemptStage) decode(
	ctx context.Context, call *Call, attempt *Attempt, resp *http.Response, body []byte, err error,
) (wire.Answer, []byte) {
	api := call.Endpoint.API
	var answer wire.Answer
	switch target := resp.Header.Get("Location"); {
	case resp.StatusCode/100 == 3 && target != "": // not followed: it would send the key and the prompt to another host
		target = text.Shown(s.Masker.String(target), text.MaxShown)
		attempt.setFailure(Redirect, text.Errorf("if that is the right address, set it as the node's url",
			"status %d: a redirect to %s, not followed", resp.StatusCode, target), retry.Final)
	case err != nil:
		if attempt.recordCutReply(ctx, resp, body, err); attempt.Ambiguous {
			answer.Text = partialText(api, body)
		}
	default:
		answer, err = api.Decode(resp.StatusCode, body)
		if none := (*wire.NotAnswerError)(nil); errors.As(err, &none) && !utf8.Valid(body) {
			none.Encoding = cmp.Or(encodingOf(resp), none.Encoding)
		}
		attempt.Usage, attempt.unfinished = answer.Usage, err != nil && answer.StopReason == "" && isEventType(resp)
		attempt.recordReply(answer, err, resp, call.Reading)
		if attempt.Class == Truncated && answer.Text == "" {
			answer.Text = partialText(api, body)
		}
		if attempt.Err != nil && answer.Text == "" {
			answer = wire.Answer{}
		}
	}
	attempt.mask(s.Masker, &answer)
	body = attempt.clean(s.Masker, body)
	if attempt.Err == nil && call.Reading == AsAnswer {
		body = nil // only the text is needed
	}
	return answer, body
}

// ActiveAttempt is an attempt in progress, for a display. Another goroutine may call Phase.
type ActiveAttempt struct {
	Node string
	// Number counts the attempts from 1. Attempts is the maximum.
	Number, Attempts int
	// Stream says that the answer is streamed. Idle is then the longest time without any data.
	Stream bool
	Idle   time.Duration
	// Limit is the time limit of the attempt, 0 for none.
	Limit time.Duration

	trace atomic.Pointer[transport.Trace]
}

// Phase returns the current phase of the request.
func (u *ActiveAttempt) Phase() transport.Phase {
	if trace := u.trace.Load(); trace != nil {
		return trace.Phase()
	}
	return transport.Resolving
}

// show reports the start of an attempt to OnStart, which must not be nil. The caller calls ended when the attempt ends.
func (s *attemptStage) show(call *Call, attempt *Attempt) (ended func()) {
	e := call.Endpoint
	if !call.Deadline.IsZero() && attempt.limit == 0 { // a probe, which Do did not start
		attempt.limit = call.Deadline.Sub(attempt.Started)
	}
	attempt.active = &ActiveAttempt{
		Node: e.Name, Number: attempt.Number, Attempts: e.Rule.Attempts, Stream: call.Sink != nil,
		Idle: e.IdleTimeout, Limit: attempt.limit,
	}
	return s.OnStart(attempt.active)
}
