package transport

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"

	"ferry/pkg/guard"
)

// Handshakes are raced: if a step is late, a packet was most likely lost, and TCP waits a second or more before it
// retransmits. A second complete handshake beside the first is faster. With these times, a path without loss and with
// round trips of up to 300 ms uses one connection.
const (
	maxRaced  = 3                      // handshakes at the same time
	lateFirst = 350 * time.Millisecond // until the first packet is answered
	lateProxy = time.Second            // until a proxy answers; it connects to the node first
	minTLS    = 300 * time.Millisecond // TLS is late after 1.5 round trips, within these limits
	maxTLS    = 450 * time.Millisecond
)

// lateProxy returns the time after which a proxy's response is late. The path behind the proxy is not known.
func (o Options) lateProxy(netip.AddrPort) time.Duration {
	if guard.IsLoopback(o.Target.Hostname()) {
		return 0
	}
	return lateProxy
}

// lateTLS returns the time after which a response in the TLS handshake is late, from the duration of the previous
// step.
func (o Options) lateTLS(at netip.AddrPort, before time.Duration) time.Duration {
	if o.Proxy == nil && at.Addr().IsLoopback() || guard.IsLoopback(o.Target.Hostname()) {
		return 0
	}
	return min(max(before*3/2, minTLS), maxTLS)
}

// clientConn is an established connection that can carry a request, one at a time.
type clientConn interface {
	// roundTrip sends a request and reads the response's header section. When the response has been read and the
	// connection can carry another request, keep receives the connection; if keep is nil, it is closed. If no byte of
	// the request was sent, the error is Unsent.
	roundTrip(r *http.Request, keep func(clientConn)) (*http.Response, error)
	// reusable reports whether a kept connection is still open and no byte arrived on it that belongs to no request.
	reusable() bool
	Close() error
	info() *connInfo
}

// handshake makes one connection to an address. At the start of each step but the first it calls step with the time
// after which the step is late, 0 for never.
type handshake func(ctx context.Context, at netip.AddrPort, step func(late time.Duration)) (clientConn, error)

// raceState is a race in progress.
type raceState struct {
	do        handshake
	addresses []netip.AddrPort
	limit     int // maximum number of handshakes in all
	started   int
	running   int
	steps     chan step
	results   chan raceResult
}

// step reports that a step of a handshake begins. Handshakes are numbered from 1.
type step struct {
	handshake int
	late      time.Duration
}

// raceResult is the result of a handshake.
type raceResult struct {
	conn clientConn
	err  error
}

// sendTo sends the result to the race. If the race is over, it closes the connection.
func (e raceResult) sendTo(ctx context.Context, ends chan<- raceResult) {
	select {
	case ends <- e:
	case <-ctx.Done():
		if e.err == nil {
			e.conn.Close()
		}
	}
}

// race makes connections to the node in parallel until one is ready, and closes the others. If the newest handshake
// is late or has failed, the next one starts: with the next address, and with Race also with the same addresses
// again, at most three at once.
func (o Options) race(ctx context.Context, addresses []netip.AddrPort, do handshake) (clientConn, error) {
	if len(addresses) == 1 && (!o.Race || addresses[0].Addr().IsLoopback()) {
		TraceOf(ctx).Handshakes.Add(1)
		return do(ctx, addresses[0], func(time.Duration) {})
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r := raceState{
		do: do, addresses: addresses, limit: len(addresses), steps: make(chan step), results: make(chan raceResult),
	}
	if o.Race {
		r.limit = max(r.limit, maxRaced)
	}
	late := time.NewTimer(0)
	late.Stop()
	defer late.Stop()
	var first error
	for r.start(ctx); ; {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case at := <-r.steps:
			if at.handshake < r.started {
				continue // a newer handshake has started
			}
			if late.Stop(); at.late > 0 {
				late.Reset(at.late)
			}
		case <-late.C:
			if r.started < r.limit && r.running < maxRaced {
				r.start(ctx)
			}
		case e := <-r.results:
			r.running--
			if e.err == nil {
				return e.conn, nil
			}
			if first == nil {
				first = e.err
			}
			switch {
			case isFinal(e.err, len(addresses)):
				return nil, e.err
			case r.started < len(addresses):
				r.start(ctx)
			case r.running == 0:
				return nil, first
			}
		}
	}
}

// start begins the next handshake. Its first step waits for the first packet's answer; loopback loses no packets.
func (r *raceState) start(ctx context.Context) {
	TraceOf(ctx).Handshakes.Add(1)
	at := r.addresses[r.started%len(r.addresses)]
	r.running++
	r.started++
	number := r.started
	go func() {
		begin := func(late time.Duration) {
			select {
			case r.steps <- step{number, late}:
			case <-ctx.Done():
			}
		}
		if at.Addr().IsLoopback() {
			begin(0)
		} else {
			begin(lateFirst)
		}
		conn, err := r.do(ctx, at, begin)
		raceResult{conn, err}.sendTo(ctx, r.results)
	}()
}

// isFinal reports whether every other handshake would fail in the same way.
func isFinal(err error, addresses int) bool {
	var dial *net.OpError
	switch {
	case errors.As(err, new(*guard.TrustError)), errors.As(err, new(*guard.PlainHTTPError)):
		return true
	case errors.As(err, &dial) && dial.Op == "dial" && addresses > 1:
		return false
	case errors.As(err, new(*ProxyError)):
		return true
	}
	return addresses == 1 && !IsTimeout(err) && !IsReset(err) && !errors.Is(err, io.EOF)
}
