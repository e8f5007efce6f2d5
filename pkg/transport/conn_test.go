package transport

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// overBoth runs a test over plain http and over TLS. serve is called with each connection after its handshake.
func overBoth(t *testing.T, serve func(net.Conn), test func(t *testing.T, o Options)) {
	ca := privateCA(t)
	config := ca.config()
	plain := newSink(t, func(conn net.Conn) io.Reader { serve(conn); return nil })
	secure := newSink(t, func(conn net.Conn) io.Reader { serve(tls.Server(conn, config)); return nil })
	t.Run("plain", func(t *testing.T) { test(t, Options{Target: mustURL(t, "http://"+plain.address)}) })
	t.Run("TLS", func(t *testing.T) { test(t, ca.node(t, secure.address)) })
}

// postOn sends a request and reads the response.
func postOn(t *testing.T, rt http.RoundTripper, o Options, words []byte) (status int, answer string, err error) {
	t.Helper()
	resp, answer, err := roundTrip(rt, request(t, o.Target.String(), bytes.NewReader(words)))
	if resp != nil {
		status = resp.StatusCode
	}
	return status, answer, err
}

// expectOn sends a prompt on a transport and ends the test unless the answer, with status 200, contains want.
func expectOn(t *testing.T, rt http.RoundTripper, o Options, words []byte, want string) {
	t.Helper()
	status, text, err := postOn(t, rt, o, words)
	check(t, err)
	fatalIf(t, status != 200 || !strings.Contains(text, want), "got %d, %q, want %q", status, text, want)
}

// TestRefusedWithoutAnswer uses a server that closes the connection during a long request, without a response.
func TestRefusedWithoutAnswer(t *testing.T) {
	words := make([]byte, 8<<20)
	overBoth(t, func(conn net.Conn) {
		_, _ = http.ReadRequest(bufio.NewReader(conn))
		conn.Close() // a reset, because bytes are unread
	}, func(t *testing.T, o Options) {
		_, _, err := postOn(t, build(t, o), o, words)
		errorIf(t, err == nil || Unsent(err) || IsTimeout(err),
			"%v, unsent: %v; want an end of the connection with bytes sent", err, Unsent(err))
	})
}

// TestUnaskedBytes uses a server that sends more bytes than its response. They must never be taken for the response
// to the next request. That request either uses a new connection and is answered, or nothing of it is sent.
func TestUnaskedBytes(t *testing.T) {
	log.SetOutput(io.Discard) // net/http logs unexpected bytes
	t.Cleanup(func() { log.SetOutput(os.Stderr) })
	const answer, wrong = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nright", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong"
	for name, more := range map[string][]string{
		"in one write":   {answer + wrong},
		"in two writes":  {answer, wrong},
		"a part of one":  {answer, wrong[:20]},
		"not even HTTP":  {answer + "\x00"},
		"a 408":          {answer, "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"},
		"nothing at all": {answer},
	} {
		t.Run(name, func(t *testing.T) {
			clean := len(more) == 1 && more[0] == answer
			said, goOn := make(chan bool), make(chan bool)
			overBoth(t, func(conn net.Conn) {
				defer conn.Close()
				used := false
				for _, text := range requests(conn) {
					errorIf(t, used != clean && text != "first",
						"the second request came on a used connection: %v, want %v", used, clean)
					used = true
					if text != "first" {
						_, _ = io.WriteString(conn, answer)
						continue
					}
					_, _ = io.WriteString(conn, more[0])
					<-goOn
					for _, part := range more[1:] {
						_, _ = io.WriteString(conn, part)
					}
					awaitAccepted(t, conn)
					said <- true
				}
			}, func(t *testing.T, o Options) {
				for n := range 20 {
					o.Raw = n%2 == 1 // as in the holder
					rt := build(t, o)
					expectOn(t, rt, o, []byte("first"), "right")
					goOn <- true
					<-said
					_, text, err := postOn(t, rt, o, []byte("second"))
					fatalIf(t, (text != "right" || err != nil) && (clean || !Unsent(err)),
						"the second request: got %q, %v, unsent %v, want right, or nothing sent", text, err, Unsent(err))
				}
			})
		})
	}
}

// awaitAccepted waits until the peer's system has received all written bytes, if the system reports this.
func awaitAccepted(t *testing.T, conn net.Conn) {
	t.Helper()
	if secured, ok := conn.(*tls.Conn); ok {
		conn = secured.NetConn()
	}
	raw, err := conn.(syscall.Conn).SyscallConn()
	check(t, err)
	for unacknowledgedBy(raw) > 0 {
		runtime.Gosched()
	}
}

// TestFresh checks that a fresh request uses a new connection and leaves kept connections alone.
func TestFresh(t *testing.T) {
	o, s := serve(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.RemoteAddr) })
	rt := build(t, o)
	ask := func(fresh bool) string {
		r := request(t, s.URL, strings.NewReader("x"))
		if fresh {
			r = r.WithContext(Fresh(r.Context()))
		}
		_, address, err := roundTrip(rt, r)
		check(t, err)
		return address
	}
	kept, fresh, again, other := ask(false), ask(true), ask(false), ask(true)
	errorIf(t, again != kept || fresh == kept || other == kept || other == fresh,
		"connections %s, fresh %s, %s, fresh %s: want the first and the third to be one", kept, fresh, again, other)
}
