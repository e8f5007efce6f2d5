package wire

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"ferry/pkg/text"
)

// list returns all events of a stream as strings "name|data", with the error last.
func list(r *eventReader) (out []string) {
	for {
		event, err := r.Next()
		if err != nil {
			return append(out, err.Error())
		}
		out = append(out, string(event.Name)+"|"+string(event.Data))
	}
}

// TestEvents checks the rules of WHATWG HTML section 9.2.6. The cases cover the same parser rules as the web
// platform's eventsource tests, except those about reconnecting.
func TestEvents(t *testing.T) {
	tests := []struct {
		name, in string
		want     []string
	}{
		{"one event", "data: a\n\n", []string{"|a"}},
		{"a name", "event: n\ndata: a\n\n", []string{"n|a"}},
		{"a name behind the data", "data: a\nevent: n\n\n", []string{"n|a"}},
		{"the last name counts", "event: n\nevent: m\ndata: a\n\n", []string{"m|a"}},
		{"an empty name is none", "event: n\nevent:\ndata: a\n\n", []string{"|a"}},
		{"a bare name is none", "event: n\nevent\ndata: a\n\n", []string{"|a"}},
		{"a name is not kept", "event: n\ndata: a\n\ndata: b\n\n", []string{"n|a", "|b"}},
		{"a name without data is dropped", "event: n\n\ndata: b\n\n", []string{"|b"}},
		{"several data lines", "data: a\ndata: b\ndata:\ndata\ndata: c\n\n", []string{"|a\nb\n\n\nc"}},
		{"empty data are data", "data\n\ndata\ndata\n\ndata:\n\n", []string{"|", "|\n", "|"}},
		{"no data", "\n\n\nid: 1\n\n: c\n\nretry: 1\n\n", nil},
		{"blank lines between", "\n\ndata: a\n\n\n\n\ndata: b\n\n", []string{"|a", "|b"}},

		{"cut in the line", "data: a\n\ndata: b", []string{"|a"}},
		{"cut before the blank line", "data: a\n\ndata: b\n", []string{"|a"}},
		{"cut in a field before the blank line", "data: a\ndata: b\n\nda", []string{"|a\nb"}},

		{"LF", "data: a\ndata: b\n\ndata: c\n\n", []string{"|a\nb", "|c"}},
		{"CR", "data: a\rdata: b\r\rdata: c\r\r", []string{"|a\nb", "|c"}},
		{"CRLF", "data: a\r\ndata: b\r\n\r\ndata: c\r\n\r\n", []string{"|a\nb", "|c"}},
		{"mixed", "data: a\r\ndata: b\rdata: c\n\r\ndata: d\n\rdata: e\r\ndata: f\r\r", []string{"|a\nb\nc", "|d", "|e\nf"}},
		{"LF CR is two ends", "data: a\n\rdata: b\r\n\n", []string{"|a", "|b"}},
		{"no other line ends", "data: a\vb\fc\u0085d\u2028e\n\n", []string{"|a\vb\fc\u0085d\u2028e"}},

		{"a BOM", "\ufeffdata: a\n\n", []string{"|a"}},
		{"one BOM only", "\ufeff\ufeffdata: a\n\ndata: b\n\n", []string{"|b"}},
		{"a BOM at the start only", "data: a\n\n\ufeffdata: b\n\ndata: c\n\n", []string{"|a", "|c"}},
		{"a BOM behind a blank line", "\n\ufeffdata: a\n\n", nil},
		{"a BOM alone in its line", "\ufeff\ndata: a\n\n", []string{"|a"}},
		{"half a BOM", "\xef\xbbdata: a\n\ndata: b\n\n", []string{"|b"}},

		{"comments", ": c\n:\n:data: x\ndata: a\n:: y\ndata: b\n\n", []string{"|a\nb"}},
		{"a comment of many bytes", ":" + strings.Repeat("x", 100_000) + "\ndata: a\n\n", []string{"|a"}},
		{"a NUL in a comment", ": \x00\ndata: a\n\n", []string{"|a"}},
		{"one space", "data:a\n\ndata: a\n\ndata:  a\n\ndata:\ta\n\ndata: a \n\n", []string{"|a", "|a", "| a", "|\ta", "|a "}},
		{"a space alone", "data: \n\ndata:  \n\n", []string{"|", "| "}},
		{"colons in the value", "data: a:b: c\n\ndata:: a\n\n", []string{"|a:b: c", "|: a"}},
		{"unknown fields", "Data: a\nDATA: a\n data: a\ndata : a\n\tdata: a\ndat: a\ndata2: a\nfoo\n\ndata: b\n\n", []string{"|b"}},
		{"a NUL in a field's name", "data\x00: a\n\x00data: a\n\ndata: b\n\n", []string{"|b"}},
		{"a NUL in a value", "data: a\x00b\n\n", []string{"|a\x00b"}},
		{"braces and quotes", "data: {\"a\": \"b\\nc\"}\n\n", []string{"|{\"a\": \"b\\nc\"}"}},

		{"id", "id: 1\ndata: a\n\nid\ndata: b\n\n", []string{"|a", "|b"}},
		{"id with NUL", "id: a\x00b\ndata: a\n\n", []string{"|a"}},
		{"retry", "retry: 3000\ndata: a\n\n", []string{"|a"}},
		{"a bad retry", "retry: 1s\nretry: -1\nretry\nretry: 999999999999999999999\ndata: a\n\n", []string{"|a"}},

		{"UTF-8", "event: 名\ndata: 你好 😀\n\n", []string{"名|你好 😀"}},
		{"not UTF-8", "data: a\xffb\n\n", []string{"|a\xffb"}},
		{"HTML", "<!doctype html>\n\n<p>data: a</p>\n\n", nil},
	}
	for _, test := range tests {
		want := append(test.want, "EOF")
		for how, in := range map[string]io.Reader{
			"whole": strings.NewReader(test.in), "byte by byte": iotest.OneByteReader(strings.NewReader(test.in)),
			"the end with the data": iotest.DataErrReader(strings.NewReader(test.in)),
		} {
			if got := list(newEventReader(in)); fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
				t.Errorf("%s, %s: %q\nwant %q", test.name, how, got, want)
			}
		}
	}
}

