package transport

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"ferry/pkg/text"
)

// conn is an established connection that can carry a request, one at a time.
type conn struct {
	net.Conn // a *tls.Conn if the node is reached over TLS
	socket   *socket
	in       *bufio.Reader // nil before the first request
	out      *bufio.Writer
	inbound  inbound
	proxy    *Options // set if requests go to an HTTP proxy in absolute form (RFC 9112 section 3.2.2), else nil
	now      func() time.Time
	// expect is the maximum wait for the first response byte to a request with a body, 0 for no limit. If it is set,
	// the body is sent only after 100 Continue (RFC 9110 section 10.1.1). Until then the request counts as not sent.
	expect time.Duration
	connInfo
}

// bufferSize is the size of the write buffer for requests and of the read buffer for responses.
const bufferSize = 4 << 10

// inbound reads from a connection. It limits the number of bytes while a header section is read.
type inbound struct {
	from io.Reader
	left int64 // bytes that the header section may still have, -1 for no limit
}

var errHeader = &text.LimitError{What: "a reply's header", Limit: MaxHeader}

func (i *inbound) Read(p []byte) (int, error) {
	if i.left == 0 {
		return 0, errHeader
	}
	if i.left > 0 && int64(len(p)) > i.left {
		p = p[:i.left]
	}
	n, err := i.from.Read(p)
	if i.left > 0 {
		i.left -= int64(n)
	}
	return n, err
}

// reusable reports whether a kept connection can carry another request: it is open, and no byte arrived that belongs to
// no request. Such bytes would be taken for the next response. The read also handles what TLS sends between two
// requests, such as a session ticket.
func (c *conn) reusable() bool {
	if c.in != nil && c.in.Buffered() > 0 {
		return false
	}
	c.socket.nonBlocking = true
	defer func() { c.socket.nonBlocking = false }()
	var b [1]byte
	n, err := c.Read(b[:])
	return n == 0 && errors.As(err, &nothingYet{})
}

// smallBody is the maximum size of a body that is written before the response is read. A socket accepts that many bytes
// at once, whether the server reads or not.
const smallBody = 8 << 10

// refusedTimeout limits the wait for a response on a connection that accepts no more bytes. The bytes that the server
// sent before it closed the connection have already arrived.
const refusedTimeout = 5 * time.Second

// IsReset reports whether a read or a write failed because the other side has closed the connection.
func IsReset(err error) bool {
	return slices.ContainsFunc(resets, func(reset error) bool { return errors.Is(err, reset) })
}

// exchange is one request and its response.
type exchange struct {
	*conn
	keep    func(clientConn)
	trace   *Trace
	gate    *gate
	request *http.Request
	wrote   chan error  // the result of writing the request
	stop    func() bool // stops watching the request's context
	// missingPart reports that the response arrived before the server had the complete request, missingAll that it
	// arrived before the server had any of it.
	missingPart, missingAll bool
	ended                   bool
}

// roundTrip sends a request and reads the response. If the body is over smallBody or of unknown length, waits for 100
// Continue, or the connection is not of the system, it reads the response while it writes the request: a server may
// reject a request before it has read all of it.
func (c *conn) roundTrip(r *http.Request, keep func(clientConn)) (*http.Response, error) {
	ctx := r.Context()
	if c.proxy != nil && c.proxy.Proxy.User != nil {
		r.Header = r.Header.Clone()
		r.Header.Set("Proxy-Authorization", c.proxy.proxyAuth())
	}
	x := &exchange{conn: c, keep: keep, request: r, trace: TraceOf(ctx), wrote: make(chan error, 1)}
	x.stop = context.AfterFunc(ctx, func() { c.socket.Close() })
	if c.in == nil {
		c.in, c.out = bufio.NewReaderSize(&c.inbound, bufferSize), bufio.NewWriterSize(c.Conn, bufferSize)
	}
	c.inbound.left = MaxHeader
	c.socket.passed.Store(0)
	c.socket.sent.Store(0)
	if c.expect > 0 && r.Body != nil {
		x.expectContinue()
	}
	brief := r.Body == nil || r.Body == http.NoBody || r.ContentLength > 0 && r.ContentLength <= smallBody
	if c.socket.raw != nil && brief && x.gate == nil {
		x.write()
	} else {
		go x.write()
	}
	resp, err := x.readHeader()
	switch {
	case err != nil && c.inbound.left == 0:
		err = errHeader // net/http may report the line at the limit as malformed
	case err == nil && (x.missingPart && resp.StatusCode/100 == 2 || x.missingAll && c.served > 0):
		err = &EarlyError{}
	}
	if err != nil {
		return nil, x.failure(err)
	}
	c.inbound.left = -1
	if resp.Close || resp.StatusCode < 200 {
		x.keep = nil
	}
	if secured, ok := c.Conn.(*tls.Conn); ok {
		state := secured.ConnectionState()
		resp.TLS = &state
	}
	switch {
	case resp.StatusCode == http.StatusProxyAuthRequired && c.proxy != nil:
		x.end(false)
		return nil, c.proxy.checkProxyResponse(resp)
	case resp.StatusCode == http.StatusSwitchingProtocols:
		// Its body is the raw connection, which no deadline would end. ferry did not ask for another protocol.
		x.end(false)
		resp.Body = http.NoBody
	case resp.Body == http.NoBody:
		x.end(true)
	default:
		resp.Body = &responseBody{ReadCloser: resp.Body, exchange: x} // its end frees the connection
	}
	return resp, nil
}

