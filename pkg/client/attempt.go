package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"ferry/pkg/guard"
	"ferry/pkg/retry"
	"ferry/pkg/text"
	"ferry/pkg/wire"
)

// Attempt is the record of one attempt.
type Attempt struct {
	// Node is the name of the node, and Number counts its attempts from 1.
	Node   string
	Number int
	// Started is when it began, which is after the wait for its turn; Limited is how long that was.
	Started time.Time
	Limited time.Duration
	// Latency runs from the start (before DNS) to the last byte, or to the failure.
	Latency time.Duration
	Phases  Phases
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
	// Reconnected says that the request was sent twice: a kept connection was closed before any byte of an answer, and the
	// request was sent once more on a new one.
	Reconnected bool
	// Sent says that bytes of the request may have left.
	Sent bool
	// Ambiguous says that the request may have been carried out, and billed, though no answer came.
	Ambiguous bool
	// Usage is what the server says that the attempt cost, also where it failed; nil where it does not say.
	Usage *wire.Usage

	outcome retry.Outcome
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

// fail records an attempt to which no reply came.
func (a *Attempt) fail(ctx context.Context, err error) {
	a.Class, a.Err = classify(ctx, err)
	a.outcome.Kind = retry.Unreachable
	if final(a.Class, a.Err) {
		a.outcome.Kind = retry.Final
	}
}

// record keeps what a reply says of itself.
func (a *Attempt) record(resp *http.Response, m *guard.Masker) {
	a.HTTPStatus, a.Status = resp.StatusCode, resp.StatusCode
	for _, name := range []string{"request-id", "x-request-id"} {
		if id := resp.Header.Get(name); id != "" && a.RequestID == "" {
			a.RequestID = m.String(id)
		}
	}
	header := resp.Header
	a.header = func() []Field { return shownHeader(header, m) }
}

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

// read decides what a reply is. Its body came as far as readErr, nil for whole.
func (a *Attempt) read(
	ctx context.Context, api wire.API, resp *http.Response, body []byte, readErr error, reading Reading,
) wire.Answer {
	if target := resp.Header.Get("Location"); resp.StatusCode/100 == 3 && target != "" {
		a.Class, a.Err = Redirect, &RedirectError{Status: resp.StatusCode, Target: target}
		a.outcome.Kind = retry.Final
		return wire.Answer{}
	}
	if readErr != nil {
		a.cut(ctx, resp, body, readErr)
		if a.Ambiguous {
			return wire.Answer{Text: partialText(api, body)}
		}
		return wire.Answer{}
	}
	answer, err := api.Decode(resp.StatusCode, body)
	a.Usage = answer.Usage
	var apiErr *wire.APIError
	var none *wire.NotAnswerError
	switch {
	case err == nil, reading == AsBody && errors.As(err, &none) && none.Object:
		a.Status = http.StatusOK
		a.outcome.Kind = retry.Answered
	case errors.As(err, &apiErr):
		a.reject(apiErr, resp)
		a.Ambiguous = answer.Text != "" || answer.Usage != nil // a part of an answer came, and was paid for
	case errors.As(err, &none):
		a.Status, a.Class, a.Err = http.StatusOK, NotAnAnswer, err
		a.outcome.Kind = retry.NotAnAnswer
		switch {
		case none.WrongShape:
			a.outcome.Kind = retry.Final
		case none.Cut:
			a.Class, a.Ambiguous = Truncated, true
			answer.Text = cmp.Or(answer.Text, partialText(api, body))
		}
	}
	if a.Err != nil && answer.Text == "" {
		return wire.Answer{}
	}
	return answer
}

// partialText is the text in the beginning of a body that did not come whole. It looks at half of the longest body, since it
// needs several copies of that.
func partialText(api wire.API, body []byte) string {
	return api.Partial(body[:min(len(body), maxWhole/2)])
}

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
	a.Class, a.Err, a.outcome.Kind = class, cause, retry.Final
	a.Ambiguous = resp.StatusCode == http.StatusOK
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		a.Class, a.Err = Truncated, &CutError{Bytes: len(body)}
		a.outcome.Kind = retry.NotAnAnswer
	case class == Reset:
		// The answer was on its way, so it was paid for: it is not asked for again.
		a.Class, a.Err = Truncated, &CutError{Bytes: len(body), Reset: true}
	}
}

// clean hides secrets in what the error took from the server, and bounds it. Body is the reply's, masked, where the
// error has it; nil where it has an event's.
func (a *Attempt) clean(m *guard.Masker, body []byte) {
	a.RequestID, a.outcome.RetryAfter = text.Shown(m.String(a.RequestID), text.MostNamed), m.String(a.outcome.RetryAfter)
	var apiErr *wire.APIError
	var none *wire.NotAnswerError
	var malformed *wire.MalformedError
	var redirect *RedirectError
	var network *networkError
	switch {
	case errors.As(a.Err, &apiErr):
		for _, field := range []*string{&apiErr.Type, &apiErr.Code, &apiErr.RequestID, &apiErr.RetryAfter} {
			*field = text.Shown(m.String(*field), text.MostNamed)
		}
		apiErr.Message = text.Shown(m.String(apiErr.Message), text.MostShown)
		if body == nil { // of an event
			body = m.Bytes(apiErr.Body)
		}
		apiErr.Body = body
	case errors.As(a.Err, &none):
		none.Reason, none.Title = text.Shown(m.String(none.Reason), text.MostShown), text.Shown(m.String(none.Title), text.MostShown)
		none.Body = body
	case errors.As(a.Err, &malformed):
		malformed.Body = m.Bytes(malformed.Body)
	case errors.As(a.Err, &redirect):
		redirect.Target = text.Shown(m.String(redirect.Target), text.MostShown)
	case errors.As(a.Err, &network):
		network.mask(m)
	}
}
