package client

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"ferry/pkg/bench"
	"ferry/pkg/guard"
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
	if !call.Deadline.IsZero() { // the attempt has what is left of the call's time, or its share beside other endpoints
		left, cause := call.Deadline.Sub(s.Clock.Now()), &DeadlineError{Timeout: call.Timeout}
		if call.Remaining > 0 && call.Sink == nil { // a stream has the idle timeout for that
			left /= time.Duration(call.Remaining + 1)
			cause.Share = left
		}
		if each := call.AttemptTimeout; each > 0 && each < left {
			left, cause = each, &DeadlineError{Timeout: each}
		}
		attempt.most = left
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
			attempt.outcome.Kind = retry.Final // another attempt would show it twice
		}
	}
	attempt.Ambiguous = attempt.Ambiguous || attempt.Reconnected
	if attempt.Err != nil {
		return result, &Error{Class: attempt.Class, Status: attempt.Status, Node: attempt.Node, Err: attempt.Err}
	}
	return result, nil
}

// exchange sends the request and reads the whole body; err is set where it was cut. Without a reply resp is nil and the
// attempt says why.
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
	body := bodyBuffer{length: resp.ContentLength, room: func(size int) error { return call.Memory.take(ctx, size) }}
	switch {
	case resp.StatusCode != http.StatusOK:
		err = s.readRejected(ctx, resp.Body, &body, end)
	case isEventType(resp):
		err = s.readEvents(call.Endpoint.API, resp.Body, &body, end)
	default:
		err = body.readAll(resp.Body)
	}
	s.received(resp, attempt)
	return resp, body.bytes, err
}

// send sends the request and waits for the head of the reply. Without one the attempt says why. A kept connection can be
// closed by the server before the request arrives, so one that is closed before any byte of an answer is no answer of the
// server: the request is sent once more on a new connection, as curl does, and the attempt says so.
func (s *attemptStage) send(ctx context.Context, call *Call, attempt *Attempt) *http.Response {
	once := func(ctx context.Context) (*http.Response, error) {
		attempt.trace = new(transport.Trace)
		if attempt.underway != nil {
			attempt.underway.trace.Store(attempt.trace)
		}
		return call.Endpoint.Transport.RoundTrip(call.prepared.request(transport.WithTrace(ctx, attempt.trace), s.UserAgent))
	}
	resp, err := once(ctx)
	if err != nil && ctx.Err() == nil && attempt.closedUnanswered(err) {
		attempt.Reconnected = !transport.Unsent(err)
		resp, err = once(transport.Fresh(ctx))
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

// received records status, times and request id of a reply whose body has been read.
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
		if none := (*wire.NotAnswerError)(nil); errors.As(err, &none) && !utf8.Valid(body) {
			none.Encoding = cmp.Or(encodingOf(resp), none.Encoding)
		}
		attempt.Usage, attempt.unfinished = answer.Usage, err != nil && answer.StopReason == "" && isEventType(resp)
		attempt.judge(answer, err, resp, call.Reading)
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
		body = nil // the text is all that is wanted of it
	}
	return answer, body
}

// mask hides secrets in an answer. That of a failed attempt may have been cut inside one.
func (a *Attempt) mask(m *guard.Masker, answer *wire.Answer) {
	mask := m.String
	if a.Err != nil {
		mask = m.StringCut
	}
	for _, field := range []*string{&answer.Text, &answer.StopReason, &answer.ID, &answer.Model} {
		*field = mask(*field)
	}
}

