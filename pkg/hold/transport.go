package hold

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"time"

	"ferry/pkg/transport"
)

// Transport sends requests over lent connections, and directly where there is none to be had. It is for one request at a
// time, as a call makes them.
//
// Nothing is sent twice: the direct way is taken only where the holder has taken no byte of the request and will not. After
// that a holder that goes away is a connection that was reset.
type Transport struct {
	settings Settings
	lent     http.RoundTripper
	// direct is nil until it is needed: reading the system's certificates costs more than a held request.
	direct http.RoundTripper
	// bodies are those of the answers, and conns what was lent.
	bodies []*body
	mu     sync.Mutex
	conns  []*Conn
}

// New builds a Transport. The error is that of transport.New.
func New(s Settings) (http.RoundTripper, error) {
	if !s.holdable() {
		return transport.New(s.Reach)
	}
	t := &Transport{settings: s}
	var err error
	if s.Reach.TLS.CA+s.Reach.TLS.Cert != "" { // what is wrong with a file is found before anything is sent
		if t.direct, err = transport.New(s.Reach); err != nil {
			return nil, err
		}
	}
	lending := s.Reach
	lending.Lend = t.lend
	t.lent, err = transport.New(lending)
	return t, err
}

func (t *Transport) lend(ctx context.Context) (net.Conn, error) {
	for tried := false; ; tried = true {
		conn, err := t.settings.holder(ctx)
		if err != nil {
			return nil, err
		}
		lent, err := borrow(ctx, conn, t.settings.Idle, t.settings.Reach)
		if err == nil {
			t.mu.Lock()
			t.conns = append(t.conns, lent)
			t.mu.Unlock()
			return lent, nil
		}
		if tried || !errors.Is(err, errLeft) {
			return nil, err
		}
		// Its time was over at this very moment; another one is started.
	}
}

// RoundTrip sends the request, and directly where it is to take a new connection. One with a body needs GetBody: the body
// can have been read when there turns out to be no holder to take it.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if transport.IsFresh(r.Context()) {
		return t.directly(r)
	}
	resp, err := t.borrowed(r)
	if err == nil {
		return resp, nil
	}
	var late *transport.ConnectTimeoutError
	if !transport.Unsent(err) || r.Context().Err() != nil || errors.As(err, &late) {
		return nil, err
	}
	return t.directly(r)
}

// directly sends the request without a holder.
func (t *Transport) directly(r *http.Request) (*http.Response, error) {
	var err error
	if t.direct == nil {
		if t.direct, err = transport.New(t.settings.Reach); err != nil {
			return nil, err
		}
	}
	if r.GetBody != nil {
		r = r.Clone(r.Context())
		if r.Body, err = r.GetBody(); err != nil {
			return nil, err
		}
	}
	return t.direct.RoundTrip(r)
}

// borrowed sends the request over a lent connection. Its context ends with the caller's only until the caller closes the
// answer: what is left of it is read then, since a connection with the rest of an answer in it cannot be given back.
func (t *Transport) borrowed(r *http.Request) (*http.Response, error) {
	outer := r.Context()
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(outer))
	detach := context.AfterFunc(outer, func() { cancel(context.Cause(outer)) })
	var lent atomic.Pointer[Conn] // the hooks run in goroutines of net/http's
	ctx = transport.Traced(ctx, func(hooks *httptrace.ClientTrace) {
		gotConn := hooks.GotConn
		hooks.GotConn = func(info httptrace.GotConnInfo) {
			if conn, is := info.Conn.(*Conn); is {
				conn.unspoiled.Store(false)
				lent.Store(conn)
			}
			if gotConn != nil {
				gotConn(info)
			}
		}
		hooks.PutIdleConn = func(err error) {
			if conn := lent.Load(); conn != nil {
				conn.unspoiled.Store(err == nil)
			}
		}
	})
	resp, err := t.lent.RoundTrip(r.WithContext(ctx))
	if err != nil {
		detach()
		cancel(nil)
		return nil, err
	}
	b := &body{under: resp.Body, detach: detach, end: func() { cancel(nil) }}
	t.bodies = append(t.bodies, b)
	resp.Body = b
	return resp, nil
}

// CloseIdleConnections gives back what was borrowed.
func (t *Transport) CloseIdleConnections() {
	for _, b := range t.bodies {
		b.wait()
	}
	t.bodies = nil
	t.mu.Lock()
	conns := t.conns
	t.conns = nil
	t.mu.Unlock()
	for _, conn := range conns {
		conn.settle()
	}
	for _, rt := range []http.RoundTripper{t.lent, t.direct} {
		if idle, ok := rt.(interface{ CloseIdleConnections() }); ok {
			idle.CloseIdleConnections()
		}
	}
}

// body is that of an answer. A stream is closed at its terminal event, before its end.
type body struct {
	under  io.ReadCloser
	whole  bool
	detach func() bool // from the caller's context; false where that has ended
	end    func()
	rest   chan struct{} // closed when what was left has been read
}

const (
	maxRest      = 64 << 10
	restPatience = 100 * time.Millisecond
)

func (b *body) Read(p []byte) (int, error) {
	n, err := b.under.Read(p)
	b.whole = b.whole || err == io.EOF
	return n, err
}

func (b *body) Close() error {
	if b.rest != nil {
		return nil
	}
	b.rest = make(chan struct{})
	if goesOn := b.detach(); b.whole || !goesOn {
		defer close(b.rest)
		defer b.end()
		return b.under.Close()
	}
	go func() {
		defer close(b.rest)
		_, _ = io.CopyN(io.Discard, b.under, maxRest) // whatever comes of it: Close says whether the connection is fit
		b.under.Close()
	}()
	return nil
}

// wait gives the rest of a closed answer the time of an end that is on its way already.
func (b *body) wait() {
	if b.rest == nil {
		return
	}
	timer := time.NewTimer(atLeast(restPatience))
	defer timer.Stop()
	select {
	case <-b.rest:
	case <-timer.C:
	}
	b.end()
}
