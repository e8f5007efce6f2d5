package text

import (
	"bytes"
	"cmp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestVisible(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"empty", "", ""},
		{"plain", "a b\n\tc", "a b\n\tc"},
		{"Chinese", "你好，世界", "你好，世界"},
		{"colour", "\x1b[31mred", `\x1b[31mred`},
		{"a copy to the clipboard (OSC 52)", "\x1b]52;c;cm0gLXJm\a", `\x1b]52;c;cm0gLXJm\x07`},
		{"a link (OSC 8)", "\x1b]8;;http://x\x1b\\y", `\x1b]8;;http://x\x1b\y`},
		{"a title", "\x1b]0;t\x07", `\x1b]0;t\x07`},
		{"C1: CSI, OSC, ST in UTF-8", "\u009b31m\u009d52\u009c", `\u009b31m\u009d52\u009c`},
		{"C1 as a bare byte", "\x9b31m", `\x9b31m`},
		{"NEL", "a\u0085b", `a\u0085b`},
		{"backspace", "ab\b\bxy", `ab\x08\x08xy`},
		{"NUL and DEL", "\x00\x7f", `\x00\x7f`},
		{"vertical tab and form feed", "\v\f", `\x0b\x0c`},
		{"a lone CR overwrites", "good\rbad ", `good\x0dbad `},
		{"CR LF is a newline", "a\r\nb\r\n", "a\nb\n"},
		{"CR CR LF", "a\r\r\nb", "a\\x0d\nb"},
		{"CR at the end", "a\r", `a\x0d`},
		{"LF CR", "a\n\rb", "a\n\\x0db"},
		// The bidi controls of UAX #9 make text look different from what it is.
		{"override", "a\u202eb\u202c", `a\u202eb\u202c`},
		{"isolates", "\u2066\u2067\u2068\u2069", `\u2066\u2067\u2068\u2069`},
		{"embeddings", "\u202a\u202b\u202d", `\u202a\u202b\u202d`},
		{"marks", "\u061c\u200e\u200f", `\u061c\u200e\u200f`},
		{"line and paragraph separators", "\u2028\u2029", `\u2028\u2029`},
		{"Arabic and Hebrew need no control", "سلام שלום", "سلام שלום"},
		{"bytes that are no UTF-8", "a\xff\xc3b\xe4\xbd", `a\xff\xc3b\xe4\xbd`},
		{"a surrogate", "\xed\xa0\x80", `\xed\xa0\x80`},
		{"a real U+FFFD", "\ufffd", "\ufffd"},
		{"emoji with a joiner and a selector", "👩\u200d💻 ❤\ufe0f 🇨🇳", "👩\u200d💻 ❤\ufe0f 🇨🇳"},
		{"a zero-width space and a combining accent", "a\u200bb e\u0301", "a\u200bb e\u0301"},
	}
	for _, test := range tests {
		if got := Visible(test.in); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
		if got := Visible(Visible(test.in)); got != test.want {
			t.Errorf("%s: %q the second time", test.name, got)
		}
	}
}

// TestUnseen checks that a key with invisible characters in it cannot be mistaken for the key: in a server's words and
// in JSON these characters are escaped.
func TestUnseen(t *testing.T) {
	for _, test := range []struct{ in, want, inJSON string }{
		{"k\u200be\u00ady", `k\u200be\u00ady`, ""},
		{"\ufeffk\ufeffe\u2060y", `\ufeffk\ufeffe\u2060y`, ""},
		{"k\U000e0065y", `k\U000e0065y`, `k\udb40\udc65y`},
		{"k\u200ce\u200dy\ufe0f", `k\u200ce\u200dy\ufe0f`, ""},
		{"k\u034fe\u3164y\ufff9", `k\u034fe\u3164y\ufff9`, ""},
		{"é\u200b\u200dy", "é" + `\u200b\u200dy`, "é" + `\u200b` + "\u200dy"}, // text after an escape cannot be hidden
		{"👩\u200d💻 ❤\ufe0f می\u200cخواهم", "👩\u200d💻 ❤\ufe0f می\u200cخواهم", "👩\u200d💻 ❤\ufe0f می\u200cخواهم"},
		{"é e\u0301 香港", "é e\u0301 香港", "é e\u0301 香港"},
	} {
		if got := string(SafeJSON([]byte(test.in))); got != cmp.Or(test.inJSON, test.want) {
			t.Errorf("SafeJSON: %q, want %q", got, cmp.Or(test.inJSON, test.want))
		}
		if got := Line(test.in); got != test.want {
			t.Errorf("Line: %q, want %q", got, test.want)
		}
		for range 2 {
			if test.in = Shown(test.in, 1000); test.in != test.want {
				t.Errorf("Shown: %q, want %q", test.in, test.want)
			}
		}
		if got := Excerpt([]byte(test.in), 1000); got != test.want {
			t.Errorf("Excerpt: %q, want %q", got, test.want)
		}
	}
}

