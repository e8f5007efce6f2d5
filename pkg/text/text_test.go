package text

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"testing"
	"time"
)

func TestHint(t *testing.T) {
	type lost struct {
		error
		Advice
	}
	for _, test := range []struct {
		err        error
		text, hint string
	}{
		{errors.New("plain"), "plain", ""},
		{nil, "<nil>", ""},
		{Errorf("try b", "no %s: %w", "a", fs.ErrNotExist), "no a: file does not exist", "try b"},
		{fmt.Errorf("x: %w", WithHint(fs.ErrNotExist, "look again")), "x: file does not exist", "look again"},
		{WithHint(WithHint(fs.ErrNotExist, "inner"), "outer"), "file does not exist", "outer"},
		{lost{errors.New("lost"), "search"}, "lost", "search"},
	} {
		if got := fmt.Sprint(test.err); got != test.text {
			t.Errorf("the error is %q, want %q", got, test.text)
		}
		if got := Hint(test.err); got != test.hint {
			t.Errorf("%v: the hint is %q, want %q", test.err, got, test.hint)
		}
	}
	if err := Errorf("hint", "no %w", fs.ErrNotExist); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v: the cause is not found", err)
	}
}

func TestCommandWord(t *testing.T) {
	for _, test := range []struct{ system, word, want string }{
		{"linux", "/home/me/key", "/home/me/key"}, {"linux", "/home/m e/key", "'/home/m e/key'"},
		{"linux", `C:\key`, `'C:\key'`}, {"linux", "", "''"},
		{"windows", `C:\Users\me\key`, `C:\Users\me\key`}, {"windows", `C:\Users\m e\key`, `"C:\Users\m e\key"`},
		{"windows", `C:\Users\o'x\key`, `"C:\Users\o'x\key"`}, {"windows", "", `""`}, {"windows", `a "b"`, `'a "b"'`},
	} {
		if got := commandWord(test.word, test.system); got != test.want {
			t.Errorf("%s, %q: got %s, want %s", test.system, test.word, got, test.want)
		}
	}
}

// TestUnits checks the texts of durations in ms, sizes and counts.
func TestUnits(t *testing.T) {
	ms := func(n float64) time.Duration { return time.Duration(n * float64(time.Millisecond)) }
	for _, test := range []struct{ got, want string }{
		{Millis(0.04), "0 ms"}, {Millis(0.44), "0.4 ms"}, {Millis(9.96), "10 ms"}, {Millis(12.3), "12 ms"}, {Millis(999.4), "999 ms"},
		{Millis(999.6), "1.00 s"}, {Millis(3214), "3.21 s"}, {Millis(99996), "100 s"}, {Millis(-1240), "-1.24 s"},
		{Millis(math.NaN()), Missing}, {Millis(math.Inf(1)), Missing}, {Latency(ms(3214)), "3.21 s"}, {Latency(0), "0 ms"},
		{Span(0), "0.0 s"}, {Span(ms(9940)), "9.9 s"}, {Span(ms(72000)), "72 s"}, {Span(ms(119600)), "2 min"},
		{Span(ms(143200)), "2 min 23 s"}, {Span(ms(7169000)), "119 min 29 s"}, {Span(ms(7500000)), "2 h 5 min"},
		{Seconds(ms(2000)), "2 s"}, {Seconds(ms(1540)), "1.5 s"}, {Seconds(ms(60000)), "60 s"},
		{Brief(2 * time.Hour), "2h"}, {Brief(90 * time.Minute), "1h30m"}, {Brief(ms(90000)), "1m30s"}, {Brief(10 * time.Minute), "10m"},
		{Brief(time.Hour + time.Second), "1h0m1s"}, {Brief(0), "0s"}, {Brief(ms(1500)), "1.5s"},
		{Size(8 << 20), "8 MiB"}, {Size(64 << 10), "64 KiB"}, {Size(1000), "1000 bytes"}, {Size(1), "1 byte"}, {Size(0), "0 bytes"},
		{Count(1, "success"), "1 success"}, {Count(0, "success"), "0 successes"},
		{Cut("香港代理节点", 7), "香港代…"}, {Cut("\x1b[1mab\x1b[0m", 2), "\x1b[1mab\x1b[0m"},
		{Cut("hello", 5), "hello"}, {Cut("hello", 4), "hel…"}, {Cut("香港代理", 4), "香…"}, {Cut("hello", 1), "…"}, {Cut("hello", 0), ""},
		{Cut("☺️☺️☺️☺️☺️", 5), "☺️☺️…"}, {Cut("", 0), ""},
	} {
		if test.got != test.want {
			t.Errorf("got %q, want %q", test.got, test.want)
		}
	}
	for line, want := range map[string]int{"": 0, "ab": 2, "香港": 4, "👩\u200d💻": 2, "\x1b[32m✓\x1b[0m": 1, "e\u0301": 1} {
		if got := Width(line); got != want {
			t.Errorf("%q takes %d columns, want %d", line, got, want)
		}
	}
}

func TestRate(t *testing.T) {
	for s, want := range map[string]string{
		"50/min": "50/min", "50/m": "50/min", "50/minute": "50/min", " 50 / min ": "50/min", "2/s": "2/s", "2/sec": "2/s", "1/second": "1/s",
		"100/hour": "100/hour", "100/h": "100/hour", "1000/day": "1000/day", "1000/d": "1000/day", "50/1m30s": "50/1m30s", "50/60s": "50/min",
		"1/10m": "1/10m", "1/24h": "1/day", "1/2h": "1/2h", "1/1.5s": "1/1.5s", "007/s": "7/s", "1000000/s": "1000000/s",
	} {
		events, per, ok := ParseRate(s)
		if got := Rate(events, per); !ok || got != want {
			t.Errorf("%q reads as %q, %v; want %q", s, got, ok, want)
		}
	}
	for _, s := range []string{
		"", "50", "/", "50/", "/min", "0/min", "-1/min", "+1/min", "1.5/min", "1e3/min", "0x10/min", "1_000/min", "٥/min",
		"1000001/min", "99999999999999999999/s", "50/week", "50/Min", "50/0s", "50/-1m", "50/+1m", "50/.5h", "50/500ms", "50/25h",
		"50/min/s", "50 min", "fifty/min", "50/99999999999h", "50/1", "50//min", "50/min burst 5",
	} {
		if events, per, ok := ParseRate(s); ok {
			t.Errorf("%q reads as %d in %s, want a refusal", s, events, per)
		}
	}
}

func FuzzParseRate(f *testing.F) {
	for _, s := range []string{"50/min", "2/s", "50/1m30s", "1/1.5s", "0/s", "/", "5/ 1h2m3.5s"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		events, per, ok := ParseRate(s)
		if !ok {
			return
		}
		if events < 1 || events > MaxEvents || per < minPer || per > maxPer {
			t.Fatalf("%q reads as %d in %s, which is out of bounds", s, events, per)
		}
		shown := Rate(events, per)
		if e, p, ok := ParseRate(shown); !ok || e != events || p != per {
			t.Fatalf("%q reads as %q, which reads as %d in %s", s, shown, e, p)
		}
	})
}
