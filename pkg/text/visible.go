package text

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Visible makes the text of a model safe for a terminal: every control character but newline and tab, every bidi control
// and every byte that is not UTF-8 is shown as an escape (\x1b, \u202e, \xff). A CR LF becomes a newline; a lone CR is shown.
func Visible(s string) string {
	if safe(s) {
		return s
	}
	shown, _ := visible(s, math.MaxInt, false)
	return shown
}

// Line is Visible for words that are to stay on one line. A newline and a tab are shown as \n and \t, and a character that
// shows nothing as an escape: a key with some between its characters would look like the key.
func Line(s string) string {
	shown, _ := visible(s, math.MaxInt, true)
	return strings.ReplaceAll(strings.ReplaceAll(shown, "\n", `\n`), "\t", `\t`)
}

const (
	// MostShown is the most bytes that are shown of a text of a failed call: an error's message, a part of an answer.
	MostShown = 64 << 10
	// MostNamed is the same of a name that a server chose: a type of error, an id, a model.
	MostNamed = 1 << 10
	// MostQuoted is the most that an error message quotes of a body.
	MostQuoted = 2 << 10
)

// Shown makes at most `most` bytes of a server's words fit for a terminal: as Visible does, and characters that show
// nothing are escapes too. It cuts at a space where one is near, because half a word could be half a secret, which
// nothing recognises. It says how much is not shown.
func Shown(s string, most int) string { return ShownOf(s, most, len(s)) }

// ShownOf is Shown for s, the beginning of a text of this many bytes.
func ShownOf(s string, most, bytes int) string {
	if len(s) == bytes && len(s) <= most/16 && safe(s) {
		return s
	}
	shown, used := visible(s, most, true)
	if used == bytes {
		return shown
	}
	const room, near = 40, 256 // for the note at the end; no word is longer
	shown, used = visible(s, most-room, true)
	if space := strings.LastIndexAny(s[:used], " \n"); space > used-near && space > 0 {
		shown, used = visible(s[:space], most-room, true)
	}
	return fmt.Sprintf("%s… %d bytes more; -o raw", shown, bytes-used)
}

// Excerpt makes at most so many bytes of a body fit to be quoted in an error: on one line, visible, cut between runes.
func Excerpt(body []byte, most int) string {
	cut := len(body) > most
	if cut {
		body = WholeRunes(body[:most])
	}
	shown, _ := visible(strings.Join(strings.Fields(string(body)), " "), math.MaxInt, true)
	if cut {
		shown += "…"
	}
	return shown
}

// WholeRunes leaves out a rune at the end that is not complete. Bytes that are no rune at all stay.
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

// VisibleStream makes a text that arrives in pieces safe for a terminal as Visible makes the whole. It holds back an
// incomplete character, and a CR until the next byte tells whether it is alone. The zero value is ready.
type VisibleStream struct {
	held []byte
}

// Append adds what may be shown of the text so far to dst.
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

// Flush adds what was held back, at the end of the text.
func (v *VisibleStream) Flush(dst []byte) []byte {
	dst = append(dst, Visible(string(v.held))...)
	v.held = nil
	return dst
}

// visible shows as much of s as fits into most bytes, with room for an indent on each line, and says how much of s that
// is. Strict shows characters that are invisible as escapes too.
func visible(s string, most int, strict bool) (shown string, used int) {
	const margin = 8
	var b strings.Builder
	var last rune
	for room := most; used < len(s); {
		r, size := utf8.DecodeRuneInString(s[used:])
		part := s[used : used+size]
		switch hidden := hazardous(r) || strict && unseen(r, last); {
		case r == utf8.RuneError && size == 1:
			part = escaped(rune(s[used]), 2)
		case r == '\r' && strings.HasPrefix(s[used+1:], "\n"):
			part = ""
		case !hidden:
			last = r
		case r < utf8.RuneSelf:
			part, last = escaped(r, 2), 0
		case r > 0xffff:
			part, last = fmt.Sprintf(`\U%08x`, r), 0
		default:
			part, last = escaped(r, 4), 0
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

// safe reports whether s is plain printable ASCII with newlines and tabs: the common case, which needs no copy.
func safe(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; (c < ' ' && c != '\n' && c != '\t') || c >= 0x7f {
			return false
		}
	}
	return true
}

// hazardous reports whether a terminal acts on r, or shows other runes elsewhere because of it: C0 and C1 controls, the
// bidi controls of UAX #9, line and paragraph separators, and two noncharacters, which XML forbids too.
func hazardous(r rune) bool {
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

// unseen reports whether r shows nothing. After a character beyond ASCII, which no key has, a joiner or a variation
// selector is fine: emoji and Persian need them.
func unseen(r, last rune) bool {
	joins := r == 0x200c || r == 0x200d || r >= 0xfe00 && r <= 0xfe0f
	return r >= utf8.RuneSelf && !(joins && last >= utf8.RuneSelf) && (Invisible(r) || unicode.Is(unicode.Cf, r))
}

// Invisible reports whether r shows nothing and only parts, joins or directs the characters around it: soft hyphen,
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

// Check fails for bytes that are not UTF-8 or have a NUL, and names the offset of the first.
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
