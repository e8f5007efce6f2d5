package transport

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestRefusesOld(t *testing.T) {
	ca := privateCA(t)
	for _, tt := range []struct {
		floor   uint16
		refuses bool
	}{{tls.VersionTLS12, false}, {tls.VersionTLS13, true}} {
		s := tlsServer(t, &tls.Config{Certificates: []tls.Certificate{ca.issue(nil)}, MinVersion: tt.floor})
		got, err := RefusesOld(t.Context(), Options{Target: mustURL(t, s.URL)})
		errorIf(t, err != nil || got != tt.refuses,
			"floor %s: %v, %v, want %v", tls.VersionName(tt.floor), got, err, tt.refuses)
	}
}

// A port that speaks no TLS, or that nobody listens on, says nothing about a floor.
func TestRefusesOldWithoutTLS(t *testing.T) {
	l := listen(t)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conn.Close()
		}
	}()
	if got, err := RefusesOld(t.Context(), Options{Target: mustURL(t, "https://"+l.Addr().String())}); err == nil {
		t.Errorf("no TLS: got %v, want an error", got)
	}
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	closed.Close()
	if got, err := RefusesOld(t.Context(), Options{Target: mustURL(t, "https://"+closed.Addr().String())}); err == nil {
		t.Errorf("nothing listens: got %v, want an error", got)
	}
}

// TestConnectTimeoutOfTLS has a server that takes the connection and never speaks, so that the handshake hangs.
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
		rt, err := New(o)
		check(t, err)
		r := request(t, o.Target.String(), body("prompt"))
		_, err = rt.RoundTrip(r)
		var late *ConnectTimeoutError
		if !errors.As(err, &late) || late.Timeout != timeout || late.Hint() == "" {
			t.Errorf("%s: %v", name, err)
			continue
		}
		via := ""
		if o.Proxy != nil {
			via = " through the proxy " + o.Proxy.String()
		}
		if want := fmt.Sprintf("no connection to %s%s within 50ms", o.Target.Host, via); err.Error() != want {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
		if name == "http" { // net/http itself reads the reply to a CONNECT, for up to a minute
			closeIdle(rt)
		}
	}
	noMoreDials(t)
}

// noMoreDials waits until net/http has given up its dials: they end on their own, after the call that made them.
func noMoreDials(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; runtime.Gosched() {
		stacks := make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		if !bytes.Contains(stacks, []byte("net/http.(*Transport).dialConn")) {
			return
		}
		fatalIf(t, time.Now().After(end), "a dial goes on, want none:\n%s", stacks)
	}
}

// pipeDial dials an HTTP server over net.Pipe, inside a synctest bubble. The returned function ends the server.
func pipeDial(handle http.HandlerFunc) (dial func(ctx context.Context, network, address string) (net.Conn, error), end func()) {
	l := &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	s := &http.Server{Handler: handle, ErrorLog: quiet}
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }()
	return l.dial, func() { s.Close(); <-done }
}

type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *pipeListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case l.conns <- far:
		return near, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error { l.once.Do(func() { close(l.closed) }); return nil }

func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

// TestConnectTimeoutEndsWithTheConnection holds that the connect timeout bounds the connecting alone: an answer that is
// not streamed may think for minutes (DESIGN.md section 3), before its header and within its body. The time is fake.
func TestConnectTimeoutEndsWithTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial, end := pipeDial(func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(5 * time.Minute)
			_, _ = io.WriteString(w, "slow")
			w.(http.Flusher).Flush()
			time.Sleep(4 * time.Minute)
			_, _ = io.WriteString(w, " answer")
		})
		rt, err := New(Options{Target: mustURL(t, "http://node.test"), Dial: dial, ConnectTimeout: 15 * time.Second})
		check(t, err)
		r := request(t, "http://node.test", body("prompt"))
		started := time.Now()
		resp, err := rt.RoundTrip(r)
		check(t, err)
		text, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		errorIf(t, string(text) != "slow answer" || err != nil || time.Since(started) != 9*time.Minute,
			"got %q, %v after %s, want a slow answer after 9 min", text, err, time.Since(started))
		closeIdle(rt)
		end()
	})
}

