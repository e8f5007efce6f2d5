// Package transport owns the connections to a node: addresses, the proxy, TLS and its certificates, the connect
// timeout, raced handshakes, HTTP/1.1 and HTTP/3, kept connections, and the limits on what a server may send. It
// refuses to follow redirects, to send a request a second time, to use plain http to a public address, and to read
// the environment: the caller passes the proxy.
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

// Options configure how to reach one node.
type Options struct {
	// Target is the node's address; its scheme decides between TLS and plain http.
	Target *url.URL
	// Proxy is the result of ProxyFor or a node's own setting; nil means a direct connection.
	Proxy *url.URL
	// ProxyFrom is where the proxy was set, such as HTTPS_PROXY. It is used in hints.
	ProxyFrom string
	// TLS is for the node's handshake; a proxy's own handshake never uses it.
	TLS TLS
	// Pins are public keys. If there are any, the node's verified chain must contain one of them.
	Pins []guard.Pin
	// Node is the node's name, used in hints.
	Node string
	// Insecure allows plain http to a public address.
	Insecure bool
	// ConnectTimeout limits DNS, TCP, proxy and TLS together, as curl's does. 0 means no limit.
	ConnectTimeout time.Duration
	// MaxBody is the maximum size of a response body in bytes, after decompression. 0 means DefaultMaxBody.
	MaxBody int64
	// Cold uses a new connection for each request and keeps none.
	Cold bool
	// Connections is the maximum number of kept connections. 0 means 64.
	Connections int
	// MaxIdle is the longest idle time after which a kept connection is still used. 0 means 90 s.
	MaxIdle time.Duration
	// Dial replaces the network, for a node inside this process. The checks of plain http do not apply to it.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Resolve holds the node's addresses, instead of a DNS look-up. The certificate is still checked against the
	// name. Through a proxy only socks5 uses the first of them, because other proxies look up the name themselves.
	Resolve []netip.Addr
	// HTTP3 selects whether HTTP/3 is used. Through a proxy it is not used.
	HTTP3 HTTP3
	// Race allows more handshakes in parallel when one is late. The first connection that is ready carries the
	// request.
	Race bool
	// Expect is the maximum wait for the first response byte to a request with a body, 0 for no limit. If it is set,
	// the body is sent only after 100 Continue.
	Expect time.Duration
	// Raw returns a response as received: it is not decompressed, and MaxBody does not apply.
	Raw bool
	// Now is the clock of traces; nil means time.Now.
	Now func() time.Time
}

const (
	// DefaultMaxBody is the default limit on a response body.
	DefaultMaxBody = 64 << 20
	// MaxHeader is the limit on a response's header section; net/http's default is 10 MiB.
	MaxHeader = 64 << 10
)

// New builds the transport. It fails if a certificate file cannot be used or the proxy's scheme is unknown. Nothing
// is sent.
//
// HTTP/2 is not used, and TLS session tickets are not kept. Both were measured on 2026-11-23 over a link with a round
// trip of 200 ms, without loss and with 5 % of the packets lost each way (medians of many rounds):
//
//   - A request on a new connection takes as long over HTTP/2: 615 and 612 ms, 3 round trips. A batch of 64 prompts of
//     1 kB with answers of 2 kB, 16 at once, takes longer over HTTP/2: 1.65 s instead of 1.37 s on kept connections, with
//     loss 3.07 s instead of 2.60 s. One connection has one congestion window, and its streams wait for each other's lost
//     packets: with loss the median prompt took 609 ms instead of 339 ms. HTTP/1.1 also has no silent retries; HTTP/2 has
//     them after GOAWAY and REFUSED_STREAM.
//   - Under TLS 1.3 a ticket saves 0 ms (95 % interval 0 to 1), with loss 0 ms (-2 to 1): Go's client sends no early data,
//     so a resumed session takes the same number of round trips. Under TLS 1.2, which a node has to allow, it would save
//     one of four. A held connection (pkg/hold) saves all but one, and writes nothing to disk.
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

