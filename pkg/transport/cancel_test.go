package transport

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// phase is a phase of a call in which it is canceled.
type phase struct {
	name    string
	change  func(*Options) // changes options for http://node.test
	body    string
	serve   func(net.Conn, *bufio.Reader) // returns when the client sends nothing more
	answers bool                          // the response has arrived and its body is being read
	unsent  bool                          // no byte of the request was written
}

// part sends a part of a response.
func part(answer string) func(net.Conn, *bufio.Reader) {
	return func(conn net.Conn, in *bufio.Reader) {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(conn, answer)
	}
}

func phases(t *testing.T) []phase {
	virtual := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // when synctest's clock starts
	ca := newAuthority(t.TempDir(), virtual, nextYear())
	node := ca.issue(func(c *x509.Certificate) { c.NotBefore = virtual })
	config := &tls.Config{Certificates: []tls.Certificate{node}}
	overTLS := func(o *Options) { o.Target, o.TLS.CA = mustURL(t, "https://node.test"), ca.file }
	by := func(proxy string) func(*Options) {
		return func(o *Options) { overTLS(o); o.Proxy = mustURL(t, proxy) }
	}
	plain := func(*Options) {}
	nothing := func(net.Conn, *bufio.Reader) {}
	long := strings.Repeat("x", 8<<20)
	return []phase{
		{name: "TLS, nothing said", change: overTLS, serve: nothing, unsent: true},
		{name: "TLS, half a record", change: overTLS, unsent: true, serve: func(conn net.Conn, in *bufio.Reader) {
			_, _ = in.Peek(1)
			_, _ = io.WriteString(conn, "\x16\x03\x03\x00\x7a")
		}},
		{name: "CONNECT", change: by("http://proxy.test:1"), unsent: true, serve: func(_ net.Conn, in *bufio.Reader) {
			_, _ = http.ReadRequest(in)
		}},
		{name: "half an answer to CONNECT", change: by("http://proxy.test:1"), unsent: true,
			serve: part("HTTP/1.1 200 OK\r\n")},
		{name: "TLS behind CONNECT", change: by("http://proxy.test:1"), unsent: true, serve: part("HTTP/1.1 200 OK\r\n\r\n")},
		{name: "TLS of a proxy", change: by("https://proxy.test:1"), unsent: true, serve: nothing},
		{name: "SOCKS", change: by("socks5h://proxy.test:1"), unsent: true, serve: nothing},
		{name: "half an answer of SOCKS", change: by("socks5h://proxy.test:1"), unsent: true,
			serve: func(conn net.Conn, in *bufio.Reader) { _, _ = in.Peek(1); _, _ = io.WriteString(conn, "\x05") }},
		{name: "writing a long body", change: plain, body: long,
			serve: func(_ net.Conn, in *bufio.Reader) { _, _ = in.Peek(1) }},
		{name: "writing a long body over TLS", change: overTLS, body: long, serve: func(conn net.Conn, _ *bufio.Reader) {
			_, _ = tls.Server(conn, config).Read(make([]byte, 1))
		}},
		{name: "waiting for an answer", change: plain, serve: part("")},
		{name: "in the status line", change: plain, serve: part("HTTP/1.1 20")},
		{name: "in the header", change: plain, serve: part("HTTP/1.1 200 OK\r\nContent-")},
		{name: "behind a hint", change: plain, serve: part("HTTP/1.1 103 Early Hints\r\n\r\n")},
		{name: "before the body", change: plain, serve: part("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"), answers: true},
		{name: "in the body", change: plain, serve: part("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe"), answers: true},
		{name: "in a body until EOF", change: plain, serve: part("HTTP/1.1 200 OK\r\n\r\nhe"), answers: true},
		{name: "between chunks", change: plain, serve: part(chunked("5\r\nhello\r\n")), answers: true},
		{name: "in a chunk", change: plain, serve: part(chunked("5\r\nhel")), answers: true},
		{name: "in the trailers", change: plain, serve: part(chunked("5\r\nhello\r\n0\r\nX-T")), answers: true},
		{name: "in a gzip header", change: plain, answers: true,
			serve: part("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b")},
		{name: "in an early answer", change: plain, body: long, answers: true, serve: func(conn net.Conn, in *bufio.Reader) {
			_, _ = http.ReadRequest(in)
			_, _ = io.WriteString(conn, "HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\n\r\nhe")
		}},
	}
}

