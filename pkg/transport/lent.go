package transport

import (
	"context"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
)

// newLent builds the transport over connections that another process lends.
func newLent(o Options) (http.RoundTripper, error) {
	rt := &http.Transport{DisableCompression: true, MaxResponseHeaderBytes: MaxHeader, MaxIdleConnsPerHost: 64}
	rt.DialContext = linked(func(ctx context.Context, _, _ string) (net.Conn, error) { return o.Lend(ctx) })
	rt.DialTLSContext = rt.DialContext
	return &lentTransport{pool: rt, options: o}, nil
}

// lentTransport sends requests over lent connections.
type lentTransport struct {
	pool    *http.Transport
	options Options
}

func (t *lentTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	var under atomic.Pointer[link]
	r = r.WithContext(Traced(r.Context(), func(hooks *httptrace.ClientTrace) {
		gotConn, first := hooks.GotConn, hooks.GotFirstResponseByte
		hooks.GotConn = func(info httptrace.GotConnInfo) {
			if l := linkOf(info.Conn); l != nil {
				l.begin(r.ContentLength)
				under.Store(l)
				if info.Conn == net.Conn(l) {
					info.Conn = l.Conn
				}
			}
			if gotConn != nil {
				gotConn(info)
			}
		}
		hooks.GotFirstResponseByte = func() {
			if l := under.Load(); l != nil {
				l.answered()
			}
			if first != nil {
				first()
			}
		}
	}))
	forbidReplay(r)
	rt := http.RoundTripper(t.pool)
	if IsFresh(r.Context()) {
		once := t.pool.Clone()
		once.MaxIdleConnsPerHost = -1
		rt = once
	}
	resp, err := rt.RoundTrip(r)
	if err != nil {
		return nil, t.options.peer().distrust(under.Load().failure(err), false)
	}
	if l := under.Load(); l != nil && l.misses(resp.StatusCode) {
		resp.Body.Close()
		return nil, &EarlyError{}
	}
	if resp.StatusCode == http.StatusSwitchingProtocols {
		resp.Body.Close()
		resp.Body = http.NoBody
	}
	return bounded(resp, t.options.MaxBody), nil
}

// CloseIdleConnections ends the connections that wait for a next request.
func (t *lentTransport) CloseIdleConnections() { t.pool.CloseIdleConnections() }
