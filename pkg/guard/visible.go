package guard

import (
	"fmt"
	"math"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Visible makes a text from outside safe for a terminal: every control character but newline and tab, every bidi
// control and every byte that is not UTF-8 is shown as an escape (\x1b, \u202e, \xff) instead of being obeyed. A CR LF
// becomes a newline; a lone CR is shown.
func Visible(s string) string {
	if safe(s) {
		return s
	}
	shown, _ := visible(s, math.MaxInt, hazardous)
	return shown
}

// words is Visible for words of a server, which are not a model's answer: characters that show nothing are escapes too,
// since a key with some between its characters would look like the key.
func words(s string, most int) (shown string, used int) {
	var last rune
	return visible(s, most, func(r rune) bool {
		hidden := hazardous(r) || unseen(r, last)
		if last = r; hidden {
			last = 0
		}
		return hidden
	})
}

// unseen reports whether r shows nothing. Behind a character beyond ASCII, which no key has, it may join two or choose a
// form, as in emoji.
func unseen(r, last rune) bool {
	joins := r == 0x200c || r == 0x200d || r >= 0xfe00 && r <= 0xfe0f
	return r >= 0x80 && !(joins && last >= 0x80) && (ignored(r) || unicode.Is(unicode.Cf, r))
}

// Line is Visible for words that are to stay on one line: a line end is shown as \n, and a character that shows nothing
// as an escape.
func Line(s string) string {
	shown, _ := words(s, math.MaxInt)
	return strings.ReplaceAll(shown, "\n", `\n`)
}

// visible shows as much of s as gives at most so many bytes, with room for setting each line in, and the characters that
// hidden tells as escapes. It returns how much of s that is.
func visible(s string, most int, hidden func(rune) bool) (shown string, used int) {
	const margin = 8
	var b strings.Builder
	for room := most; used < len(s); {
		r, size := utf8.DecodeRuneInString(s[used:])
		part := s[used : used+size]
		switch {
		case r == utf8.RuneError && size == 1:
			part = escaped(rune(s[used]), 2)
		case r == '\r' && strings.HasPrefix(s[used+1:], "\n"):
			part = "" // the newline that follows does its work
		case !hidden(r):
		case r < 0x80:
			part = escaped(r, 2)
		case r > 0xffff:
			part = fmt.Sprintf(`\U%08x`, r)
		default:
			part = escaped(r, 4)
		}
		if room -= len(part); part == "\n" {
			room -= margin
		}
		if room < 0 {
			break
		}
		b.WriteString(part)
		used += size
	}
	return b.String(), used
}

// escaped is a character as \xff with two digits, as \uffff with four.
func escaped(r rune, digits int) string {
	const hexadecimal = "0123456789abcdef"
	if digits == 2 {
		return string([]byte{'\\', 'x', hexadecimal[r>>4&15], hexadecimal[r&15]})
	}
	return string([]byte{'\\', 'u', hexadecimal[r>>12&15], hexadecimal[r>>8&15], hexadecimal[r>>4&15], hexadecimal[r&15]})
}

const (
	// MostShown is the most bytes that are shown of a text of a failed call: an error's message, a part of an answer.
	MostShown = 64 << 10
	// MostNamed is the same of a name that a server chose: a type of error, an id, a model.
	MostNamed = 1 << 10
)

// Shown makes at most so many bytes of a server's words fit for a terminal: as Visible does, and characters that show
// nothing are escapes too. It cuts at a space where one is near, and says how much is not shown. Half a word could be half
// a secret, which nothing recognises.
func Shown(s string, most int) string { return ShownOf(s, most, len(s)) }

// ShownOf is Shown of a text of so many bytes, of which s is the beginning.
func ShownOf(s string, most, bytes int) string {
	if len(s) == bytes && len(s) <= most/16 && safe(s) {
		return s
	}
	shown, used := words(s, most)
	if used == bytes {
		return shown
	}
	const room, near = 40, 256 // for what is said behind it; a word is not longer
	shown, used = words(s, most-room)
	if space := strings.LastIndexAny(s[:used], " \n"); space > used-near && space > 0 {
		shown, used = words(s[:space], most-room)
	}
	return fmt.Sprintf("%s… %d bytes more; -o raw", shown, bytes-used)
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

// MostQuoted is the most that an error message quotes of a body, in bytes.
const MostQuoted = 2 << 10

// Excerpt makes at most so many bytes of a body fit to be quoted in an error: on one line, visible, cut between runes.
func Excerpt(body []byte, most int) string {
	cut := len(body) > most
	if cut {
		body = WholeRunes(body[:most])
	}
	text, _ := words(strings.Join(strings.Fields(string(body)), " "), math.MaxInt)
	if cut {
		text += "…"
	}
	return text
}

// WholeRunes leaves out a rune at the end that did not come whole. Bytes that are no rune at all stay.
func WholeRunes(b []byte) []byte {
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
