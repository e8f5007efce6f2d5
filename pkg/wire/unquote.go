package wire

import (
	"bytes"
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

// unquote gives the text of a raw string: a part of it where nothing needs replacing. Any other value has none.
func unquote(raw []byte) []byte {
	if !isText(raw) {
		return nil
	}
	inner := raw[1 : len(raw)-1]
	if verbatim(inner) {
		return inner
	}
	return appendUnquoted(nil, inner)
}

// verbatim reports whether the inside of a string is its text.
func verbatim(inner []byte) bool { return bytes.IndexByte(inner, '\\') < 0 && utf8.Valid(inner) }

// appendUnquoted appends the text of a string's inside. Half a surrogate pair, and each byte that is not UTF-8, becomes
// U+FFFD.
func appendUnquoted(dst, inner []byte) []byte {
	for len(inner) > 0 {
		c := inner[0]
		if c == '\\' {
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
		dst, inner = utf8.AppendRune(dst, r), inner[n:]
	}
	return dst
}

// appendEscape appends what the escape at the start of b stands for, and gives its length, that of both halves of a
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
