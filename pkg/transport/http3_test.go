package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"ferry/pkg/guard"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// quicServer serves HTTP/3 on a loopback port on which nothing listens over TCP, and counts its connections.
type quicServer struct {
	*http3.Server
	address string
	conns   atomic.Int64
}

func newQUICServer(t *testing.T, config *tls.Config, handle http.HandlerFunc) *quicServer {
	t.Helper()
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	check(t, err)
	s := &quicServer{address: socket.LocalAddr().String()}
	seen := config.Clone()
	seen.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		s.conns.Add(1)
		if config.GetConfigForClient != nil {
			return config.GetConfigForClient(hello)
		}
		return nil, nil
	}
	s.Server = &http3.Server{Handler: handle, TLSConfig: http3.ConfigureTLSConfig(seen)}
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(socket) }() // returns when the socket is closed
	t.Cleanup(func() { s.Close(); socket.Close(); <-done })
	return s
}

// quicNode serves HTTP/3 with a certificate of a new authority, and returns options for it.
func quicNode(t *testing.T, handle http.HandlerFunc) (*quicServer, Options) {
	t.Helper()
	ca := privateCA(t)
	s := newQUICServer(t, ca.config(), handle)
	o := ca.node(t, s.address)
	o.HTTP3, o.ConnectTimeout = OnlyHTTP3, 10*time.Second
	return s, o
}

func echo(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }

// TestHTTP3 checks what HTTP/3 has in common with HTTP/1.1.
func TestHTTP3(t *testing.T) {
	tests := map[string]struct {
		answer http.HandlerFunc
		status int // 0: no response at all, only err
		text   string
		err    error // error of the body
	}{
		"/whole": {echo, 200, "the prompt", nil},
		"/reset": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 0, "", syscall.ECONNRESET},
		"/short": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "9")
			_, _ = io.WriteString(w, "half")
		}, 200, "half", io.ErrUnexpectedEOF},
		"/header": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Big", strings.Repeat("x", 2*MaxHeader))
		}, 0, "", nil},
		"/redirect": {http.RedirectHandler("/whole", http.StatusTemporaryRedirect).ServeHTTP, 307, "", nil},
		"/hints": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(103)
			_, _ = io.WriteString(w, "late")
		}, 200, "late", nil},
	}
	s, o := quicNode(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/whole" {
			_, _ = io.Copy(io.Discard, r.Body)
		}
		tests[r.URL.Path].answer(w, r)
	})
	for path, want := range tests {
		o.Target = mustURL(t, "https://"+s.address+path)
		resp, text, err := post(t, o)
		if want.status == 0 {
			errorIf(t, resp != nil || err == nil || want.err != nil && !errors.Is(err, want.err),
				"%s: %v, %v; want no answer and %v", path, resp, err, want.err)
			continue
		}
		errorIf(t, resp == nil || resp.StatusCode != want.status || text != want.text || !errors.Is(err, want.err),
			"%s: %v, %q, %v; want %d, %q, %v", path, resp, text, err, want.status, want.text, want.err)
	}
}

// TestHTTP3Cut uses a server that resets the stream in the middle of a response.
func TestHTTP3Cut(t *testing.T) {
	read := make(chan struct{})
	_, o := quicNode(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "half")
		w.(http.Flusher).Flush()
		<-read
		panic(http.ErrAbortHandler)
	})
	resp, err := build(t, o).RoundTrip(request(t, o.Target.String(), body("prompt")))
	check(t, err)
	defer resp.Body.Close()
	half := make([]byte, 4)
	_, err = io.ReadFull(resp.Body, half)
	close(read)
	rest, cut := io.ReadAll(resp.Body)
	errorIf(t, string(half) != "half" || err != nil || len(rest) > 0 || !errors.Is(cut, syscall.ECONNRESET),
		"%q, %v, then %q, %v; want half, then a reset", half, err, rest, cut)
}

// TestHTTP3Kept checks that a connection is reused, unless the server has closed it.
func TestHTTP3Kept(t *testing.T) {
	s, o := quicNode(t, echo)
	rt := build(t, o)
	for range 3 {
		expectOn(t, rt, o, []byte("hello"), "hello")
	}
	get := request(t, o.Target.String(), nil)
	get.Method = http.MethodGet
	resp, _, err := roundTrip(rt, get)
	check(t, err)
	errorIf(t, resp.StatusCode != 200 || resp.TLS == nil, "a GET: status %d, TLS %v; want 200 and some", resp.StatusCode, resp.TLS)
	errorIf(t, s.conns.Load() != 1, "%d connections for four requests, want 1", s.conns.Load())
}

