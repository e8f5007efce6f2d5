package transport

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestRefusesTLS12(t *testing.T) {
	ca := privateCA(t)
	for _, tt := range []struct {
		floor   uint16
		refuses bool
	}{{tls.VersionTLS12, false}, {tls.VersionTLS13, true}} {
		config := ca.config()
		config.MinVersion = tt.floor
		s := tlsServer(t, config)
		target := mustURL(t, s.URL)
		byAddress := Options{Target: mustURL(t, "https://node.invalid:"+target.Port()), Resolve: []netip.Addr{netip.MustParseAddr(target.Hostname())}}
		for _, o := range []Options{{Target: target}, byAddress} {
			got, err := RefusesTLS12(t.Context(), o)
			errorIf(t, err != nil || got != tt.refuses,
				"%s, floor %s: %v, %v, want %v", o.Target, tls.VersionName(tt.floor), got, err, tt.refuses)
		}
	}
	for name, address := range map[string]string{"no TLS": scripted(t), "nothing listens": closedAddress(t)} {
		got, err := RefusesTLS12(t.Context(), Options{Target: mustURL(t, "https://"+address)})
		errorIf(t, err == nil, "%s: got %v, want an error: it says nothing about a floor", name, got)
	}
}

// TestConnectTimeoutOfTLS uses a server that accepts the connection and sends nothing, so that the handshake hangs.
func TestConnectTimeoutOfTLS(t *testing.T) {
	l := listen(t)
	const timeout = 50 * time.Millisecond
	for name, o := range map[string]Options{
		"node":   {Target: mustURL(t, "https://"+l.Addr().String())},
		"proxy":  {Target: mustURL(t, "https://node.test"), Proxy: mustURL(t, "https://"+l.Addr().String())},
		"socks5": {Target: mustURL(t, "https://node.test"), Proxy: mustURL(t, "socks5h://"+l.Addr().String())},
		"http":   {Target: mustURL(t, "https://node.test"), Proxy: mustURL(t, "http://"+l.Addr().String())},
	} {
		o.ConnectTimeout = timeout
		_, err := build(t, o).RoundTrip(request(t, o.Target.String(), body("prompt")))
		late, ok := errors.AsType[*ConnectTimeoutError](err)
		fatalIf(t, !ok || late.Timeout != timeout || late.Hint() == "", "%s: got %v, want a ConnectTimeoutError", name, err)
		via := ""
		if o.Proxy != nil {
			via = " through the proxy " + o.Proxy.String()
		}
		want := fmt.Sprintf("no connection to %s%s within 50ms", o.Target.Host, via)
		errorIf(t, err.Error() != want, "%s: %v, want %s", name, err, want)
	}
}

// TestConnectTimeoutEndsWithTheConnection checks that the connect timeout limits only connecting: a response that is
// not streamed may take minutes (DESIGN.md section 3), before its header section and within its body. The clock is
// fake.
func TestConnectTimeoutEndsWithTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far, _ := inMemory()
		go func() {
			defer far.Close()
			part("")(far, bufio.NewReader(far))
			time.Sleep(5 * time.Minute)
			_, _ = io.WriteString(far, chunked("4\r\nslow\r\n"))
			time.Sleep(4 * time.Minute)
			_, _ = io.WriteString(far, "7\r\n answer\r\n0\r\n\r\n")
		}()
		o := Options{Target: mustURL(t, "http://node.test"), Dial: dialTo(near), ConnectTimeout: 15 * time.Second}
		started := time.Now()
		_, text, err := postOn(t, build(t, o), o, []byte("prompt"))
		errorIf(t, text != "slow answer" || err != nil || time.Since(started) != 9*time.Minute,
			"got %q, %v after %s, want a slow answer after 9 min", text, err, time.Since(started))
	})
}

