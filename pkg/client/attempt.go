package client

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"time"

	"ferry/pkg/retry"
	"ferry/pkg/text"
	"ferry/pkg/transport"
	"ferry/pkg/wire"
)

// attemptStage sends one request and says how it ended.
type attemptStage struct{ *Env }

func (s *attemptStage) Do(ctx context.Context, call *Call) (*Result, error) {
	attempt := &Attempt{Node: call.Endpoint.Name, Number: call.number, Started: s.Clock.Now()}
	result := &Result{Attempts: []*Attempt{attempt}}
	ctx, cancel := s.bound(ctx, call)
	defer cancel()
	if call.Sink == nil {
		if resp, body, err := s.exchange(ctx, call, attempt); resp != nil {
			result.Answer, result.Body = s.decode(ctx, call, attempt, resp, body, err)
		}
	} else {
		call.Sink.Reset()
		result.Answer, result.Body = s.stream(ctx, call, attempt)
		if attempt.Err != nil && call.Sink.Shown() {
			attempt.outcome.Kind = retry.Final // another attempt would show it twice
		}
	}
	attempt.Ambiguous = attempt.Ambiguous || attempt.Reconnected
	if attempt.Err != nil {
		return result, &Error{Class: attempt.Class, Status: attempt.Status, Node: attempt.Node, Err: attempt.Err}
	}
	return result, nil
}

// bound gives one attempt what is left of the call's time, or its share where other endpoints can still be asked.
func (s *attemptStage) bound(ctx context.Context, call *Call) (context.Context, context.CancelFunc) {
	if call.Deadline.IsZero() {
		return context.WithCancel(ctx)
	}
	left, cause := call.Deadline.Sub(s.Clock.Now()), &DeadlineError{Timeout: call.Timeout}
	if call.Remaining > 0 && call.Sink == nil { // a stream has the idle timeout for that
		left /= time.Duration(call.Remaining + 1)
		cause.Share = left
	}
	return context.WithTimeoutCause(ctx, left, cause)
}

// exchange sends the request and reads what comes to its end, err says how far. Without a reply resp is nil and the
// attempt says why.
func (s *attemptStage) exchange(ctx context.Context, call *Call, attempt *Attempt) (resp *http.Response, read []byte, err error) {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	resp = s.send(ctx, call, attempt)
	if resp == nil {
		return nil, nil, attempt.Err
	}
	body := bodyBuffer{room: func(size int) error { return call.Memory.take(ctx, size) }}
	if resp.StatusCode == http.StatusOK && isEventType(resp) {
		err = s.readEvents(call.Endpoint.API, resp.Body, &body, end)
	} else {
		err = body.readAll(resp.Body)
	}
	s.received(resp, attempt)
	return resp, body.bytes, err
}

// send sends the request and waits for the head of the reply. Without one the attempt says why. A kept connection can be
// closed by the server before the request arrives, so one that is closed before any byte of an answer is no answer of the
// server: the request is sent once more on a new connection, as curl does, and the attempt says so.
func (s *attemptStage) send(ctx context.Context, call *Call, attempt *Attempt) *http.Response {
	resp, err := s.sendOnce(ctx, call, attempt)
	if err != nil && ctx.Err() == nil && attempt.closedUnanswered(err) {
		attempt.Reconnected = !transport.Unsent(err)
		resp, err = s.sendOnce(transport.Fresh(ctx), call, attempt)
	}
	if err == nil {
		return resp
	}
	attempt.Latency = s.Clock.Now().Sub(attempt.Started)
	attempt.fail(ctx, err)
	// A server that fails the check of a client certificate has dropped what was sent with it.
	attempt.Sent = attempt.Class != Trust && !transport.Unsent(err)
	attempt.Ambiguous = attempt.Sent
	attempt.describe(time.Time{})
	attempt.clean(s.Masker, nil)
	return nil
}