func FuzzVisible(f *testing.F) {
	for _, seed := range []string{"", "a\nb\t", "\x1b]52;c;x\a", "\u009b\u202e", "a\r\nb\rc", "\xff\xfe", "👩\u200d💻", "你好"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		out := Visible(in)
		if !utf8.ValidString(out) {
			t.Fatalf("%q is not UTF-8", out)
		}
		for _, r := range out {
			if unicode.IsControl(r) && r != '\n' && r != '\t' || unicode.Is(unicode.Bidi_Control, r) {
				t.Fatalf("%q holds %U", out, r)
			}
		}
		if Visible(out) != out {
			t.Fatalf("%q changes again", out)
		}
		if excerpt := Excerpt([]byte(in), 200); strings.ContainsAny(excerpt, "\n\t\r\x1b") || !utf8.ValidString(excerpt) {
			t.Fatalf("excerpt %q", excerpt)
		}
	})
}

func TestExcerpt(t *testing.T) {
	x := func(n int) string { return strings.Repeat("x", n) }
	tests := []struct{ name, in, want string }{
		{"empty", "", ""},
		{"short", "<html>busy</html>", "<html>busy</html>"},
		{"on one line", "\n a \r\n\t b\u0085c ", "a b c"},
		{"visible", "a\x1b[2Jb\xff", `a\x1b[2Jb\xff`},
		{"200 bytes", x(200), x(200)},
		{"201 bytes", x(201), x(200) + "…"},
		{"a rune that fits", x(197) + "好x", x(197) + "好…"},
		{"a rune that ends at 200 exactly, no more", x(197) + "好", x(197) + "好"},
		{"a rune cut after two bytes", x(198) + "好x", x(198) + "…"},
		{"a rune cut after one byte", x(199) + "好x", x(199) + "…"},
		{"four bytes, cut after three", x(197) + "😀x", x(197) + "…"},
		{"no rune at all", strings.Repeat("\x80", 300), strings.Repeat(`\x80`, 200) + "…"},
		{"a start of nothing", x(199) + "\xff\xff", x(199) + `\xff…`},
	}
	for _, test := range tests {
		in := []byte(test.in)
		if got := Excerpt(in, 200); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
		if !bytes.Equal(in, []byte(test.in)) {
			t.Errorf("%s: the body was changed", test.name)
		}
	}
}

// FuzzVisibleStream compares the stream with the result for the complete text, and checks that it is safe for a
// terminal.
func FuzzVisibleStream(f *testing.F) {
	f.Add([]byte("a\x1b]52;c;x\x07b"), []byte{1})
	f.Add([]byte("one\r\ntwo\rthree\r"), []byte{3, 0})
	f.Add([]byte("香港\u202e\u009b👩\u200d💻\xff\xe9\xa6"), []byte{0, 1, 2})
	f.Fuzz(func(t *testing.T, all, cuts []byte) {
		var stream VisibleStream
		want := Visible(string(all))
		var got []byte
		for i := 0; len(all) > 0; i++ {
			n := len(all)
			if len(cuts) > 0 {
				n = min(n, int(cuts[i%len(cuts)]%7)+1)
			}
			got = stream.Append(got, bytes.Clone(all[:n]))
			all = all[n:]
		}
		got = stream.Flush(got)
		if string(got) != want {
			t.Errorf("in pieces %q, whole %q", got, want)
		}
		if !utf8.Valid(got) || strings.ContainsFunc(string(got), isUnsafe) {
			t.Errorf("a terminal gets %q", got)
		}
	})
}
