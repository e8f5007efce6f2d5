// Package client owns the attempt loop: it sends one request, says what came of it, asks the retry policy, waits and
// sends again, until there is a whole answer or a reason to stop. Around that loop it owns streams, failover from node to
// node, and batches with their files. It is handed a RoundTripper, a rule, a clock and a way to wait. It refuses to print,
// to read a configuration and to know what carries its bytes.
package client

import (
	"context"
	"net/http"
	"slices"
	"time"

	"ferry/pkg/guard"
	"ferry/pkg/limit"
	"ferry/pkg/retry"
	"ferry/pkg/transport"
	"ferry/pkg/wire"
)

// Clock tells the time and waits. Tests bring one that does not take any.
type Clock interface {
	Now() time.Time
	// Sleep waits d or until ctx ends, whose error it then returns.
	Sleep(ctx context.Context, d time.Duration) error
}

// Pause is a wait between two attempts, or for the turn to make one, for whoever shows it.
type Pause struct {
	// Wait is how long.
	Wait time.Duration
	// Node, Attempt (the one that failed, from 1) and Attempts say where the loop is.
	Node              string
	Attempt, Attempts int
	// Reason is what failed, in short.
	Reason string
	// Limit is the rate that a turn is waited for, and Attempt then the one that waits; "" between two attempts.
	Limit string
	// Turn is the turn that is waited for; nil between two attempts.
	Turn *limit.Reservation
}

// Sleep waits with the given function: for the turn, which can come sooner than it looked, or for the time.
func (p Pause) Sleep(ctx context.Context, sleep func(context.Context, time.Duration) error) error {
	if p.Turn != nil {
		return p.Turn.Sleep(ctx, limit.Forever, sleep)
	}
	return sleep(ctx, p.Wait)
}

// Client asks nodes.
type Client struct {
	Transport http.RoundTripper
	Rule      retry.Rule
	Clock     Clock
	// Timeout bounds the whole call, waits included. 0 is no bound.
	Timeout time.Duration
	// Behind is how many nodes are still to be asked where this one fails. An attempt may then take no more than an equal
	// share of the time that is left: one that stalls would leave nothing for them. Streams have IdleTimeout for that.
	Behind int
	// IdleTimeout bounds how long a stream may bring nothing, its head included; a ping is something. 0 is no bound.
	IdleTimeout time.Duration
	// Since is when Timeout began, where that was before the call; the zero time is the start of the call.
	Since time.Time
	// Random gives numbers in [0, 1) for jitter.
	Random func() float64
	// Masker hides the key and other secrets in whatever is kept of a reply.
	Masker *guard.Masker
	// Limit is asked for a turn before every attempt and probe. It may be nil.
	Limit Limiter
	// UserAgent is sent with each request.
	UserAgent string
	// AfterFunc runs f after d, unless it is stopped before; nil is time.AfterFunc.
	AfterFunc func(d time.Duration, f func()) (stop func() bool)
	// OnWait waits instead of Clock.Sleep, for a countdown. It may be nil.
	OnWait func(ctx context.Context, p Pause) error
	// OnAttempt sees each attempt as it ends. It may be nil.
	OnAttempt func(*Attempt)
}

// Result is what came of a call, whole or not.
type Result struct {
	// Answer is whole when the call succeeded and the body was read as an answer. Else it has what came of one.
	Answer wire.Answer
	// Body is the last attempt's body, masked: the whole one after a success AsBody, what came of it after a failure.
	Body []byte
	// Attempts has one record an attempt.
	Attempts []*Attempt
	// Latency runs from the start of the first attempt to the end of the last, the waits between them included.
	Latency time.Duration
}

// last is the newest attempt, nil before the first.
func (r *Result) last() *Attempt {
	if len(r.Attempts) == 0 {
		return nil
	}
	return r.Attempts[len(r.Attempts)-1]
}

// Reading says how much is asked of a body with status 200.
type Reading int

const (
	// AsAnswer wants an answer with a text.
	AsAnswer Reading = iota
	// AsBody wants what the script wanted: a JSON object with the status 200.
	AsBody
)

// Ask sends the request until there is an answer or the rule says to stop. The result is never nil and holds what is
// known; the error is an *Error.
func (c *Client) Ask(ctx context.Context, node Node, request wire.Request, reading Reading) (*Result, error) {
	return c.call(ctx, node, request, func(ctx context.Context, p *Prepared, a *Attempt) (wire.Answer, []byte) {
		resp, body, err := c.exchange(ctx, p, a)
		if resp == nil {
			return wire.Answer{}, nil
		}
		return c.whole(ctx, p, a, reading, resp, body, err)
	})
}

// once makes one attempt: it fills the record and returns the answer and what came of the body, both masked.
type once func(ctx context.Context, p *Prepared, a *Attempt) (wire.Answer, []byte)

// call makes attempts until the rule says to stop.
func (c *Client) call(ctx context.Context, node Node, request wire.Request, try once) (*Result, error) {
	result := &Result{}
	prepared, err := node.Prepare(request)
	if err != nil {
		return result, &Error{Class: Usage, Node: node.Name, Err: err, Unsent: true}
	}
	started := c.Clock.Now()
	err = c.loop(ctx, prepared, try, c.deadline(started), result)
	if len(result.Attempts) > 0 {
		result.Latency = c.Clock.Now().Sub(result.Attempts[0].Started)
	}
	return result, err
}