func (s *attemptStage) sendOnce(ctx context.Context, call *Call, attempt *Attempt) (*http.Response, error) {
	attempt.trace = new(transport.Trace)
	return call.Endpoint.Transport.RoundTrip(call.prepared.request(transport.WithTrace(ctx, attempt.trace), s.UserAgent))
}

// received records a reply of which all has been read that will be, and what it says of itself.
func (s *attemptStage) received(resp *http.Response, attempt *Attempt) {
	resp.Body.Close()
	ended := s.Clock.Now()
	attempt.Latency = ended.Sub(attempt.Started)
	attempt.describe(ended)
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

// decode says what a reply is. Its body came as far as err says. It returns the answer and the body, both masked.
func (s *attemptStage) decode(
	ctx context.Context, call *Call, attempt *Attempt, resp *http.Response, body []byte, err error,
) (wire.Answer, []byte) {
	api := call.Endpoint.API
	var answer wire.Answer
	switch target := resp.Header.Get("Location"); {
	case resp.StatusCode/100 == 3 && target != "": // not followed: the key and the prompt would go to a host that was not named
		target = text.Shown(s.Masker.String(target), text.MostShown)
		attempt.end(Redirect, text.Errorf("if that is the right address, make it the node's url",
			"status %d: a redirect to %s, not followed", resp.StatusCode, target), retry.Final)
	case err != nil:
		if attempt.cut(ctx, resp, body, err); attempt.Ambiguous {
			answer.Text = partialText(api, body)
		}
	default:
		answer, err = api.Decode(resp.StatusCode, body)
		attempt.Usage = answer.Usage
		attempt.judge(answer, err, resp, call.Reading)
		if attempt.Class == Truncated && answer.Text == "" {
			answer.Text = partialText(api, body)
		}
		if attempt.Err != nil && answer.Text == "" {
			answer = wire.Answer{}
		}
	}
	s.mask(&answer)
	body = s.Masker.Bytes(body)
	attempt.clean(s.Masker, body)
	if attempt.Err == nil && call.Reading == AsAnswer {
		body = nil // the text is all that is wanted of it
	}
	return answer, body
}

// partialText is the text in the beginning of a body that did not come whole. It looks at half of the longest body, since it
// needs several copies of that.
func partialText(api wire.API, body []byte) string {
	return api.Partial(body[:min(len(body), maxWhole/2)])
}

// mask hides secrets in an answer.
func (s *attemptStage) mask(answer *wire.Answer) {
	for _, field := range []*string{&answer.Text, &answer.StopReason, &answer.ID, &answer.Model} {
		*field = s.Masker.String(*field)
	}
}

// Phases are the parts of an attempt's latency. What a kept connection saved is 0.
type Phases struct {
	DNS, Connect, TLS, Wait, Transfer time.Duration
}

// describe records what the transport tells of the request. An answer ended at a time, zero without one.
func (a *Attempt) describe(ended time.Time) {
	t := a.trace
	a.Phases = Phases{DNS: t.DNS, Connect: t.Connect, TLS: t.TLS}
	if !t.First.IsZero() && !ended.IsZero() {
		if wrote := t.Wrote(); !wrote.IsZero() {
			a.Phases.Wait = max(0, t.First.Sub(wrote)) // a server may answer before it has read all
		}
		a.Phases.Transfer = ended.Sub(t.First)
	}
	a.Remote, a.Reused, a.Held, a.HTTP3, a.Handshakes = t.Remote, t.Reused, t.Held, t.HTTP3, t.Handshakes()
	if t.TLSVersion != 0 {
		a.TLS = tls.VersionName(t.TLSVersion)
	}
}

// closedUnanswered reports whether a request failed because its connection, a kept one, was closed before any byte of an
// answer came, or because what came belongs to no request.
func (a *Attempt) closedUnanswered(err error) bool {
	var holder interface{ HolderLost() bool }
	var early *transport.EarlyError
	switch {
	case !a.trace.Reused:
		return false
	case errors.As(err, &early):
		return true
	}
	return a.trace.First.IsZero() && (transport.Unsent(err) || broken(err) && !errors.As(err, &holder))
}
