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

// HTTP3 selects whether requests use HTTP/3 (RFC 9114).
type HTTP3 int

// The values of HTTP3.
const (
	// NoHTTP3 uses HTTP/1.1 over TCP.
	NoHTTP3 HTTP3 = iota
	// TryHTTP3 uses HTTP/3, or HTTP/1.1 if TCP is ready first: a network may block UDP.
	TryHTTP3
	// OnlyHTTP3 uses only HTTP/3.
	OnlyHTTP3
)

const (
	// tcpDelay is the head start of HTTP/3 over TCP. A network that blocks UDP costs that much time.
	tcpDelay = 250 * time.Millisecond
	// maxHTTP3Body is the body size above which TCP is faster on a lossy path: quic-go's congestion control slows
	// down more after a loss than the kernel's does. Measured with TestPathSize: 200 ms round trip, 15 % loss each
	// way, 40 new connections each. Seconds over TCP and over HTTP/3: 1.93 and 1.20 with 8 KiB, 2.15 and 1.09 with
	// 16, 2.14 and 1.24 with 32, 2.50 and 1.75 with 64, 2.93 and 3.16 with 128.
	maxHTTP3Body = 96 << 10
	// quicIdleTimeout is how long a connection may receive no packet before it is considered dead. Probes are sent
	// after half of it (see keepAliveProbes).
	quicIdleTimeout = 30 * time.Second
)

// http3Conn is an HTTP/3 connection. It carries one request at a time, as an HTTP/1.1 connection does: the streams of
// one connection share its congestion window.
type http3Conn struct {
	quic   *quic.Conn
	client *http3.ClientConn
	now    func() time.Time
	connInfo
}

// byQUIC makes one HTTP/3 connection to one address of the node.
func (o Options) byQUIC(
	ctx context.Context, config *tls.Config, at netip.AddrPort, _ func(time.Duration),
) (clientConn, error) {
	conn, err := quic.DialAddr(ctx, at.String(), config, &quic.Config{
		HandshakeIdleTimeout: time.Hour, // the connect timeout limits it
		MaxIdleTimeout:       quicIdleTimeout,
		KeepAlivePeriod:      quicIdleTimeout / 2, // keeps it alive while the server is slow or no request is sent
		MaxIncomingStreams:   -1,                  // the server may open none
	})
	if err != nil {
		return nil, o.peer().trustError(err, true)
	}
	over := &http3.Transport{DisableCompression: true, MaxResponseHeaderBytes: MaxHeader}
	return &http3Conn{quic: conn, client: over.NewClientConn(conn), now: o.Now, connInfo: connInfo{
		remote: conn.RemoteAddr().String(), tlsVersion: tls.VersionTLS13, http3: true, ready: o.Now(),
	}}, nil
}

func (c *http3Conn) reusable() bool { return c.quic.Context().Err() == nil }

func (c *http3Conn) Close() error { return c.client.CloseWithError(0x100, "") } // H3_NO_ERROR (RFC 9114 section 8.1)

func (c *http3Conn) roundTrip(r *http.Request, keep func(clientConn)) (*http.Response, error) {
	ctx := r.Context()
	trace := TraceOf(ctx)
	sent := &countedBody{ReadCloser: r.Body}
	if r.Body != nil {
		r.Body = sent
	}
	var begun atomic.Bool // stays false if the connection accepts no requests after a GOAWAY (RFC 9114 section 5.2)
	resp, err := c.client.RoundTrip(r.WithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		WroteHeaders: func() { begun.Store(true) },
		WroteRequest: func(info httptrace.WroteRequestInfo) {
			if info.Err == nil {
				at := c.now()
				trace.Wrote.Store(&at)
				trace.reach(Waiting)
			}
		},
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

// countedBody counts the bytes that were read of a request's body.
type countedBody struct {
	io.ReadCloser
	read atomic.Int64
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.read.Add(int64(n))
	return n, err
}

// quicError maps an error of quic-go to the matching TCP error: the end of the connection or of the stream is a
// reset.
func quicError(err error) error {
	if IsTimeout(err) {
		return idleTimeoutError{}
	}
	if errors.As(err, new(*quic.StreamError)) || errors.Is(err, net.ErrClosed) {
		return &resetError{err}
	}
	return err
}

// idleTimeoutError reports a connection that ended because no more packets arrived.
type idleTimeoutError struct{}

func (idleTimeoutError) Error() string {
	return fmt.Sprintf("no packet arrived over HTTP/3 for %s", quicIdleTimeout)
}
func (idleTimeoutError) Timeout() bool   { return true }
func (idleTimeoutError) Temporary() bool { return false }

// resetError reports that the connection or the stream ended before the response was complete.
type resetError struct{ error }

func (e *resetError) Unwrap() []error { return []error{e.error, syscall.ECONNRESET} }

// http3Body is the body of a response. At its end the connection is free for another request.
type http3Body struct {
	io.ReadCloser
	ctx   context.Context
	conn  *http3Conn
	keep  func(clientConn)
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
