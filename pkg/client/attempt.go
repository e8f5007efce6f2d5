package client

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
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
	resp, t := s.send(ctx, call, attempt)
	if resp == nil {
		return nil, nil, attempt.Err
	}
	body := bodyBuffer{room: func(size int) error { return call.Memory.take(ctx, size) }}
	if resp.StatusCode == http.StatusOK && isEventType(resp) {
		err = s.readEvents(call.Endpoint.API, resp.Body, &body, end)
	} else {
		err = body.readAll(resp.Body)
	}
	s.received(resp, t, attempt)
	return resp, body.bytes, err
}

// send sends the request and waits for the head of the reply. Without one the attempt says why. A kept connection can be
// closed by the server before the request arrives, so one that is closed before any byte of an answer is no answer of the
// server: the request is sent once more on a new connection, as curl does, and the attempt says so.
func (s *attemptStage) send(ctx context.Context, call *Call, attempt *Attempt) (*http.Response, *trace) {
	t := &trace{now: s.Clock.Now}
	rt := call.Endpoint.Transport
	resp, err := rt.RoundTrip(call.prepared.request(t.attach(ctx), s.UserAgent))
	if err != nil && ctx.Err() == nil && t.closedUnanswered(err) {
		attempt.Reconnected = !transport.Unsent(err)
		t = &trace{now: s.Clock.Now}
		resp, err = rt.RoundTrip(call.prepared.request(t.attach(transport.Fresh(ctx)), s.UserAgent))
	}
	if err == nil {
		return resp, t
	}
	attempt.Latency = s.Clock.Now().Sub(attempt.Started)
	attempt.fail(ctx, err)
	// A server that fails the check of a client certificate has dropped what was sent with it.
	attempt.Sent = t.fill(attempt, time.Time{}) && attempt.Class != Trust && !transport.Unsent(err)
	attempt.Ambiguous = attempt.Sent
	attempt.clean(s.Masker, nil)
	return nil, nil
}

// received records a reply of which all has been read that will be, and what it says of itself.
func (s *attemptStage) received(resp *http.Response, t *trace, attempt *Attempt) {
	resp.Body.Close()
	ended := s.Clock.Now()
	attempt.Latency = ended.Sub(attempt.Started)
	t.fill(attempt, ended)
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

// trace measures one attempt. Its hooks run in net/http's goroutines, late ones of a given-up connection included.
type trace struct {
	now func() time.Time

	mu                              sync.Mutex
	dns, connect, tls, wrote, first span
	addresses                       []net.IPAddr
	remote, tlsVersion              string
	reused, held                    bool
}

// span is a phase; of two connects that race, the first start and the last success count.
type span struct{ from, to time.Time }

func (s span) length() time.Duration {
	if s.from.IsZero() || s.to.IsZero() {
		return 0
	}
	return s.to.Sub(s.from)
}

func (t *trace) start(s *span) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s.from.IsZero() {
		s.from = t.now()
	}
}

func (t *trace) end(s *span) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s.to = t.now()
}

func (t *trace) attach(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		DNSStart: func(httptrace.DNSStartInfo) { t.start(&t.dns) },
		DNSDone: func(info httptrace.DNSDoneInfo) {
			t.end(&t.dns)
			t.mu.Lock()
			defer t.mu.Unlock()
			t.addresses = append(t.addresses, info.Addrs...)
		},
		ConnectStart: func(_, _ string) { t.start(&t.connect) },
		ConnectDone: func(_, _ string, err error) {
			if err == nil {
				t.end(&t.connect)
			}
		},
		TLSHandshakeStart: func() { t.start(&t.tls) },
		TLSHandshakeDone:  func(tls.ConnectionState, error) { t.end(&t.tls) },
		GotConn: func(info httptrace.GotConnInfo) {
			t.mu.Lock()
			defer t.mu.Unlock()
			t.remote, t.reused = info.Conn.RemoteAddr().String(), info.Reused
			if lent, ok := info.Conn.(interface {
				Held() (tls uint16, reused bool)
			}); ok {
				version, reused := lent.Held()
				t.held, t.reused, t.tlsVersion = true, reused || info.Reused, ""
				if version != 0 {
					t.tlsVersion = tls.VersionName(version)
				}
			} else if secured, ok := info.Conn.(*tls.Conn); ok {
				t.tlsVersion = tls.VersionName(secured.ConnectionState().Version)
			}
		},
		WroteHeaders:         func() { t.start(&t.wrote) },
		WroteRequest:         func(httptrace.WroteRequestInfo) { t.end(&t.wrote) },
		GotFirstResponseByte: func() { t.end(&t.first) },
	})
}

// closedUnanswered reports whether a request failed because its connection, a kept one, was closed before any byte of an
// answer came, or because what came belongs to no request.
func (t *trace) closedUnanswered(err error) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	var holder interface{ HolderLost() bool }
	var early *transport.EarlyError
	if errors.As(err, &early) {
		return t.reused
	}
	return t.reused && t.first.to.IsZero() && (transport.Unsent(err) || broken(err) && !errors.As(err, &holder))
}

// fill records what was measured and seen of an attempt that ended then, the zero time without a reply. It reports whether
// bytes of the request may have left.
func (t *trace) fill(a *Attempt, ended time.Time) (sent bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	a.Phases = Phases{DNS: t.dns.length(), Connect: t.connect.length(), TLS: t.tls.length()}
	if !t.first.to.IsZero() {
		// A server may answer before it has read all: the wait is then over at once.
		a.Phases.Wait = max(0, span{t.wrote.to, t.first.to}.length())
		a.Phases.Transfer = span{t.first.to, ended}.length()
	}
	a.addresses, a.Remote, a.Reused, a.Held, a.TLS = t.addresses, t.remote, t.reused, t.held, t.tlsVersion
	return !t.wrote.from.IsZero()
}
