package text

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Visible makes a model's text safe for a terminal: every control character except newline and tab, every bidi control
// and every byte that is not UTF-8 becomes an escape (\x1b, \u202e, \xff). CR LF becomes a newline; a lone CR becomes
// an escape.
func Visible(s string) string {
	if isSafe(s) {
		return s
	}
	shown, _ := visible(s, math.MaxInt, false)
	return shown
}

// Line is Visible for text that must stay on one line. A newline, a tab and an invisible character become escapes: without
// that, a key with an invisible character in it would look like the key.
func Line(s string) string {
	shown, _ := visible(s, math.MaxInt, true)
	return strings.ReplaceAll(strings.ReplaceAll(shown, "\n", `\n`), "\t", `\t`)
}

const (
	// MaxShown is the maximum number of bytes shown of text from a failed call: an error's message, a part of an
	// answer.
	MaxShown = 64 << 10
	// MaxNamed is the maximum for a name that a server chose: an error type, an id, a model.
	MaxNamed = 1 << 10
	// MaxQuoted is the maximum that an error message quotes from a body.
	MaxQuoted = 2 << 10
)

// Shown makes server text safe for a terminal and at most limit bytes long. In addition to Visible, it escapes
// invisible characters. It cuts at a space if one is near, because half a word could be half a secret, which redaction
// does not recognise. It appends the number of bytes that are not shown.
func Shown(s string, limit int) string { return ShownOf(s, limit, len(s)) }

// ShownOf is Shown for s, the beginning of a text with this number of bytes.
func ShownOf(s string, limit, bytes int) string {
	if len(s) == bytes && len(s) <= limit/16 && isSafe(s) {
		return s
	}
	shown, used := visible(s, limit, true)
	if used == bytes {
		return shown
	}
	const room, near = 40, 256 // room for the note at the end; near is longer than any word
	shown, used = visible(s, limit-room, true)
	if space := strings.LastIndexAny(s[:used], " \n"); space > used-near && space > 0 {
		shown, used = visible(s[:space], limit-room, true)
	}
	return fmt.Sprintf("%s… %d bytes more", shown, bytes-used)
}

// Excerpt returns at most limit bytes of a body for an error message: on one line, safe for a terminal, cut between
// runes.
func Excerpt(body []byte, limit int) string {
	cut := len(body) > limit
	if cut {
		body = WholeRunes(body[:limit])
	}
	shown, _ := visible(strings.Join(strings.Fields(string(body)), " "), math.MaxInt, true)
	if cut {
		shown += "…"
	}
	return shown
}

// WholeRunes removes an incomplete rune at the end. It keeps bytes that are not UTF-8.
func WholeRunes[T string | []byte](s T) T {
	for n := 1; n < utf8.UTFMax && n <= len(s); n++ {
		if !utf8.FullRune([]byte(s[len(s)-n:])) {
			return s[:len(s)-n]
		}
	}
	return s
}

// VisibleStream is Visible for text that arrives in pieces. It holds back an incomplete character, and a CR until the
// next byte shows whether it is alone. The zero value is ready to use.
type VisibleStream struct {
	held []byte
}

// Append appends the text that can be shown so far to dst.
func (v *VisibleStream) Append(dst, chunk []byte) []byte {
	all := chunk
	if len(v.held) > 0 {
		all = append(v.held, chunk...)
	}
	whole := WholeRunes(all)
	if n := len(whole); n > 0 && whole[n-1] == '\r' {
		whole = whole[:n-1]
	}
	dst = append(dst, Visible(string(whole))...)
	v.held = append([]byte(nil), all[len(whole):]...)
	return dst
}

// Flush appends what was held back, at the end of the text.
func (v *VisibleStream) Flush(dst []byte) []byte {
	dst = append(dst, Visible(string(v.held))...)
	v.held = nil
	return dst
}

