package transport

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"ferry/pkg/text"
)

// TestNothingIsSentTwice uses a server that answers one request on a connection and hangs up on the second. net/http
// replays such a request if it has GetBody and an Idempotency-Key, and no counter sees it (FACTS.md section 1). A
// bare http.Transport shows that this server triggers the replay.
func TestNothingIsSentTwice(t *testing.T) {
	for _, key := range []string{"Idempotency-Key", "X-Idempotency-Key"} {
		t.Run(key, func(t *testing.T) {
			standard := func(*url.URL) http.RoundTripper { return &http.Transport{DisableCompression: true} }
			n, keys, err := hungUp(t, standard, key)
			errorIf(t, n != 3 || keys != 3, "net/http alone sent %d requests (%v), want 3: this server tests nothing", n, err)
			ours := func(target *url.URL) http.RoundTripper { return build(t, Options{Target: target}) }
			n, keys, err = hungUp(t, ours, key)
			errorIf(t, n != 2 || keys != 2 || err == nil,
				"%d requests for two calls, %d with the key, the second ended with %v; want 2, 2 and an error", n, keys, err)
		})
	}
}

// hungUp makes two calls to a server that hangs up on the second request of each connection. It returns the number of
// requests, the number of requests with the key, and the error of the second call.
func hungUp(t *testing.T, build func(*url.URL) http.RoundTripper, key string) (sent, keys int64, err error) {
	t.Helper()
	var got, keyed atomic.Int64
	s := newSink(t, func(conn net.Conn) io.Reader {
		answered := false
		for r := range requests(conn) {
			got.Add(1)
			keyed.Add(int64(len(r.Header.Values(key))))
			if answered {
				break
			}
			answered = true
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
		return nil
	})
	rt := build(mustURL(t, "http://"+s.address))
	defer closeIdle(rt)
	for range 2 {
		r := request(t, "http://"+s.address, strings.NewReader("prompt"))
		r.Header.Set(key, "1")
		_, _, err = roundTrip(rt, r)
		// A RoundTripper must not modify its request (net/http's documentation).
		errorIf(t, r.GetBody == nil || r.Header.Get(key) == "", "the caller's request was changed, want it as it was")
	}
	return got.Load(), keyed.Load(), err
}

// TestNothingIsReplayedOnAStaleConnection uses a kept connection on which writes fail. net/http then sends a POST
// again on a new connection if it has GetBody.
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
		var rt http.RoundTripper = build(t, o)
		if name == "net/http" {
			bare := &http.Transport{DialContext: o.Dial}
			defer bare.CloseIdleConnections()
			rt = bare
		}
		var err error
		for n := range 2 {
			stale.Store(n == 1)
			_, _, err = roundTrip(rt, request(t, s.URL, strings.NewReader("prompt")))
		}
		errorIf(t, got.Load() != want || (err == nil) != (want == 2),
			"%s: the server got %d requests, want %d; the second call ended with %v", name, got.Load(), want, err)
	}
}

// staleConn fails every write once it is stale.
type staleConn struct {
	net.Conn
	stale *atomic.Bool
}

func (c staleConn) Write(p []byte) (int, error) {
	if c.stale.Load() {
		_ = c.Conn.(*net.TCPConn).CloseRead() // as if the peer had closed the connection
		return 0, syscall.EPIPE
	}
	return c.Conn.Write(p)
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	_, elsewhere := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("%s %s came to the redirect's target", r.Method, r.URL)
	})
	for _, status := range []int{301, 302, 303, 307, 308} {
		o, _ := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, status) })
		resp, _, err := post(t, o)
		errorIf(t, err != nil || resp.StatusCode != status || resp.Header.Get("Location") != elsewhere.URL,
			"got %v, %v, want %d", resp, err, status)
	}
}

// TestSwitchingProtocols checks that a 101, whose body is the raw connection, cannot block a reader.
func TestSwitchingProtocols(t *testing.T) {
	s := newSink(t, func(conn net.Conn) io.Reader {
		_, _ = http.ReadRequest(bufio.NewReader(conn))
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")
		return conn // the server sends nothing more and waits until the client closes the connection
	})
	resp, text, err := post(t, Options{Target: mustURL(t, "http://"+s.address), ConnectTimeout: time.Minute})
	errorIf(t, err != nil || resp.StatusCode != 101 || text != "", "got %v, %q, %v, want status 101 and no body", resp, text, err)
}

func zipped(t testing.TB, plain []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(plain)
	check(t, w.Close())
	return b.Bytes()
}