// cancelled cancels a call in this phase and checks that it ends with the cause. The phase is reached when reached
// returns.
func (p phase) cancelled(t *testing.T, network network, reached func(served, answered <-chan bool)) {
	t.Helper()
	near, far, err := network()
	check(t, err)
	served, answered := make(chan bool), make(chan bool)
	go func() {
		defer far.Close()
		in := bufio.NewReaderSize(far, 16)
		p.serve(far, in)
		close(served)
		<-t.Context().Done()
	}()
	o := Options{Target: mustURL(t, "http://node.test"), ConnectTimeout: time.Hour, Dial: dialTo(near)}
	p.change(&o)
	rt, err := New(o)
	check(t, err)
	cause := errors.New("the caller's")
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	r := request(t, o.Target.String(), strings.NewReader(p.body+"prompt")).WithContext(ctx)
	ended := make(chan error)
	go func() {
		resp, err := rt.RoundTrip(r)
		errorIf(t, (err == nil) != p.answers, "%s: RoundTrip returned %v; want an answer: %t", p.name, err, p.answers)
		if err == nil {
			close(answered)
			_, err = io.ReadAll(resp.Body)
			resp.Body.Close()
		}
		ended <- err
	}()
	reached(served, answered)
	started := time.Now()
	cancel(cause)
	err = <-ended
	errorIf(t, !errors.Is(err, cause) || Unsent(err) != p.unsent,
		"%s: %v, unsent %t; want the cause, unsent %t", p.name, err, Unsent(err), p.unsent)
	errorIf(t, time.Since(started) > 5*time.Second, "%s: ended %v after its context", p.name, time.Since(started))
}

// TestCancelling cancels a call in each phase. In memory, the call must end at the same instant of virtual time and
// leave no goroutine.
func TestCancelling(t *testing.T) {
	for _, p := range phases(t) {
		t.Run(p.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p.cancelled(t, inMemory, func(_, _ <-chan bool) { synctest.Wait() })
			})
		})
	}
}

// TestCancellingOnTheNetwork does the same over the system's connections.
func TestCancellingOnTheNetwork(t *testing.T) {
	for _, p := range phases(t) {
		t.Run(p.name, func(t *testing.T) {
			p.cancelled(t, overTCP(t), func(served, answered <-chan bool) {
				<-served
				if p.answers {
					<-answered
				}
			})
		})
	}
	left := goroutines()
	errorIf(t, left != "", "goes on after its context: %s", left)
}

// goroutines waits until the transport has no more goroutines, and returns the remaining ones after a while.
func goroutines() string {
	for end := time.Now().Add(10 * time.Second); ; runtime.Gosched() {
		stacks := make([]byte, 1<<20)
		var left []string
		for _, stack := range strings.Split(string(stacks[:runtime.Stack(stacks, true)]), "\n\n") {
			if strings.Contains(stack, "transport.(*") && !strings.Contains(stack, "testing.tRunner") {
				left = append(left, stack)
			}
		}
		if left == nil || time.Now().After(end) {
			return strings.Join(left, "\n\n")
		}
	}
}

// TestCancelledBefore checks that a call whose context has already ended sends nothing and leaves the kept connection
// open.
func TestCancelledBefore(t *testing.T) {
	o, _ := serve(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.RemoteAddr) })
	rt := build(t, o)
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("the caller's")
	cancel(cause)
	_, first, err := postOn(t, rt, o, nil)
	check(t, err)
	for range 20 {
		_, err = rt.RoundTrip(request(t, o.Target.String(), body("prompt")).WithContext(ctx))
		fatalIf(t, !errors.Is(err, cause) || !Unsent(err), "%v, unsent %t; want the cause, unsent", err, Unsent(err))
	}
	_, again, err := postOn(t, rt, o, nil)
	errorIf(t, err != nil || again != first, "then: %q, %v; want the connection %q", again, err, first)
}
