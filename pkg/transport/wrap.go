package transport

import (
	"compress/gzip"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"time"

	"ferry/pkg/guard"
	"ferry/pkg/text"
)

// The wrappers, from the outside in: checking → capped → http.Transport.

// checking refuses plain http that it can refuse before dialling, takes away what would let net/http send a request
// twice, and names what was wrong with a certificate.
type checking struct {
	next    http.RoundTripper
	pool    *http.Transport
	options Options
}

func (t *checking) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := t.options.refusesPlainByProxy(); err != nil {
		if r.Body != nil {
			r.Body.Close() // as a RoundTripper must, whatever happens
		}
		return nil, err
	}
	// They are set by goroutines of net/http's, late ones of a given-up connection included.
	var connected, reached, failed atomic.Bool
	var under atomic.Pointer[link]
	// A copy, since a RoundTripper may not change its request.
	r = r.WithContext(Traced(r.Context(), func(hooks *httptrace.ClientTrace) {
		gotConn, handshake, handshakeDone := hooks.GotConn, hooks.TLSHandshakeStart, hooks.TLSHandshakeDone
		hooks.TLSHandshakeStart = func() {
			reached.Store(true) // through a proxy too, whose own handshake has no hooks
			if handshake != nil {
				handshake()
			}
		}
		hooks.GotConn = func(info httptrace.GotConnInfo) {
			connected.Store(true)
			reached.Store(true)
			t.options.settled(info.Conn)
			if l := linkOf(info.Conn); l != nil {
				l.begin(r.ContentLength)
				under.Store(l)
				if info.Conn == net.Conn(l) {
					info.Conn = l.Conn
				}
			}
			if gotConn != nil {
				gotConn(info)
			}
		}
		first := hooks.GotFirstResponseByte
		hooks.GotFirstResponseByte = func() {
			if l := under.Load(); l != nil {
				l.answered()
			}
			if first != nil {
				first()
			}
		}
		hooks.TLSHandshakeDone = func(state tls.ConnectionState, err error) {
			failed.Store(err != nil)
			if handshakeDone != nil {
				handshakeDone(state, err)
			}
		}
	}))
	forbidReplay(r)
	resp, err := t.carrier(r).RoundTrip(r)
	if err != nil {
		err = under.Load().failure(err)
		if !connected.Load() && r.Context().Err() == nil {
			if late := t.options.late(err); late != nil {
				return nil, late
			}
		}
		var trust *guard.TrustError
		if errors.As(err, &trust) {
			return nil, trust // the proxy's
		}
		if t.options.Proxy != nil && !reached.Load() && r.Context().Err() == nil {
			return nil, t.options.proxyError(err)
		}
		settings := t.options.TLS
		node := peer{host: t.options.Target.Host, floor: settings.floor(), certified: settings.Cert != ""}
		return nil, node.distrust(err, failed.Load())
	}
	if l := under.Load(); l != nil && l.misses(resp.StatusCode) {
		resp.Body.Close()
		return nil, &EarlyError{}
	}
	return t.take(resp)
}

// take looks at a reply for what is none.
func (t *checking) take(resp *http.Response) (*http.Response, error) {
	if resp.StatusCode == http.StatusProxyAuthRequired && t.options.Proxy != nil && t.options.plain() {
		resp.Body.Close()
		return nil, t.options.refusedByProxy(resp)
	}
	if resp.StatusCode == http.StatusSwitchingProtocols {
		// Its body is the bare connection, which no deadline would end. Another protocol was not asked for.
		resp.Body.Close()
		resp.Body = http.NoBody
	}
	return resp, nil
}

// carrier is what sends the request: the pool, or for a new connection a pool of its own that keeps none.
func (t *checking) carrier(r *http.Request) http.RoundTripper {
	if !IsFresh(r.Context()) {
		return t.next
	}
	once := t.pool.Clone()
	once.MaxIdleConnsPerHost = -1
	return &capped{next: once, limit: t.options.MaxBody}
}

// forbidReplay takes away what would let net/http replay the request on its own, uncounted and unseen: with GetBody it would
// on a stale connection, and with an Idempotency-Key even after bytes were written.
func forbidReplay(r *http.Request) {
	r.GetBody = nil
	for _, name := range []string{"Idempotency-Key", "X-Idempotency-Key"} {
		if r.Header[name] != nil {
			r.Header = r.Header.Clone()
			r.Header.Del(name)
		}
	}
}

// CloseIdleConnections ends the connections that wait for a next request.
func (t *checking) CloseIdleConnections() { t.pool.CloseIdleConnections() }

// ConnectTimeoutError says that no usable connection stood in time: DNS, TCP, proxy and TLS together.
type ConnectTimeoutError struct {
	Host    string
	Proxy   string // "" without one
	Timeout time.Duration
}

func (e *ConnectTimeoutError) Error() string {
	via := ""
	if e.Proxy != "" {
		via = " through the proxy " + e.Proxy
	}
	return fmt.Sprintf("no connection to %s%s within %s", e.Host, via, e.Timeout)
}

// Hint tells what to do about it.
func (e *ConnectTimeoutError) Hint() string { return "--connect-timeout allows more time" }

// Connecting marks the error as one of the time before a request could leave.
func (e *ConnectTimeoutError) Connecting() bool { return true }

// capped bounds the body, after decompression where a server compressed it unasked.
type capped struct {
	next  http.RoundTripper
	limit int64
}

func (c *capped) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := c.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	limit := c.limit
	if limit == 0 {
		limit = DefaultMaxBody
	}
	body := &cappedBody{under: resp.Body, left: limit, limit: limit}
	if strings.EqualFold(resp.Header.Get("Content-Encoding"), "gzip") {
		body.gzip = true
		resp.Header.Del("Content-Encoding")
		resp.ContentLength = -1
	}
	resp.Body = body
	return resp, nil
}

type cappedBody struct {
	under       io.ReadCloser
	from        io.Reader
	gzip        bool
	left, limit int64
}

func (b *cappedBody) Read(p []byte) (int, error) {
	if b.from == nil {
		if err := b.open(); err != nil {
			return 0, err
		}
	}
	if b.left < 0 {
		return 0, &text.LimitError{What: "a reply", Limit: b.limit}
	}
	// One byte more than is left shows whether there is more.
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.from.Read(p)
	b.left -= int64(n)
	if b.left < 0 {
		return n - 1, &text.LimitError{What: "a reply", Limit: b.limit}
	}
	return n, err
}

// open reads the gzip header where there is one. An empty body has none.
func (b *cappedBody) open() error {
	if !b.gzip {
		b.from = b.under
		return nil
	}
	unzip, err := gzip.NewReader(b.under)
	if errors.Is(err, gzip.ErrHeader) {
		return fmt.Errorf("the reply says gzip and is not: %w", err)
	}
	if err != nil {
		return err
	}
	b.from = unzip
	return nil
}

func (b *cappedBody) Close() error { return b.under.Close() }