func TestBodyCap(t *testing.T) {
	const limit = 1 << 20
	exact := bytes.Repeat([]byte("x"), limit)
	over := append(bytes.Clone(exact), 'y')
	bomb := bytes.Repeat([]byte{0}, 8*limit)
	tests := []struct {
		name                string
		body                []byte
		gzip, chunked, fits bool
	}{
		{"just fits", exact, false, false, true},
		{"just fits, chunked", exact, false, true, true},
		{"one byte over", over, false, false, false},
		{"one byte over, chunked", over, false, true, false},
		{"just fits after decompression", zipped(t, exact), true, false, true},
		{"one byte over after decompression", zipped(t, over), true, false, false},
		{"a bomb", zipped(t, bomb), true, false, false},
	}
	for _, test := range tests {
		o, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			if test.gzip {
				w.Header().Set("Content-Encoding", "gzip")
			}
			if test.chunked {
				w.(http.Flusher).Flush()
			}
			_, _ = w.Write(test.body)
		})
		o.MaxBody = limit
		_, got, err := post(t, o)
		if test.fits {
			errorIf(t, err != nil || got != string(exact), "%s: got %d bytes, %v, want all", test.name, len(got), err)
			continue
		}
		over, ok := errors.AsType[*text.LimitError](err)
		errorIf(t, !ok || over.Limit != limit || over.Error() != "a reply is over 1 MiB" || len(got) != limit,
			"%s: got %d bytes, %v, want %d and that a reply is over 1 MiB", test.name, len(got), err, limit)
	}
	got := (&text.LimitError{What: "a reply", Limit: 1000}).Error()
	errorIf(t, got != "a reply is over 1000 bytes", "got %s, want a reply is over 1000 bytes", got)
}

// TestLimitStays checks that reading after the limit returns no more bytes.
func TestLimitStays(t *testing.T) {
	b := &cappedBody{from: strings.NewReader("abcdefgh"), left: 3, limit: 3}
	got, err := io.ReadAll(b)
	n, again := b.Read(make([]byte, 8))
	var over *text.LimitError
	errorIf(t, string(got) != "abc" || !errors.As(err, &over) || n != 0 || !errors.As(again, &over),
		"got %q, %v; then %d bytes, %v; want abc, then none", got, err, n, again)
}

// TestDefaultBodyCap reads 64 MiB and one byte.
func TestDefaultBodyCap(t *testing.T) {
	resp := limitBody(&http.Response{Body: io.NopCloser(io.LimitReader(zeros{}, DefaultMaxBody+1))}, 0)
	n, err := io.Copy(io.Discard, resp.Body)
	errorIf(t, n != DefaultMaxBody || err == nil || err.Error() != "a reply is over 64 MiB",
		"got %d bytes, %v, want %d", n, err, DefaultMaxBody)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// TestCompression checks that ferry does not request compression, and that it decompresses gzip that a server sends
// anyway.
func TestCompression(t *testing.T) {
	asked := make(chan string, 1)
	var reply []byte
	var encoding string
	o, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Header.Get("Accept-Encoding")
		w.Header().Set("Content-Encoding", encoding)
		_, _ = w.Write(reply)
	})
	whole := zipped(t, []byte("hello"))
	tests := []struct {
		encoding string
		reply    []byte
		want     string
		err      error
	}{
		{"", []byte("hello"), "hello", nil},
		{"gzip", whole, "hello", nil},
		{"GZIP", whole, "hello", nil},
		{"x-gzip", whole, "hello", nil},
		{"gzip", append(bytes.Clone(whole), whole...), "hellohello", nil},
		{"gzip", nil, "", nil},
		{"gzip", whole[:len(whole)-4], "hello", io.ErrUnexpectedEOF},
		{"gzip", whole[:5], "", io.ErrUnexpectedEOF},
		{"gzip", []byte("this is no gzip"), "", gzip.ErrHeader},
		{"br", []byte("hello"), "hello", nil}, // unknown encoding: the body is passed on unchanged
	}
	for _, test := range tests {
		encoding, reply = test.encoding, test.reply
		resp, text, err := post(t, o)
		errorIf(t, text != test.want || !errors.Is(err, test.err),
			"%s of %q: %q, %v; want %q, %v", test.encoding, test.reply, text, err, test.want, test.err)
		got := <-asked
		errorIf(t, got != "", "Accept-Encoding %q, want none", got)
		left := resp.Header.Get("Content-Encoding")
		isGzip := strings.Contains(strings.ToLower(test.encoding), "gzip")
		errorIf(t, isGzip && (left != "" || resp.ContentLength != -1),
			"Content-Encoding %q and a length of %d are left, want none and -1", left, resp.ContentLength)
	}
	b := &cappedBody{ReadCloser: io.NopCloser(strings.NewReader("this is no gzip, and never will be")), left: 99, limit: 99}
	for range 2 {
		if n, err := b.Read(make([]byte, 9)); n != 0 || !errors.As(err, new(*EncodingError)) {
			t.Errorf("got %d bytes, %v, want an EncodingError", n, err)
		}
	}
}
