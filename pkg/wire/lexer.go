package wire

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"strings"
)

// maxDepth is how deep values may nest, the same as in encoding/json.
const maxDepth = 10000

// lexer goes once over a JSON text (RFC 8259), checks all of it, and hands out the raw values of the members that its
// caller asks for. A stream has one small event per word, and encoding/json costs more for one than all else together.
// What it accepts and what it reads from it is exactly what encoding/json does; FuzzField holds it to that.
type lexer struct {
	b     []byte
	i     int
	depth int
	fresh bool // an object or array was just opened: no comma is due
	bad   bool
	cut   bool // what is bad about it is that the text ends

	escaped bool // the last string has an escape
}

// whole reports whether the text was one valid value, once the value has been read.
func (l *lexer) whole() bool { return l.peek() == 0 && l.i == len(l.b) && !l.bad }

// peek skips the white space and gives the next byte, 0 at the end.
func (l *lexer) peek() byte {
	for l.i < len(l.b) {
		switch c := l.b[l.i]; c {
		case ' ', '\n', '\t', '\r':
			l.i++
		default:
			return c
		}
	}
	return 0
}

// fail makes every call from here on find the end of the text.
func (l *lexer) fail() {
	l.cut = l.cut || !l.bad && l.i == len(l.b)
	l.bad = true
	l.i = len(l.b)
}

// enter opens an object or an array, where the next value is one.
func (l *lexer) enter(open byte) bool {
	if l.peek() != open {
		return false
	}
	l.i++
	l.depth++
	l.fresh = true
	if l.depth > maxDepth {
		l.fail()
	}
	return true
}

// more reports whether the open object or array goes on, and takes the comma or the closing bracket.
func (l *lexer) more(closing byte) bool {
	c := l.peek()
	fresh := l.fresh
	l.fresh = false
	switch {
	case l.i == len(l.b):
		l.fail()
		return false
	case c == closing:
		l.i++
		l.depth--
		return false
	case fresh:
		return true
	case c == ',':
		l.i++
		return true
	}
	l.fail()
	return false
}

// member gives the name of the open object's next member. The caller reads its value.
func (l *lexer) member() ([]byte, bool) {
	if !l.more('}') {
		return nil, false
	}
	if l.peek() != '"' {
		l.fail()
		return nil, false
	}
	name := l.quoted()
	if l.bad || l.peek() != ':' {
		l.fail()
		return nil, false
	}
	l.i++
	if l.escaped {
		return unquote(name), true
	}
	return name[1 : len(name)-1], true
}

// value reads the next value and gives it raw.
func (l *lexer) value() []byte {
	c := l.peek()
	from := l.i
	switch c {
	case '"':
		return l.quoted()
	case '{':
		l.enter('{')
		for {
			if _, ok := l.member(); !ok {
				break
			}
			l.value()
		}
	case '[':
		l.enter('[')
		for l.more(']') {
			l.value()
		}
	case 't':
		l.literal("true")
	case 'f':
		l.literal("false")
	case 'n':
		l.literal("null")
	default:
		l.number()
	}
	if l.bad {
		return nil
	}
	return l.b[from:l.i]
}

func (l *lexer) literal(word string) {
	if len(l.b)-l.i < len(word) || string(l.b[l.i:l.i+len(word)]) != word {
		if strings.HasPrefix(word, string(l.b[l.i:min(len(l.b), l.i+len(word))])) {
			l.i = len(l.b)
		}
		l.fail()
		return
	}
	l.i += len(word)
}

func (l *lexer) number() {
	l.skip('-')
	switch first := l.i; {
	case !l.digits():
		return
	case l.b[first] == '0' && l.i-first > 1:
		l.fail()
		return
	}
	if l.skip('.') && !l.digits() {
		return
	}
	if l.skip('e') || l.skip('E') {
		if !l.skip('-') {
			l.skip('+')
		}
		l.digits()
	}
}

func (l *lexer) skip(c byte) bool {
	if l.i == len(l.b) || l.b[l.i] != c {
		return false
	}
	l.i++
	return true
}

// digits takes one digit or more. None is a failure.
func (l *lexer) digits() bool {
	from := l.i
	for l.i < len(l.b) && '0' <= l.b[l.i] && l.b[l.i] <= '9' {
		l.i++
	}
	if l.i == from {
		l.fail()
		return false
	}
	return true
}

// quoted takes the string that begins here and gives it with its quotes, its escapes checked and not resolved.
func (l *lexer) quoted() []byte {
	from := l.i
	l.i++
	l.escaped = false
	for {
		l.plain()
		if l.i == len(l.b) {
			break
		}
		switch c := l.b[l.i]; {
		case c == '"':
			l.i++
			return l.b[from:l.i]
		case c == '\\':
			length := escapeLength(l.b[l.i:])
			if length == 0 {
				if rest := l.b[l.i:]; len(rest) == 1 || rest[1] == 'u' && len(rest) < 6 && !bytes.ContainsAny(rest[2:], `"\`) {
					l.i = len(l.b)
				}
				l.fail()
				return nil
			}
			l.i += length
			l.escaped = true
		case c < ' ':
			l.fail()
			return nil
		default:
			l.i++
		}
	}
	l.fail()
	return nil
}

// plain goes on over bytes of a string that mean themselves, eight at a time. In each word, the terms set the high bit
// of a byte that is below ' ', is '"', or is '\\'; a borrow can set more of them only above a true one, so the lowest is
// always right.
func (l *lexer) plain() {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	for len(l.b)-l.i >= 8 {
		w := binary.LittleEndian.Uint64(l.b[l.i:])
		quote, slash := w^ones*'"', w^ones*'\\'
		found := ((w-ones*' ')&^w | (quote-ones)&^quote | (slash-ones)&^slash) & highs
		if found != 0 {
			l.i += bits.TrailingZeros64(found) / 8
			return
		}
		l.i += 8
	}
}