// TestConnectTimeoutIsExact also holds that nothing goes on behind it: a synctest bubble with a goroutine left fails.
func TestConnectTimeoutIsExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		never := func(ctx context.Context, _, _ string) (net.Conn, error) { <-ctx.Done(); return nil, ctx.Err() }
		rt, err := New(Options{Target: mustURL(t, "http://node.test"), Dial: never, ConnectTimeout: 15 * time.Second})
		check(t, err)
		started := time.Now()
		for n := 1; n <= 2; n++ {
			r := request(t, "http://node.test", body("prompt"))
			_, err = rt.RoundTrip(r)
			var late *ConnectTimeoutError
			errorIf(t, !errors.As(err, &late) || time.Since(started) != time.Duration(n)*15*time.Second,
				"got %v after %s, want the timeout after %d times 15 s", err, time.Since(started), n)
		}
		// The caller's own end goes before it and is told from it.
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errors.New("the caller's"))
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://node.test", body("prompt"))
		check(t, err)
		if _, err = rt.RoundTrip(r); err == nil || err.Error() != "the caller's" {
			t.Errorf("got %v, want the caller's own", err)
		}
		closeIdle(rt)
	})
}

// writes is a connection that keeps what is written to it, write by write.
type writes struct {
	net.Conn
	all *[][]byte
}

func (w writes) Write(p []byte) (int, error) {
	*w.all = append(*w.all, append([]byte(nil), p...))
	return w.Conn.Write(p)
}

// TestHandshakeEnd has the last flight of a handshake go out with the request, and by itself where no request comes or the
// node's certificate does not hold.
func TestHandshakeEnd(t *testing.T) {
	ca, other := privateCA(t), privateCA(t)
	s := tlsServer(t, &tls.Config{Certificates: []tls.Certificate{ca.issue(nil)}})
	p256 := tlsServer(t, &tls.Config{Certificates: []tls.Certificate{ca.issue(nil)}, CurvePreferences: []tls.CurveID{tls.CurveP256}})
	old := tlsServer(t, &tls.Config{Certificates: []tls.Certificate{ca.issue(nil)}, MaxVersion: tls.VersionTLS12})
	warm := func(rt *Transport) func(context.Context) error { return rt.Warm }
	ready := func(rt *Transport) func(context.Context) error { return rt.Ready }
	for _, c := range []struct {
		name   string
		url    string
		tls    TLS
		warm   func(*Transport) func(context.Context) error
		writes int
		fails  bool
	}{
		{"a request", s.URL, TLS{CA: ca.file}, nil, 2, false},
		{"a request some time after", s.URL, TLS{CA: ca.file}, warm, 3, false},
		{"a request at once", s.URL, TLS{CA: ca.file}, ready, 2, false},
		// A change_cipher_spec and the second hello are writes of their own.
		{"a second hello", p256.URL, TLS{CA: ca.file}, nil, 4, false},
		{"TLS 1.2", old.URL, TLS{CA: ca.file, Min: "1.2"}, nil, 3, false},
		{"another authority", s.URL, TLS{CA: other.file}, nil, 2, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var all [][]byte
			target := mustURL(t, c.url)
			rt := build(t, Options{Target: target, TLS: c.tls, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
				conn, err := new(net.Dialer).DialContext(ctx, network, target.Host)
				return writes{conn, &all}, err
			}})
			if c.warm != nil {
				check(t, c.warm(rt)(t.Context()))
				errorIf(t, len(all) != c.writes-1, "%d writes before a request, want %d", len(all), c.writes-1)
			}
			resp, err := rt.RoundTrip(request(t, c.url, body("hi")))
			if err == nil {
				resp.Body.Close()
			}
			errorIf(t, (err != nil) != c.fails, "got %v, want an error: %t", err, c.fails)
			errorIf(t, len(all) != c.writes, "%d writes, want %d", len(all), c.writes)
		})
	}
}

// TestMaxIdle has a request after a pause. The time is fake.
func TestMaxIdle(t *testing.T) {
	for _, test := range []struct {
		most, pause time.Duration
		dials       int
	}{{0, time.Minute, 1}, {0, 2 * time.Minute, 2}, {time.Hour, 59 * time.Minute, 1}} {
		synctest.Test(t, func(t *testing.T) {
			dial, end := pipeDial(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })
			dials := 0
			o := Options{Target: mustURL(t, "http://node.test"), MaxIdle: test.most}
			o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
				dials++
				return dial(ctx, network, address)
			}
			rt, err := New(o)
			check(t, err)
			for range 2 {
				_, text, err := say(t, rt, o, []byte("prompt"))
				errorIf(t, text != "ok" || err != nil, "%q, %v, want ok", text, err)
				time.Sleep(test.pause)
			}
			errorIf(t, dials != test.dials, "most %v: %d connections after a pause of %v, want %d", test.most, dials, test.pause, test.dials)
			rt.CloseIdleConnections()
			end()
		})
	}
}