// visible returns as much of s as fits into limit bytes, with space for an indent on each line, and how many bytes of
// s that is. If strict is set, invisible characters become escapes too.
func visible(s string, limit int, strict bool) (shown string, used int) {
	const margin = 8
	var b strings.Builder
	var last rune
	for room := limit; used < len(s); {
		r, size := utf8.DecodeRuneInString(s[used:])
		part := s[used : used+size]
		switch hidden := isUnsafe(r) || strict && isHiddenAfter(r, last); {
		case r == utf8.RuneError && size == 1:
			part = escapeRune(rune(s[used]), 2)
		case r == '\r' && strings.HasPrefix(s[used+1:], "\n"):
			part = ""
		case !hidden:
			last = r
		case r < utf8.RuneSelf:
			part, last = escapeRune(r, 2), 0
		case r > 0xffff:
			part, last = fmt.Sprintf(`\U%08x`, r), 0
		default:
			part, last = escapeRune(r, 4), 0
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

// escapeRune returns a character as \xff for two digits, as \uffff for four.
func escapeRune(r rune, digits int) string {
	const hexadecimal = "0123456789abcdef"
	if digits == 2 {
		return string([]byte{'\\', 'x', hexadecimal[r>>4&15], hexadecimal[r&15]})
	}
	return string([]byte{'\\', 'u', hexadecimal[r>>12&15], hexadecimal[r>>8&15], hexadecimal[r>>4&15], hexadecimal[r&15]})
}

// isSafe reports whether s is plain printable ASCII with newlines and tabs: the common case, which needs no copy.
func isSafe(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; (c < ' ' && c != '\n' && c != '\t') || c >= 0x7f {
			return false
		}
	}
	return true
}

// isUnsafe reports whether a terminal acts on r, or shows other runes elsewhere because of r: C0 and C1 controls, the
// bidi controls of UAX #9, line and paragraph separators, and two noncharacters, which XML also forbids.
func isUnsafe(r rune) bool {
	switch {
	case r == '\n', r == '\t':
		return false
	case r < ' ', r >= 0x7f && r <= 0x9f:
		return true
	case r == 0x061c, r == 0x200e, r == 0x200f, r == 0xfffe, r == 0xffff:
		return true
	case r >= 0x2028 && r <= 0x202e, r >= 0x2066 && r <= 0x2069:
		return true
	}
	return false
}

// isHiddenAfter reports whether r is invisible. After a character beyond ASCII, which keys do not contain, a joiner or
// a variation selector is allowed: emoji and Persian need them.
func isHiddenAfter(r, last rune) bool {
	joins := r == 0x200c || r == 0x200d || r >= 0xfe00 && r <= 0xfe0f
	return r >= utf8.RuneSelf && !(joins && last >= utf8.RuneSelf) && (Invisible(r) || unicode.Is(unicode.Cf, r))
}

// Invisible reports whether r is invisible and only separates, joins or directs the characters around it: soft hyphen,
// zero-width spaces and joiners, bidi controls, fillers, variation selectors and tags.
func Invisible(r rune) bool {
	switch {
	case r < 0xad:
		return false
	case r == 0xad, r == 0x34f, r == 0x61c, r == 0x115f, r == 0x1160, r == 0x3164, r == 0xfeff, r == 0xffa0:
		return true
	case r >= 0x17b4 && r <= 0x17b5, r >= 0x180b && r <= 0x180f:
		return true
	case r >= 0x200b && r <= 0x200f, r >= 0x202a && r <= 0x202e, r >= 0x2060 && r <= 0x206f:
		return true
	case r >= 0xfe00 && r <= 0xfe0f, r >= 0xe0000 && r <= 0xe0fff:
		return true
	}
	return false
}

// Check returns an error if given is not UTF-8 or has a NUL byte. The error names the offset of the first such byte.
func Check(given []byte, where string) error {
	if utf8.Valid(given) && bytes.IndexByte(given, 0) < 0 {
		return nil
	}
	if bytes.HasPrefix(given, []byte("\xff\xfe")) || bytes.HasPrefix(given, []byte("\xfe\xff")) {
		return Errorf("write it as UTF-8; in PowerShell: … | Set-Content -Encoding utf8 FILE, and for pipes $OutputEncoding = [Text.UTF8Encoding]::new()",
			"%s is UTF-16, as > of Windows PowerShell writes it", where)
	}
	for i, r := range string(given) {
		switch {
		case r == 0:
			return Errorf("a prompt is text; is this a binary file?", "%s has a NUL byte at offset %d", where, i)
		case r == utf8.RuneError && !bytes.HasPrefix(given[i:], []byte(string(utf8.RuneError))):
			return Errorf("a prompt is UTF-8 text; iconv converts other encodings", "%s is not UTF-8 at offset %d", where, i)
		}
	}
	return nil
}