func (x *exchange) write() {
	if x.gate != nil {
		x.gate.header = x.out
	}
	var err error
	if x.proxy != nil {
		err = x.request.WriteProxy(x.out)
	} else {
		err = x.request.Write(x.out)
	}
	if err == nil {
		err = x.out.Flush()
	} else if _, failed := x.out.Write(nil); failed != nil {
		err = failed // the write error, which net/http reports as an error of the body
	}
	if err == nil {
		at := x.now()
		x.trace.Wrote.Store(&at)
		x.trace.reach(Waiting)
	}
	x.wrote <- err
	switch {
	case err == nil:
	case IsReset(err):
		_ = x.socket.SetReadDeadline(time.Now().Add(refusedTimeout)) // on a closed connection the read fails anyway
	default:
		x.socket.Close()
	}
}

// gate holds back a request's body until the server accepts it.
type gate struct {
	io.ReadCloser
	header   *bufio.Writer // what must be sent before the body
	once     sync.Once
	accepted bool
	decided  chan struct{} // closed when accepted is decided
}

// expectContinue adds "Expect: 100-continue" to the request and holds back the body until the server sends 100
// Continue.
func (x *exchange) expectContinue() {
	x.gate = &gate{ReadCloser: x.request.Body, decided: make(chan struct{})}
	x.request.Body = x.gate
	x.request.Header = x.request.Header.Clone()
	x.request.Header.Set("Expect", "100-continue")
	_ = x.socket.SetReadDeadline(time.Now().Add(x.expect)) // on a closed connection the read fails anyway
}

// decide sets whether the body may be sent, on the first call only, and returns that decision.
func (g *gate) decide(taken bool) bool {
	g.once.Do(func() {
		g.accepted = taken
		close(g.decided)
	})
	return g.accepted
}

func (g *gate) Read(p []byte) (int, error) {
	if g.header != nil {
		if err := g.header.Flush(); err != nil {
			return 0, err
		}
		g.header = nil
		<-g.decided
	}
	if !g.accepted {
		return 0, errNotAccepted
	}
	return g.ReadCloser.Read(p)
}

var errNotAccepted = errors.New("the request was not accepted")

// EarlyError reports a response that arrived before the server had the request. It may belong to another request.
type EarlyError struct{}

func (*EarlyError) Error() string { return "an answer arrived before the server had the request" }

// readHeader reads the response's header section and skips those with status 1xx (RFC 9110 section 15.2). All of them
// count against MaxHeader. When the first byte has arrived, it records how much of the request the server has. Every
// response acknowledges the bytes of its request. So a response that leaves some bytes unacknowledged was sent before
// they arrived: it rejects a request that the server has not read, or it belongs to no request.
func (x *exchange) readHeader() (*http.Response, error) {
	for {
		if _, err := x.in.Peek(1); err != nil {
			return nil, err
		}
		x.trace.First = x.now()
		x.trace.reach(Receiving)
		if x.socket.acknowledges {
			missing := int64(unacknowledgedBy(x.socket.raw))
			x.missingPart = missing > 0 || x.socket.passed.Load() < x.request.ContentLength
			x.missingAll = missing > 0 && missing >= x.socket.sent.Load()
		}
		if x.gate != nil {
			_ = x.socket.SetReadDeadline(time.Time{}) // on a closed connection the read fails anyway
		}
		resp, err := http.ReadResponse(x.in, x.request)
		switch {
		case err != nil || resp.StatusCode/100 != 1 || resp.StatusCode == http.StatusSwitchingProtocols:
			return resp, err
		case x.gate != nil && resp.StatusCode == http.StatusContinue:
			x.gate.decide(true)
		}
	}
}

// failure completes the error of a request that got no response: it adds the cause if the context has ended, the
// write error, and whether any byte of the request was sent (Unsent). It closes the connection.
func (x *exchange) failure(err error) error {
	untaken := x.gate != nil && !x.gate.decide(false)
	var failed error
	select {
	case failed = <-x.wrote:
	default:
		x.socket.Close()
		<-x.wrote // now the count of sent bytes is final
	}
	if failed != nil && (!IsReset(failed) || IsTimeout(err) || errors.Is(err, io.EOF)) {
		err = failed
	}
	if ctx := x.request.Context(); ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	x.stop()
	x.socket.Close()
	if untaken || x.socket.sent.Load() == 0 {
		return &unsentError{err}
	}
	return err
}