// Transport sends requests to one node and keeps the connections to it.
type Transport struct {
	options Options
	tls     *tls.Config // nil for plain http

	mu   sync.Mutex
	idle []idleConn // the most recently used one is last
	// noUDP is set when TCP was ready before HTTP/3, or when no more packets arrived over HTTP/3: the network may
	// block UDP. With TryHTTP3, new connections then use TCP.
	noUDP bool
}

// idleConn is a kept connection without a request.
type idleConn struct {
	clientConn
	since time.Time
}

// RoundTrip sends a request once, on a usable kept connection or on a new one.
func (t *Transport) RoundTrip(r *http.Request) (resp *http.Response, err error) {
	if body := r.Body; body != nil {
		defer func() {
			if err != nil {
				body.Close() // as http.RoundTripper requires, also on errors
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
	info := conn.info()
	trace.Remote, trace.TLSVersion, trace.HTTP3 = info.remote, info.tlsVersion, info.http3
	trace.Reused, trace.Held = info.served > 0, false
	trace.reach(Sending)
	r = r.WithContext(ctx) // a copy, because a RoundTripper must not modify its request
	r.Close = t.options.Cold
	resp, err = conn.roundTrip(r, keep)
	if err != nil {
		if info.http3 && IsTimeout(err) {
			t.blockUDP()
		}
		return nil, t.options.peer().trustError(err, false)
	}
	if t.options.Raw {
		return resp, nil
	}
	return limitBody(resp, t.options.MaxBody), nil
}

// take returns a connection for a request with a body of length bytes: the most recently used kept connection that is
// usable, or a new one. If fresh is set, it is always a new one.
func (t *Transport) take(ctx context.Context, length int64, fresh bool) (clientConn, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	onlyTCP := t.options.HTTP3 == TryHTTP3 && length > maxHTTP3Body
	for !fresh {
		kept, ok := t.pop(onlyTCP)
		if !ok {
			break
		}
		if time.Since(kept.since) < t.options.MaxIdle && kept.reusable() {
			return kept.clientConn, nil
		}
		kept.Close()
	}
	return t.connect(ctx, length)
}

// blockUDP sets noUDP.
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
		if _, tcp := kept.clientConn.(*conn); tcp || !onlyTCP {
			t.idle = slices.Delete(t.idle, n, n+1)
			return kept, true
		}
	}
	return idleConn{}, false
}

func (t *Transport) keep(kept clientConn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.idle) == t.options.Connections {
		kept.Close()
		return
	}
	if tcp, ok := kept.(*conn); ok && t.options.Raw {
		tcp.in, tcp.out = nil, nil // they contain parts of a request and of its response
	}
	t.idle = append(t.idle, idleConn{kept, time.Now()})
}

// CloseIdleConnections closes the kept connections.
func (t *Transport) CloseIdleConnections() {
	for kept, ok := t.pop(false); ok; kept, ok = t.pop(false) {
		kept.Close()
	}
}

// HostPort returns a target's host and port, with the scheme's default port if it has none.
func HostPort(target *url.URL) string {
	port := target.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[target.Scheme]
	}
	return net.JoinHostPort(target.Hostname(), port)
}

// resolvedHostPort returns the node's host and port, with the first of the given addresses instead of its name.
func (o Options) resolvedHostPort() string {
	address := HostPort(o.Target)
	if len(o.Resolve) == 0 {
		return address
	}
	return net.JoinHostPort(o.Resolve[0].String(), address[strings.LastIndexByte(address, ':')+1:])
}

// plain reports whether requests cross the network unencrypted.
func (o Options) plain() bool { return o.Target.Scheme == "http" && o.Dial == nil }

// Warm makes a connection and keeps it for a later request. It sends the last flight of the handshake at once.
func (t *Transport) Warm(ctx context.Context) error {
	return t.connectAndKeep(ctx, func(made clientConn) error {
		if tcp, ok := made.(*conn); ok {
			return tcp.socket.flush()
		}
		return nil
	})
}

// Ready makes a connection if none is kept, for a request that follows at once. Its error is Unsent.
func (t *Transport) Ready(ctx context.Context) error {
	if t.Idle() > 0 {
		return nil
	}
	if err := t.connectAndKeep(ctx, func(clientConn) error { return nil }); err != nil {
		return &unsentError{err}
	}
	return nil
}

