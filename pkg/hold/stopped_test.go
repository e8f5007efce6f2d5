package hold

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// A request that a command has withdrawn is not sent when the holder continues.
func TestWithdrawn(t *testing.T) {
	const header = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\nFerry-Hold: 1m\r\n\r\n"
	for withdraws, want := range map[bool]int64{false: 1, true: 0} {
		r := newRig(t, nil).hold()
		conn, err := connect(r.path())
		must(t, err)
		in := bufio.NewReader(conn)
		_, err = io.WriteString(conn, header)
		if err == nil && !withdraws {
			_, err = io.WriteString(conn, "hi")
			for status := 0; err == nil && status < 200; { // after responses with status 1xx
				var resp *http.Response
				if resp, err = http.ReadResponse(in, nil); err == nil {
					status = resp.StatusCode
				}
			}
		}
		if err != nil {
			t.Error(err)
		}
		conn.Close()
		eventually(t, "it is over", func() bool { return r.status().Lent == 0 && r.status().Requests == 1 })
		if n := r.requests.Load(); n != want {
			t.Errorf("withdrawn: %v: %d requests, want %d", withdraws, n, want)
		}
	}
}

// An answer that a server sends before it has read the complete request is read, although the holder cannot send the
// rest.
func TestEarlyAnswer(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\n\r\nlarge")
		conn.(interface{ NetConn() net.Conn }).NetConn().Close() // with most of the request unread
	}).hold()
	for range 10 {
		if got, err := r.call(strings.Repeat("x", 4<<20)); got != "large" || err != nil {
			t.Fatalf("%q, %v, want the answer", got, err)
		}
	}
	if n := r.requests.Load(); n != 10 {
		t.Errorf("%d requests, want 10", n)
	}
}