// TestEventAtOnce checks that an event is returned as soon as its blank line has arrived, even if that ends with a
// lone CR, and that a LF that arrives later belongs to that CR.
func TestEventAtOnce(t *testing.T) {
	for _, end := range []string{"\n", "\r", "\r\n"} {
		in, out := io.Pipe()
		go func() {
			_, _ = io.WriteString(out, "data: a"+end+end[:1])
			_, _ = io.WriteString(out, end[1:]+"data: b"+end+end)
			_ = out.Close()
		}()
		r := newEventReader(in)
		event, err := r.Next() // must not wait: the second part is written only when it is read
		errorIf(t, err != nil || string(event.Data) != "a" || r.count != 1, "%q: got %q, %v, want a", end, event.Data, err)
		got := list(r)
		errorIf(t, len(got) != 2 || got[0] != "|b" || r.count != 2, "%q: got then %q, want b", end, got)
	}
}

// limitedReader returns a reader with smaller limits for a line and for the stream.
func limitedReader(in io.Reader, line, stream int) *eventReader {
	r := newEventReader(in)
	r.in.Reset(&boundedReader{in, stream, stream})
	r.maxLine = line
	return r
}

// TestEventLimits checks the limits to the exact byte.
func TestEventLimits(t *testing.T) {
	line := func(n int) string { return "data:" + strings.Repeat("x", n-5) + "\n" }
	tests := []struct {
		name, in string
		want     string
	}{
		{"a line at its limit", "data: a\n\n" + line(40) + "\n", "EOF"},
		{"a line over it", "data: a\n\n" + line(41) + "\n", "a line of the stream is over 40 bytes"},
		{"a line over it without an end", "data: a\n\n" + line(60)[:50], "a line of the stream is over 40 bytes"},
		{"a comment over it", ":" + strings.Repeat("x", 40), "a line of the stream is over 40 bytes"},
		{"an event at its limit", line(25) + line(24) + "\n", "EOF"},
		{"an event over it", line(25) + line(25) + "\n", "an event of the stream is over 40 bytes"},
		{"a stream at its limit", strings.Repeat("data: a\n\n", 22) + "\n\n", "EOF"},
		{"a stream over it", strings.Repeat("data: a\n\n", 22) + "\n\n\n", "the stream is over 200 bytes"},
		{"a stream of nothing", strings.Repeat("\n", 1000), "the stream is over 200 bytes"},
	}
	for _, test := range tests {
		for _, in := range []io.Reader{strings.NewReader(test.in), iotest.OneByteReader(strings.NewReader(test.in))} {
			r := limitedReader(in, 40, 200)
			got := list(r)
			errorIf(t, got[len(got)-1] != test.want, "%s: got %q, want %s at the end", test.name, got, test.want)
			_, err := r.Next()
			errorIf(t, err.Error() != test.want, "%s: got then %v, want %s", test.name, err, test.want)
		}
	}
}