// TestConnectTimeoutIsExact also checks that no goroutine remains: otherwise the synctest bubble fails.
func TestConnectTimeoutIsExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		never := func(ctx context.Context, _, _ string) (net.Conn, error) { <-ctx.Done(); return nil, ctx.Err() }
		rt := build(t, Options{Target: mustURL(t, "http://node.test"), Dial: never, ConnectTimeout: 15 * time.Second})
		started := time.Now()
		for n := 1; n <= 2; n++ {
			_, err := rt.RoundTrip(request(t, "http://node.test", body("prompt")))
			var late *ConnectTimeoutError
			errorIf(t, !errors.As(err, &late) || time.Since(started) != time.Duration(n)*15*time.Second,
				"got %v after %s, want the timeout after %d times 15 s", err, time.Since(started), n)
		}
		// The caller's timeout expires first, and the error is the caller's.
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errors.New("the caller's"))
		defer cancel()
		_, err := rt.RoundTrip(request(t, "http://node.test", body("prompt")).WithContext(ctx))
		errorIf(t, err == nil || err.Error() != "the caller's", "got %v, want the caller's own", err)
	})
}

// TestHandshakeEnd checks that the last flight of a handshake is sent together with the request, or alone if no
// request follows or the node's certificate is rejected.
func TestHandshakeEnd(t *testing.T) {
	ca, other := privateCA(t), privateCA(t)
	s := tlsServer(t, ca.config())
	one := ca.config()
	one.CurvePreferences = []tls.CurveID{tls.CurveP256}
	p256, old := tlsServer(t, one), tlsServer(t, upTo(tls.VersionTLS12, ca.config()))
	for _, c := range []struct {
		name   string
		url    string
		tls    TLS
		warm   func(*Transport, context.Context) error
		writes int64
		fails  bool
	}{
		{"a request", s.URL, TLS{CA: ca.file}, nil, 2, false},
		{"a request some time after", s.URL, TLS{CA: ca.file}, (*Transport).Warm, 3, false},
		{"a request at once", s.URL, TLS{CA: ca.file}, (*Transport).Ready, 2, false},
		// A change_cipher_spec and the second hello are separate writes.
		{"a second hello", p256.URL, TLS{CA: ca.file}, nil, 4, false},
		{"TLS 1.2", old.URL, TLS{CA: ca.file, Min: "1.2"}, nil, 3, false},
		{"another authority", s.URL, TLS{CA: other.file}, nil, 2, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var writes, bytes atomic.Int64
			target := mustURL(t, c.url)
			rt := build(t, Options{Target: target, TLS: c.tls, Dial: countedDial(target.Host, &writes, &bytes)})
			if c.warm != nil {
				check(t, c.warm(rt, t.Context()))
				errorIf(t, writes.Load() != c.writes-1, "%d writes before a request, want %d", writes.Load(), c.writes-1)
			}
			_, _, err := roundTrip(rt, request(t, c.url, body("hi")))
			errorIf(t, (err != nil) != c.fails, "got %v, want an error: %t", err, c.fails)
			errorIf(t, writes.Load() != c.writes, "%d writes, want %d", writes.Load(), c.writes)
		})
	}
}

// TestMaxIdle sends a request after a pause. The clock is fake.
func TestMaxIdle(t *testing.T) {
	for _, test := range []struct {
		most, pause time.Duration
		dials       int64
	}{{0, time.Minute, 1}, {0, 2 * time.Minute, 2}, {time.Hour, 59 * time.Minute, 1}} {
		synctest.Test(t, func(t *testing.T) {
			l := newLink(t, inMemory, false)
			l.options.MaxIdle = test.most
			tr := l.start(t, false, func(conn net.Conn) { behaviour{pieces: []string{hello}}.serve(conn, make(chan bool, 2)) })
			for range 2 {
				_, text, err := postOn(t, tr, Options{Target: mustURL(t, l.target())}, []byte("prompt"))
				errorIf(t, text != "hello" || err != nil, "%q, %v, want hello", text, err)
				time.Sleep(test.pause)
			}
			errorIf(t, tr.dials.Load() != test.dials,
				"most %v: %d connections after a pause of %v, want %d", test.most, tr.dials.Load(), test.pause, test.dials)
			tr.end()
		})
	}
}
