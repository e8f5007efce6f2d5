package hold

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"ferry/pkg/transport"
)

const (
	// answerTimeout bounds the wait for a holder's first response. A holder that is stopped or starved does not answer
	// in time.
	answerTimeout = 400 * time.Millisecond
	// While a request waits for its answer, the holder is asked for its status; after maxSilent failures in a row it
	// counts as stopped.
	statusEvery = 2 * time.Second
	maxSilent   = 3
)

// MinTimeout is the minimum of all timeouts between command and holder, in nanoseconds. Only tests set it, because on a
// loaded machine the other process may run late.
var MinTimeout atomic.Int64

func atLeast(usual time.Duration) time.Duration { return max(usual, time.Duration(MinTimeout.Load())) }

// Transport sends requests through a holder, or directly if no holder is available.
//
// Nothing is sent twice: a request is sent directly only if nothing of it reached the node. After that, a holder that
// goes away counts as a connection reset.
type Transport struct {
	settings Settings
	held     *transport.Transport

	mu     sync.Mutex
	direct *transport.Transport // nil until needed: reading the system's certificates costs more than a held request
}

// New builds a Transport. The error is from transport.New.
func New(s Settings) (*Transport, error) {
	t := &Transport{settings: s}
	if s.Reach.TLS.CA+s.Reach.TLS.Cert != "" { // errors in the files are reported before anything is sent
		if _, err := t.directTransport(); err != nil {
			return nil, err
		}
	}
	var err error
	t.held, err = transport.New(transport.Options{
		Target: &url.URL{Scheme: "http", Host: s.Reach.Target.Host}, MaxBody: s.Reach.MaxBody, Now: s.Reach.Now,
		Expect: atLeast(answerTimeout),
		Dial:   func(ctx context.Context, _, _ string) (net.Conn, error) { return s.holder(ctx) },
	})
	return t, err
}

// directTransport returns the transport that is used without a holder.
func (t *Transport) directTransport() (*transport.Transport, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var err error
	if t.direct == nil {
		t.direct, err = transport.New(t.settings.Reach)
	}
	return t.direct, err
}

// RoundTrip sends the request through a holder, or directly if it needs a new connection or no holder is available. It
// needs GetBody, because the body may have been read before the holder fails.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if !transport.IsFresh(r.Context()) {
		resp, err := t.throughHolder(r)
		var late *transport.ConnectTimeoutError
		if err == nil || !transport.Unsent(err) || r.Context().Err() != nil || errors.As(err, &late) {
			return resp, err
		}
	}
	direct, err := t.directTransport()
	if err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	if r.Body, err = r.GetBody(); err != nil {
		return nil, err
	}
	return direct.RoundTrip(r)
}

// Ready makes a connection ready for a later request: the holder's, or a direct one.
func (t *Transport) Ready(ctx context.Context) error {
	conn, err := t.settings.holder(ctx)
	if err == nil {
		conn.Close()
		path, _ := t.settings.path() // it was valid just now
		if _, err = sendCommand(ctx, path, wantReady); err == nil {
			return nil
		}
	}
	direct, err := t.directTransport()
	if err != nil {
		return err
	}
	return direct.Ready(ctx)
}

// throughHolder sends the request to the holder. Until the answer has ended, it watches whether the holder still runs.
func (t *Transport) throughHolder(outer *http.Request) (*http.Response, error) {
	trace := transport.TraceOf(outer.Context())
	ctx, cancel := context.WithCancelCause(transport.WithTrace(outer.Context(), trace))
	r := outer.Clone(ctx)
	r.URL.Scheme = "http"
	r.Header.Set(headerName, t.settings.Idle.String())
	go t.watch(ctx, cancel)
	resp, err := t.held.RoundTrip(r)
	trace.Held = err == nil || !transport.Unsent(err)
	switch {
	case err == nil:
	case outer.Context().Err() != nil:
		err = context.Cause(outer.Context())
	case !transport.Unsent(err):
		var lost *lostError
		if !errors.As(context.Cause(ctx), &lost) {
			lost = &lostError{}
		}
		err = lost
	}
	if err == nil {
		reported, ok := readReport(resp)
		reported.copyTo(trace)
		switch {
		case !ok || reported.Fault != nil && reported.Fault.Kind == unsent:
			err = transport.NotSent(errNotSent)
		case reported.Fault != nil && reported.Fault.Kind == late:
			err = transport.NotSent(t.settings.Reach.NewConnectTimeoutError())
		case reported.Fault != nil:
			err = reported.Fault.error(t.settings.Reach)
		}
		if err != nil {
			resp.Body.Close()
		}
	}
	if err != nil {
		cancel(nil)
		return nil, err
	}
	resp.Body = &responseBody{resp.Body, outer.Context(), ctx, cancel}
	return resp, nil
}

// watch cancels a request if its holder is stopped.
func (t *Transport) watch(ctx context.Context, end context.CancelCauseFunc) {
	for silent := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(atLeast(statusEvery)):
		}
		path, err := t.settings.path()
		if err == nil {
			_, err = askStatus(ctx, path)
		}
		if silent++; err == nil || isAbsent(err) { // the read notices a holder that has ended
			silent = 0
		}
		if silent == maxSilent {
			end(&lostError{stopped: true})
			return
		}
	}
}

var errNotSent = errors.New("the holder did not send the request")

// responseBody is the body of an answer from a holder.
type responseBody struct {
	io.ReadCloser
	outer, inner context.Context
	end          context.CancelCauseFunc
}

func (b *responseBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		var lost *lostError
		switch {
		case b.outer.Err() != nil:
			err = context.Cause(b.outer)
		case errors.As(context.Cause(b.inner), &lost):
			err = lost
		}
	}
	return n, err
}

func (b *responseBody) Close() error {
	defer b.end(nil)
	return b.ReadCloser.Close()
}

// CloseIdleConnections closes all idle connections, including the connections to the holder.
func (t *Transport) CloseIdleConnections() {
	t.held.CloseIdleConnections()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.direct != nil {
		t.direct.CloseIdleConnections()
	}
}
