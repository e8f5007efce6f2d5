package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"ferry/pkg/bench"
	"ferry/pkg/guard"
	"ferry/pkg/retry"
	"ferry/pkg/text"
	"ferry/pkg/transport"
	"ferry/pkg/wire"
)

// Attempt is the record of one attempt.
type Attempt struct {
	// Node is the name of the node. Number counts its attempts from 1.
	Node   string
	Number int
	// Started is the time of the start, after the wait for the rate limit. Limited is the duration of that wait.
	Started time.Time
	Limited time.Duration
	// Latency is the time from the start (before DNS) to the last byte or to the failure.
	Latency time.Duration
	Phases  bench.Phases
	// FirstText is the time from the start to the first text of a stream (TTFT), 0 without text.
	FirstText time.Duration
	// Status is the effective status, 0 without a reply or if it is not a number. HTTPStatus is the status of the reply.
	Status, HTTPStatus int
	// Class is the kind of failure, "" after a success.
	Class Class
	Err   error
	// Wait is how long the retry loop waited after the attempt.
	Wait time.Duration
	// RequestID is the server's ID of the request.
	RequestID string
	// Remote, Reused, Held and TLS describe the connection, if there was one. A held connection outlives the call.
	Remote string
	Reused bool
	Held   bool
	TLS    string
	// HTTP3 says that the request used HTTP/3. Handshakes is the number of handshakes started for its connection.
	HTTP3      bool
	Handshakes int
	// Reconnected says that the request was sent twice: a reused connection was closed before any byte of an answer,
	// and the request was sent once more on a new one.
	Reconnected bool
	// StreamOnly says that the node refused the request because the model only streams. The next attempt asks for
	// a stream.
	StreamOnly bool
	// Sent says that bytes of the request may have been sent.
	Sent bool
	// Ambiguous says that the request may have been carried out and billed although no complete answer arrived.
	Ambiguous bool
	// Usage is the token usage that the server reported, also after a failure; nil if it reported none.
	Usage *wire.Usage

	// unfinished says that a stream did not reach its end, so Usage may be only a first estimate.
	unfinished bool

	outcome retry.Outcome
	trace   *transport.Trace // of the last request
	limit   time.Duration    // limit and active are for a progress display
	active  *ActiveAttempt
	// header masks the reply header for display. It is a function so that printing an Attempt cannot show unmasked
	// values.
	header func() []Field
}

// Header returns the reply header: masked, safe to show, sorted.
func (a *Attempt) Header() []Field {
	if a.header == nil {
		return nil
	}
	return a.header()
}

// Reason returns the outcome in one word: "429", "connect", "ok".
func (a *Attempt) Reason() string {
	switch {
	case a.Err == nil:
		return "ok"
	case a.Status > 0 && a.Status != 200:
		return fmt.Sprint(a.Status)
	}
	return string(a.Class)
}

// billedTokens returns how many tokens an attempt may be billed. It is the reported usage, if there is one. If the
// stream did not reach its end, it is at least the guess. If no usage was reported and the node may have done the work,
// it is the guess. If the node refused, it is 0. A request that was sent twice adds the guess once more.
func (a *Attempt) billedTokens(guessInput, guessOutput int64) (input, output int64) {
	switch {
	case a.Usage != nil:
		input, output = int64(a.Usage.Input), int64(a.Usage.Output)
		if a.unfinished {
			input, output = max(input, guessInput), max(output, guessOutput)
		}
	case a.Err == nil || a.Ambiguous:
		input, output = guessInput, guessOutput
	}
	if a.Reconnected { // the first request, which got no answer
		input, output = input+guessInput, output+guessOutput
	}
	return input, output
}

// recordTrace records what the transport measured. ended is the end of the answer, zero if there was none.
func (a *Attempt) recordTrace(ended time.Time) {
	t := a.trace
	a.Phases = bench.Phases{DNS: t.DNS, Connect: t.Connect, TLS: t.TLS}
	if !t.First.IsZero() && !ended.IsZero() {
		if wrote := t.Wrote.Load(); wrote != nil {
			a.Phases.Wait = max(0, t.First.Sub(*wrote)) // a server may answer before it has read everything
		}
		a.Phases.Transfer = ended.Sub(t.First)
	}
	a.Remote, a.Reused, a.Held, a.HTTP3, a.Handshakes = t.Remote, t.Reused, t.Held, t.HTTP3, int(t.Handshakes.Load())
	if t.TLSVersion != 0 {
		a.TLS = tls.VersionName(t.TLSVersion)
	}
}

// reusedConnClosed reports whether a request failed because its reused connection was closed before any byte of an
// answer, or because it received bytes that belong to no request.
func (a *Attempt) reusedConnClosed(err error) bool {
	var holder interface{ HolderLost() bool }
	var early *transport.EarlyError
	switch {
	case !a.trace.Reused:
		return false
	case errors.As(err, &early):
		return true
	}
	return a.trace.First.IsZero() && (transport.Unsent(err) || isConnClosed(err) && !errors.As(err, &holder))
}

// setFailure records a failure.
func (a *Attempt) setFailure(class Class, err error, kind retry.Kind) {
	a.Class, a.Err, a.outcome.Kind = class, err, kind
}

