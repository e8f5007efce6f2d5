// Package transport owns the way to a node: addresses, the proxy, TLS and its certificates, the connect timeout, raced
// handshakes, HTTP/1.1 and HTTP/3, connections that are kept, and the bounds on what a server may send. It refuses to
// follow redirects, to send a request a second time, to speak plain http to a public address, and to read the
// environment: the caller gives it the proxy.
package transport

import (
	"cmp"
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"ferry/pkg/guard"
	"ferry/pkg/text"
)

// Options say how to reach one node.
type Options struct {
	// Target is the node's address; its scheme decides between TLS and plain http.
	Target *url.URL
	// Proxy is what ProxyFor or a node's own setting gave; nil is a direct connection.
	Proxy *url.URL
	// ProxyFrom is where the proxy was named, such as HTTPS_PROXY, for hints.
	ProxyFrom string
	// TLS is for the node's handshake; a proxy's own handshake never uses it.
	TLS TLS
	// Pins are the public keys of which one has to be in the node's verified chain; none is any.
	Pins []guard.Pin
	// Node is what the node is called, for hints.
	Node string
	// Insecure allows plain http to a public address.
	Insecure bool
	// ConnectTimeout bounds DNS, TCP, proxy and TLS together, as curl's does. 0 is no bound.
	ConnectTimeout time.Duration
	// MaxBody is the most bytes of a body that are read, after decompression. 0 is DefaultMaxBody.
	MaxBody int64
	// Cold makes a new connection for each request and keeps none.
	Cold bool
	// Connections is the most that are kept open for a next request. 0 is 64.
	Connections int
	// MaxIdle is how long a connection may have been idle to be used again. 0 is 90 s.
	MaxIdle time.Duration
	// Dial replaces the network, for a node inside this process. The checks on plain http do not apply to it.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Resolve are the node's addresses, in place of a look-up of its name. The certificate is still checked for the name.
	Resolve []netip.Addr
	// HTTP3 says whether the node is asked over HTTP/3. Through a proxy it is not.
	HTTP3 HTTP3
	// Race allows further handshakes beside one that is late. The first one that is ready carries the request.
	Race bool
	// Expect is how long the other side may take to say a first word, 0 for any time. A body is sent when it says that it takes
	// it.
	Expect time.Duration
	// Raw leaves an answer as it comes: nothing is unpacked, and MaxBody is no bound.
	Raw bool
	// Now is the clock of traces; nil is time.Now.
	Now func() time.Time
}

const (
	// DefaultMaxBody is the cap on a whole answer.
	DefaultMaxBody = 64 << 20
	// MaxHeader is the cap on a reply's header; net/http's own is 10 MiB.
	MaxHeader = 64 << 10
)