// describe records what the transport tells of the request. An answer ended at a time, zero without one.
func (a *Attempt) describe(ended time.Time) {
	t := a.trace
	a.Phases = bench.Phases{DNS: t.DNS, Connect: t.Connect, TLS: t.TLS}
	if !t.First.IsZero() && !ended.IsZero() {
		if wrote := t.Wrote.Load(); wrote != nil {
			a.Phases.Wait = max(0, t.First.Sub(*wrote)) // a server may answer before it has read all
		}
		a.Phases.Transfer = ended.Sub(t.First)
	}
	a.Remote, a.Reused, a.Held, a.HTTP3, a.Handshakes = t.Remote, t.Reused, t.Held, t.HTTP3, int(t.Handshakes.Load())
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

// Attempt is the record of one attempt.
type Attempt struct {
	// Node is the name of the node, and Number counts its attempts from 1.
	Node   string
	Number int
	// Started is when it began, which is after the wait for the rate limit; Limited is how long that was.
	Started time.Time
	Limited time.Duration
	// Latency runs from the start (before DNS) to the last byte, or to the failure.
	Latency time.Duration
	Phases  bench.Phases
	// FirstText runs from the start to the first text of a stream (TTFT), 0 without one.
	FirstText time.Duration
	// Status is the effective status, 0 without an answer; HTTPStatus the reply's own.
	Status, HTTPStatus int
	// Class is what kind of failure it was, "" after a success.
	Class Class
	Err   error
	// Wait is how long the loop waited afterwards.
	Wait time.Duration
	// RequestID is the server's name for the request.
	RequestID string
	// Remote, Reused, Held and TLS describe the connection, as far as there was one. A held one outlives the call.
	Remote string
	Reused bool
	Held   bool
	TLS    string
	// HTTP3 says that the request went over HTTP/3. Handshakes is how many were begun for its connection.
	HTTP3      bool
	Handshakes int
	// Reconnected says that the request was sent twice: a kept connection was closed before any byte of an answer, and the
	// request was sent once more on a new one.
	Reconnected bool
	// StreamOnly says that the node refused it because the model answers only as a stream, which is then asked for.
	StreamOnly bool
	// Sent says that bytes of the request may have left.
	Sent bool
	// Ambiguous says that the request may have been carried out, and billed, though no answer came.
	Ambiguous bool
	// Usage is what the server says that the attempt cost, also where it failed; nil where it does not say.
	Usage *wire.Usage

	// unfinished says that a stream did not come to its end, so that its usage may be no more than a first estimate.
	unfinished bool

	outcome  retry.Outcome
	trace    *transport.Trace // of the last request
	most     time.Duration    // and underway are for a display
	underway *Underway
	// header makes the reply's header fit to be shown, which few callers want. It is a function so that printing the
	// record shows nothing that has not been masked.
	header func() []Field
}

// Header is the reply's, masked and safe to show, sorted.
func (a *Attempt) Header() []Field {
	if a.header == nil {
		return nil
	}
	return a.header()
}

// Reason says in short how the attempt ended: "429", "refused", "ok".
func (a *Attempt) Reason() string {
	switch {
	case a.Err == nil:
		return "ok"
	case a.Status > 0 && a.Status != 200:
		return fmt.Sprint(a.Status)
	}
	return string(a.Class)
}

// billed is what an attempt may be billed in tokens: what the node says, what the caller guesses where it may have worked
// and does not say, at least that for a stream without its end, and nothing where it refused.
func (a *Attempt) billed(guessInput, guessOutput int64) (input, output int64) {
	switch {
	case a.Usage != nil:
		input, output = int64(a.Usage.Input), int64(a.Usage.Output)
		if a.unfinished {
			input, output = max(input, guessInput), max(output, guessOutput)
		}
	case a.Err == nil || a.Ambiguous:
		input, output = guessInput, guessOutput
	}
	if a.Reconnected { // the request that got no answer
		input, output = input+guessInput, output+guessOutput
	}
	return input, output
}

// shownHeader is a reply's header as it may be shown.
func shownHeader(header http.Header, m *guard.Masker) []Field {
	var fields []Field
	lower := m.Lower() // the case of a name got lost when it was read
	for name, values := range header {
		shown := lower.String(strings.ToLower(name))
		for _, value := range values {
			if strings.EqualFold(name, "Set-Cookie") {
				value = guard.Secret{}.String()
			}
			fields = append(fields, Field{Name: shown, Value: text.Line(m.String(value))})
		}
	}
	slices.SortStableFunc(fields, func(f, g Field) int { return strings.Compare(f.Name, g.Name) })
	return fields
}

// end records a failure.
func (a *Attempt) end(class Class, err error, kind retry.Kind) {
	a.Class, a.Err, a.outcome.Kind = class, err, kind
}

// fail records an attempt to which no reply came, or not the end of one.
func (a *Attempt) fail(ctx context.Context, err error) {
	class, err := classify(ctx, err)
	kind := retry.Unreachable
	var over *DeadlineError
	if class == Trust || class == PlainHTTP || class == Cancelled || errors.As(err, &over) {
		kind = retry.Final
	}
	a.end(class, err, kind)
}

// judge records what the dialect says of a whole reply.
func (a *Attempt) judge(answer wire.Answer, err error, resp *http.Response, reading Reading) {
	var apiErr *wire.APIError
	var none *wire.NotAnswerError
	switch {
	case err == nil, reading == AsBody && errors.As(err, &none) && none.Object:
		a.Status, a.outcome.Kind = http.StatusOK, retry.Answered
	case errors.As(err, &apiErr):
		a.reject(apiErr, resp)
		a.Ambiguous = answer.Text != "" || answer.Usage != nil // a part of an answer came, and was paid for
	case errors.As(err, &none):
		a.Status = http.StatusOK
		a.end(NotAnAnswer, err, retry.NotAnAnswer)
		switch {
		case none.WrongShape:
			a.outcome.Kind = retry.Final
		case none.Encoding != "": // it may well be an answer, which was paid for
			a.outcome.Kind, a.Ambiguous = retry.Final, true
		case none.Cut:
			a.Class, a.Ambiguous = Truncated, true
		}
	}
}

// reject records a reply that is an error.
func (a *Attempt) reject(apiErr *wire.APIError, resp *http.Response) {
	if a.RequestID == "" {
		a.RequestID = apiErr.RequestID
	}
	apiErr.RequestID, apiErr.RetryAfter = a.RequestID, resp.Header.Get("Retry-After")
	a.Status, a.Err, a.Class = apiErr.Status, apiErr, classOfStatus(apiErr.Status)
	a.outcome = retry.Outcome{
		Kind:         retry.Rejected,
		Status:       apiErr.Status,
		RetryAfter:   apiErr.RetryAfter,
		RetryAfterMS: resp.Header.Get("Retry-After-Ms"),
		NoRetry:      strings.EqualFold(strings.TrimSpace(resp.Header.Get("X-Should-Retry")), "false"),
		SpendCap:     apiErr.SpendCap(),
		Passes:       apiErr.InFlightBudget(),
	}
}

// cut records a reply whose body did not come whole. Under a status that is no success the status says enough.
func (a *Attempt) cut(ctx context.Context, resp *http.Response, body []byte, err error) {
	class, cause := classify(ctx, err)
	if resp.StatusCode != http.StatusOK && class != Cancelled {
		a.reject(&wire.APIError{Status: resp.StatusCode, HTTPStatus: resp.StatusCode, Body: body}, resp)
		return
	}
	a.Ambiguous = resp.StatusCode == http.StatusOK
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		a.end(Truncated, fmt.Errorf("the answer was cut after %d bytes", len(body)), retry.NotAnAnswer)
	case class == Reset:
		// The answer was on its way, so it was paid for: it is not asked for again.
		a.end(Truncated, fmt.Errorf("the connection was reset after %d bytes of the answer", len(body)), retry.Final)
	default:
		a.end(class, cause, retry.Final)
	}
}

