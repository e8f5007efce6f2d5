package hold

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"ferry/pkg/guard"
)

// script is a holder that fails at a certain moment. conn is the client's connection.
type script func(t *testing.T, r *rig, conn net.Conn)

// serveScript listens in place of the holder, and closes the connection after the script, as a kill would.
func (r *rig) serveScript(act script) {
	r.t.Helper()
	l, err := listen(r.path())
	must(r.t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			act(r.t, r, conn)
			conn.Close()
		}
	}()
	r.t.Cleanup(func() {
		l.Close()
		<-done
	})
}

// readHeader reads the header of a request, and accepts the request if accept is true.
func readHeader(t *testing.T, conn net.Conn, accept bool) *bufio.Reader {
	in := bufio.NewReader(conn)
	r, err := http.ReadRequest(in)
	if err != nil || r.Header.Get(headerName) == "" || r.Header.Get("Expect") != "100-continue" {
		t.Errorf("%v, %v: no request for a holder", r, err)
	}
	if accept {
		_, _ = io.WriteString(conn, "HTTP/1.1 100 Continue\r\n\r\n")
	}
	return in
}

// readRequest accepts a request and reads the first n bytes of its body.
func readRequest(t *testing.T, conn net.Conn, n int) {
	if _, err := io.ReadFull(readHeader(t, conn, true), make([]byte, n)); err != nil {
		t.Error(err)
	}
}

// Whatever a holder does before it has accepted the body, the request is sent directly, once.
func TestDirectWhereNothingWasTaken(t *testing.T) {
	says := func(what string) script {
		return func(t *testing.T, _ *rig, conn net.Conn) {
			readHeader(t, conn, false)
			_, _ = io.WriteString(conn, what)
		}
	}
	tests := map[string]script{
		"it accepts and ends":  func(*testing.T, *rig, net.Conn) {},
		"it reads and ends":    says(""),
		"it is another server": says("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfour"),
		"it did not send it":   says("HTTP/1.1 503 No\r\nContent-Length: 0\r\nFerry-Hold: {\"Fault\":{\"Kind\":\"unsent\"}}\r\n\r\n"),
		"it talks nonsense":    says("?\xff\xff\xff"),
		"its report is none":   says("HTTP/1.1 200 OK\r\nContent-Length: 4\r\nFerry-Hold: {\r\n\r\nfour"),
		"it never says a word": func(_ *testing.T, _ *rig, conn net.Conn) {
			_, _ = io.Copy(io.Discard, conn) // until the client stops waiting
		},
	}
	for name, act := range tests {
		t.Run(name, func(t *testing.T) {
			if name == "it never says a word" {
				usualWaits(t)
			}
			r := newRig(t, nil)
			r.serveScript(act)
			r.must("hello")
			r.checkCounts(1, 1)
		})
	}
}

// If a holder ends after it has accepted the body, the call fails with a reset. Nothing is resent silently.
func TestHolderDiesWithARequest(t *testing.T) {
	say := strings.Repeat("a long prompt ", 5000)
	after := func(n int, what string) script {
		return func(t *testing.T, _ *rig, conn net.Conn) {
			readRequest(t, conn, n)
			_, _ = io.WriteString(conn, what)
		}
	}
	const head = "HTTP/1.1 200 OK\r\nFerry-Hold: {}\r\n"
	tests := map[string]struct {
		act  script
		part string // part of the answer that arrives
		err  error
	}{
		"after a part of the request": {after(300, ""), "", syscall.ECONNRESET},
		"after the whole of it":       {after(len(say), ""), "", syscall.ECONNRESET},
		"in the header of the answer": {after(len(say), head), "", syscall.ECONNRESET},
		"in the answer":               {after(len(say), head+"Content-Length: 100\r\n\r\nhalf"), "half", io.ErrUnexpectedEOF},
		"in chunks":                   {after(len(say), head+"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"), "half", io.ErrUnexpectedEOF},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			r.serveScript(tt.act)
			got, err := r.call(say)
			if got != tt.part || !errors.Is(err, tt.err) {
				t.Errorf("%q, %v, want %q, %v", got, err, tt.part, tt.err)
			}
			r.checkCounts(0, 0)
		})
	}
}

// A command sees what the node does to a connection as it would without a holder; a reset within an answer is a cut.
func TestEndsOfTheNode(t *testing.T) {
	hijack := func(end func(*net.TCPConn), say string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = conn.Write([]byte(say))
			end(conn.(interface{ NetConn() net.Conn }).NetConn().(*net.TCPConn))
		}
	}
	reset := func(c *net.TCPConn) { _ = c.SetLinger(0); c.Close() }
	shut := func(c *net.TCPConn) { c.Close() }
	const head = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"
	for name, handler := range map[string]http.HandlerFunc{
		"reset before":   hijack(reset, ""),
		"closed before":  hijack(shut, ""),
		"reset in it":    hijack(reset, head),
		"closed in it":   hijack(shut, head),
		"closed at will": hijack(shut, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhalf"),
	} {
		t.Run(name, func(t *testing.T) {
			direct := newRig(t, handler)
			want, wanted := direct.call("hello")
			held := newRig(t, handler).hold()
			got, err := held.call("hello")
			if got != want || kind(err) != kind(wanted) {
				t.Errorf("%q %v, want %q %v", got, err, want, wanted)
			}
			if n := held.requests.Load(); n != 1 {
				t.Errorf("%d requests", n)
			}
		})
	}
}

func kind(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.ErrUnexpectedEOF):
		return "cut or reset"
	}
	return err.Error()
}

// A wrong pin ends the handshake in the holder, with the same error as without a holder. No request is sent.
func TestPins(t *testing.T) {
	r := newRig(t, nil)
	r.settings.Reach.Pins = []guard.Pin{{1}}
	r.hold()
	_, err := r.call("hello")
	var pin *guard.TrustError
	if !errors.As(err, &pin) {
		t.Fatalf("%T %v", err, err)
	}
	if r.requests.Load() != 0 {
		t.Error("a request left")
	}
}