// New builds the transport. The error is a bad certificate file or a proxy of an unknown scheme: nothing was sent.
//
// HTTP/2 is not spoken, and no TLS session ticket is kept. Both were measured on 2026-11-23 over a link of 200 ms a
// round trip, without loss and with 5 % of the packets lost each way (medians of many rounds):
//
//   - A request on a new connection takes as long over HTTP/2: 615 and 612 ms, 3 round trips. A batch of 64 prompts of 1 kB,
//     answers of 2 kB, 16 at once, takes longer: 1.37 s on connections that are kept and 1.65 s over HTTP/2, with loss
//     2.60 s and 3.07 s. One connection begins with one congestion window, and its streams wait for each other's lost
//     packets: with loss the middle prompt took 339 and 609 ms. Nor has HTTP/1.1 silent replays, as GOAWAY and
//     REFUSED_STREAM have.
//   - Under TLS 1.3 a ticket saves 0 ms (0 to 1 at 95 %), with loss 0 ms (-2 to 1): Go's client sends no early data, so that
//     resuming takes the same round trips. Under TLS 1.2, which a node has to ask for, it would save one of four. A held
//     connection (pkg/hold) saves all but one, and writes nothing to a disk.
func New(o Options) (*Transport, error) {
	if o.Proxy != nil && proxyPorts[o.Proxy.Scheme] == "" {
		return nil, badProxy(fmt.Sprintf("unknown scheme %q", o.Proxy.Scheme))
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.MaxIdle, o.Connections = cmp.Or(o.MaxIdle, 90*time.Second), cmp.Or(o.Connections, 64)
	if o.Target.Scheme != "https" {
		return &Transport{options: o}, nil
	}
	config, err := o.nodeTLS()
	if err != nil {
		return nil, err
	}
	return &Transport{options: o, tls: config}, nil
}

// Transport sends requests to one node, and keeps the connections to it.
type Transport struct {
	options Options
	tls     *tls.Config // nil over plain http

	mu   sync.Mutex
	idle []idleConn // the last one was used last
	// noUDP says that TCP was ready before HTTP/3, or that HTTP/3 fell silent: the network may block UDP. It is not waited
	// for again.
	noUDP bool
}

// idleConn is a connection that waits for a next request.
type idleConn struct {
	ready
	since time.Time
}

// RoundTrip sends a request once, on a kept connection that is fit for it or on a new one.
func (t *Transport) RoundTrip(r *http.Request) (resp *http.Response, err error) {
	if body := r.Body; body != nil {
		defer func() {
			if err != nil {
				body.Close() // as a RoundTripper must, whatever happens
			}
		}()
	}
	trace := TraceOf(r.Context())
	ctx := WithTrace(r.Context(), trace)
	keep := t.keep
	if t.options.Cold || IsFresh(ctx) {
		keep = nil
	}
	conn, err := t.take(ctx, r.ContentLength, keep == nil)
	if err != nil {
		return nil, &unsentError{err}
	}
	about := conn.about()
	trace.Remote, trace.TLSVersion, trace.HTTP3 = about.remote, about.tlsVersion, about.http3
	trace.Reused, trace.Held = about.served > 0, false
	trace.reach(Sending)
	r = r.WithContext(ctx) // a copy, since a RoundTripper may not change its request
	r.Close = t.options.Cold
	resp, err = conn.roundTrip(r, keep)
	if err != nil {
		if about.http3 && IsTimeout(err) {
			t.blockUDP()
		}
		var trust *guard.TrustError
		if errors.As(err, &trust) {
			return nil, trust // the proxy's
		}
		return nil, t.options.peer().distrust(err, false)
	}
	if t.options.Raw {
		return resp, nil
	}
	return bounded(resp, t.options.MaxBody), nil
}

// take gives a connection for a request with so long a body: the kept one that was used last, if it is fit for it and a
// new one is not wanted, else a new one.
func (t *Transport) take(ctx context.Context, length int64, fresh bool) (ready, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	onlyTCP := t.options.HTTP3 == TryHTTP3 && length > largeForHTTP3
	for !fresh {
		kept, ok := t.pop(onlyTCP)
		if !ok {
			break
		}
		if time.Since(kept.since) < t.options.MaxIdle && kept.unused() {
			return kept.ready, nil
		}
		kept.Close()
	}
	return t.connect(ctx, length)
}

// blockUDP has further connections be made over TCP.
func (t *Transport) blockUDP() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.noUDP = true
}

func (t *Transport) pop(onlyTCP bool) (kept idleConn, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for n := len(t.idle) - 1; n >= 0; n-- {
		kept = t.idle[n]
		if _, tcp := kept.ready.(*conn); tcp || !onlyTCP {
			t.idle = slices.Delete(t.idle, n, n+1)
			return kept, true
		}
	}
	return idleConn{}, false
}

func (t *Transport) keep(kept ready) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.idle) == t.options.Connections {
		kept.Close()
		return
	}
	if tcp, ok := kept.(*conn); ok && t.options.Raw {
		tcp.in, tcp.out = nil, nil // which have parts of a request and of its answer
	}
	t.idle = append(t.idle, idleConn{kept, time.Now()})
}

// CloseIdleConnections ends the connections that wait for a next request.
func (t *Transport) CloseIdleConnections() {
	for kept, ok := t.pop(false); ok; kept, ok = t.pop(false) {
		kept.Close()
	}
}

// HostPort is a target's host and port; where it names none, the scheme's port.
func HostPort(target *url.URL) string {
	port := target.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[target.Scheme]
	}
	return net.JoinHostPort(target.Hostname(), port)
}

// plain reports whether requests cross the network unencrypted.
func (o Options) plain() bool { return o.Target.Scheme == "http" && o.Dial == nil }

// Warm makes a connection and keeps it for a request that may come late: what the handshake still has to say is sent now.
func (t *Transport) Warm(ctx context.Context) error {
	return t.prepare(ctx, func(made ready) error {
		if tcp, ok := made.(*conn); ok {
			return tcp.under.release()
		}
		return nil
	})
}

// Ready sees to it that there is a connection for a request that comes at once. Its error is Unsent.
func (t *Transport) Ready(ctx context.Context) error {
	if t.Idle() > 0 {
		return nil
	}
	if err := t.prepare(ctx, func(ready) error { return nil }); err != nil {
		return &unsentError{err}
	}
	return nil
}