// refuse records that the sink did not take what came. It is not asked for again: it was paid for, and would be no
// other.
func (a *Attempt) refuse(err error) {
	a.end(Output, err, retry.Final)
	var blocked *guard.BlockedError
	if errors.As(err, &blocked) {
		a.Class = Blocked
	}
}

// quoted is the body that an error quotes, nil where it quotes none.
func quoted(err error) *[]byte {
	var apiErr *wire.APIError
	var none *wire.NotAnswerError
	var malformed *wire.MalformedError
	switch {
	case errors.As(err, &apiErr):
		return &apiErr.Body
	case errors.As(err, &none):
		return &none.Body
	case errors.As(err, &malformed):
		return &malformed.Body
	}
	return nil
}

// clean hides secrets in what the error took from the server, and bounds it. Body is the reply's, nil where the error quotes
// an event's; it returns what is quoted, masked. The words and the body of a failed attempt may have been cut inside a secret.
func (a *Attempt) clean(m *guard.Masker, body []byte) []byte {
	shown := func(mask func(string) string, most int, fields ...*string) {
		for _, field := range fields {
			*field = text.Shown(mask(*field), most)
		}
	}
	shown(m.String, text.MostNamed, &a.RequestID)
	a.outcome.RetryAfter = m.String(a.outcome.RetryAfter)
	if a.Err == nil {
		return m.Bytes(body)
	}
	var apiErr *wire.APIError
	var none *wire.NotAnswerError
	var network *networkError
	switch {
	case errors.As(a.Err, &apiErr):
		shown(m.String, text.MostNamed, &apiErr.Type, &apiErr.Code, &apiErr.RequestID, &apiErr.RetryAfter)
		shown(m.StringCut, text.MostShown, &apiErr.Message)
	case errors.As(a.Err, &none):
		shown(m.StringCut, text.MostShown, &none.Reason, &none.Title, &none.Encoding)
	case errors.As(a.Err, &network): // net/http quotes a malformed reply
		shown(m.StringCut, text.MostShown, &network.text)
		if network.err != nil && m.String(network.err.Error()) != network.err.Error() {
			network.err = nil
		}
	}
	quote := quoted(a.Err)
	if body == nil && quote != nil {
		body = *quote
	}
	body = m.BytesCut(body)
	if a.Class == Truncated && m.CutInPieces(body) {
		body = nil // no mask of its bytes hides what the end of an event tells
	}
	if quote != nil {
		*quote = body
	}
	return body
}

// Underway is an attempt that has not ended, for a display. Another goroutine may ask for its phase.
type Underway struct {
	Node string
	// Number counts the attempts from 1, and Attempts is how many there may be.
	Number, Attempts int
	// Stream says that the answer comes piece by piece. Idle is then the longest that nothing may come.
	Stream bool
	Idle   time.Duration
	// Most is the time that the attempt has, 0 for any.
	Most time.Duration

	trace atomic.Pointer[transport.Trace]
}

// Phase is how far the request has come.
func (u *Underway) Phase() transport.Phase {
	if trace := u.trace.Load(); trace != nil {
		return trace.Phase()
	}
	return transport.Resolving
}

// show tells OnStart, which is not nil, of an attempt that begins; the function is to be called when it has ended.
func (s *attemptStage) show(call *Call, attempt *Attempt) (ended func()) {
	e := call.Endpoint
	if !call.Deadline.IsZero() && attempt.most == 0 {
		attempt.most = call.Deadline.Sub(attempt.Started)
	}
	attempt.underway = &Underway{
		Node: e.Name, Number: attempt.Number, Attempts: e.Rule.Attempts, Stream: call.Sink != nil,
		Idle: e.IdleTimeout, Most: attempt.most,
	}
	return s.OnStart(attempt.underway)
}