// end ends the exchange, once. If the connection can carry another request, it is kept, else closed.
func (x *exchange) end(whole bool) {
	if x.ended {
		return
	}
	x.ended = true
	if x.gate != nil {
		x.gate.decide(false)
	}
	inTime := x.stop()
	if !whole || !inTime {
		x.socket.Close()
		return
	}
	if x.keep != nil && x.in.Buffered() == 0 {
		err, written := error(nil), true
		select {
		case err = <-x.wrote: // the usual case, without a timer
		default:
			select {
			case err = <-x.wrote:
			case <-time.After(writeGrace):
				written = false
			}
		}
		if written && err == nil {
			x.served++
			x.keep(x.conn)
			return
		}
	}
	x.Close()
}

// writeGrace is how long to wait for a request to be written completely after its response has ended.
const writeGrace = 50 * time.Millisecond

// responseBody is the body of a response. At its end the connection is free for another request.
type responseBody struct {
	io.ReadCloser
	exchange *exchange
}

func (b *responseBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if ctx := b.exchange.request.Context(); err != nil && err != io.EOF && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		b.exchange.end(err == io.EOF)
	}
	return n, err
}

func (b *responseBody) Close() error {
	b.exchange.end(false)
	return nil
}

// IsTimeout reports whether err is a timeout set by ferry or by the system.
func IsTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout() || errors.Is(err, timedOut)
}

// unsentError wraps the error of a request of which no byte was written.
type unsentError struct{ error }

func (e *unsentError) Unwrap() error { return e.error }

// NotSent marks err as the error of a request of which nothing reached the server.
func NotSent(err error) error { return &unsentError{err} }

// Unsent marks the error for the function Unsent.
func (e *unsentError) Unsent() bool { return true }

// Unsent reports whether err says that the server cannot have received any byte of the request.
func Unsent(err error) bool {
	var e interface{ Unsent() bool }
	return errors.As(err, &e) && e.Unsent()
}

type freshKey struct{}

// Fresh returns a context whose request uses a new connection, which is not kept.
func Fresh(ctx context.Context) context.Context { return context.WithValue(ctx, freshKey{}, true) }

// IsFresh reports whether a request must use a new connection.
func IsFresh(ctx context.Context) bool { return ctx.Value(freshKey{}) != nil }

// socket is a TCP connection that counts the bytes of a request and can be read without blocking.
type socket struct {
	net.Conn
	raw syscall.RawConn // nil if the connection has none
	// acknowledges reports that the peer's system acknowledges bytes, as TCP does.
	acknowledges bool

	passed atomic.Int64 // bytes of the request passed to Write
	sent   atomic.Int64 // bytes of the request written
	// nonBlocking makes Read return only bytes that have already arrived. It is set only while nothing else reads.
	nonBlocking bool
	// onRead is called during a handshake when bytes have arrived.
	onRead func()
	// delayFlight delays the last flight of a handshake until the request, so that one packet carries both. On a lossy
	// path one packet arrives more often than two.
	delayFlight bool
	flight      []byte // the delayed flight
}

func (s *socket) Write(p []byte) (int, error) {
	if s.delayFlight && endsHandshake(p) {
		s.flight = append(s.flight, p...)
		return len(p), nil
	}
	s.passed.Add(int64(len(p)))
	before := len(s.flight)
	if before > 0 {
		p = append(s.flight, p...)
		s.flight = nil
	}
	n, err := s.Conn.Write(p)
	n = max(n-before, 0)
	s.sent.Add(int64(n))
	return n, err
}

// flush sends the delayed last flight of a handshake if no request has been written since.
func (s *socket) flush() error {
	if len(s.flight) == 0 {
		return nil
	}
	_, err := s.Conn.Write(s.flight)
	s.flight = nil
	return err
}

// endsHandshake reports whether a client's write is the last flight of a TLS 1.3 handshake. That flight is encrypted,
// so its record has the type application_data. A change_cipher_spec record of six bytes may precede it (RFC 8446
// section 5, appendix D.4).
func endsHandshake(p []byte) bool {
	const changeCipherSpec, applicationData = 20, 23
	if len(p) > 6 && p[0] == changeCipherSpec {
		p = p[6:]
	}
	return len(p) > 0 && p[0] == applicationData
}

func (s *socket) Read(p []byte) (int, error) {
	if s.nonBlocking {
		return s.readNow(p)
	}
	n, err := s.Conn.Read(p)
	if n > 0 && s.onRead != nil {
		s.onRead()
	}
	return n, err
}

// nothingYet is the error of a non-blocking read that found nothing. It is temporary: crypto/tls can continue after a
// temporary error.
type nothingYet struct{}

func (nothingYet) Error() string   { return "nothing to read yet" }
func (nothingYet) Timeout() bool   { return true }
func (nothingYet) Temporary() bool { return true }
