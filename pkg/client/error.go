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

// Class is a kind of failure, as reports and JSON name it.
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
	// Limited is an attempt that was not made: the rate limit would let it go too late.
	Limited Class = "limited"
	// Output is an answer that its taker could not take.
	Output Class = "output"
	// Blocked is an answer that the content filter withholds.
	Blocked Class = "blocked"
	// Stopped is a whole answer that ended at a limit or in a refusal where the caller accepts neither.
	Stopped Class = "stopped"
)

// isClass reports whether a call failed with the class.
func isClass(err error, class Class) bool {
	var failed *Error
	return errors.As(err, &failed) && failed.Class == class
}

// Error says why a call failed.
type Error struct {
	Class Class
	// Status is the effective status of the last reply, 0 without one.
	Status int
	Node   string // that was asked
	// Attempts is how many were made.
	Attempts int
	// GaveUp says that another attempt was wanted and none was left, or that the server asked for too long a wait.
	GaveUp bool
	// Asked is that wait, 0 where it was not the reason.
	Asked time.Duration
	// Ambiguous says that the last request may have been carried out though no answer came.
	Ambiguous bool
	// URL is what was asked; nil where nothing could be.
	URL *url.URL
	// Unsent says that no byte of a request left.
	Unsent bool
	Err    error

	excerpt string
	hint    string // where Err has none
}

// fail completes an error with what is known of the call.
func (c *Call) fail(result *Result, e *Error) *Error {
	e.Node, e.URL = c.Endpoint.Name, c.prepared.URL
	e.Unsent = !slices.ContainsFunc(result.Attempts, func(a *Attempt) bool { return a.Sent })
	if last := result.last(); last != nil {
		e.Attempts, e.Ambiguous = last.Number, last.Ambiguous
		e.excerpt = excerpt(e.Err, result.Body)
	}
	e.hint = c.advice(e)
	return e
}

// stopped is the error of a wait that was ended, which may have been by a context of its own.
func stopped(ctx context.Context, err error) *Error {
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
	case e.GaveUp && e.Asked > 0:
		fmt.Fprintf(&b, "gave up: the server asks to wait %s, longer than %s: ", spoken(e.Asked), retry.MaxRetryAfter)
	case e.GaveUp:
		fmt.Fprintf(&b, "gave up after %s: ", text.Count(e.Attempts, "attempt"))
	}
	b.WriteString(e.Err.Error())
	if e.excerpt != "" {
		b.WriteString(": " + e.excerpt)
	}
	var apiErr *wire.APIError
	if e.Status == http.StatusNotFound && e.URL != nil {
		b.WriteString(" (" + WithoutQuery(e.URL) + ")")
	}
	if errors.As(e.Err, &apiErr) && apiErr.RequestID != "" {
		b.WriteString(" (request id " + apiErr.RequestID + ")")
	}
	return text.Shown(b.String(), 2*text.MostShown) // its parts are bounded
}

// WithoutQuery is an address as messages show it: its query may hold a secret.
func WithoutQuery(u *url.URL) string {
	shown := *u
	shown.User, shown.RawQuery = nil, ""
	if u.RawQuery != "" {
		return shown.String() + "?…"
	}
	return shown.String()
}

const (
	excerptOfEvent = 200             // bytes that are quoted of a malformed event or of an answer that was cut
	excerptOfBody  = text.MostQuoted // bytes that are quoted of any other body
)

// excerpt is what an error quotes of a body: nothing where the error has the words in it.
func excerpt(err error, body []byte) string {
	var apiErr *wire.APIError
	var none *wire.NotAnswerError
	var malformed *wire.MalformedError
	switch {
	case errors.As(err, &malformed), errors.As(err, &none) && none.Cut:
	case errors.As(err, &none) && none.Encoding != "", bytes.HasPrefix(bytes.TrimSpace(body), []byte("<")):
		return "" // compressed bytes and raw markup tell nothing
	case errors.As(err, &none) && none.Title == "", errors.As(err, &apiErr) && apiErr.Message == "":
		return text.Excerpt(body, excerptOfBody)
	default:
		return ""
	}
	return text.Excerpt(body, excerptOfEvent)
}

func spoken(d time.Duration) string {
	if d > 100*365*24*time.Hour {
		return "for centuries"
	}
	if rounded := d.Round(time.Second); rounded > retry.MaxRetryAfter {
		return rounded.String()
	}
	return (d + time.Millisecond - 1).Truncate(time.Millisecond).String() // by how much it is over the most is seen
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// DeadlineError says that the time of the whole call was over, or would have been before the next attempt.
type DeadlineError struct {
	Timeout time.Duration
	// Wait is the wait that did not fit, 0 where an attempt ran into the end.
	Wait time.Duration
	// Share is the part of the time that one node of several had, 0 where all of it is over.
	Share time.Duration
	// Last is what the attempt before that wait failed with.
	Last error
}

func (e *DeadlineError) Error() string {
	if e.Wait > 0 {
		return fmt.Sprintf("a wait of %s would pass the timeout of %s, after %s", e.Wait, e.Timeout, e.Last)
	}
	if e.Share > 0 {
		return fmt.Sprintf("no whole answer within %s, its share of the timeout of %s", e.Share.Round(100*time.Millisecond), e.Timeout)
	}
	return fmt.Sprintf("no whole answer within the timeout of %s", e.Timeout)
}

// Unwrap returns what came before.
func (e *DeadlineError) Unwrap() error { return e.Last }

// Hint tells what to do about it.
func (e *DeadlineError) Hint() string { return "--timeout allows more time" }

// networkError is an error of the network in few words.
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

// classify names an error of the RoundTripper or of a body's Read.
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
		return Connect, &networkError{"cannot connect to " + op.Addr.String() + ": " + root(err), err}
	case op != nil && op.Op == "dial":
		return Connect, &networkError{"cannot connect: " + root(err), err}
	case transport.IsTimeout(err):
		return Timeout, &networkError{"the connection timed out: " + root(err), err}
	case broken(err):
		return Reset, &networkError{"the connection was closed before an answer came: " + root(err), err}
	}
	return Protocol, &networkError{"no usable reply: " + root(err), err}
}

func root(err error) string { return transport.Innermost(err).Error() }

func broken(err error) bool {
	ends := []error{io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, io.ErrClosedPipe}
	return transport.IsReset(err) || slices.ContainsFunc(ends, func(end error) bool { return errors.Is(err, end) })
}
