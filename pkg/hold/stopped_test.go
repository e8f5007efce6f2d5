package hold

import (
	"bufio"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
)

// What a command has withdrawn is not sent when the holder goes on.
func TestWithdrawn(t *testing.T) {
	const header = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\nFerry-Hold: 1m\r\n\r\n"
	for withdraws, want := range map[bool]int64{false: 1, true: 0} {
		r := newRig(t, nil).hold()
		conn, err := connect(r.path())
		if err != nil {
			t.Fatal(err)
		}
		in := bufio.NewReader(conn)
		_, err = io.WriteString(conn, header)
		if err == nil && !withdraws {
			_, err = io.WriteString(conn, "hi")
			for status := 0; err == nil && status < 200; { // behind those of status 1xx
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
		until(t, "it is over", func() bool { return r.status().Lent == 0 && r.status().Requests == 1 })
		if n := r.requests.Load(); n != want {
			t.Errorf("withdrawn: %v: %d requests, want %d", withdraws, n, want)
		}
	}
}

// What a server answers before it has read all is read, although the holder cannot send the rest.
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

// A second response that no request asked for ends the connection, whenever it comes.
func TestSecondAnswer(t *testing.T) {
	log.SetOutput(io.Discard) // net/http logs what no request asked for; ferry's own main does the same
	t.Cleanup(func() { log.SetOutput(os.Stderr) })
	const answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
	for name, say := range map[string]func(conn net.Conn, answered <-chan struct{}){
		"in one write": func(conn net.Conn, answered <-chan struct{}) {
			_, _ = io.WriteString(conn, answer+"first"+answer+"wrong")
			<-answered
		},
		"in two writes": func(conn net.Conn, answered <-chan struct{}) {
			_, _ = io.WriteString(conn, answer+"first")
			_, _ = io.WriteString(conn, answer+"wrong")
			<-answered
		},
		"while it waits": func(conn net.Conn, answered <-chan struct{}) {
			_, _ = io.WriteString(conn, answer+"first")
			<-answered
			_, _ = io.WriteString(conn, answer+"wrong")
		},
	} {
		t.Run(name, func(t *testing.T) {
			answered, said := make(chan struct{}), make(chan struct{})
			r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
				body, _ := io.ReadAll(req.Body)
				if string(body) != "first" {
					_, _ = w.Write(body)
					return
				}
				conn, _, err := w.(http.Hijacker).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				say(conn, answered)
				said <- struct{}{}
				_, _ = io.Copy(io.Discard, conn) // whatever comes now gets no answer
				conn.Close()
			}).hold()
			for range 10 {
				r.must("first")
				answered <- struct{}{}
				<-said
				r.must("other")
			}
			if n := r.requests.Load(); n != 20 {
				t.Errorf("%d requests, want 20", n)
			}
		})
	}
}
