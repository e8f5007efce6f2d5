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

// Handshakes are raced: a step that is late has lost a packet, most likely, and TCP waits a second or more before it sends
// that again. A second complete handshake beside the first is quicker. The times are set so that a path without loss and
// of up to 300 ms a round trip has one connection.
const (
	mostRaced = 3                      // handshakes at once
	lateFirst = 350 * time.Millisecond // the first packet's answer
	lateProxy = time.Second            // a proxy's answer, for which it connects to the node
	minTLS    = 300 * time.Millisecond // an answer of TLS is late at 1.5 round trips, within these bounds
	maxTLS    = 450 * time.Millisecond
)

// lateProxy is when the answer of a proxy is late. The path behind it is not known.
func (o Options) lateProxy(netip.AddrPort) time.Duration {
	if guard.IsLoopback(o.Target.Hostname()) {
		return 0
	}
	return lateProxy
}

// lateTLS is when an answer in the TLS handshake is late, by the time that the step before took.
func (o Options) lateTLS(at netip.AddrPort, before time.Duration) time.Duration {
	if o.Proxy == nil && at.Addr().IsLoopback() || guard.IsLoopback(o.Target.Hostname()) {
		return 0
	}
	return min(max(before*3/2, minTLS), maxTLS)
}

// ready is a connection on which a request can be written at once. It carries one request at a time.
type ready interface {
	// roundTrip sends a request and reads the answer's header. When the answer has been read and the connection can carry
	// another request, keep gets it; where keep is nil, it is closed. The error of a request of which no byte left says
	// so (Unsent).
	roundTrip(r *http.Request, keep func(ready)) (*http.Response, error)
	// unused reports whether the connection, which was kept, is open, and nothing came on it that belongs to no request.
	unused() bool
	Close() error
	about() *facts
}

// handshake makes one connection by an address. It calls step at the start of each step but the first with the time after
// which that is late, 0 for never.
type handshake func(ctx context.Context, at netip.AddrPort, step func(late time.Duration)) (ready, error)

// runner is a race under way.
type runner struct {
	do        handshake
	addresses []netip.AddrPort
	most      int // handshakes in all
	started   int
	running   int
	steps     chan step
	ends      chan end
}

// step is the beginning of a step of a handshake. The handshakes are counted from 1.
type step struct {
	handshake int
	late      time.Duration
}

// end is what a handshake ended with.
type end struct {
	conn ready
	err  error
}

// to hands the end of a handshake to the race. Once the race is over, the connection is closed.
func (e end) to(ctx context.Context, ends chan<- end) {
	select {
	case ends <- e:
	case <-ctx.Done():
		if e.err == nil {
			e.conn.Close()
		}
	}
}

// race makes connections to the node side by side until one is ready, and closes the others. The next one starts when
// the newest is late or has failed: by the next address, and with Race by the same addresses again, three at once at most.
func (o Options) race(ctx context.Context, addresses []netip.AddrPort, do handshake) (ready, error) {
	if len(addresses) == 1 && (!o.Race || addresses[0].Addr().IsLoopback()) {
		TraceOf(ctx).Handshakes.Add(1)
		return do(ctx, addresses[0], func(time.Duration) {})
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r := runner{do: do, addresses: addresses, most: len(addresses), steps: make(chan step), ends: make(chan end)}
	if o.Race {
		r.most = max(r.most, mostRaced)
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
				continue // it was late already
			}
			if late.Stop(); at.late > 0 {
				late.Reset(at.late)
			}
		case <-late.C:
			if r.started < r.most && r.running < mostRaced {
				r.start(ctx)
			}
		case e := <-r.ends:
			r.running--
			if e.err == nil {
				return e.conn, nil
			}
			if first == nil {
				first = e.err
			}
			switch {
			case final(e.err, len(addresses)):
				return nil, e.err
			case r.started < len(addresses):
				r.start(ctx)
			case r.running == 0:
				return nil, first
			}
		}
	}
}

// start begins the next handshake, whose first step is the first packet. Loopback loses none.
func (r *runner) start(ctx context.Context) {
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
		end{conn, err}.to(ctx, r.ends)
	}()
}

// final reports whether no other handshake would end otherwise.
func final(err error, addresses int) bool {
	var trust *guard.TrustError
	var plain *guard.PlainHTTPError
	var proxy *ProxyError
	var dial *net.OpError
	switch {
	case errors.As(err, &trust), errors.As(err, &plain):
		return true
	case errors.As(err, &dial) && dial.Op == "dial" && addresses > 1:
		return false
	case errors.As(err, &proxy):
		return true
	}
	return addresses == 1 && !IsTimeout(err) && !IsReset(err) && !errors.Is(err, io.EOF)
}
