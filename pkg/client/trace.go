package client

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http/httptrace"
	"sync"
	"time"

	"ferry/pkg/transport"
)

// Phases are the parts of an attempt's latency. What a kept connection saved is 0.
type Phases struct {
	DNS, Connect, TLS, Wait, Transfer time.Duration
}

// trace measures one attempt. Its hooks run in net/http's goroutines, late ones of a given-up connection included.
type trace struct {
	now func() time.Time

	mu                              sync.Mutex
	dns, connect, tls, wrote, first span
	finished                        time.Time
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

func newTrace(now func() time.Time) *trace { return &trace{now: now} }

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
		DNSStart:     func(httptrace.DNSStartInfo) { t.start(&t.dns) },
		DNSDone:      func(httptrace.DNSDoneInfo) { t.end(&t.dns) },
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
	if err == nil {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	var holder interface{ HolderLost() bool }
	var early *transport.EarlyError
	if errors.As(err, &early) {
		return t.reused
	}
	return t.reused && t.first.to.IsZero() && (transport.Unsent(err) || broken(err) && !errors.As(err, &holder))
}

func (t *trace) done() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.finished = t.now()
}

// fill writes into a what was measured and seen, and reports whether bytes of the request may have left.
func (t *trace) fill(a *Attempt) (sent bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	a.Phases = Phases{DNS: t.dns.length(), Connect: t.connect.length(), TLS: t.tls.length()}
	if !t.first.to.IsZero() {
		// A server may answer before it has read all: the wait is then over at once.
		a.Phases.Wait = max(0, span{t.wrote.to, t.first.to}.length())
		a.Phases.Transfer = span{t.first.to, t.finished}.length()
	}
	a.Remote, a.Reused, a.Held, a.TLS = t.remote, t.reused, t.held, t.tlsVersion
	return !t.wrote.from.IsZero()
}
