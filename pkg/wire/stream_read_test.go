package wire

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// TestStreamReadError holds that the reader's own error can be told, and that it does not undo what came whole.
func TestStreamReadError(t *testing.T) {
	reset := errors.New("connection reset")
	broken := func(s string) io.Reader {
		return iotest.DataErrReader(io.MultiReader(strings.NewReader(s), iotest.ErrReader(reset)))
	}
	got := readStream(Messages.NewStream(broken(started + hello + "event: message_stop\n")))
	if !errors.Is(got.err, reset) || got.err.Error() != "cut after 2 events: connection reset" || got.text != "hello" {
		t.Errorf("%+v", got)
	}
	if got := readStream(Messages.NewStream(broken(started + hello + stopped))); got.err != io.EOF {
		t.Errorf("whole before the reset: %v", got.err)
	}
}

// TestBuffered holds that a writer can put out together what arrived together, and waits for nothing else.
func TestBuffered(t *testing.T) {
	in, out := io.Pipe()
	s := Messages.NewStream(in)
	go func() {
		_, _ = io.WriteString(out, started+hello+strings.ReplaceAll(hello, "hello", "world")+"event: message_s")
		_, _ = io.WriteString(out, "top\ndata: {}\n\r")
	}()
	for i, more := range []bool{true, true, false, false} {
		delta, err := s.Next()
		before := string(delta.Text)
		if got := s.Buffered(); err != nil || got != more || string(delta.Text) != before {
			t.Fatalf("event %d: %v, buffered %v, %q then %q", i+1, err, got, before, delta.Text)
		}
	}
	if _, err := s.Next(); err != io.EOF {
		t.Error(err)
	}
}

func TestStreamAllocates(t *testing.T) {
	if testing.Short() {
		t.Skip("long: 80,000 events")
	}
	perEvent := func(api API, stream []byte) float64 {
		return testing.AllocsPerRun(3, func() {
			if n, err := readThrough(api.NewStream(bytes.NewReader(stream))); n == 0 || err != io.EOF {
				t.Fatalf("%s: %d bytes, %v", api, n, err)
			}
		})
	}
	for api, long := range map[API]func(int) []byte{Messages: longStream, Chat: longChat} {
		if few, many := perEvent(api, long(100)), perEvent(api, long(20_000)); many > few+5 {
			t.Errorf("%s: %v allocations for 100 events, %v for 20000", api, few, many)
		}
	}
}
