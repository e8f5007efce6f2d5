package transport

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// endless is a server that sends begin and then repeats then until the client closes the connection.
type endless struct {
	name, begin, then string
	proxy             string
	maxTaken          int    // maximum number of bytes that the client may accept
	body              int    // number of body bytes that the caller gets
	want              string // text in the error
}

// serve returns the number of bytes that the client accepted.
func (e endless) serve(conn net.Conn) (taken int) {
	defer conn.Close()
	r, err := http.ReadRequest(bufio.NewReader(conn))
	if err != nil {
		return 0
	}
	_, _ = io.Copy(io.Discard, r.Body)
	many := strings.Repeat(e.then, 1+4096/len(e.then))
	for says := e.begin; err == nil; says = many {
		var n int
		n, err = io.WriteString(conn, says)
		taken += n
	}
	return taken
}

// TestBounds checks that a response without an end is read only up to a limit.
func TestBounds(t *testing.T) {
	const limit = 1 << 20
	const whole = limit + MaxHeader
	const ok = "HTTP/1.1 200 OK\r\n"
	const header, reply = "a reply's header is over 64 KiB", "a reply is over 1 MiB"
	var bomb, empty bytes.Buffer
	w := gzip.NewWriter(&bomb)
	for range 64 {
		_, _ = w.Write(make([]byte, limit))
	}
	check(t, w.Flush())
	check(t, gzip.NewWriter(&empty).Close())
	for _, e := range []endless{
		{name: "a status line", begin: "HTTP/1.1 200 ", then: "x", maxTaken: MaxHeader, want: header},
		{name: "a status", begin: "HTTP/1.1 ", then: "2", maxTaken: MaxHeader, want: header},
		{name: "one word", then: "x", maxTaken: MaxHeader, want: header},
		{name: "zeros", then: "\x00", maxTaken: MaxHeader, want: header},
		{name: "a name in the header", begin: ok, then: "x", maxTaken: MaxHeader, want: header},
		{name: "a line of the header", begin: ok + "X: ", then: "x", maxTaken: MaxHeader, want: header},
		{name: "a folded line", begin: ok + "X: x\r\n", then: " x\r\n", maxTaken: MaxHeader, want: header},
		{name: "lines of the header", begin: ok, then: "X: x\r\n", maxTaken: MaxHeader, want: header},
		{name: "names in the header", begin: ok, then: "X:\n", maxTaken: MaxHeader, want: header},
		{name: "hints", then: "HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n", maxTaken: MaxHeader, want: header},
		{name: "one hint", begin: "HTTP/1.1 103 Early Hints\r\n", then: "Link: <x>\r\n", maxTaken: MaxHeader, want: header},
		{name: "continues", then: "HTTP/1.1 100 \n\n", maxTaken: MaxHeader, want: header},
		{name: "a body", begin: ok + "\r\n", then: "x", maxTaken: whole, body: limit, want: reply},
		{name: "a body with a length", begin: ok + "Content-Length: 9223372036854775807\r\n\r\n", then: "x",
			maxTaken: whole, body: limit, want: reply},
		{name: "an error's body", begin: "HTTP/1.1 500 X\r\n\r\n", then: "x", maxTaken: whole, body: limit, want: reply},
		{name: "chunks", begin: chunked(""), then: "400\r\n" + strings.Repeat("x", 1024) + "\r\n",
			maxTaken: 2 * limit, body: limit, want: reply},
		{name: "one chunk", begin: chunked("7fffffffffffffff\r\n"), then: "x", maxTaken: whole, body: limit, want: reply},
		{name: "a chunk's size", begin: chunked(""), then: "0", maxTaken: 2 * MaxHeader, want: "line too long"},
		{name: "a chunk's extension", begin: chunked("1;"), then: "x", maxTaken: 2 * MaxHeader, want: "line too long"},
		{name: "extensions", begin: chunked(""), then: "1;" + strings.Repeat("x", 2000) + "\r\nx\r\n",
			maxTaken: 2 * MaxHeader, body: 8, want: "too much non-data"},
		{name: "trailers", begin: chunked("0\r\n"), then: "X: x\r\n", maxTaken: 2 * MaxHeader, want: "long trailer"},
		{name: "one trailer", begin: chunked("0\r\nX: "), then: "x", maxTaken: 2 * MaxHeader, want: "long trailer"},
		{name: "a bomb", begin: ok + "Content-Encoding: gzip\r\n\r\n" + bomb.String(), then: "x",
			maxTaken: limit, body: limit, want: reply},
		{name: "a bomb in chunks", begin: ok + "Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\nffffff\r\n" + bomb.String(),
			then: "x", maxTaken: limit, body: limit, want: reply},
		{name: "a name in gzip", begin: ok + "Content-Encoding: gzip\r\n\r\n\x1f\x8b\x08\x08\x00\x00\x00\x00\x00\x00",
			then: "x", maxTaken: 2 * MaxHeader, want: "is not"},
		{name: "a proxy's header", proxy: "http://proxy.test:1", begin: ok, then: "X: x\r\n", maxTaken: MaxHeader,
			want: "malformed"},
		{name: "a proxy's hints", proxy: "http://proxy.test:1", then: "HTTP/1.1 103 X\r\n\r\n", maxTaken: MaxHeader, want: "103"},
	} {
		t.Run(e.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far, _ := inMemory()
				o := Options{Target: mustURL(t, "http://node.test"), MaxBody: limit, Dial: dialTo(near)}
				if e.proxy != "" {
					o.Target, o.Proxy = mustURL(t, "https://node.test"), mustURL(t, e.proxy)
				}
				taken := make(chan int)
				go func() { taken <- e.serve(far) }()
				started := time.Now()
				_, text, err := post(t, o)
				errorIf(t, err == nil || !strings.Contains(err.Error(), e.want) || len(text) != e.body,
					"%v after %d bytes of a body, want %d and an error with %q", err, len(text), e.body, e.want)
				n := <-taken
				errorIf(t, n > e.maxTaken, "%d bytes were read, want at most %d", n, e.maxTaken)
				errorIf(t, time.Since(started) > 0, "it took %v", time.Since(started))
			})
		})
	}
}
