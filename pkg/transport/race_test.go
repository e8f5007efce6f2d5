package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"ferry/pkg/guard"
)

// raced is a fake connection.
type raced struct{ closed *atomic.Int64 }

func (r raced) roundTrip(*http.Request, func(clientConn)) (*http.Response, error) { return nil, nil }
func (r raced) reusable() bool                                                    { return true }
func (r raced) Close() error                                                      { r.closed.Add(1); return nil }
func (r raced) info() *connInfo                                                   { return new(connInfo) }

// plan is what a handshake does: how long its steps take (0 means that the packet is lost forever), and its error.
type plan struct {
	tcp, tls time.Duration
	err      error
}

func (p plan) follow(ctx context.Context, target *url.URL, step func(time.Duration)) error {
	if !pass(ctx, p.tcp) {
		return ctx.Err()
	}
	if p.err != nil && p.tls == 0 {
		return p.err
	}
	step(Options{Target: target}.lateTLS(netip.AddrPort{}, p.tcp))
	if !pass(ctx, p.tls) {
		return ctx.Err()
	}
	return p.err
}

// TestRace checks when the next handshake begins, in virtual time.
func TestRace(t *testing.T) {
	const ms = time.Millisecond
	trip := func(d time.Duration) plan { return plan{tcp: d, tls: d} }
	lost := plan{}
	distrust := &guard.TrustError{Host: "node.test", Reason: "its certificate expired"}
	for name, test := range map[string]struct {
		plans     []plan
		single    bool // no further handshake to the same address
		addresses int
		begun     int
		took      time.Duration
		err       error
	}{
		"300 ms a round trip, nothing lost": {plans: []plan{trip(300 * ms)}, begun: 1, took: 600 * ms},
		"20 ms a round trip, nothing lost":  {plans: []plan{trip(20 * ms)}, begun: 1, took: 40 * ms},
		"the first SYN is lost":             {plans: []plan{lost, trip(200 * ms)}, begun: 2, took: 750 * ms},
		"two SYNs are lost":                 {plans: []plan{lost, lost, trip(200 * ms)}, begun: 3, took: 1100 * ms},
		"three SYNs are lost":               {plans: []plan{lost, lost, lost, trip(ms)}, begun: 3, took: 15 * time.Second, err: context.DeadlineExceeded},
		"TLS is late": {
			plans: []plan{{tcp: 200 * ms, tls: 1200 * ms}, trip(200 * ms)}, begun: 2, took: 900 * ms,
		},
		"the first is ready after all": {
			plans: []plan{{tcp: 400 * ms, tls: 100 * ms}, trip(200 * ms)}, begun: 2, took: 500 * ms,
		},
		"single, and late":      {plans: []plan{{tcp: 1200 * ms, tls: 200 * ms}}, single: true, begun: 1, took: 1400 * ms},
		"a dead family, single": {plans: []plan{lost, trip(20 * ms)}, single: true, addresses: 2, begun: 2, took: 390 * ms},
		"a refused address": {
			plans: []plan{{tcp: 20 * ms, err: dialError(syscall.ECONNREFUSED)}, trip(20 * ms)}, addresses: 2, begun: 2, took: 60 * ms,
		},
		"refused": {plans: []plan{{tcp: 20 * ms, err: dialError(syscall.ECONNREFUSED)}}, begun: 1, took: 20 * ms, err: syscall.ECONNREFUSED},
		"a bad certificate": {
			plans: []plan{{tcp: 400 * ms, tls: ms, err: distrust}, lost}, begun: 2, took: 401 * ms, err: distrust,
		},
		"reset, the other goes on": {
			plans: []plan{{tcp: 400 * ms, tls: ms, err: syscall.ECONNRESET}, trip(100 * ms)}, begun: 2, took: 550 * ms,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var begun, made, closed atomic.Int64
				do := func(ctx context.Context, _ netip.AddrPort, step func(time.Duration)) (clientConn, error) {
					if err := test.plans[begun.Add(1)-1].follow(ctx, mustURL(t, "https://node.test"), step); err != nil {
						return nil, err
					}
					made.Add(1)
					return raced{&closed}, nil
				}
				ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
				defer cancel()
				started := time.Now()
				conn, err := Options{Race: !test.single}.race(ctx, make([]netip.AddrPort, max(1, test.addresses)), do)
				if took := time.Since(started); took != test.took || int(begun.Load()) != test.begun || !errors.Is(err, test.err) {
					t.Errorf("%d handshakes, %s, %v; want %d, %s, %v", begun.Load(), took, err, test.begun, test.took, test.err)
				}
				if err == nil {
					conn.Close()
				}
				synctest.Wait()
				errorIf(t, made.Load() != closed.Load(),
					"%d connections were made and %d closed, want all but one closed", made.Load(), closed.Load())
			})
		})
	}
}

// pass waits for d, forever if d is 0, and returns false if the context ends first.
func pass(ctx context.Context, d time.Duration) bool {
	var over <-chan time.Time
	if d > 0 {
		over = time.After(d)
	}
	select {
	case <-over:
		return true
	case <-ctx.Done():
		return false
	}
}

func dialError(err error) error { return &net.OpError{Op: "dial", Net: "tcp", Err: err} }

// TestResolve uses a name that cannot be resolved and a given address.
func TestResolve(t *testing.T) {
	o, s := serve(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Host) })
	port := netip.MustParseAddrPort(s.Listener.Addr().String()).Port()
	o.Target = mustURL(t, fmt.Sprintf("http://node.invalid:%d", port))
	o.Resolve = []netip.Addr{netip.MustParseAddr("127.0.0.1")}
	_, text, err := post(t, o)
	errorIf(t, text != o.Target.Host || err != nil, "%q, %v, want %s", text, err, o.Target.Host)
}
