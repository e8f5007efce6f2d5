package transport

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ferry/pkg/guard"
)

// lent is the same way with its connections made by Connect.
func lent(o Options) Options {
	made := o
	o.Lend = func(ctx context.Context) (net.Conn, error) { return Connect(ctx, made) }
	return o
}

// TestConnect holds Connect to New: what one reaches the other does, and what one refuses the other does in the same
// words.
func TestConnect(t *testing.T) {
	needsSystemCA(t)
	ca, other := privateCA(t), privateCA(t)
	pair := ca.issue(nil)
	cert, key := ca.files(ca.issue(nil))
	serve := func(config *tls.Config) *url.URL {
		if config.Certificates == nil {
			config.Certificates = []tls.Certificate{pair}
		}
		return mustURL(t, tlsServer(t, config).URL)
	}
	target := serve(&tls.Config{})
	old := serve(&tls.Config{MaxVersion: tls.VersionTLS12})
	asks := serve(&tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.pool()})
	expired := serve(&tls.Config{Certificates: []tls.Certificate{ca.issue(func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = c.NotBefore.AddDate(-3, 0, 0), time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC)
	})}})
	via := func(proxy *url.URL, user *url.Userinfo) *url.URL {
		proxy.User = user
		return proxy
	}
	right, wrong := url.UserPassword("user", "hunter2"), url.UserPassword("user", "wrong")
	proxied := startProxy(t, &connectProxy{auth: basic}, nil)
	secure := startProxy(t, &connectProxy{}, &tls.Config{Certificates: []tls.Certificate{systemCA.issue(nil)}})
	socks := (&socksServer{to: target.Host, user: "user", password: "hunter2"}).start(t, "socks5h")
	trusts := TLS{CA: ca.file}
	tests := map[string]struct {
		Options
		fails bool
	}{
		"TLS 1.3":                        {Options{Target: target, TLS: trusts}, false},
		"TLS 1.2 under 1.3":              {Options{Target: old, TLS: trusts}, true},
		"TLS 1.2":                        {Options{Target: old, TLS: TLS{CA: ca.file, Min: "1.2"}}, false},
		"a client certificate":           {Options{Target: asks, TLS: TLS{CA: ca.file, Cert: cert, Key: key}}, false},
		"no client certificate":          {Options{Target: asks, TLS: trusts}, true},
		"an unknown authority":           {Options{Target: target, TLS: TLS{CA: other.file}}, true},
		"expired":                        {Options{Target: expired, TLS: trusts}, true},
		"a pin":                          {Options{Target: target, TLS: trusts, Pins: []guard.Pin{pinOf(t, pair)}}, false},
		"another pin":                    {Options{Target: target, TLS: trusts, Pins: []guard.Pin{{1}}}, true},
		"a proxy":                        {Options{Target: target, TLS: trusts, Proxy: via(proxied, right)}, false},
		"a proxy's password":             {Options{Target: target, TLS: trusts, Proxy: via(mustURL(t, proxied.String()), wrong)}, true},
		"no proxy there":                 {Options{Target: target, TLS: trusts, Proxy: mustURL(t, "http://"+unused(t))}, true},
		"a proxy over TLS":               {Options{Target: target, TLS: trusts, Proxy: secure}, false},
		"a pin through it":               {Options{Target: target, TLS: trusts, Proxy: secure, Pins: []guard.Pin{{1}}}, true},
		"a node it does not reach":       {Options{Target: mustURL(t, "https://"+unused(t)), TLS: trusts, Proxy: secure}, true},
		"SOCKS":                          {Options{Target: target, TLS: trusts, Proxy: via(socks, right)}, false},
		"SOCKS' password":                {Options{Target: target, TLS: trusts, Proxy: via(mustURL(t, socks.String()), wrong)}, true},
		"nobody there":                   {Options{Target: mustURL(t, "https://"+unused(t)), TLS: trusts}, true},
		"plain http to a public address": {Options{Target: mustURL(t, "http://192.0.2.1:1")}, true},
		"no TLS there":                   {Options{Target: mustURL(t, "https://"+plainHost(t)), TLS: trusts}, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			test.ConnectTimeout = time.Minute
			_, want, wanted := post(t, test.Options)
			_, got, err := post(t, lent(test.Options))
			errorIf(t, (wanted != nil) != test.fails || got != want || said(err) != said(wanted),
				"%q, %v\nNew gives %q, %v", got, err, want, wanted)
		})
	}
}