// connectAndKeep makes a connection, calls finish and keeps the connection.
func (t *Transport) connectAndKeep(ctx context.Context, finish func(clientConn) error) error {
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

// Idle closes kept connections that can carry no further request, and returns the number of the remaining ones.
func (t *Transport) Idle() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.idle = slices.DeleteFunc(t.idle, func(kept idleConn) bool {
		if time.Since(kept.since) < t.options.MaxIdle && kept.reusable() {
			return false
		}
		kept.Close()
		return true
	})
	return len(t.idle)
}

// Phase is a phase of a request.
type Phase int32

// The phases, in order.
const (
	Resolving Phase = iota
	Connecting
	Securing // TLS handshake
	Sending
	Waiting
	Receiving
)

// Trace records how the transport handled one request (WithTrace). It may be read after RoundTrip has returned, its
// phase at any time.
type Trace struct {
	// DNS, Connect and TLS are the durations of the steps of connecting. They are 0 for a kept connection.
	DNS, Connect, TLS time.Duration
	// Addresses are the addresses to which the name of the node, or of its proxy, resolved.
	Addresses []netip.Addr
	// Remote is the peer's address, "" if there was no connection.
	Remote string
	// TLSVersion is the connection's TLS version, 0 for plain http.
	TLSVersion uint16
	// HTTP3 reports that the request used HTTP/3.
	HTTP3 bool
	// Reused reports that the connection had served another request, Held that another process keeps it.
	Reused, Held bool
	// First is when the first byte of the response arrived, zero if none did.
	First time.Time
	// Wrote is when the request was completely written, nil if it was not.
	Wrote atomic.Pointer[time.Time]
	// Handshakes is the number of handshakes started for the request's connection.
	Handshakes atomic.Int64

	phase atomic.Int32
}

// Phase returns the current phase of the request. With raced handshakes it is the phase of the most advanced one.
func (t *Trace) Phase() Phase { return Phase(t.phase.Load()) }

func (t *Trace) reach(p Phase) {
	for old := t.phase.Load(); old < int32(p) && !t.phase.CompareAndSwap(old, int32(p)); old = t.phase.Load() {
	}
}

type traceKey struct{}

// WithTrace returns a context whose request fills in t.
func WithTrace(ctx context.Context, t *Trace) context.Context {
	return context.WithValue(ctx, traceKey{}, t)
}

// TraceOf returns the context's trace, or a new one if it has none.
func TraceOf(ctx context.Context) *Trace {
	if t, ok := ctx.Value(traceKey{}).(*Trace); ok {
		return t
	}
	return new(Trace)
}

// connInfo are the properties of a connection.
type connInfo struct {
	remote     string
	tlsVersion uint16
	http3      bool
	tcp, ready time.Time // when TCP (and the proxy) was connected, and when a request could be written
	served     int       // number of completed requests
}

func (f *connInfo) info() *connInfo { return f }

// limitBody limits the size of a response's body, after decompression if the server compressed it without being asked.
// A limit of 0 means DefaultMaxBody.
func limitBody(resp *http.Response, limit int64) *http.Response {
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

// EncodingError reports a body that is not in the encoding that its header section names.
type EncodingError struct{ Err error }

func (e *EncodingError) Error() string {
	return "the reply has Content-Encoding gzip but is not gzip: " + e.Err.Error()
}

// Unwrap returns Err.
func (e *EncodingError) Unwrap() error { return e.Err }

// cappedBody is a response body with a size limit.
type cappedBody struct {
	io.ReadCloser
	from        io.Reader // the body, decompressed if it is gzip; nil before the gzip header was read
	err         error     // why the gzip header could not be read
	left, limit int64
}

func (b *cappedBody) Read(p []byte) (int, error) {
	if b.from == nil {
		if b.err != nil {
			return 0, b.err
		}
		unzip, err := gzip.NewReader(b.ReadCloser) // an empty body fails with io.EOF and not ErrHeader
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
	// Reading one byte more than the limit shows whether there is more.
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
