package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"ferry/pkg/text"
)

// behaviour is what a server does after it has read the first request. It answers the second one.
type behaviour struct {
	name   string
	pieces []string // of the response, one write each
	end    ending   // what follows the pieces
	// differs is why http.Transport's result is different; want is then ferry's result.
	differs, want string
	// incomparable is why the result of the second request varies with http.Transport. It always varies if the server
	// closes the connection: the bytes after the response may arrive before or after that request.
	incomparable string
}

type ending int

const (
	open ending = iota // waits for the next request
	fin
	rst
	stall
)

// asked is the server's response to the second request.
const asked = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond"

// serve runs a behaviour on one connection, and sends to done when it has finished.
func (b behaviour) serve(conn net.Conn, done chan<- bool) {
	defer conn.Close()
	for r := range requests(conn) {
		if r.URL.Path == "/second" {
			_, _ = io.WriteString(conn, asked)
			continue
		}
		for _, piece := range b.pieces {
			_, _ = io.WriteString(conn, piece) // fails if the client has closed the connection
		}
		switch b.end {
		case fin:
			conn.Close()
		case rst:
			reset(conn)
		}
		done <- true
		if b.end == stall {
			_, _ = io.Copy(io.Discard, conn)
		}
	}
}

func reset(conn net.Conn) {
	switch c := conn.(type) {
	case *tls.Conn:
		reset(c.NetConn())
	case *net.TCPConn:
		_ = c.SetLinger(0)
		c.Close()
	case *memoryConn:
		c.reset.Store(true)
		c.Close()
	}
}

// network returns the two ends of a connection.
type network func() (near, far net.Conn, err error)

// overTCP makes TCP connections on loopback.
func overTCP(t *testing.T) network {
	t.Helper()
	l := listen(t)
	var one sync.Mutex
	return func() (near, far net.Conn, err error) {
		one.Lock()
		defer one.Unlock()
		if near, err = net.Dial("tcp", l.Addr().String()); err == nil {
			far, err = l.Accept()
		}
		return near, far, err
	}
}

// memoryConn is one end of a connection in memory. Each read at the other end returns the bytes of one write.
type memoryConn struct {
	net.Conn
	reset *atomic.Bool
}

func (c *memoryConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err == io.EOF && c.reset.Load() {
		err = &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
	}
	return n, err
}

// dialTo returns a dialer that returns conn.
func dialTo(conn net.Conn) func(context.Context, string, string) (net.Conn, error) {
	return func(context.Context, string, string) (net.Conn, error) { return conn, nil }
}

func inMemory() (near, far net.Conn, err error) {
	near, far = net.Pipe()
	cut := new(atomic.Bool)
	return &memoryConn{near, cut}, &memoryConn{far, cut}, nil
}

// link is how both transports reach a server.
type link struct {
	network network
	ca      *authority // nil for plain http
	secure  *tls.Config
	options Options // of ferry's transport
}

func newLink(t *testing.T, over network, secure bool) *link {
	t.Helper()
	l := &link{network: over}
	if secure {
		l.ca = privateCA(t)
		l.secure = l.ca.config()
	}
	return l
}

func (l *link) target() string {
	if l.ca != nil {
		return "https://node.test"
	}
	return "http://node.test"
}

// trial is a transport and its server.
type trial struct {
	http.RoundTripper
	dials  atomic.Int64
	near   atomic.Value // the net.Conn of the newest connection
	served sync.WaitGroup
}

// end closes the kept connections and waits for the server to end.
func (tr *trial) end() {
	closeIdle(tr.RoundTripper)
	tr.served.Wait()
}

// start returns a transport whose server runs serve: http.Transport if useNetHTTP is set, else ferry's.
func (l *link) start(t *testing.T, useNetHTTP bool, serve func(net.Conn)) *trial {
	t.Helper()
	tr := new(trial)
	dial := func(context.Context, string, string) (net.Conn, error) {
		near, far, err := l.network()
		if err != nil {
			return nil, err
		}
		tr.dials.Add(1)
		tr.near.Store(near)
		if l.secure != nil {
			far = tls.Server(far, l.secure)
		}
		tr.served.Go(func() { serve(far) })
		return near, nil
	}
	if useNetHTTP {
		bare := &http.Transport{DialContext: dial, DisableCompression: true, MaxResponseHeaderBytes: MaxHeader}
		if l.ca != nil {
			bare.TLSClientConfig = &tls.Config{ServerName: "node.test", RootCAs: l.ca.pool()}
		}
		tr.RoundTripper = bare
		return tr
	}
	o := l.options
	o.Target, o.Dial = mustURL(t, l.target()), dial
	if l.ca != nil {
		o.TLS.CA = l.ca.file
	}
	rt, err := New(o)
	check(t, err)
	tr.RoundTripper = rt
	return tr
}

// outcome makes a call and describes its result.
func outcome(t *testing.T, rt http.RoundTripper, url string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	r := request(t, url, strings.NewReader("the prompt")).WithContext(ctx)
	r.Header.Set("Idempotency-Key", "1") // makes http.Transport replay a request whose connection was closed
	return result(t, rt, r)
}

// result sends a request and describes all that a caller sees of the result.
func result(t *testing.T, rt http.RoundTripper, r *http.Request) string {
	t.Helper()
	resp, body, err := roundTrip(rt, r)
	if resp == nil {
		return "no answer: " + kind(t, err)
	}
	text := fmt.Sprintf("%s %s, %d of %d bytes %q, header %v, trailer %v",
		resp.Proto, resp.Status, len(body), resp.ContentLength, body, resp.Header, resp.Trailer)
	if err != nil {
		return "broken: " + kind(t, err) + ", after " + text
	}
	return text
}

