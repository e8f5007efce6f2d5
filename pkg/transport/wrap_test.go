package transport

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// TestNothingIsSentTwice has a server that answers one request on a connection and hangs up on the second: net/http
// replays that on its own where a request has GetBody and an Idempotency-Key, outside of every count (FACTS.md section
// 1). A bare http.Transport shows that the server is one that makes it do so.
func TestNothingIsSentTwice(t *testing.T) {
	for _, key := range []string{"Idempotency-Key", "X-Idempotency-Key"} {
		t.Run(key, func(t *testing.T) {
			standard := func(*url.URL) http.RoundTripper { return &http.Transport{DisableCompression: true} }
			if n, keys, err := hungUp(t, standard, key); n != 3 || keys != 3 {
				t.Errorf("net/http alone sent %d requests (%v), want 3: this server tests nothing", n, err)
			}
			ours := func(target *url.URL) http.RoundTripper { return build(t, Options{Target: target}) }
			if n, keys, err := hungUp(t, ours, key); n != 2 || keys != 2 || err == nil {
				t.Errorf("%d requests for two calls, %d with the key, the second ended with %v; want 2, 2 and an error", n, keys, err)
			}
		})
	}
}

// hungUp makes two calls to a server that hangs up on the second request of each connection and gives how many it got,
// how many with the key, and what the second call ended with.
func hungUp(t *testing.T, build func(*url.URL) http.RoundTripper, key string) (requests, keys int64, err error) {
	t.Helper()
	var got, keyed atomic.Int64
	s := newSink(t, func(conn net.Conn) io.Reader {
		in := bufio.NewReader(conn)
		for n := 1; n <= 2; n++ {
			r, err := http.ReadRequest(in)
			if err != nil {
				return nil
			}
			_, _ = io.Copy(io.Discard, r.Body)
			got.Add(1)
			keyed.Add(int64(len(r.Header.Values(key))))
			if n == 1 {
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
			}
		}
		return nil
	})
	rt := build(mustURL(t, "http://"+s.address))
	defer rt.(interface{ CloseIdleConnections() }).CloseIdleConnections()
	for range 2 {
		r, bad := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.address, strings.NewReader("prompt"))
		if bad != nil {
			t.Fatal(bad)
		}
		r.Header.Set(key, "1")
		var resp *http.Response
		if resp, err = rt.RoundTrip(r); err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
		// A RoundTripper may not change its request (net/http's documentation).
		if r.GetBody == nil || r.Header.Get(key) == "" {
			t.Error("the caller's request was changed")
		}
	}
	return got.Load(), keyed.Load(), err
}

// TestNothingIsReplayedOnAStaleConnection has a kept connection on which nothing can be written any more: net/http then
// sends a POST again, on a new one, where it has GetBody.
func TestNothingIsReplayedOnAStaleConnection(t *testing.T) {
	for name, want := range map[string]int64{"net/http": 2, "ferry": 1} {
		var got atomic.Int64
		o, s := serve(t, func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			got.Add(1)
		})
		var stale atomic.Bool
		o.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, s.Listener.Addr().String())
			if err != nil || stale.Load() {
				return conn, err
			}
			return staleConn{conn, &stale}, nil
		}
		rt := build(t, o)
		if name == "net/http" {
			bare := &http.Transport{DialContext: o.Dial}
			defer bare.CloseIdleConnections()
			rt = bare
		}
		var err error
		for n := range 2 {
			stale.Store(n == 1)
			r, bad := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL, strings.NewReader("prompt"))
			if bad != nil {
				t.Fatal(bad)
			}
			var resp *http.Response
			if resp, err = rt.RoundTrip(r); err == nil {
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
		}
		if got.Load() != want || (err == nil) != (want == 2) {
			t.Errorf("%s: the server got %d requests, want %d; the second call ended with %v", name, got.Load(), want, err)
		}
	}
}

// staleConn takes no more bytes once it is stale.
type staleConn struct {
	net.Conn
	stale *atomic.Bool
}

func (c staleConn) Write(p []byte) (int, error) {
	if c.stale.Load() {
		return 0, syscall.EPIPE
	}
	return c.Conn.Write(p)
}

func serve(t *testing.T, handle http.HandlerFunc) (Options, *httptest.Server) {
	t.Helper()
	s := httptest.NewServer(handle)
	t.Cleanup(s.Close)
	return Options{Target: mustURL(t, s.URL), ConnectTimeout: time.Minute}, s
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("%s %s came to the redirect's target", r.Method, r.URL)
	}))
	defer elsewhere.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		o, _ := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, status) })
		resp, _, err := post(t, o)
		if err != nil || resp.StatusCode != status || resp.Header.Get("Location") != elsewhere.URL {
			t.Errorf("%d: %v, %v", status, resp, err)
		}
	}
}

// TestSwitchingProtocols holds that a 101, whose body is the bare connection, cannot keep a reader waiting.
func TestSwitchingProtocols(t *testing.T) {
	s := newSink(t, func(conn net.Conn) io.Reader {
		_, _ = http.ReadRequest(bufio.NewReader(conn))
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")
		return conn // the server says no more and waits for the client to end it
	})
	resp, text, err := post(t, Options{Target: mustURL(t, "http://"+s.address), ConnectTimeout: time.Minute})
	if err != nil || resp.StatusCode != 101 || text != "" {
		t.Errorf("%v, %q, %v", resp, text, err)
	}
}

func TestHeaderCap(t *testing.T) {
	for size, fits := range map[int]bool{MaxHeader - 1024: true, MaxHeader + 1024: false, 8 * MaxHeader: false} {
		o, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Big", strings.Repeat("x", size)) })
		_, _, err := post(t, o)
		if (err == nil) != fits {
			t.Errorf("a header of %d bytes: %v", size, err)
		}
		if err != nil && !strings.Contains(err.Error(), "64 KiB") {
			t.Errorf("%v does not name the limit", err)
		}
	}
}
