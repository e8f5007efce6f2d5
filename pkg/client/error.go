package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"ferry/pkg/guard"
	"ferry/pkg/retry"
	"ferry/pkg/text"
	"ferry/pkg/transport"
	"ferry/pkg/wire"
)

// Class is a kind of failure, as named in reports and JSON.
type Class string

// The classes of failure.
const (
	Usage       Class = "usage"
	DNS         Class = "dns"
	Connect     Class = "connect"
	Trust       Class = "tls"
	PlainHTTP   Class = "plain_http"
	Timeout     Class = "timeout"
	Reset       Class = "reset"
	Truncated   Class = "truncated"
	TooLarge    Class = "too_large"
	Protocol    Class = "protocol"
	NotAnAnswer Class = "not_an_answer"
	Redirect    Class = "redirect"
	RateLimited Class = "429"
	Status4xx   Class = "4xx"
	Status5xx   Class = "5xx"
	StatusOther Class = "status"
	Cancelled   Class = "cancelled"
	// Limited means that the attempt was not made, because the wait for the rate limit is too long.
	Limited Class = "limited"
	// Output means that the sink could not accept the answer.
	Output Class = "output"
	// Blocked means that the content filter blocked the prompt or withheld the answer.
	Blocked Class = "blocked"
	// Stopped is a complete answer that ended at a limit or in a refusal, if the caller accepts neither.
	Stopped Class = "stopped"
)

// isClass reports whether err is an *Error of the class.
func isClass(err error, class Class) bool {
	var failed *Error
	return errors.As(err, &failed) && failed.Class == class
}

// Error is the reason why a call failed.
type Error struct {
	Class Class
	// Status is the effective status of the last reply, 0 without one.
	Status int
	Node   string // the last node used
	// Attempts is the number of attempts at Node; in the error of CheckSchema, at all nodes.
	Attempts int
	// GaveUp says that another attempt was needed but none was left, or that the server asked for too long a wait.
	GaveUp bool
	// RequestedWait is the wait that the server asked for, 0 if that was not the reason.
	RequestedWait time.Duration
	// URL is the address of the request; nil if there was none.
	URL *url.URL
	// Unsent says that no byte of a request was sent.
	Unsent bool
	Err    error

	excerpt string
	hint    string // if Err has none
}

// fail adds what is known about the call to an error.
func (c *Call) fail(result *Result, e *Error) *Error {
	e.Node, e.URL = c.Endpoint.Name, c.prepared.URL
	e.Unsent = !slices.ContainsFunc(result.Attempts, func(a *Attempt) bool { return a.Sent })
	if last := result.last(); last != nil {
		e.Attempts, e.excerpt = last.Number, excerpt(e.Err, result.Body)
	}
	e.hint = c.advice(e)
	return e
}

// waitError returns the error of a wait that was interrupted. The wait may have used its own context.
func waitError(ctx context.Context, err error) *Error {
	class := Cancelled
	if ctx.Err() != nil {
		class, err = classify(ctx, err)
	}
	return &Error{Class: class, Err: err}
}

func (e *Error) Error() string {
	var b strings.Builder
	if e.Node != "" {
		b.WriteString(e.Node + ": ")
	}
	switch {
	case e.GaveUp && e.RequestedWait > 0:
		fmt.Fprintf(&b, "gave up: the server asks to wait %s, longer than %s: ", formatWait(e.RequestedWait), retry.MaxRetryAfter)
	case e.GaveUp:
		fmt.Fprintf(&b, "gave up after %s: ", text.Count(e.Attempts, "attempt"))
	}
	b.WriteString(e.Err.Error())
	if e.excerpt != "" {
		b.WriteString(": " + e.excerpt)
	}
	if e.Status == http.StatusNotFound && e.URL != nil {
		b.WriteString(" (" + WithoutQuery(e.URL) + ")")
	}
	if apiErr, ok := errors.AsType[*wire.APIError](e.Err); ok && apiErr.RequestID != "" {
		b.WriteString(" (request id " + apiErr.RequestID + ")")
	}
	return text.Shown(b.String(), 2*text.MaxShown) // its parts have bounds
}

// WithoutQuery returns an address without its query, for messages: the query may contain a secret.
func WithoutQuery(u *url.URL) string {
	shown := *u
	shown.User, shown.RawQuery = nil, ""
	if u.RawQuery != "" {
		return shown.String() + "?…"
	}
	return shown.String()
}

const (
	excerptOfEvent = 200            // bytes quoted from a malformed event or from a cut answer
	excerptOfBody  = text.MaxQuoted // bytes quoted from any other body
)