// prepare makes a connection, finishes it and keeps it.
func (t *Transport) prepare(ctx context.Context, finish func(ready) error) error {
	made, err := t.connect(WithTrace(ctx, TraceOf(ctx)), 0)
	if err != nil {
		return err
	}
	if err := finish(made); err != nil {
		made.Close()
		return err
	}
	t.keep(made)
	return nil
}

// Idle closes kept connections that are fit for no further request, and counts the others.
func (t *Transport) Idle() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.idle = slices.DeleteFunc(t.idle, func(kept idleConn) bool {
		if time.Since(kept.since) < t.options.MaxIdle && kept.unused() {
			return false
		}
		kept.Close()
		return true
	})
	return len(t.idle)
}

// Phase is how far a request has come.
type Phase int32

// The phases, in their order.
const (
	Resolving Phase = iota
	Connecting
	Securing // by a TLS handshake
	Sending
	Waiting
	Receiving
)

// Trace is what the transport tells of one request (WithTrace). It may be read once RoundTrip has returned, and its phase
// at any time.
type Trace struct {
	// DNS, Connect and TLS are the parts of the time until there was a connection. They are 0 of a kept one.
	DNS, Connect, TLS time.Duration
	// Addresses are what the name of the node, or of its proxy, resolved to.
	Addresses []netip.Addr
	// Remote is the other side's address, "" where there was no connection.
	Remote string
	// TLSVersion is the connection's, 0 over plain http.
	TLSVersion uint16
	// HTTP3 says that the request went over HTTP/3.
	HTTP3 bool
	// Reused says that the connection had served another request, and Held that another process keeps it.
	Reused, Held bool
	// First is when the first byte of the answer came, zero without one.
	First time.Time
	// Wrote is when the request had been written, nil where it was not.
	Wrote atomic.Pointer[time.Time]
	// Handshakes is how many were begun for the request's connection.
	Handshakes atomic.Int64

	phase atomic.Int32
}

// Phase is how far the request has come. Of handshakes that are raced it is the one that came the farthest.
func (t *Trace) Phase() Phase { return Phase(t.phase.Load()) }

func (t *Trace) reach(p Phase) {
	for now := t.phase.Load(); now < int32(p) && !t.phase.CompareAndSwap(now, int32(p)); now = t.phase.Load() {
	}
}

type traceKey struct{}

// WithTrace gives a context of a request that fills in a trace.
func WithTrace(ctx context.Context, t *Trace) context.Context {
	return context.WithValue(ctx, traceKey{}, t)
}

// TraceOf is the trace of a context, a new one where it has none.
func TraceOf(ctx context.Context) *Trace {
	if t, ok := ctx.Value(traceKey{}).(*Trace); ok {
		return t
	}
	return new(Trace)
}

// facts are what is known of a connection from its beginning.
type facts struct {
	remote     string
	tlsVersion uint16
	http3      bool
	tcp, ready time.Time // when TCP, with the proxy, was there, and when a request could be written
	served     int       // requests that were answered
}

func (f *facts) about() *facts { return f }

// bounded bounds the body of an answer, after decompression where a server compressed it unasked. 0 is DefaultMaxBody.
func bounded(resp *http.Response, limit int64) *http.Response {
	if limit == 0 {
		limit = DefaultMaxBody
	}
	body := &cappedBody{ReadCloser: resp.Body, from: resp.Body, left: limit, limit: limit}
	switch strings.ToLower(resp.Header.Get("Content-Encoding")) {
	case "gzip", "x-gzip": // the same (RFC 9110 section 8.4.1.3)
		body.from = nil
		resp.Header.Del("Content-Encoding")
		resp.ContentLength = -1
	}
	resp.Body = body
	return resp
}

// EncodingError is a body that is not in the encoding that its header says.
type EncodingError struct{ Err error }

func (e *EncodingError) Error() string { return "the reply says gzip and is not: " + e.Err.Error() }

// Unwrap gives Err.
func (e *EncodingError) Unwrap() error { return e.Err }

// cappedBody is the body of an answer within its bound.
type cappedBody struct {
	io.ReadCloser
	from        io.Reader // the body as it is, or what it unpacks to, nil before its gzip header was read
	err         error     // why it has no gzip header
	left, limit int64
}

func (b *cappedBody) Read(p []byte) (int, error) {
	if b.from == nil {
		if b.err != nil {
			return 0, b.err
		}
		unzip, err := gzip.NewReader(b.ReadCloser) // which fails with io.EOF for an empty body: that has no header
		if errors.Is(err, gzip.ErrHeader) {
			err = &EncodingError{err}
		}
		if err != nil {
			b.err = err
			return 0, err
		}
		b.from = unzip
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
