package wire

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth is the maximum nesting depth of values, the same as in encoding/json.
const maxDepth = 10000

// maxMembers and maxElements limit the number of members of an object and of values of an array that are kept. No
// answer and no error has that many, and each takes more memory than its bytes do. maxName limits a member's name in
// bytes.
const maxMembers, maxElements, maxName = 1 << 12, 1 << 12, 64

// bom is the byte order mark, which some servers put before their JSON and jq skips.
var bom = []byte("\xef\xbb\xbf")

// lexer scans a JSON text (RFC 8259) once, validates it, and returns the raw values that its caller asks for. A
// stream has one small event per word, and encoding/json takes longer for it than all other steps together. lexer
// accepts what encoding/json accepts and reads the same values; FuzzField checks this.
type lexer struct {
	b     []byte
	i     int
	depth int
	fresh bool // an object or array was just opened: no comma is expected
	bad   bool

	escaped bool // the last string has an escape
}

// whole reports, after the value has been read, whether the text was one valid value.
func (l *lexer) whole() bool { return l.peek() == 0 && l.i == len(l.b) && !l.bad }

// peek skips white space and returns the next byte, 0 at the end.
func (l *lexer) peek() byte {
	for ; l.i < len(l.b); l.i++ {
		switch c := l.b[l.i]; c {
		case ' ', '\n', '\t', '\r':
		default:
			return c
		}
	}
	return 0
}

// fail makes every later call find the end of the text.
func (l *lexer) fail() { l.bad, l.i = true, len(l.b) }

// enter opens the object or array, if the next value is one.
func (l *lexer) enter(open byte) bool {
	if l.peek() != open {
		return false
	}
	l.i++
	l.fresh = true
	if l.depth++; l.depth > maxDepth {
		l.fail()
	}
	return true
}

// more reports whether the open object or array continues, and consumes the comma or the closing bracket.
func (l *lexer) more(closing byte) bool {
	c, fresh := l.peek(), l.fresh
	l.fresh = false
	switch {
	case c == closing:
		l.i++
		l.depth--
		return false
	case fresh && l.i < len(l.b):
		return true
	case c == ',':
		l.i++
		return true
	}
	l.fail()
	return false
}

// member returns the name of the open object's next member. The caller reads its value.
func (l *lexer) member() ([]byte, bool) {
	if !l.more('}') {
		return nil, false
	}
	name := l.quoted()
	if name == nil || l.peek() != ':' {
		l.fail()
		return nil, false
	}
	l.i++
	if l.escaped {
		return unquote(name), true
	}
	return name[1 : len(name)-1], true
}

// value reads the next value and returns its raw bytes.
func (l *lexer) value() []byte {
	c := l.peek()
	from := l.i
	switch c {
	case '"':
		return l.quoted()
	case '{':
		l.enter('{')
		for _, ok := l.member(); ok; _, ok = l.member() {
			l.value()
		}
	case '[':
		l.enter('[')
		for l.more(']') {
			l.value()
		}
	default: // a number, true, false or null: encoding/json checks all but plain digits
		digits := true
		for ; l.i < len(l.b); l.i++ {
			c := l.b[l.i]
			isDigit := '0' <= c && c <= '9'
			if !isDigit && (c < 'a' || c > 'z') && c != 'E' && c != '+' && c != '-' && c != '.' {
				break
			}
			digits = digits && isDigit
		}
		token := l.b[from:l.i]
		digits = digits && (len(token) == 1 || len(token) > 1 && token[0] != '0')
		if !digits && string(token) != "null" && !json.Valid(token) {
			l.fail()
		}
	}
	if l.bad {
		return nil
	}
	return l.b[from:l.i]
}

// quoted reads a string and returns it with its quotes. Escapes are validated and not resolved.
func (l *lexer) quoted() []byte {
	if l.peek() != '"' {
		l.fail()
		return nil
	}
	from := l.i
	l.escaped = false
	for l.i++; l.i < len(l.b); l.i++ {
		switch c := l.b[l.i]; {
		case c == '"':
			l.i++
			return l.b[from:l.i]
		case c < ' ':
			l.fail()
			return nil
		case c == '\\':
			l.escaped = true
			switch rest := l.b[l.i:]; {
			case hex4(rest) >= 0:
				l.i += len(`u0000`)
			case len(rest) > 1 && strings.IndexByte(`"\/bfnrt`, rest[1]) >= 0:
				l.i++
			default:
				l.fail()
				return nil
			}
		}
	}
	l.fail()
	return nil
}

// field is a member to pick from an object: where its raw value is stored, or the function that reads it.
type field struct {
	name string
	to   *[]byte
	read func(*lexer)
}

// pick reads the next value and picks the given members from it. If a name occurs twice, the last one counts. It
// reports whether the value is an object.
func (l *lexer) pick(fields []field) bool {
	if !l.enter('{') {
		l.value()
		return false
	}
	for name, ok := l.member(); ok; name, ok = l.member() {
		i := 0
		for i < len(fields) && fields[i].name != string(name) {
			i++
		}
		switch {
		case i == len(fields):
			l.value()
		case fields[i].read != nil:
			fields[i].read(l)
		default:
			*fields[i].to = l.value()
		}
	}
	return true
}

