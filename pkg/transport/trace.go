package transport

import (
	"context"
	"net/netip"
	"sync/atomic"
	"time"
)

// Trace is what the transport tells of one request (WithTrace). It may be read once RoundTrip has returned.
type Trace struct {
	// DNS, Connect and TLS are the parts of the time until there was a connection. They are 0 of a kept one.
	DNS, Connect, TLS time.Duration
	// Addresses are what the name of the node, or of its proxy, resolved to.
	Addresses []netip.Addr
	// Remote is the other side's address, "" where there was no connection.
	Remote string
	// TLSVersion is that of the connection, 0 over plain http.
	TLSVersion uint16
	// HTTP3 says that the request went over HTTP/3.
	HTTP3 bool
	// Reused says that the connection had served another request, and Held that another process keeps it.
	Reused, Held bool
	// First is when the first byte of the answer came, zero without one.
	First time.Time

	wrote      atomic.Pointer[time.Time]
	handshakes atomic.Int64
}

// Wrote is when the request had been written, zero where it was not.
func (t *Trace) Wrote() time.Time {
	if at := t.wrote.Load(); at != nil {
		return *at
	}
	return time.Time{}
}

// Handshakes is how many were begun for the request's connection.
func (t *Trace) Handshakes() int { return int(t.handshakes.Load()) }

// Begun counts handshakes that another process has begun for the request.
func (t *Trace) Begun(handshakes int) { t.handshakes.Add(int64(handshakes)) }

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

// tell writes what is known of the connection into a trace.
func (f *facts) tell(t *Trace) {
	t.Remote, t.TLSVersion, t.HTTP3, t.Reused, t.Held = f.remote, f.tlsVersion, f.http3, f.served > 0, false
}