func (c *Client) loop(ctx context.Context, p *Prepared, try once, deadline time.Time, result *Result) error {
	fresh := false // gateways close a kept connection after a 5xx, without a byte, when the next request fails too
	for i := 1; ; i++ {
		limited, failed := c.turn(ctx, p.Node.Name, i, deadline)
		if failed != nil {
			return c.failure(p, result, failed)
		}
		attempt := &Attempt{Node: p.Node.Name, Number: i, Started: c.Clock.Now(), Limited: limited}
		result.Attempts = append(result.Attempts, attempt)
		bounded, cancel := c.bound(ctx, deadline)
		if fresh {
			bounded = transport.Fresh(bounded)
		}
		result.Answer, result.Body = try(bounded, p, attempt)
		cancel()
		attempt.Ambiguous = attempt.Ambiguous || attempt.Reconnected
		fresh = attempt.Status >= 500 || attempt.HTTPStatus >= 500
		now := c.Clock.Now()
		decision := c.Rule.Decide(attempt.outcome, i, now, c.Random())
		waits := decision.Action == retry.Wait
		late := waits && !deadline.IsZero() && !now.Add(decision.Wait).Before(deadline)
		if waits && !late {
			attempt.Wait = decision.Wait
		}
		if c.OnAttempt != nil {
			c.OnAttempt(attempt)
		}
		switch {
		case !waits:
			return c.verdict(decision, p, result)
		case late:
			over := &DeadlineError{Timeout: c.Timeout, Wait: decision.Wait, Last: attempt.Err}
			return c.failure(p, result, &Error{Class: Timeout, Status: attempt.Status, Err: over})
		}
		pause := Pause{Wait: decision.Wait, Node: p.Node.Name, Attempt: i, Attempts: c.Rule.Attempts, Reason: attempt.Reason()}
		if err := c.wait(ctx, pause); err != nil {
			return c.failure(p, result, stopped(ctx, err))
		}
	}
}

func (c *Client) wait(ctx context.Context, p Pause) error {
	if c.OnWait != nil {
		return c.OnWait(ctx, p)
	}
	return p.Sleep(ctx, c.Clock.Sleep)
}

// verdict ends the loop: nil after a success.
func (c *Client) verdict(d retry.Decision, p *Prepared, result *Result) error {
	if d.Action == retry.Done {
		return nil
	}
	last := result.last()
	return c.failure(p, result, &Error{
		Class:  last.Class,
		Status: last.Status,
		GaveUp: d.Action == retry.GiveUp,
		Asked:  d.Asked,
		Err:    last.Err,
	})
}

// failure completes an error with what is known of the call.
func (c *Client) failure(p *Prepared, result *Result, e *Error) *Error {
	e.Node, e.Policy, e.KeySource, e.Proxy = p.Node.Name, c.Rule.Policy, p.Node.Key.Source(), p.Node.Proxy
	e.Unsent = !slices.ContainsFunc(result.Attempts, func(a *Attempt) bool { return a.Sent })
	if last := result.last(); last != nil {
		e.Attempts, e.Ambiguous = last.Number, last.Ambiguous
		e.excerpt = excerpt(e.Err, result.Body)
	}
	return e
}

// whole reads a reply that came to its end, err says how far.
func (c *Client) whole(
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
func (c *Client) mask(answer *wire.Answer) {
	for _, field := range []*string{&answer.Text, &answer.StopReason, &answer.ID, &answer.Model} {
		*field = c.Masker.String(*field)
	}
}

// exchange sends the request and reads what comes to its end, err says how far. Without a reply resp is nil and a says
// why.
func (c *Client) exchange(ctx context.Context, p *Prepared, a *Attempt) (resp *http.Response, body []byte, err error) {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	resp, trace, err := c.send(ctx, p, a)
	if err != nil {
		return nil, nil, err
	}
	if resp.StatusCode == http.StatusOK && isEventType(resp) {
		body, err = c.readEvents(p.Node.API, resp.Body, end)
	} else {
		body, err = readAll(resp.Body)
	}
	c.received(resp, trace, a)
	return resp, body, err
}

// send sends the request and waits for the head of the reply. Without one a says why. A kept connection can be closed by
// the server before the request arrives, so one that is closed before any byte of an answer is no answer of the server: the
// request is sent once more on a new connection, as curl does, and a says so.
func (c *Client) send(ctx context.Context, p *Prepared, a *Attempt) (*http.Response, *trace, error) {
	trace := newTrace(c.Clock.Now)
	resp, err := c.Transport.RoundTrip(p.request(trace.attach(ctx), c.UserAgent))
	if ctx.Err() == nil && trace.closedUnanswered(err) {
		a.Reconnected = !transport.Unsent(err)
		trace = newTrace(c.Clock.Now)
		resp, err = c.Transport.RoundTrip(p.request(trace.attach(transport.Fresh(ctx)), c.UserAgent))
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
func (c *Client) received(resp *http.Response, trace *trace, a *Attempt) {
	resp.Body.Close()
	trace.done()
	a.Latency = c.Clock.Now().Sub(a.Started)
	trace.fill(a)
	a.Sent = true
	a.record(resp, c.Masker)
}

// bound gives one attempt what is left of the call's time.
func (c *Client) bound(ctx context.Context, deadline time.Time) (context.Context, context.CancelFunc) {
	if deadline.IsZero() {
		return context.WithCancel(ctx)
	}
	left, cause := deadline.Sub(c.Clock.Now()), &DeadlineError{Timeout: c.Timeout}
	if c.Behind > 0 {
		left /= time.Duration(c.Behind + 1)
		cause.Share = left
	}
	return context.WithTimeoutCause(ctx, left, cause)
}