// excerpt returns the part of the body to quote with an error, "" if the error has a message of its own.
func excerpt(err error, body []byte) string {
	var apiErr *wire.APIError
	var none *wire.NotAnswerError
	switch {
	case errors.As(err, new(*wire.MalformedError)), errors.As(err, &none) && none.Truncated:
		return text.Excerpt(body, excerptOfEvent)
	case errors.As(err, &none) && none.Encoding != "", bytes.HasPrefix(bytes.TrimSpace(body), []byte("<")):
		return "" // compressed bytes and markup are not useful
	case errors.As(err, &none) && none.Title == "", errors.As(err, &apiErr) && apiErr.Message == "":
		return text.Excerpt(body, excerptOfBody)
	}
	return ""
}

func formatWait(d time.Duration) string {
	if d > 100*365*24*time.Hour {
		return "more than 100 years"
	}
	if rounded := d.Round(time.Second); rounded > retry.MaxRetryAfter {
		return rounded.String()
	}
	// Rounded up to a millisecond, so that it is longer than the maximum.
	return (d + time.Millisecond - 1).Truncate(time.Millisecond).String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// DeadlineError says that the time of the call, of the attempt or of one of several nodes has ended, or that the time
// of the call would end before the next attempt.
type DeadlineError struct {
	Timeout time.Duration
	// Wait is the wait that did not fit, 0 if an attempt reached the deadline.
	Wait time.Duration
	// Share is the time that one of several nodes had, 0 if the time of the call has ended.
	Share time.Duration
	// Last is the error of the attempt before that wait.
	Last error
}

func (e *DeadlineError) Error() string {
	if e.Wait > 0 {
		return fmt.Sprintf("a wait of %s would exceed the timeout of %s, after %s", e.Wait, e.Timeout, e.Last)
	}
	if e.Share > 0 {
		return fmt.Sprintf("no whole answer within %s, its share of the timeout of %s", e.Share.Round(100*time.Millisecond), e.Timeout)
	}
	return fmt.Sprintf("no whole answer within the timeout of %s", e.Timeout)
}

// Unwrap returns the error before the wait.
func (e *DeadlineError) Unwrap() error { return e.Last }

// Hint returns advice.
func (e *DeadlineError) Hint() string { return "--timeout allows more time" }

// networkError is a network error with a short message.
type networkError struct {
	text string
	err  error
}

func (e *networkError) Error() string { return e.text }
func (e *networkError) Unwrap() error { return e.err }

func classOfStatus(status int) Class {
	switch {
	case status == 429:
		return RateLimited
	case status >= 400 && status < 500:
		return Status4xx
	case status >= 500:
		return Status5xx
	}
	return StatusOther
}

// classify returns the class and a clear error for an error of the RoundTripper or of a body's Read.
func classify(ctx context.Context, err error) (Class, error) {
	var plain *guard.PlainHTTPError
	var trust *guard.TrustError
	var dns *net.DNSError
	var op *net.OpError
	var proxy *transport.ProxyError
	var encoding *transport.EncodingError
	switch {
	case ctx.Err() != nil && (errors.As(context.Cause(ctx), new(*DeadlineError)) || errors.As(context.Cause(ctx), new(*IdleError))):
		return Timeout, context.Cause(ctx)
	case ctx.Err() != nil:
		return Cancelled, context.Cause(ctx)
	case errors.As(err, &plain):
		return PlainHTTP, plain
	case errors.As(err, &trust):
		return Trust, trust
	case errors.As(err, new(*text.LimitError)):
		return TooLarge, err
	case errors.As(err, &encoding):
		return NotAnAnswer, encoding
	case errors.As(err, new(*transport.ConnectTimeoutError)):
		return Timeout, err
	case errors.As(err, &proxy) && errors.As(err, &dns):
		return DNS, &networkError{proxy.Error(), err}
	case errors.As(err, &proxy):
		return Connect, &networkError{proxy.Error(), err}
	case errors.As(err, &dns):
		return DNS, &networkError{"no address for " + dns.Name + ": " + dns.Err, err}
	case errors.As(err, &op) && op.Op == "dial" && op.Addr != nil:
		return Connect, &networkError{"cannot connect to " + op.Addr.String() + ": " + rootMessage(err), err}
	case op != nil && op.Op == "dial":
		return Connect, &networkError{"cannot connect: " + rootMessage(err), err}
	case transport.IsTimeout(err):
		return Timeout, &networkError{"the connection timed out: " + rootMessage(err), err}
	case isConnClosed(err):
		return Reset, &networkError{"the connection was closed before an answer arrived: " + rootMessage(err), err}
	}
	return Protocol, &networkError{"no usable reply: " + rootMessage(err), err}
}

func rootMessage(err error) string { return transport.Innermost(err).Error() }

func isConnClosed(err error) bool {
	ends := []error{io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, io.ErrClosedPipe}
	return transport.IsReset(err) || slices.ContainsFunc(ends, func(end error) bool { return errors.Is(err, end) })
}