func said(err error) string {
	var op *net.OpError
	var ofProxy *ProxyError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &ofProxy):
		return err.Error()
	case errors.As(err, &op): // with the port that a connection had
		return op.Op + " " + root(op).Error()
	}
	return err.Error()
}

func root(err error) error {
	for errors.Unwrap(err) != nil {
		err = errors.Unwrap(err)
	}
	return err
}

// plainHost listens and answers a handshake as an HTTP server without TLS does.
func plainHost(t *testing.T) string {
	return newSink(t, func(conn net.Conn) io.Reader {
		_, _ = conn.Read(make([]byte, 1024))
		_, _ = conn.Write([]byte("HTTP/1.0 400 Bad Request\r\n\r\n"))
		return nil
	}).address
}

func TestConnectTimeout(t *testing.T) {
	silent := newSink(t, func(conn net.Conn) io.Reader { return conn })
	o := Options{Target: mustURL(t, "https://"+silent.address), ConnectTimeout: 30 * time.Millisecond}
	for name, o := range map[string]Options{
		"of TLS":     o,
		"of a proxy": {Target: mustURL(t, "https://node.test"), Proxy: mustURL(t, "http://"+silent.address), ConnectTimeout: o.ConnectTimeout},
	} {
		conn, err := Connect(t.Context(), o)
		var late *ConnectTimeoutError
		errorIf(t, !errors.As(err, &late) || conn != nil || late.Host != o.Target.Host, "%s: %v", name, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if conn, err := Connect(ctx, o); !errors.Is(err, context.Canceled) || conn != nil {
		t.Errorf("cancelled: %v", err)
	}
}

// A request over plain http through a proxy is written otherwise: Connect has nothing to offer there.
func TestConnectPlainThroughAProxy(t *testing.T) {
	o := Options{Target: mustURL(t, "http://127.0.0.1:1"), Proxy: mustURL(t, "http://127.0.0.1:2")}
	var refused *ProxyError
	if _, err := Connect(t.Context(), o); !errors.As(err, &refused) {
		t.Error(err)
	}
}

func TestConnectTellsItsSteps(t *testing.T) {
	ca := privateCA(t)
	target := tlsServer(t, &tls.Config{Certificates: []tls.Certificate{ca.issue(nil)}})
	var steps []string
	step := func(name string) { steps = append(steps, name) }
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		ConnectStart:      func(string, string) { step("connect") },
		ConnectDone:       func(string, string, error) { step("connected") },
		TLSHandshakeStart: func() { step("TLS") },
		TLSHandshakeDone:  func(tls.ConnectionState, error) { step("done") },
	})
	conn, err := Connect(ctx, Options{Target: mustURL(t, target.URL), TLS: TLS{CA: ca.file}})
	check(t, err)
	conn.Close()
	if want := []string{"connect", "connected", "TLS", "done"}; !slices.Equal(steps, want) {
		t.Errorf("%v, want %v", steps, want)
	}
}

// What TLS reads into is overwritten before it is read into again.
func TestForgetful(t *testing.T) {
	client, server := net.Pipe()
	defer client.Close()
	defer server.Close()
	go func() { _, _ = server.Write([]byte("new")) }()
	buffer := []byte("an old answer")
	if n, err := (forgetful{client}).Read(buffer); n != 3 || err != nil || string(buffer) != "new\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" {
		t.Errorf("%d %v %q", n, err, buffer)
	}
}

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
		t.Errorf("no TLS: got %v without an error", got)
	}
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	closed.Close()
	if got, err := RefusesOld(t.Context(), Options{Target: mustURL(t, "https://"+closed.Addr().String())}); err == nil {
		t.Errorf("nobody there: got %v without an error", got)
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
		fatalIf(t, time.Now().After(end), "a dial goes on:\n%s", stacks)
	}
}

// pipeDial dials an HTTP server over net.Pipe, inside a synctest bubble. The returned function ends the server.
func pipeDial(handle http.HandlerFunc) (dial dialFunc, end func()) {
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
			"%q, %v after %s", text, err, time.Since(started))
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
				"%v after %s", err, time.Since(started))
		}
		// The caller's own end goes before it and is told from it.
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errors.New("the caller's"))
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://node.test", body("prompt"))
		check(t, err)
		if _, err = rt.RoundTrip(r); err == nil || err.Error() != "the caller's" {
			t.Errorf("%v", err)
		}
		closeIdle(rt)
	})
}
