package guard

import (
	"sort"
	"strings"
	"unicode/utf8"

	"ferry/pkg/text"
)

// view is a text as a reader takes it: JSON's escapes undone, full-width characters narrow, every space, dash and quote
// the plain one, invisible characters gone. It knows which part of the source each part of it came from.
type view struct {
	text   string
	length int // of the source
	shifts []shift
}

// shift says that the view from a byte on stands for the source from another byte on, until the next shift. There is one
// behind every part that reads otherwise; inside such a part nothing begins or ends.
type shift struct{ view, source int }

// source is the part of the source that a part of the view came from.
func (v *view) source(c span) span { return span{v.position(c.from), v.position(c.to)} }

func (v *view) position(at int) int {
	if at == len(v.text) {
		return v.length
	}
	i := sort.Search(len(v.shifts), func(i int) bool { return v.shifts[i].view > at }) - 1
	if i < 0 {
		return at
	}
	return v.shifts[i].source + at - v.shifts[i].view
}

// newView reads s. Where there is nothing to undo, the view is s itself.
func newView(s string) view {
	v := view{length: len(s)}
	var b []byte
	done := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf && c != '\\' {
			i++
			continue
		}
		r, size, other := read(s[i:])
		if !other {
			i += size
			continue
		}
		if done == 0 {
			b = make([]byte, 0, len(s)+utf8.UTFMax)
		}
		b = append(b, s[done:i]...)
		if r >= 0 {
			b = utf8.AppendRune(b, r)
		}
		i += size
		done = i
		v.shifts = append(v.shifts, shift{len(b), i})
	}
	if done == 0 {
		v.text = s
		return v
	}
	v.text = string(append(b, s[done:]...))
	return v
}

// read returns what stands at the beginning of s, which is a backslash or no ASCII: its length, and whether it reads
// as another character than it is, which is -1 for none.
func read(s string) (r rune, size int, other bool) {
	if s[0] == '\\' {
		return readEscape(s)
	}
	switch s[0] { // every other byte begins, or is inside, a character that reads as itself
	case 0xc2, 0xcd, 0xd8, 0xe1, 0xe2, 0xe3, 0xef, 0xf3:
	default:
		return 0, 1, false
	}
	r, size = utf8.DecodeRuneInString(s)
	if r == utf8.RuneError {
		return 0, size, false
	}
	reads := readRune(r)
	return reads, size, reads != r
}

// readRune returns what a character reads as, -1 for nothing.
func readRune(r rune) rune {
	switch {
	case r < 0xa0:
		return r
	case r >= 0xff01 && r <= 0xff5e:
		return r - 0xff01 + '!'
	case r == 0xa0, r == 0x1680, r >= 0x2000 && r <= 0x200a, r == 0x202f, r == 0x205f, r == 0x3000:
		return ' '
	case r == 0x2028, r == 0x2029:
		return '\n'
	case r >= 0x2010 && r <= 0x2015, r == 0x2212:
		return '-'
	case r == '“', r == '”':
		return '"'
	case r == '‘', r == '’':
		return '\''
	case text.Invisible(r):
		return -1
	}
	return r
}

// readEscape reads JSON's escapes. A text may have been put in JSON several times, so any number of backslashes before
// the character is one escape.
func readEscape(s string) (r rune, size int, other bool) {
	for size < len(s) && s[size] == '\\' {
		size++
	}
	if size == len(s) {
		return 0, size, false
	}
	switch s[size] {
	case '"', '\'', '/':
		return rune(s[size]), size + 1, true
	case 'n', 'r':
		return '\n', size + 1, true
	case 't':
		return '\t', size + 1, true
	case 'u':
		if unit := hexUnit(s[size+1:]); unit >= 0 {
			return readUnit(s, unit, size+5)
		}
	}
	return 0, size, false
}

// readUnit reads a \u escape of size bytes at the beginning of s, with the second one of a surrogate pair.
func readUnit(s string, unit rune, size int) (r rune, _ int, other bool) {
	if unit >= 0xd800 && unit < 0xdc00 {
		rest := strings.TrimLeft(s[size:], `\`)
		slashes := len(s) - size - len(rest)
		if slashes > 0 && strings.HasPrefix(rest, "u") {
			if low := hexUnit(rest[1:]); low >= 0xdc00 && low < 0xe000 {
				unit = (unit-0xd800)<<10 + low - 0xdc00 + 0x10000
				size += slashes + 5
			}
		}
	}
	return readRune(unit), size, true
}

// hexUnit reads four hexadecimal digits, -1 where they are none.
func hexUnit(s string) rune {
	if len(s) < 4 {
		return -1
	}
	digits := [4]byte{s[0], s[1], s[2], s[3]}
	high, low := hexByte(digits[:2]), hexByte(digits[2:])
	if high < 0 || low < 0 {
		return -1
	}
	return rune(high<<8 | low)
}
