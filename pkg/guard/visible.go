package guard

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Visible makes a text from outside safe for a terminal: every control character but newline and tab, every bidi
// control and every byte that is not UTF-8 is shown as an escape (\x1b, \u202e, \xff) instead of being obeyed. A CR LF
// becomes a newline; a lone CR is shown.
func Visible(s string) string {
	if safe(s) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case r == '\r' && i+1 < len(s) && s[i+1] == '\n':
			// The newline that follows does its work.
		case !hazardous(r):
			b.WriteString(s[i : i+size])
		case r < 0x80:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		i += size
	}
	return b.String()
}

// safe reports whether s is plain printable ASCII with newlines and tabs: the common case, which needs no copy.
func safe(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; (c < ' ' && c != '\n' && c != '\t') || c >= 0x7f {
			return false
		}
	}
	return true
}

// hazardous reports whether a terminal would obey r instead of showing it, or would show other runes elsewhere because
// of it: C0 and C1 controls, the bidi controls of UAX #9, and the line and paragraph separators.
func hazardous(r rune) bool {
	switch {
	case r == '\n', r == '\t':
		return false
	case r < ' ', r >= 0x7f && r <= 0x9f:
		return true
	case r == 0x061c, r == 0x200e, r == 0x200f:
		return true
	case r >= 0x2028 && r <= 0x202e, r >= 0x2066 && r <= 0x2069:
		return true
	}
	return false
}

// Excerpt makes at most so many bytes of a body fit to be quoted in an error: on one line, visible, cut between runes.
func Excerpt(body []byte, most int) string {
	cut := len(body) > most
	if cut {
		body = wholeRunes(body[:most])
	}
	text := Visible(strings.Join(strings.Fields(string(body)), " "))
	if cut {
		text += "…"
	}
	return text
}

// wholeRunes leaves out a rune at the end that did not come whole. Bytes that are no rune at all stay.
func wholeRunes(b []byte) []byte {
	for n := 1; n < utf8.UTFMax && n <= len(b); n++ {
		tail := b[len(b)-n:]
		if utf8.RuneStart(tail[0]) {
			if !utf8.FullRune(tail) {
				return b[:len(b)-n]
			}
			break
		}
	}
	return b
}
