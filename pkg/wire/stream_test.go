package wire

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
)

// streamResult is everything that a stream returned.
type streamResult struct {
	text, reasoning string
	answer          Answer
	events          int
	err             error
}

func readStream(s *Stream) streamResult {
	var out streamResult
	for {
		delta, err := s.Next()
		out.text += string(delta.Text)
		out.reasoning += string(delta.Reasoning)
		if err != nil {
			out.answer, out.events, out.err = s.Answer(), s.events.count, err
			out.answer.Usage, out.answer.Empty, out.answer.HasReasoning = nil, false, false
			return out
		}
	}
}

func recorded(t testing.TB, api API) []byte {
	t.Helper()
	stream, err := os.ReadFile(filepath.Join("..", "..", "testdata", "streams", string(api)+".sse"))
	check(t, err)
	return stream
}

// recordings are the expected results of the recorded streams.
var recordings = map[API]struct {
	text, reasoning string
	answer          Answer
	usage           Usage
}{
	Messages: {
		"你好，渡船 ⛴️ 已靠岸 🎉\n\n```go\nfmt.Println(\"渡 😀\")\n```\nBack\\slash and <tag>.",
		"They greet in Chinese: 用中文回答。",
		Answer{ID: "msg_01Ferry7Qk", Model: "claude-haiku-5-5", StopReason: "end_turn"},
		Usage{Input: 66, Output: 58, CacheCreation: 5, CacheRead: 40},
	},
	Complete: {
		" 你好，世界 🌏 \"quoted\"\n\ttab 好 🚀 end.", "",
		Answer{ID: "compl_7f3a", Model: "claude-haiku-5-5", StopReason: "stop_sequence"},
		Usage{Input: 12, Output: 17},
	},
	Chat: {
		"香港节点 最快 🚀:\n- \"hk\" ✓ 👍\n", "先想一想…",
		Answer{ID: "chatcmpl-91b2", Model: "qwen-plus", StopReason: "stop"},
		Usage{Input: 31, Output: 14, CacheRead: 16},
	},
}

func TestRecordedStreams(t *testing.T) {
	for api, want := range recordings {
		stream := recorded(t, api)
		// Data after the terminal event are not read: the reader would fail there.
		behind := io.MultiReader(bytes.NewReader(stream), iotest.ErrReader(errors.New("read on")))
		s := api.NewStream(iotest.OneByteReader(behind))
		got := readStream(s)
		errorIf(t, got.text != want.text || got.reasoning != want.reasoning || got.answer != want.answer || got.err != io.EOF,
			"%s: %+v", api, got)
		u := s.Answer().Usage
		errorIf(t, u == nil || *u != want.usage, "%s: usage %+v", api, u)
		_, err := s.Next()
		errorIf(t, err != io.EOF || s.Buffered(), "%s: behind the end: %v, %v", api, err, s.Buffered())
	}
}

// TestCutAtEveryByte checks the main guarantee of this package: a cut stream is never taken for a complete answer,
// and the text before the cut is a beginning of the answer.
func TestCutAtEveryByte(t *testing.T) {
	framings := map[string]string{"LF": "\n", "CRLF": "\r\n", "CR": "\r"}
	for api, want := range recordings {
		for name, end := range framings {
			stream := strings.ReplaceAll(string(recorded(t, api)), "\n", end)
			// The stream is complete once the data with the stop reason have arrived.
			reason := `_reason":"` + want.answer.StopReason
			last := strings.LastIndex(stream, reason)
			last += strings.Index(stream[last:], end)
			for n := range len(stream) {
				got := readStream(api.NewStream(strings.NewReader(stream[:n])))
				cut, isCut := errors.AsType[*TruncatedError](got.err)
				isWhole := got.err == io.EOF && got.text == want.text
				isCut = isCut && cut.Events == got.events && cut.Err == nil
				fatalIf(t, n >= last && !isWhole || n < last && !isCut,
					"%s, %s, %d of %d bytes: %+v", api, name, n, len(stream), got)
				fatalIf(t, !strings.HasPrefix(want.text, got.text) || !strings.HasPrefix(want.reasoning, got.reasoning),
					"%s, %s, %d of %d bytes: %q", api, name, n, len(stream), got.text)
			}
		}
	}
}

const (
	started = "event: message_start\ndata: {\"message\":{\"id\":\"m\"}}\n\n"
	hello   = "event: content_block_delta\ndata: {\"delta\":{\"type\":\"text_delta\",\"text\":\"hello\"}}\n\n"
	stopped = "event: message_stop\ndata: {}\n\n"
	chatHi  = `data: {"choices":[{"delta":{"content":"hi"},"finish_reason":null}]}` + "\n\n"
	chatEnd = `data: {"choices":[{"delta":{},"finish_reason":"stop"}]}` + "\n\n"
)

// TestStreamReadError checks that the reader's error is reported, and that it does not affect a complete answer.
func TestStreamReadError(t *testing.T) {
	reset := errors.New("connection reset")
	broken := func(s string) io.Reader {
		return iotest.DataErrReader(io.MultiReader(strings.NewReader(s), iotest.ErrReader(reset)))
	}
	got := readStream(Messages.NewStream(broken(started + hello + "event: message_stop\n")))
	errorIf(t, !errors.Is(got.err, reset) || got.err.Error() != "cut after 2 events: connection reset" || got.text != "hello",
		"got %+v, want hello and the reset", got)
	if got := readStream(Messages.NewStream(broken(started + hello + stopped))); got.err != io.EOF {
		t.Errorf("whole before the reset: got %v, want EOF", got.err)
	}
}

// TestBuffered checks that Buffered lets a caller write together what arrived together, and never waits.
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
			t.Fatalf("event %d: got %v, buffered %v, %q then %q, want buffered %v", i+1, err, got, before, delta.Text, more)
		}
	}
	_, err := s.Next()
	errorIf(t, err != io.EOF, "got %v, want EOF", err)
}

func TestStreamAllocates(t *testing.T) {
	if testing.Short() {
		t.Skip("long: 80,000 events")
	}
	perEvent := func(api API, stream []byte) float64 {
		return testing.AllocsPerRun(3, func() {
			n, err := readThrough(api.NewStream(bytes.NewReader(stream)))
			fatalIf(t, n == 0 || err != io.EOF, "%s: %d bytes, %v", api, n, err)
		})
	}
	for api, long := range map[API]func(int) []byte{Messages: longStream, Chat: longChat} {
		few, many := perEvent(api, long(100)), perEvent(api, long(20_000))
		errorIf(t, many > few+5, "%s: %v allocations for 100 events, %v for 20000", api, few, many)
	}
}
