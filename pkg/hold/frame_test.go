package hold

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
)

func TestFrames(t *testing.T) {
	client, server := net.Pipe()
	defer client.Close()
	long := bytes.Repeat([]byte("0123456789"), 20_000) // more than one frame
	go func() {
		defer server.Close()
		_, _ = server.Write(loan{Remote: "192.0.2.1:443", TLS: 0x304}.frame())
		if n, err := writeData(server, long); n != len(long) || err != nil {
			t.Errorf("wrote %d, %v", n, err)
		}
		_, _ = server.Write(frame(frameEnd, string(endClean)))
	}()
	f := newFrames(client, 512)
	if kind, payload, err := f.next(); kind != frameLent || !bytes.Contains(payload, []byte("192.0.2.1:443")) || err != nil {
		t.Fatalf("%c %q %v", kind, payload, err)
	}
	var got []byte
	for {
		kind, payload, err := f.next()
		if err != nil {
			t.Fatal(err)
		}
		if kind == frameEnd {
			if failure(payload) != io.EOF {
				t.Errorf("ended with %v", failure(payload))
			}
			break
		}
		for f.left > 0 {
			part := make([]byte, 777)
			n, err := f.read(part)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, part[:n]...)
		}
	}
	if !bytes.Equal(got, long) {
		t.Errorf("%d bytes, want %d", len(got), len(long))
	}
	if _, _, err := f.next(); err != io.EOF {
		t.Errorf("after the end: %v", err)
	}
}

// What a connection's read fails with on the holder's side, the borrower's read fails with: that is what tells a cut from
// a reset, and a certificate that is asked for from both.
func TestEndsSurvive(t *testing.T) {
	tests := []struct {
		name string
		err  error
		same func(error) bool
	}{
		{"clean", io.EOF, func(err error) bool { return err == io.EOF }},
		{"cut", io.ErrUnexpectedEOF, func(err error) bool { return err == io.ErrUnexpectedEOF }},
		{"reset", &net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.ECONNRESET)},
			func(err error) bool { return errors.Is(err, syscall.ECONNRESET) }},
		{"timeout", &net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.ETIMEDOUT)},
			func(err error) bool { var n net.Error; return errors.As(err, &n) && n.Timeout() }},
		{"alert", &net.OpError{Op: "remote error", Err: errors.New("tls: certificate required")},
			func(err error) bool {
				var op *net.OpError
				return errors.As(err, &op) && op.Op == "remote error" && op.Err.Error() == "tls: certificate required"
			}},
		{"other", errors.New("tls: bad record MAC"), func(err error) bool {
			return !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) && bytes.Contains([]byte(err.Error()), []byte("bad record"))
		}},
	}
	for _, tt := range tests {
		if got := failure([]byte(ended(tt.err))); !tt.same(got) {
			t.Errorf("%s: %v became %v", tt.name, tt.err, got)
		}
	}
	for _, garbage := range []string{"", "?", "\x00"} {
		if got := failure([]byte(garbage)); got != errGarbage {
			t.Errorf("%q: %v", garbage, got)
		}
	}
}

// FuzzFrames: whatever a socket says, frames end, and no more is kept in memory than a frame may have.
func FuzzFrames(f *testing.F) {
	f.Add(frame(frameGreet, greeting))
	f.Add(append(frame(frameData, "abc"), frame(frameEnd, "r")...))
	f.Add([]byte("HTTP/1.1 200 OK\r\n\r\n"))
	f.Add([]byte{frameData, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, said []byte) {
		in := newFrames(bytes.NewReader(said), 64)
		taken := 0
		for {
			kind, payload, err := in.next()
			if err != nil {
				return
			}
			taken += headBytes + len(payload)
			if len(payload) > maxNotice || in.left > maxFrame || kind == frameData && in.left == 0 {
				t.Fatalf("a frame %c of %d and %d bytes", kind, len(payload), in.left)
			}
			for in.left > 0 {
				n, err := in.read(make([]byte, 32))
				if err != nil {
					return
				}
				taken += n
			}
			if taken > len(said) {
				t.Fatalf("%d bytes of %d", taken, len(said))
			}
		}
	})
}

func TestForget(t *testing.T) {
	secret := []byte("canary-key-0001")
	in := newFrames(bytes.NewReader(append([]byte{frameData, 0, 0, 0, 200}, bytes.Repeat(secret, 20)...)), 128)
	if _, _, err := in.next(); err != nil {
		t.Fatal(err)
	}
	if left, _ := in.from.Peek(1); left[0] != 'c' {
		t.Fatal("nothing to forget")
	}
	in.forget()
	kept, _ := in.from.Peek(in.from.Buffered())
	if len(kept) != 128 || bytes.Count(kept, []byte{0}) != 128 {
		t.Errorf("%q is left", kept)
	}
}
