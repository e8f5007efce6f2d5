package wire

import (
	"bytes"
	"slices"
	"unicode/utf16"
	"unicode/utf8"
)

// escapeLength is how long the escape at the start of b is, 0 where it is none.
func escapeLength(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if hex4(b) >= 0 {
			return 6
		}
	}
	return 0
}

// hex4 reads the \uXXXX at the start of b, -1 where there is none.
func hex4(b []byte) rune {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return -1
	}
	var r rune
	for _, c := range b[2:6] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}

// isText reports whether a raw value is a string.
func isText(raw []byte) bool { return len(raw) > 0 && raw[0] == '"' }

// unquote gives the text of a raw string: a part of it where nothing needs replacing. Any other value has none. Half a
// surrogate pair, and each byte that is not UTF-8, becomes U+FFFD.
func unquote(raw []byte) []byte {
	if !isText(raw) {
		return nil
	}
	inner := raw[1 : len(raw)-1]
	if verbatim(inner) {
		return inner
	}
	out, half := appendUnquoted(make([]byte, 0, len(inner)), inner, false)
	if half != 0 {
		out = utf8.AppendRune(out, utf8.RuneError)
	}
	return out
}

// isWord reports whether a raw value is the string of a word, which needs no escapes and seldom has any.
func isWord(raw []byte, word string) bool {
	if len(raw) == len(word)+2 && raw[0] == '"' && string(raw[1:len(raw)-1]) == word {
		return true
	}
	return len(raw) > len(word)+2 && bytes.IndexByte(raw, '\\') >= 0 && string(unquote(raw)) == word
}

// verbatim reports whether the inside of a string is its text.
func verbatim(inner []byte) bool { return bytes.IndexByte(inner, '\\') < 0 && utf8.Valid(inner) }

// words gives the text of a raw string that is of an answer: its bytes stay as they came where they are not UTF-8.
func words(raw []byte) []byte {
	var t textReader
	out := t.read(raw)
	return append(out[:len(out):len(out)], t.end()...)
}

// textReader reads the texts of strings that continue each other. A surrogate pair may be cut over two of them.
type textReader struct {
	buffer   []byte
	half     rune // the first half of a pair that came last
	encoding encodingCheck
}

// read gives the text of a raw string, valid until the next call.
func (t *textReader) read(raw []byte) []byte {
	if len(raw) <= len(`""`) || !isText(raw) {
		return nil
	}
	inner := raw[1 : len(raw)-1]
	if t.half == 0 && len(t.encoding.rest) == 0 && verbatim(inner) {
		return inner
	}
	t.buffer = slices.Grow(t.buffer[:0], len(inner))
	if t.half != 0 {
		pair := utf16.DecodeRune(t.half, hex4(inner)) // U+FFFD where they are no pair
		if pair != utf8.RuneError {
			inner = inner[6:]
		}
		t.buffer = utf8.AppendRune(t.buffer, pair)
	}
	t.buffer, t.half = appendUnquoted(t.buffer, inner, true)
	t.encoding.add(t.buffer)
	return t.buffer
}

// end gives what is left at the end: half a pair is no character.
func (t *textReader) end() []byte {
	if t.half == 0 {
		return nil
	}
	t.half = 0
	return utf8.AppendRune(nil, utf8.RuneError)
}

// encodingCheck finds bytes that are not UTF-8 in texts that continue each other. A character may be cut over two.
type encodingCheck struct {
	broken bool
	rest   []byte // the beginning of a character
}

func (c *encodingCheck) add(text []byte) {
	if c.broken || len(c.rest) == 0 && utf8.Valid(text) {
		return
	}
	if len(c.rest) > 0 {
		text = append(c.rest, text...)
	}
	for len(text) > 0 && utf8.FullRune(text) {
		r, n := utf8.DecodeRune(text)
		if r == utf8.RuneError && n == 1 {
			c.broken = true
			return
		}
		text = text[n:]
	}
	c.rest = bytes.Clone(text)
}

func (c *encodingCheck) wrong() bool { return c.broken || len(c.rest) > 0 }

// appendUnquoted appends the text of a string's inside, but for the first half of a surrogate pair at its end, which it
// gives. A half elsewhere becomes U+FFFD, and so does each byte that is not UTF-8 unless keep says otherwise.
func appendUnquoted(dst, inner []byte, keep bool) (out []byte, half rune) {
	for len(inner) > 0 {
		c := inner[0]
		if c == '\\' {
			if len(inner) == 6 && inner[1] == 'u' {
				if r := hex4(inner); 0xd800 <= r && r < 0xdc00 {
					return dst, r
				}
			}
			var n int
			dst, n = appendEscape(dst, inner)
			inner = inner[n:]
			continue
		}
		if c < utf8.RuneSelf {
			n := 1
			for n < len(inner) && inner[n] < utf8.RuneSelf && inner[n] != '\\' {
				n++
			}
			dst, inner = append(dst, inner[:n]...), inner[n:]
			continue
		}
		r, n := utf8.DecodeRune(inner)
		if r == utf8.RuneError && n == 1 && keep {
			dst, inner = append(dst, c), inner[1:]
			continue
		}
		dst, inner = utf8.AppendRune(dst, r), inner[n:]
	}
	return dst, 0
}

// appendEscape appends what the escape at the start of b stands for, and gives its length, or the length of both halves of a
// surrogate pair.
func appendEscape(dst, b []byte) ([]byte, int) {
	switch b[1] {
	case 'b':
		return append(dst, '\b'), 2
	case 'f':
		return append(dst, '\f'), 2
	case 'n':
		return append(dst, '\n'), 2
	case 'r':
		return append(dst, '\r'), 2
	case 't':
		return append(dst, '\t'), 2
	case 'u':
		r := hex4(b)
		if !utf16.IsSurrogate(r) {
			return utf8.AppendRune(dst, r), 6
		}
		if pair := utf16.DecodeRune(r, hex4(b[6:])); pair != utf8.RuneError {
			return utf8.AppendRune(dst, pair), 12
		}
		return utf8.AppendRune(dst, utf8.RuneError), 6
	}
	return append(dst, b[1]), 2
}
