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

// conn is a connection on which a request can be written at once. It carries one request at a time.
type conn struct {
	net.Conn // over TLS where the node is reached over TLS
	under    *socket
	in       *bufio.Reader // nil before the first request
	out      *bufio.Writer
	inbound  inbound
	proxy    *Options // of a proxy that is sent whole URLs, nil where the request goes to the node
	now      func() time.Time
	// expect is how long the other side may take to say a first word, 0 where it may take any time. The body is sent when it
	// has said that it takes it (100 Continue, RFC 9110 section 10.1.1); until then nothing was sent.
	expect time.Duration
	facts
}

// bufferSize is how much of a request is written at once, and of an answer read.
const bufferSize = 4 << 10

// inbound is what comes on a connection, bounded while a header is read.
type inbound struct {
	from io.Reader
	left int64 // bytes that a header may still have, -1 for no bound
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

// unused reports whether a kept connection is fit for a next request: it is open, and no byte came that belongs to no
// request. Such bytes would be taken for the next answer. What TLS says between two requests, such as a session ticket,
// is read here.
func (c *conn) unused() bool {
	if c.in != nil && c.in.Buffered() > 0 {
		return false
	}
	c.under.noWait = true
	defer func() { c.under.noWait = false }()
	var b [1]byte
	n, err := c.Read(b[:])
	return n == 0 && errors.As(err, &nothingYet{})
}

// small is the most bytes of a body that are written before the answer is read: a socket takes them at once, whether the
// server reads or not.
const small = 8 << 10

// refusedTimeout bounds the wait for an answer on a connection that takes no more bytes. What the server sent before it
// closed the connection is here already.
const refusedTimeout = 5 * time.Second

// IsReset reports whether a read or a write failed because the other side has closed the connection.
func IsReset(err error) bool {
	return slices.ContainsFunc(resets, func(reset error) bool { return errors.Is(err, reset) })
}

// exchange is one request and its answer.
type exchange struct {
	*conn
	keep    func(ready)
	trace   *Trace
	gate    *gate
	request *http.Request
	wrote   chan error  // what writing the request ended with
	stop    func() bool // ends the watch over the request's context
	// beforeWhole says that the answer came before the server had the whole request, beforeAny before it had any of it.
	beforeWhole, beforeAny bool
	ended                  bool
}

// roundTrip reads the answer while the request is still being written: a server may refuse a request that it has not read.
func (c *conn) roundTrip(r *http.Request, keep func(ready)) (*http.Response, error) {
	ctx := r.Context()
	if c.proxy != nil && c.proxy.Proxy.User != nil {
		r.Header = r.Header.Clone()
		r.Header.Set("Proxy-Authorization", c.proxy.proxyAuth())
	}
	x := &exchange{conn: c, keep: keep, request: r, trace: TraceOf(ctx), wrote: make(chan error, 1)}
	x.stop = context.AfterFunc(ctx, func() { c.under.Close() })
	if c.in == nil {
		c.in, c.out = bufio.NewReaderSize(&c.inbound, bufferSize), bufio.NewWriterSize(c.Conn, bufferSize)
	}
	c.inbound.left = MaxHeader
	c.under.handed.Store(0)
	c.under.sent.Store(0)
	if c.expect > 0 && r.Body != nil {
		x.expectContinue()
	}
	brief := r.Body == nil || r.Body == http.NoBody || r.ContentLength > 0 && r.ContentLength <= small
	if c.under.raw != nil && brief && x.gate == nil {
		x.write()
	} else {
		go x.write()
	}
	resp, err := x.readHeader()
	switch {
	case err != nil && c.inbound.left == 0:
		err = errHeader // net/http may call the line at the bound malformed
	case err == nil && (x.beforeWhole && resp.StatusCode/100 == 2 || x.beforeAny && c.served > 0):
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
		return nil, c.proxy.refusedByProxy(resp)
	case resp.StatusCode == http.StatusSwitchingProtocols:
		// Its body is the bare connection, which no deadline would end. Another protocol was not asked for.
		x.end(false)
		resp.Body = http.NoBody
	case resp.Body == http.NoBody:
		x.end(true)
	default:
		resp.Body = &answerBody{ReadCloser: resp.Body, exchange: x} // whose end frees the connection
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
		err = failed // net/http calls it an error of the body
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
		_ = x.under.SetReadDeadline(time.Now().Add(refusedTimeout)) // of a closed connection the read says so itself
	default:
		x.under.Close()
	}
}

// gate holds a request's body back until the other side says that it takes it.
type gate struct {
	io.ReadCloser
	header *bufio.Writer // what is to be sent before
	once   sync.Once
	taken  bool
	known  chan struct{} // closed when taken is known
}

// expectContinue holds the body back until the other side says 100 Continue.
func (x *exchange) expectContinue() {
	x.gate = &gate{ReadCloser: x.request.Body, known: make(chan struct{})}
	x.request.Body = x.gate
	x.request.Header = x.request.Header.Clone()
	x.request.Header.Set("Expect", "100-continue")
	_ = x.under.SetReadDeadline(time.Now().Add(x.expect)) // of a closed connection the read says so itself
}

// decide lets the body pass or not, the first time, and reports whether it does.
func (g *gate) decide(taken bool) bool {
	g.once.Do(func() {
		g.taken = taken
		close(g.known)
	})
	return g.taken
}

func (g *gate) Read(p []byte) (int, error) {
	if g.header != nil {
		if err := g.header.Flush(); err != nil {
			return 0, err
		}
		g.header = nil
		<-g.known
	}
	if !g.taken {
		return 0, errNotTaken
	}
	return g.ReadCloser.Read(p)
}

var errNotTaken = errors.New("the request was not taken")

// EarlyError is an answer that came before the server had the request: it may belong to another one.
type EarlyError struct{}

func (*EarlyError) Error() string { return "an answer came before the server had the request" }

// readHeader reads the answer's header, past those of status 1xx (RFC 9110 section 15.2). All of them count against
// MaxHeader. When the first byte has come it notes how much of the request the server has: every answer acknowledges the
// bytes of its request, so one that leaves some unacknowledged was sent before. It refuses a request that was not read, or
// it belongs to no request.
func (x *exchange) readHeader() (*http.Response, error) {
	for {
		if _, err := x.in.Peek(1); err != nil {
			return nil, err
		}
		x.trace.First = x.now()
		x.trace.reach(Receiving)
		if x.under.acknowledges {
			missing := int64(unacknowledgedBy(x.under.raw))
			x.beforeWhole = missing > 0 || x.under.handed.Load() < x.request.ContentLength
			x.beforeAny = missing > 0 && missing >= x.under.sent.Load()
		}
		if x.gate != nil {
			_ = x.under.SetReadDeadline(time.Time{}) // of a closed connection the read says so itself
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

// failure completes the error of a request that got no answer: with the end of its context, with what the server refused,
// and with whether a byte of the request was written. It closes the connection.
func (x *exchange) failure(err error) error {
	untaken := x.gate != nil && !x.gate.decide(false)
	var failed error
	select {
	case failed = <-x.wrote:
	default:
		x.under.Close()
		<-x.wrote // what was sent is counted now
	}
	if failed != nil && (!IsReset(failed) || IsTimeout(err) || errors.Is(err, io.EOF)) {
		err = failed
	}
	if ctx := x.request.Context(); ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	x.stop()
	x.under.Close()
	if untaken || x.under.sent.Load() == 0 {
		return &unsentError{err}
	}
	return err
}

// end ends the exchange, once. The connection is kept where it can carry another request, and else closed.
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
		x.under.Close()
		return
	}
	if x.keep != nil && x.in.Buffered() == 0 {
		err, written := error(nil), true
		select {
		case err = <-x.wrote: // mostly, without a timer
		default:
			select {
			case err = <-x.wrote:
			case <-time.After(writeEnd):
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

// writeEnd is how long a request may still be being written when its answer has ended.
const writeEnd = 50 * time.Millisecond

// answerBody is the body of an answer. At its end the connection is free for another request.
type answerBody struct {
	io.ReadCloser
	exchange *exchange
}

func (b *answerBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if ctx := b.exchange.request.Context(); err != nil && err != io.EOF && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		b.exchange.end(err == io.EOF)
	}
	return n, err
}

func (b *answerBody) Close() error {
	b.exchange.end(false)
	return nil
}

// IsTimeout reports whether time was over, be it ferry's or the system's.
func IsTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout() || errors.Is(err, timedOut)
}

// unsentError is the error of a request of which no byte was written.
type unsentError struct{ error }

func (e *unsentError) Unwrap() error { return e.error }

// NotSent is an error of a request of which nothing reached the server.
func NotSent(err error) error { return &unsentError{err} }

// Unsent marks the error as one of the time before a byte of the request was written.
func (e *unsentError) Unsent() bool { return true }

// Unsent reports whether an error says that the server cannot have got a byte of the request.
func Unsent(err error) bool {
	var e interface{ Unsent() bool }
	return errors.As(err, &e) && e.Unsent()
}

type freshKey struct{}

// Fresh gives a context whose request takes a new connection, which is not kept.
func Fresh(ctx context.Context) context.Context { return context.WithValue(ctx, freshKey{}, true) }

// IsFresh reports whether a request is to take a new connection.
func IsFresh(ctx context.Context) bool { return ctx.Value(freshKey{}) != nil }

// socket is a TCP connection that counts what a request sends over it, and can be read without waiting.
type socket struct {
	net.Conn
	raw syscall.RawConn // nil where the system gives none
	// acknowledges says that the other side's system acknowledges bytes, as it does over TCP.
	acknowledges bool

	handed atomic.Int64 // bytes of the request that were to be written
	sent   atomic.Int64 // bytes of the request that were written
	// noWait makes Read take only what is there. It is set while nothing else reads.
	noWait bool
	// heard is called in a handshake when bytes have come.
	heard func()
	// joins has the last flight of a handshake wait for the request, so that one packet carries both: on a lossy path one
	// packet arrives more often than two.
	joins bool
	last  []byte // that flight
}

func (s *socket) Write(p []byte) (int, error) {
	if s.joins && endsHandshake(p) {
		s.last = append(s.last, p...)
		return len(p), nil
	}
	s.handed.Add(int64(len(p)))
	before := len(s.last)
	if before > 0 {
		p = append(s.last, p...)
		s.last = nil
	}
	n, err := s.Conn.Write(p)
	n = max(n-before, 0)
	s.sent.Add(int64(n))
	return n, err
}

// release sends the last flight of a handshake for which no request has come yet.
func (s *socket) release() error {
	if len(s.last) == 0 {
		return nil
	}
	_, err := s.Conn.Write(s.last)
	s.last = nil
	return err
}

// endsHandshake reports whether a write of a client is the last flight of a TLS 1.3 handshake. It is encrypted, so its record
// is one of application data, perhaps behind a change_cipher_spec of six bytes (RFC 8446 section 5, appendix D.4).
func endsHandshake(p []byte) bool {
	const changeCipherSpec, applicationData = 20, 23
	if len(p) > 6 && p[0] == changeCipherSpec {
		p = p[6:]
	}
	return len(p) > 0 && p[0] == applicationData
}

func (s *socket) Read(p []byte) (int, error) {
	if s.noWait {
		return s.readNow(p)
	}
	n, err := s.Conn.Read(p)
	if n > 0 && s.heard != nil {
		s.heard()
	}
	return n, err
}

// nothingYet is the error of a read without waiting that found nothing. crypto/tls goes on after an error that is
// temporary.
type nothingYet struct{}

func (nothingYet) Error() string   { return "nothing to read yet" }
func (nothingYet) Timeout() bool   { return true }
func (nothingYet) Temporary() bool { return true }
