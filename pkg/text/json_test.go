package text

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestSafeJSON(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{`{"a":"plain 好 é"}`, `{"a":"plain 好 é"}`},
		{"\"\u009b31m\u0085\u007f\"", `"\u009b31m\u0085\u007f"`},
		{"\"a\u202eb\u2066c\u200f\u061c\"", `"a\u202eb\u2066c\u200f\u061c"`},
		{"\"\u2028\u2029\ufeff\"", `"\u2028\u2029\ufeff"`},
		{"", ""},
	} {
		got := string(SafeJSON([]byte(test.in)))
		if got != test.want {
			t.Errorf("%q became %q, want %q", test.in, got, test.want)
		}
	}
}

// TestJSONLine checks that the pieces together are the line that an encoder writes, and that each has at most about 1
// MiB of text.
func TestJSONLine(t *testing.T) {
	type object struct {
		ID   string `json:"id"`
		Text string `json:"text"`
		More []int  `json:"more"`
	}
	for _, text := range []string{
		"", "short", "<&>\n\"\\\x00", "half a character \xe5\xa5", "\xff", "\u009b\u202e",
		strings.Repeat("x", maxPiece), strings.Repeat("好", maxPiece), strings.Repeat("\x01", 3*maxPiece+1),
		strings.Repeat("\xff", maxPiece+1) + "\xe5\xa5",
	} {
		const id = `a "text":"" b`
		empty, _ := json.Marshal(object{id, "", []int{1}})
		pieces := JSONLine(append(empty, '\n'), text)
		var line, again []byte
		for piece := range pieces {
			if len(piece) > 8*maxPiece {
				t.Errorf("%.10q: a piece of %d bytes", text, len(piece))
			}
			line = append(line, piece...)
		}
		for piece := range pieces {
			again = append(again, piece...)
		}
		if !bytes.Equal(line, again) {
			t.Errorf("%.10q: a line of %d bytes has %d when it is read again", text, len(line), len(again))
		}
		var back object
		if err := json.Unmarshal(line, &back); err != nil || back.ID != id || back.Text != strings.ToValidUTF8(text, "\ufffd") && utf8.ValidString(text) {
			t.Errorf("%.10q: %v, id %q, text of %d bytes, want %d", text, err, back.ID, len(back.Text), len(text))
		}
		if bytes.Count(line, []byte("\n")) != 1 || !bytes.HasSuffix(line, []byte("}\n")) {
			t.Errorf("%.10q is not on one line", text)
		}
		if len(text) < 100 && bytes.ContainsAny(line, "\u009b\u202e") {
			t.Errorf("%q became %q", text, line)
		}
	}
}

func TestShown(t *testing.T) {
	x := func(n int) string { return strings.Repeat("x", n) }
	for _, test := range []struct{ name, in, want string }{
		{"short", "a\x1bb", `a\x1bb`},
		{"just fits", x(1000), x(1000)},
		{"too long", x(1001), x(960) + "… 41 bytes more"},
		{"at a space", x(900) + " " + x(100), x(900) + "… 101 bytes more"},
		{"escapes count as they are shown", strings.Repeat("\x01", 251), strings.Repeat(`\x01`, 240) + "… 11 bytes more"},
		{"lines count with their margins", strings.Repeat("\n", 1000), strings.Repeat("\n", 105) + "… 895 bytes more"},
	} {
		got := Shown(test.in, 1000)
		if got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
		if again := Shown(got, 1000); again != got && !strings.Contains(test.name, "lines") {
			t.Errorf("%s: again %q", test.name, again)
		}
	}
	if got := ShownOf("abc", 1000, 10); got != "abc… 7 bytes more" {
		t.Errorf("the beginning of a longer text: %q", got)
	}
	if got := Line("a\r\nb\u2028c\vd\n"); got != `a\nb\u2028c\x0bd\n` {
		t.Errorf("a line: %q", got)
	}
}
