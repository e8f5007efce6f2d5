package client

import (
	"context"
	"net/http"
	"time"

	"ferry/pkg/transport"
	"ferry/pkg/wire"
)

// attemptStage sends one request and says how it ended.
type attemptStage struct{ *Env }

func (c *attemptStage) Do(ctx context.Context, call *Call) (*Result, error) {
	a := &Attempt{Node: call.Endpoint.Name, Number: call.number, Started: c.Clock.Now()}
	result := &Result{Attempts: []*Attempt{a}}
	call.Memory.Release() // of the attempt before
	ctx, cancel := c.bound(ctx, call)
	defer cancel()
	if call.Sink == nil {
		result.Answer, result.Body = c.askOnce(ctx, call, a)
	} else {
		result.Answer, result.Body = c.streamOnce(ctx, call, a)
	}
	a.Ambiguous = a.Ambiguous || a.Reconnected
	if a.Err != nil {
		return result, call.fail(result, &Error{Class: a.Class, Status: a.Status, Err: a.Err})
	}
	return result, nil
}

// bound gives one attempt what is left of the call's time, or its share where other endpoints can still be asked.
func (c *attemptStage) bound(ctx context.Context, call *Call) (context.Context, context.CancelFunc) {
	if call.Deadline.IsZero() {
		return context.WithCancel(ctx)
	}
	left, cause := call.Deadline.Sub(c.Clock.Now()), &DeadlineError{Timeout: call.Timeout}
	if call.Remaining > 0 && call.Sink == nil { // a stream has the idle timeout for that
		left /= time.Duration(call.Remaining + 1)
		cause.Share = left
	}
	return context.WithTimeoutCause(ctx, left, cause)
}

// askOnce asks for a whole answer. It returns the answer and the body as far as it came, both masked.
func (c *attemptStage) askOnce(ctx context.Context, call *Call, a *Attempt) (wire.Answer, []byte) {
	resp, body, err := c.exchange(ctx, call, call.prepared, a)
	if resp == nil {
		return wire.Answer{}, nil
	}
	return c.whole(ctx, call.prepared, a, call.Reading, resp, body, err)
}

// whole reads a reply that came to its end, err says how far.
func (c *attemptStage) whole(
	ctx context.Context, p *Prepared, a *Attempt, reading Reading, resp *http.Response, body []byte, err error,
) (wire.Answer, []byte) {
	answer := a.read(ctx, p.Node.API, resp, body, err, reading)
	c.mask(&answer)
	body = c.Masker.Bytes(body)
	a.clean(c.Masker, body)
	if a.Err == nil && reading == AsAnswer {
		body = nil // the text is all that is wanted of it
	}
	return answer, body
}

// mask hides secrets in an answer.
func (c *attemptStage) mask(answer *wire.Answer) {
	for _, field := range []*string{&answer.Text, &answer.StopReason, &answer.ID, &answer.Model} {
		*field = c.Masker.String(*field)
	}
}

// exchange sends the request and reads what comes to its end, err says how far. Without a reply resp is nil and a says
// why.
func (c *attemptStage) exchange(ctx context.Context, call *Call, p *Prepared, a *Attempt) (resp *http.Response, body []byte, err error) {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	resp, trace, err := c.send(ctx, call.Endpoint.Transport, p, a)
	if err != nil {
		return nil, nil, err
	}
	room := func(size int) error { return call.Memory.take(ctx, size) }
	if resp.StatusCode == http.StatusOK && isEventType(resp) {
		body, err = c.readEvents(p.Node.API, resp.Body, room, end)
	} else {
		body, err = readAll(resp.Body, room)
	}
	c.received(resp, trace, a)
	return resp, body, err
}

// send sends the request and waits for the head of the reply. Without one a says why. A kept connection can be closed by
// the server before the request arrives, so one that is closed before any byte of an answer is no answer of the server: the
// request is sent once more on a new connection, as curl does, and a says so.
func (c *attemptStage) send(ctx context.Context, rt http.RoundTripper, p *Prepared, a *Attempt) (*http.Response, *trace, error) {
	trace := newTrace(c.Clock.Now)
	resp, err := rt.RoundTrip(p.request(trace.attach(ctx), c.UserAgent))
	if ctx.Err() == nil && trace.closedUnanswered(err) {
		a.Reconnected = !transport.Unsent(err)
		trace = newTrace(c.Clock.Now)
		resp, err = rt.RoundTrip(p.request(trace.attach(transport.Fresh(ctx)), c.UserAgent))
	}
	if err != nil {
		a.Latency = c.Clock.Now().Sub(a.Started)
		a.fail(ctx, err)
		// A server that fails the check of a client certificate has dropped what was sent with it.
		a.Sent = trace.fill(a) && a.Class != Trust && !transport.Unsent(err)
		a.Ambiguous = a.Sent
		a.clean(c.Masker, nil)
		return nil, nil, err
	}
	return resp, trace, nil
}

// received records a reply of which all has been read that will be.
func (c *attemptStage) received(resp *http.Response, trace *trace, a *Attempt) {
	resp.Body.Close()
	trace.done()
	a.Latency = c.Clock.Now().Sub(a.Started)
	trace.fill(a)
	a.Sent = true
	a.record(resp, c.Masker)
}