// TestHTTP3Phase checks that the trace shows when a request, with or without a body, was completely written.
func TestHTTP3Phase(t *testing.T) {
	release := make(chan struct{})
	_, o := quicNode(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	rt := build(t, o)
	for method, prompt := range map[string]io.Reader{http.MethodGet: nil, http.MethodPost: body("the prompt")} {
		trace := new(Trace)
		ctx, cancel := context.WithTimeout(WithTrace(t.Context(), trace), 10*time.Second)
		r := request(t, o.Target.String(), prompt).WithContext(ctx)
		r.Method = method
		ended := awaitPhase(rt, r, Waiting)
		equalPhase(t, method, trace, Waiting)
		errorIf(t, trace.Wrote.Load() == nil, "%s: no time at which the request was written", method)
		release <- struct{}{}
		check(t, <-ended)
		equalPhase(t, method+", ended", trace, Receiving)
		cancel()
	}
}

// TestHTTP3Trust checks that certificates are verified over QUIC as over TCP.
func TestHTTP3Trust(t *testing.T) {
	ca := privateCA(t)
	plain, asks := newQUICServer(t, ca.config(), echo), newQUICServer(t, ca.asks(), echo)
	cert, key := ca.files(ca.issue(nil))
	for _, test := range map[string]struct {
		server *quicServer
		tls    TLS
		pins   []guard.Pin
		reason string // of the error
		advice string
	}{
		"an unknown authority":  {plain, TLS{}, nil, "its certificate is signed by an unknown authority", "tls: {ca: FILE}"},
		"another pin":           {plain, TLS{CA: ca.file}, []guard.Pin{{1}}, "its certificate has none of the pinned keys", "ferry config pin"},
		"no client certificate": {asks, TLS{CA: ca.file}, nil, "asks for a client certificate", "tls.cert"},
		"a client certificate":  {asks, TLS{CA: ca.file, Cert: cert, Key: key}, nil, "", ""},
	} {
		for _, mode := range []HTTP3{OnlyHTTP3, TryHTTP3} {
			_, _, err := post(t, Options{
				Target: mustURL(t, "https://"+test.server.address), TLS: test.tls, Pins: test.pins, HTTP3: mode,
				ConnectTimeout: 10 * time.Second,
			})
			if test.reason == "" {
				check(t, err)
			} else {
				refused(t, err, test.server.address, test.reason, test.advice)
			}
		}
	}
}

// TestHTTP3Blocked uses a node that answers only over TCP: nothing listens on UDP, packets are dropped, or invalid
// packets come back. The response must arrive over TCP, and UDP must not be tried again.
func TestHTTP3Blocked(t *testing.T) {
	ca := privateCA(t)
	target := tlsServer(t, ca.config())
	at := netip.MustParseAddrPort(strings.TrimPrefix(target.URL, "https://"))
	for name, answer := range map[string]func(net.PacketConn){
		"refused": nil,
		"dropped": func(socket net.PacketConn) { _, _, _ = socket.ReadFrom(make([]byte, 2000)) },
		"garbage": func(socket net.PacketConn) {
			_, from, err := socket.ReadFrom(make([]byte, 2000))
			if err == nil {
				_, _ = socket.WriteTo([]byte("no QUIC at all"), from)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			var packets atomic.Int64
			if answer != nil {
				socket, err := net.ListenPacket("udp", at.String())
				check(t, err)
				done := make(chan struct{})
				go func() {
					defer close(done)
					answer(socket)
					packets.Add(1)
					for {
						if _, _, err := socket.ReadFrom(make([]byte, 2000)); err != nil {
							return
						}
					}
				}()
				defer func() { socket.Close(); <-done }()
			}
			o := ca.node(t, at.String())
			o.HTTP3, o.ConnectTimeout = TryHTTP3, 10*time.Second
			rt := build(t, o)
			for range 2 {
				expectOn(t, rt, o, []byte("prompt"), "prompt")
			}
			errorIf(t, !rt.noUDP, "UDP may be tried again, want it remembered that it is blocked")
			errorIf(t, answer != nil && packets.Load() != 1, "got %d packets over UDP, want 1", packets.Load())
			o.HTTP3, o.ConnectTimeout = OnlyHTTP3, 300*time.Millisecond
			_, _, err := post(t, o)
			errorIf(t, err == nil || !Unsent(err), "HTTP/3 alone: %v, want an error of the time before a request", err)
		})
	}
}

// TestHTTP3LargePrompt checks that a large prompt uses TCP unless only HTTP/3 is allowed.
func TestHTTP3LargePrompt(t *testing.T) {
	ca := privateCA(t)
	o := ca.node(t, tlsServer(t, ca.config()).Listener.Addr().String())
	o.HTTP3, o.ConnectTimeout = TryHTTP3, 10*time.Second
	rt := build(t, o)
	expectOn(t, rt, o, make([]byte, maxHTTP3Body+1), "TLS 1.3")
	errorIf(t, rt.noUDP, "HTTP/3 was tried for a large prompt, want TCP")
}

// TestHTTP3Leaving uses a server that shuts down a kept connection: the next request must fail with nothing sent or
// with a reset.
func TestHTTP3Leaving(t *testing.T) {
	for _, leave := range []func(*quicServer){
		func(s *quicServer) { s.Close() },
		func(s *quicServer) { _ = s.Shutdown(t.Context()) },
	} {
		s, o := quicNode(t, echo)
		o.ConnectTimeout = time.Second
		rt := build(t, o)
		expectOn(t, rt, o, []byte("hello"), "hello")
		leave(s)
		_, _, err := postOn(t, rt, o, []byte("again"))
		errorIf(t, err == nil || !Unsent(err) && !errors.Is(err, syscall.ECONNRESET),
			"%v, want an error of a request that was not sent, or of a connection that was closed", err)
	}
}

// TestHTTP3Silence checks that a connection without packets times out, and that the error names HTTP/3.
func TestHTTP3Silence(t *testing.T) {
	err := quicError(&quic.IdleTimeoutError{})
	errorIf(t, !IsTimeout(err) || err.Error() != "no packet arrived over HTTP/3 for 30s", "got %v, want that no packet came for 30s", err)
}
