package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// HTTP3 says whether a node is asked over HTTP/3 (RFC 9114).
type HTTP3 int

// The ways to ask.
const (
	// NoHTTP3 is HTTP/1.1 over TCP.
	NoHTTP3 HTTP3 = iota
	// TryHTTP3 is HTTP/3, and HTTP/1.1 where TCP is ready first: a network may block UDP.
	TryHTTP3
	// OnlyHTTP3 is HTTP/3 and nothing else.
	OnlyHTTP3
)

const (
	// tcpAfter is how long HTTP/3 is ahead of TCP. A network that blocks UDP costs that much.
	tcpAfter = 250 * time.Millisecond
	// largeForHTTP3 is the body from which TCP is quicker on a lossy path: quic-go's congestion control gives way to loss
	// more than the kernel's. With 200 ms a round trip and 15 % lost each way, 40 new connections each took, in seconds
	// over TCP and over HTTP/3 (TestPathSize): 1.93 and 1.20 with 8 KiB, 2.15 and 1.09 with 16, 2.14 and 1.24 with 32, 2.50
	// and 1.75 with 64, 2.93 and 3.16 with 128.
	largeForHTTP3 = 96 << 10
	// deadQUIC is how long a connection may be without a packet. Probes go out in half of it (see idleProbe).
	deadQUIC = 30 * time.Second
)

// http3Conn is a connection for HTTP/3. It carries one request at a time, as a connection for HTTP/1.1 does: streams of
// one connection share its congestion window.
type http3Conn struct {
	quic   *quic.Conn
	client *http3.ClientConn
	now    func() time.Time
	facts
}

// byQUIC makes one connection for HTTP/3 by one address of the node.
func (o Options) byQUIC(ctx context.Context, config *tls.Config, at netip.AddrPort, _ func(time.Duration)) (ready, error) {
	conn, err := quic.DialAddr(ctx, at.String(), config, &quic.Config{
		HandshakeIdleTimeout: time.Hour, // the connect timeout bounds it
		MaxIdleTimeout:       deadQUIC,
		KeepAlivePeriod:      deadQUIC / 2, // a server that thinks for long, or waits for a next request, has its packets too
		MaxIncomingStreams:   -1,           // a server opens none
	})
	if err != nil {
		return nil, o.peer().distrust(err, true)
	}
	over := &http3.Transport{DisableCompression: true, MaxResponseHeaderBytes: MaxHeader}
	return &http3Conn{quic: conn, client: over.NewClientConn(conn), now: o.Now, facts: facts{
		remote: conn.RemoteAddr().String(), tlsVersion: tls.VersionTLS13, http3: true, ready: o.Now(),
	}}, nil
}

func (c *http3Conn) unused() bool { return c.quic.Context().Err() == nil }

func (c *http3Conn) Close() error { return c.client.CloseWithError(0x100, "") } // H3_NO_ERROR (RFC 9114 section 8.1)

func (c *http3Conn) roundTrip(r *http.Request, keep func(ready)) (*http.Response, error) {
	ctx := r.Context()
	trace := TraceOf(ctx)
	sent := &countedBody{ReadCloser: r.Body, now: c.now, trace: trace}
	if r.Body != nil {
		r.Body = sent
	}
	var begun atomic.Bool // a connection that the server is leaving takes no request (GOAWAY, RFC 9114 section 5.2)
	resp, err := c.client.RoundTrip(r.WithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		WroteHeaders: func() { begun.Store(true) },
	})))
	if err == nil {
		trace.First = c.now()
		trace.reach(Receiving)
	}
	switch {
	case err != nil && ctx.Err() != nil:
		err = context.Cause(ctx)
	case err != nil:
		err = quicError(err)
	case resp.StatusCode/100 == 2 && sent.read.Load() < r.ContentLength:
		err = &EarlyError{}
	}
	if err != nil {
		c.Close()
		if !begun.Load() {
			err = &unsentError{err}
		}
		return nil, err
	}
	resp.Body = &http3Body{ReadCloser: resp.Body, ctx: ctx, conn: c, keep: keep}
	return resp, nil
}

// countedBody counts what was read of a request's body, and tells a trace of its end.
type countedBody struct {
	io.ReadCloser
	read  atomic.Int64
	now   func() time.Time
	trace *Trace
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.read.Add(int64(n))
	if err == io.EOF {
		at := b.now()
		b.trace.Wrote.Store(&at)
		b.trace.reach(Waiting)
	}
	return n, err
}

// quicError is an error of quic-go as one of TCP would be: the end of the connection or of the stream is a reset.
func quicError(err error) error {
	var stream *quic.StreamError
	if IsTimeout(err) {
		return silentError{}
	}
	if errors.As(err, &stream) || errors.Is(err, net.ErrClosed) {
		return &resetError{err}
	}
	return err
}

// silentError is the end of a connection on which no packet came any more.
type silentError struct{}

func (silentError) Error() string   { return fmt.Sprintf("no packet came over HTTP/3 for %s", deadQUIC) }
func (silentError) Timeout() bool   { return true }
func (silentError) Temporary() bool { return false }

// resetError is the end of a connection or a stream before the answer was whole.
type resetError struct{ error }

func (e *resetError) Unwrap() []error { return []error{e.error, syscall.ECONNRESET} }

// http3Body is the body of an answer. At its end the connection is free for another request.
type http3Body struct {
	io.ReadCloser
	ctx   context.Context
	conn  *http3Conn
	keep  func(ready)
	ended bool
}

func (b *http3Body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	switch {
	case err == nil:
	case err == io.EOF:
		b.end(true)
	case b.ctx.Err() != nil:
		err = context.Cause(b.ctx)
	default:
		err = quicError(err)
	}
	if err != nil {
		b.end(false)
	}
	return n, err
}

func (b *http3Body) Close() error {
	err := b.ReadCloser.Close()
	b.end(false)
	return err
}

func (b *http3Body) end(whole bool) {
	if b.ended {
		return
	}
	b.ended = true
	if whole && b.keep != nil {
		b.conn.served++
		b.keep(b.conn)
		return
	}
	b.conn.Close()
}