// kind classifies the error of a call.
func kind(t *testing.T, err error) string {
	t.Helper()
	switch {
	case errors.As(err, new(*text.LimitError)), strings.Contains(err.Error(), "server response headers exceeded"):
		return "too large"
	case errors.As(err, new(*EarlyError)):
		return "early"
	case IsReset(err):
		return "reset"
	case errors.Is(err, context.DeadlineExceeded), IsTimeout(err):
		return "timeout"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), strings.Contains(err.Error(), "unexpected EOF"):
		return "cut"
	case strings.Contains(err.Error(), "with Body length"), strings.Contains(err.Error(), "can't write control character"):
		return "bad request"
	}
	for _, sign := range []string{
		"malformed", "invalid", "unsupported", "bad Content-Length", "too many transfer encodings",
		"suspiciously long trailer", "chunked line ends", "too much non-data", "chunk length", "multiple Content-Length",
		"chunked encoding", "line too long", "message too large", "flate: ",
	} {
		if strings.Contains(err.Error(), sign) {
			return "malformed"
		}
	}
	t.Errorf("an error of no known kind: %v", err)
	return "unknown"
}

// play makes two calls to a server and describes their results.
func (l *link) play(t *testing.T, useNetHTTP bool, b behaviour) (first, second string) {
	t.Helper()
	done := make(chan bool, 9)
	tr := l.start(t, useNetHTTP, func(conn net.Conn) { b.serve(conn, done) })
	defer tr.end()
	first = outcome(t, tr, l.target()+"/first")
	<-done
	if b.end == fin || b.end == rst {
		awaitEnd(t, tr.near.Load().(net.Conn))
	}
	second = outcome(t, tr, l.target()+"/second")
	if tr.dials.Load() == 1 {
		second += ", same connection"
	}
	return first, second
}

// compare runs a behaviour with both transports.
func (l *link) compare(t *testing.T, b behaviour) {
	t.Helper()
	first, second := l.play(t, false, b)
	wantFirst, wantSecond := l.play(t, true, b)
	if b.differs != "" {
		errorIf(t, first == wantFirst && (second == wantSecond || b.incomparable != ""),
			"%s: no difference, though %s", b.name, b.differs)
		wantFirst = b.want
	}
	errorIf(t, first != wantFirst, "%s:\n got %.500s\nwant %.500s", b.name, first, wantFirst)
	if b.incomparable != "" || b.end != open {
		wantSecond = sound
	}
	errorIf(t, second != wantSecond, "%s, the second request:\n got %s\nwant %s", b.name, second, wantSecond)
}

// sound is the correct response to the second request on its own connection.
const sound = `HTTP/1.1 200 OK, 6 of 6 bytes "second", header map[Content-Length:[6]], trailer map[]`

// TestDifferential checks that ferry's transport handles each response as http.Transport does, or that the behaviour
// gives a reason why not.
func TestDifferential(t *testing.T) {
	log.SetOutput(io.Discard) // net/http logs unexpected bytes
	t.Cleanup(func() { log.SetOutput(os.Stderr) })
	all := behaviours(t)
	fatalIf(t, len(all) < 200, "%d behaviours, want at least 200", len(all))
	plain, secure := newLink(t, overTCP(t), false), newLink(t, overTCP(t), true)
	for n, b := range all {
		plain.compare(t, b)
		if n%4 == 0 || !testing.Short() {
			b.name += " over TLS"
			secure.compare(t, b)
		}
	}
}

// TestSplitAndCut splits and cuts complete responses at every byte. The server sends both parts, or only the first
// part and then closes the connection or sends nothing more.
func TestSplitAndCut(t *testing.T) {
	step := 1
	if testing.Short() {
		step = 7
	}
	each := func(answers map[string]string, whole ending) {
		for name, answer := range answers {
			play := func(l *link, what string, n int, end ending, pieces ...string) {
				l.compare(t, behaviour{name: fmt.Sprintf("%s, %s at byte %d", name, what, n), pieces: pieces, end: end})
			}
			memory := newLink(t, inMemory, false)
			for n := 1; n < len(answer); n += step {
				play(memory, "split", n, whole, answer[:n], answer[n:])
				play(memory, "cut", n, fin, answer[:n])
				play(memory, "reset", n, rst, answer[:n])
			}
			play(memory, "split", 0, whole, strings.Split(answer, "")...)
			synctest.Test(t, func(t *testing.T) {
				for n := 0; n < len(answer); n += step {
					play(newLink(t, inMemory, false), "no more", n, stall, answer[:n])
				}
			})
		}
	}
	each(good, open)
	each(untilEOF, fin)
}

// TestCutOnTheNetwork cuts some responses as TestSplitAndCut does, over the system's connections.
func TestCutOnTheNetwork(t *testing.T) {
	if testing.Short() {
		t.Skip("long: some thousand connections")
	}
	plain, secure := newLink(t, overTCP(t), false), newLink(t, overTCP(t), true)
	for _, name := range []string{"a length", "trailers", "1xx before"} {
		for n := range len(good[name]) {
			for _, end := range []ending{fin, rst} {
				if end == rst && runtime.GOOS != "linux" {
					continue
				}
				b := behaviour{name: fmt.Sprintf("%s, end %d at byte %d", name, end, n), pieces: []string{good[name][:n]}, end: end}
				plain.compare(t, b)
				if n%8 == 0 {
					secure.compare(t, b)
				}
			}
		}
	}
}
