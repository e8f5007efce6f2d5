package hold

import (
	"bytes"
	"errors"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"ferry/pkg/guard"
)

// script is a holder that goes away at a certain moment. The connection is the borrower's.
type script func(t *testing.T, r *rig, conn net.Conn)

// dying listens in the holder's place, and closes after the script as a kill would.
func (r *rig) dying(act script) {
	r.t.Helper()
	l, err := listen(r.path())
	if err != nil {
		r.t.Fatal(err)
	}
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

func wanted(t *testing.T, conn net.Conn) *frames {
	in := newFrames(conn, 4096)
	if kind, _, err := in.next(); kind != frameWant || err != nil {
		t.Errorf("%c %v", kind, err)
	}
	return in
}

func greets(t *testing.T, conn net.Conn) *frames {
	in := wanted(t, conn)
	_, _ = conn.Write(frame(frameGreet, greeting))
	return in
}

func lend(t *testing.T, conn net.Conn) *frames {
	in := greets(t, conn)
	_, _ = conn.Write(loan{Remote: "192.0.2.1:443", TLS: 0x304, Reused: true}.frame())
	return in
}

// take reads what the borrower sends, to the first n bytes of the body.
func take(t *testing.T, conn net.Conn, in *frames, n int) {
	_, _ = conn.Write(frame(frameTaken, ""))
	var all []byte
	for {
		if _, body, found := bytes.Cut(all, []byte("\r\n\r\n")); found && len(body) >= n {
			return
		}
		if in.left == 0 {
			if kind, _, err := in.next(); kind != frameData || err != nil {
				t.Errorf("%c %v", kind, err)
				return
			}
		}
		part := make([]byte, min(700, in.left))
		got, err := in.read(part)
		if err != nil {
			t.Error(err)
			return
		}
		all = append(all, part[:got]...)
	}
}

// Whatever a holder does before it has taken a byte, the request goes directly, once.
func TestDirectWhereNothingWasTaken(t *testing.T) {
	tests := map[string]script{
		"it accepts and ends": func(*testing.T, *rig, net.Conn) {},
		"it reads and ends":   func(t *testing.T, _ *rig, conn net.Conn) { wanted(t, conn) },
		"it greets and ends":  func(t *testing.T, _ *rig, conn net.Conn) { greets(t, conn) },
		"it ends while it connects": func(t *testing.T, _ *rig, conn net.Conn) {
			greets(t, conn)
			_, _ = conn.Write(frame(frameStep, string(rune(stepDNSStart))))
			_, _ = conn.Write(frame(frameStep, string(rune(stepConnectStart))))
		},
		"it has none": func(t *testing.T, _ *rig, conn net.Conn) {
			greets(t, conn)
			_, _ = conn.Write(frame(frameCannot, ""))
		},
		"it speaks HTTP": func(_ *testing.T, _ *rig, conn net.Conn) {
			_, _ = conn.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfour"))
		},
		"it is another time's": func(t *testing.T, _ *rig, conn net.Conn) {
			wanted(t, conn)
			_, _ = conn.Write(frame(frameGreet, "ferry hold 99"))
		},
		"it greets and talks nonsense": func(t *testing.T, _ *rig, conn net.Conn) {
			greets(t, conn)
			_, _ = conn.Write([]byte{'?', 0xff, 0xff, 0xff, 0xff, 1, 2, 3})
		},
		"it lends nothing that can be read": func(t *testing.T, _ *rig, conn net.Conn) {
			greets(t, conn)
			_, _ = conn.Write(frame(frameLent, "{"))
		},
		"it never says a word": func(_ *testing.T, r *rig, conn net.Conn) {
			_, _ = conn.Read(make([]byte, 4096))
			_, _ = conn.Read(make([]byte, 4096)) // until the borrower has lost its patience
		},
	}
	for name, act := range tests {
		t.Run(name, func(t *testing.T) {
			if name == "it never says a word" {
				usualWaits(t)
			}
			r := newRig(t, nil)
			r.dying(act)
			r.must("hello")
			r.counted(1, 1)
		})
	}
}

// Once a holder has taken bytes, its end is a reset: nothing is sent again in silence.
func TestHolderDiesWithARequest(t *testing.T) {
	say := strings.Repeat("a long prompt ", 5000)
	tests := map[string]struct {
		act  script
		part string // of the answer that comes
	}{
		"after a part of the request": {func(t *testing.T, _ *rig, conn net.Conn) { take(t, conn, lend(t, conn), 300) }, ""},
		"after the whole of it":       {func(t *testing.T, _ *rig, conn net.Conn) { take(t, conn, lend(t, conn), len(say)) }, ""},
		"in the head of the answer": {func(t *testing.T, _ *rig, conn net.Conn) {
			take(t, conn, lend(t, conn), len(say))
			_, _ = writeData(conn, []byte("HTTP/1.1 200 OK\r\n"))
		}, ""},
		"in the answer": {func(t *testing.T, _ *rig, conn net.Conn) {
			take(t, conn, lend(t, conn), len(say))
			_, _ = writeData(conn, []byte("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"))
		}, "half"},
		// Without a length only the connection's end says that this is all: a holder's end must not be taken for it.
		"in an answer to the end": {func(t *testing.T, _ *rig, conn net.Conn) {
			take(t, conn, lend(t, conn), len(say))
			_, _ = writeData(conn, []byte("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhalf"))
		}, "half"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			r.dying(tt.act)
			got, err := r.call(say)
			if got != tt.part || !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("%q, %v", got, err)
			}
			r.counted(0, 0)
		})
	}
}

// What the node does to a lent connection, a borrower sees as it would have without a holder.
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
	for _, known := range []error{syscall.ECONNRESET} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	if err == nil {
		return ""
	}
	return err.Error()
}

// A pin that does not hold ends the handshake in the holder, and the same is said as without one. No request leaves.
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