// endless is a reader that repeats one string forever.
type endless string

func (e endless) Read(p []byte) (int, error) {
	n := copy(p, e)
	for n < len(p) {
		n += copy(p[n:], p[:n])
	}
	return n, nil
}

// TestRealLimits checks that no stream makes the reader keep more than its limits.
func TestRealLimits(t *testing.T) {
	var limit *text.LimitError
	r := newEventReader(endless("x"))
	if _, err := r.Next(); !errors.As(err, &limit) || limit.Limit != 8<<20 || err.Error() != "a line of the stream is over 8 MiB" {
		t.Errorf("a line without an end: got %v, want the limit of a line", err)
	}
	errorIf(t, cap(r.part) > 32<<20, "got %d bytes kept, want at most 32 MiB", cap(r.part))
	r = newEventReader(endless(":" + strings.Repeat("x", 2046) + "\n"))
	if _, err := r.Next(); !errors.As(err, &limit) || limit.Limit != 256<<20 || err.Error() != "the stream is over 256 MiB" || cap(r.part) > 64<<10 {
		t.Errorf("a stream without an end: got %v, %d bytes kept, want the limit of a stream", err, cap(r.part))
	}
	s := Messages.NewStream(endless("x"))
	_, err := s.Next()
	errorIf(t, !errors.As(err, &limit), "the stream: got %v, want a limit", err)
	big := "data: " + strings.Repeat("y", 7<<20) + "\n\n"
	event, err := newEventReader(strings.NewReader(big)).Next()
	errorIf(t, err != nil || len(event.Data) != 7<<20, "a line of 7 MiB: got %d bytes, %v", len(event.Data), err)
}

// TestNoProgress uses a reader that returns no bytes and no error.
func TestNoProgress(t *testing.T) {
	_, err := newEventReader(iotest.ErrReader(nil)).Next()
	errorIf(t, !errors.Is(err, io.ErrNoProgress), "got %v, want no progress", err)
}

// splitReader returns its text in pieces of random length, some of them empty.
type splitReader struct {
	rest string
	rand *rand.Rand
}

func (s *splitReader) Read(p []byte) (int, error) {
	if s.rest == "" {
		return 0, io.EOF
	}
	n := copy(p, s.rest[:min(len(s.rest), s.rand.IntN(9))])
	s.rest = s.rest[n:]
	return n, nil
}

// FuzzEvents checks that the events do not depend on how the stream is split into reads or on calls of buffered.
func FuzzEvents(f *testing.F) {
	for _, api := range APIs() {
		f.Add(string(recorded(f, api)), uint64(1))
	}
	f.Add("\ufeffdata: a\r\rdata\r\n:c\n\revent: x\ndata: 好\n\n", uint64(2))
	f.Fuzz(func(t *testing.T, in string, seed uint64) {
		limited := func(in io.Reader) *eventReader { return limitedReader(in, 50, 3000) }
		want := list(limited(strings.NewReader(in)))
		for _, reader := range []io.Reader{
			strings.NewReader(in),
			iotest.OneByteReader(strings.NewReader(in)),
			&splitReader{in, rand.New(rand.NewPCG(seed, seed))},
			iotest.DataErrReader(&splitReader{in, rand.New(rand.NewPCG(seed, 0))}),
		} {
			r := limited(reader)
			var got []string
			for {
				r.buffered()
				event, err := r.Next()
				if err != nil {
					got = append(got, err.Error())
					break
				}
				name, data := string(event.Name), string(event.Data)
				r.buffered()
				fatalIf(t, string(event.Name) != name || string(event.Data) != data,
					"%q became %q", name+"|"+data, event)
				got = append(got, name+"|"+data)
			}
			fatalIf(t, fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want), "%q: %q\nwhole: %q", in, got, want)
		}
	})
}