// object holds the raw fields of a JSON object by their exact names: encoding/json's structs would match any case,
// which the script's jq did not. The values are slices of the body.
type object map[string][]byte

// parse reads one JSON object. It returns false for anything else, also if data follows the object.
func parse(body []byte) (object, bool) {
	l := lexer{b: bytes.TrimPrefix(body, bom)}
	if !l.enter('{') {
		return nil, false
	}
	fields := object{}
	for name, ok := l.member(); ok; name, ok = l.member() {
		value := l.value()
		if _, again := fields[string(name)]; again || len(fields) < maxMembers && len(name) <= maxName {
			fields[string(name)] = value
		}
	}
	if !l.whole() {
		return nil, false
	}
	return fields, true
}

// elements returns the values of an array, at most maxElements.
func elements(raw []byte) (out [][]byte) {
	l := lexer{b: raw}
	if !l.enter('[') {
		return nil
	}
	for l.more(']') {
		if value := l.value(); len(out) < maxElements {
			out = append(out, value)
		}
	}
	if !l.whole() {
		return nil
	}
	return out
}

// isNull reports whether a raw value is null or missing: both mean the same.
func isNull(raw []byte) bool { return len(raw) == 0 || string(raw) == "null" }

// isText reports whether a raw value is a string.
func isText(raw []byte) bool { return len(raw) > 0 && raw[0] == '"' }

// stringOf returns the value of a raw string, with U+FFFD for each byte that is not UTF-8. It is for names, not for
// the answer's text.
func stringOf(raw []byte) string {
	text := string(unquote(raw))
	if !utf8.ValidString(text) {
		return string([]rune(text))
	}
	return text
}

// unquote returns the value of a raw string, as a slice of raw if there are no escapes. For any other value it
// returns nil. Half of a surrogate pair becomes U+FFFD. Bytes that are not UTF-8 stay unchanged.
func unquote(raw []byte) []byte {
	if !isText(raw) {
		return nil
	}
	inner := raw[1 : len(raw)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return inner[:len(inner):len(inner)]
	}
	out, half := appendText(make([]byte, 0, len(inner)), inner)
	if half != 0 {
		out = utf8.AppendRune(out, utf8.RuneError)
	}
	return out
}

// appendText appends the value of a string without its quotes. If the string ends with the first half of a surrogate
// pair, that half is returned and not appended. A half elsewhere becomes U+FFFD.
func appendText(dst, inner []byte) (out []byte, half rune) {
	for len(inner) > 0 {
		plain := bytes.IndexByte(inner, '\\')
		if plain < 0 {
			plain = len(inner)
		}
		dst, inner = append(dst, inner[:plain]...), inner[plain:]
		if len(inner) == 0 {
			break
		}
		r, n := hex4(inner), len(`\u0000`)
		switch {
		case r < 0:
			c := inner[1]
			if i := strings.IndexByte("bfnrt", c); i >= 0 {
				c = "\b\f\n\r\t"[i]
			}
			dst, inner = append(dst, c), inner[len(`\n`):]
			continue
		case 0xd800 <= r && r < 0xdc00 && len(inner) == n:
			return dst, r
		case utf16.IsSurrogate(r):
			if r = utf16.DecodeRune(r, hex4(inner[n:])); r != utf8.RuneError {
				n *= 2
			}
		}
		dst, inner = utf8.AppendRune(dst, r), inner[n:]
	}
	return dst, 0
}

// hex4 returns the value of the \uXXXX at the start of b, -1 if there is none.
func hex4(b []byte) rune {
	if len(b) < len(`\u0000`) || b[0] != '\\' || b[1] != 'u' {
		return -1
	}
	r, err := strconv.ParseUint(string(b[2:6]), 16, 16)
	if err != nil {
		return -1
	}
	return rune(r)
}

// textReader reads the values of strings that continue each other. A surrogate pair may be split between two of them.
type textReader struct {
	buffer []byte
	half   rune // the first half of a pair, from the end of the last string
}

// read returns the value of a raw string, valid until the next call.
func (t *textReader) read(raw []byte) []byte {
	if len(raw) <= len(`""`) || !isText(raw) {
		return nil
	}
	inner := raw[1 : len(raw)-1]
	if t.half == 0 && bytes.IndexByte(inner, '\\') < 0 {
		return inner
	}
	t.buffer = slices.Grow(t.buffer[:0], len(inner))
	if t.half != 0 {
		pair := utf16.DecodeRune(t.half, hex4(inner)) // U+FFFD if they are not a pair
		if pair != utf8.RuneError {
			inner = inner[len(`\u0000`):]
		}
		t.buffer = utf8.AppendRune(t.buffer, pair)
	}
	t.buffer, t.half = appendText(t.buffer, inner)
	return t.buffer
}

// end returns the remaining text at the end: U+FFFD for half of a pair.
func (t *textReader) end() []byte {
	if t.half == 0 {
		return nil
	}
	t.half = 0
	return utf8.AppendRune(nil, utf8.RuneError)
}