// fail records an attempt that got no reply, or not a complete one.
func (a *Attempt) fail(ctx context.Context, err error) {
	class, err := classify(ctx, err)
	kind := retry.Unreachable
	var over *DeadlineError
	if class == Trust || class == PlainHTTP || class == Cancelled || errors.As(err, &over) {
		kind = retry.Final
	}
	a.setFailure(class, err, kind)
}

// recordReply records the dialect's result for a complete reply.
func (a *Attempt) recordReply(answer wire.Answer, err error, resp *http.Response, reading Reading) {
	var apiErr *wire.APIError
	var none *wire.NotAnswerError
	switch {
	case err == nil, reading == AsBody && errors.As(err, &none) && none.Object:
		a.Status, a.outcome.Kind = http.StatusOK, retry.Answered
	case errors.As(err, &apiErr):
		a.recordAPIError(apiErr, resp)
		a.Ambiguous = answer.Text != "" || answer.Usage != nil // a part of an answer arrived, which is billed
	case errors.As(err, &none):
		a.Status = http.StatusOK
		a.setFailure(NotAnAnswer, err, retry.NotAnAnswer)
		switch {
		case none.WrongShape:
			a.outcome.Kind = retry.Final
		case none.Encoding != "": // it may be an answer, which is billed
			a.outcome.Kind, a.Ambiguous = retry.Final, true
		case none.Truncated:
			a.Class, a.Ambiguous = Truncated, true
		}
	}
}

// recordAPIError records a reply that is an error.
func (a *Attempt) recordAPIError(apiErr *wire.APIError, resp *http.Response) {
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
		Temporary:    apiErr.InFlightBudget(),
	}
}

// recordCutReply records a reply whose body is incomplete. If the status is not 200, only the status matters.
func (a *Attempt) recordCutReply(ctx context.Context, resp *http.Response, body []byte, err error) {
	class, cause := classify(ctx, err)
	if resp.StatusCode != http.StatusOK && class != Cancelled {
		a.recordAPIError(&wire.APIError{Status: resp.StatusCode, HTTPStatus: resp.StatusCode, Body: body}, resp)
		return
	}
	a.Ambiguous = resp.StatusCode == http.StatusOK
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		a.setFailure(Truncated, fmt.Errorf("the answer was cut after %d bytes", len(body)), retry.NotAnAnswer)
	case class == Reset:
		// The answer was already arriving, so it is billed: do not retry.
		a.setFailure(Truncated, fmt.Errorf("the connection was reset after %d bytes of the answer", len(body)), retry.Final)
	default:
		a.setFailure(class, cause, retry.Final)
	}
}

// recordSinkError records that the sink returned an error. A retry would cost a second answer and fail too.
func (a *Attempt) recordSinkError(err error) {
	a.setFailure(Output, err, retry.Final)
	var blocked *guard.BlockedError
	if errors.As(err, &blocked) {
		a.Class = Blocked
	}
}

// mask hides secrets in an answer. The answer of a failed attempt may end inside a secret.
func (a *Attempt) mask(m *guard.Masker, answer *wire.Answer) {
	mask := m.String
	if a.Err != nil {
		mask = m.StringCut
	}
	for _, field := range []*string{&answer.Text, &answer.StopReason, &answer.ID, &answer.Model} {
		*field = mask(*field)
	}
}

// clean masks secrets in the parts of the error that the server sent, and bounds their length. body is the reply's
// body; nil means the body that the error quotes. clean returns it, masked. The message and the body of a failed attempt
// may end inside a secret.
func (a *Attempt) clean(m *guard.Masker, body []byte) []byte {
	shown := func(mask func(string) string, limit int, fields ...*string) {
		for _, field := range fields {
			*field = text.Shown(mask(*field), limit)
		}
	}
	shown(m.String, text.MaxNamed, &a.RequestID)
	a.outcome.RetryAfter = m.String(a.outcome.RetryAfter)
	if a.Err == nil {
		return m.Bytes(body)
	}
	var apiErr *wire.APIError
	var none *wire.NotAnswerError
	var network *networkError
	switch {
	case errors.As(a.Err, &apiErr):
		shown(m.String, text.MaxNamed, &apiErr.Type, &apiErr.Code, &apiErr.RequestID, &apiErr.RetryAfter)
		shown(m.StringCut, text.MaxShown, &apiErr.Message)
	case errors.As(a.Err, &none):
		shown(m.StringCut, text.MaxShown, &none.Reason, &none.Title, &none.Encoding)
	case errors.As(a.Err, &network): // net/http quotes a malformed reply
		shown(m.StringCut, text.MaxShown, &network.text)
		if network.err != nil && m.String(network.err.Error()) != network.err.Error() {
			network.err = nil
		}
	}
	quote := quotedBody(a.Err)
	if body == nil && quote != nil {
		body = *quote
	}
	body = m.BytesCut(body)
	if a.Class == Truncated && m.CutInPieces(body) {
		body = nil // masking its bytes cannot hide a secret that is split over several events
	}
	if quote != nil {
		*quote = body
	}
	return body
}

// quotedBody returns a pointer to the body that an error quotes, nil if it quotes none.
func quotedBody(err error) *[]byte {
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

// shownHeader returns a reply header with secrets masked, for display.
func shownHeader(header http.Header, m *guard.Masker) []Field {
	var fields []Field
	lower := m.Lower() // reading the header lost the case of the name
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
