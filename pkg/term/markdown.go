package term

import (
	"bytes"
	"unicode"
	"unicode/utf8"
)

// Markdown styles the Markdown of an answer for a terminal, line by line, while the text arrives. It adds escape
// sequences and changes no character. It styles headings, fences, inline code, bold, italic, lists, quotes, rules and
// the address of a link. It leaves elements that need more than one line, such as tables and references, unchanged.
//
// The text must already be safe for a terminal. The zero value is ready to use.
type Markdown struct {
	// Plain copies the text unchanged.
	Plain bool

	held    []byte // the end of the text so far: a line or a marker whose meaning depends on later bytes
	inLine  bool   // the beginning of the line has been read
	quoted  bool   // the line, or the open fence, is in a quote
	fence   byte   // the character of the open fence; 0 outside a code block
	fences  int    // the length of the open fence
	line    style  // style of the complete line
	open    style  // bold and italic that are open in this line
	ticks   int    // number of backticks that opened the inline code; 0 outside code
	link    int    // number of open parentheses in a link's address
	before  rune   // the last character of the line
	current style  // what the terminal shows
}

// style is a set of attributes.
type style uint8

const (
	bold style = 1 << iota
	italic
	dim
	code
)

// sgr has the escape sequence for each attribute, in the order of the bits.
var sgr = [...]string{"\x1b[1m", "\x1b[3m", "\x1b[2m", "\x1b[36m"}

// maxMarker is the maximum number of bytes that are held back to find the meaning of a line or a marker. A longer one
// is text.
const maxMarker = 128

// Append styles text that arrived, in complete characters, and appends it to dst. It may hold back the last bytes until
// the next call.
func (m *Markdown) Append(dst, text []byte) []byte { return m.append(dst, text, false) }

// Flush appends the bytes that were held back, and resets the style.
func (m *Markdown) Flush(dst []byte) []byte { return m.set(m.append(dst, nil, true), 0) }

func (m *Markdown) append(dst, text []byte, last bool) []byte {
	if m.Plain {
		return append(dst, text...)
	}
	rest := append(m.held, text...)
	for len(rest) > 0 {
		size := 0
		if m.inLine {
			dst, size = m.inline(dst, rest, last)
		} else {
			dst, size = m.lineStart(dst, rest, last)
		}
		if size == 0 {
			break // needs more text
		}
		rest = rest[size:]
	}
	m.held = append(m.held[:0], rest...)
	return dst
}

// set changes the style that the terminal shows.
func (m *Markdown) set(dst []byte, want style) []byte {
	if want == m.current {
		return dst
	}
	if m.current != 0 {
		dst = append(dst, "\x1b[0m"...)
	}
	for i, on := range sgr {
		if want&(1<<i) != 0 {
			dst = append(dst, on...)
		}
	}
	m.current = want
	return dst
}

func (m *Markdown) put(dst, text []byte, s style) []byte {
	return append(m.set(dst, s), text...)
}

// lineStart reads the marker at the beginning of a line and returns its size, 0 if it needs more text.
func (m *Markdown) lineStart(dst, rest []byte, last bool) ([]byte, int) {
	head, _, ends := bytes.Cut(rest[:min(len(rest), maxMarker)], []byte("\n"))
	complete := last || ends || len(head) == maxMarker
	size, marker, known := m.marker(head, complete)
	if !known {
		return dst, 0
	}
	if size == 0 {
		m.inLine = true
		return m.inline(dst, rest, last)
	}
	return m.put(dst, rest[:size], marker), size
}

// marker returns the size of the marker at the beginning of a line and its style. It sets the style of the text after
// it. known is false if the meaning depends on bytes that have not arrived.
func (m *Markdown) marker(head []byte, complete bool) (size int, shown style, known bool) {
	if m.fence != 0 {
		return 0, 0, m.codeLine(head, complete)
	}
	if len(head) == 0 {
		return 0, 0, complete
	}
	first, run := head[0], runLength(head)
	sure := complete || run < len(head) // the byte after the run is known, or the line ends
	switch {
	case first == ' ' || first == '\t':
		return run, 0, true
	case first == '>':
		m.quoted = true
		return 1, dim, true
	case first == '#' && run <= 6:
		if sure && (run == len(head) || head[run] == ' ') {
			m.line = bold
		}
		return 0, 0, sure
	case (first == '`' || first == '~') && run >= 3:
		if complete && (first == '~' || bytes.IndexByte(head[run:], '`') < 0) { // else it is inline code
			m.fence, m.fences, m.line = first, run, dim
		}
		return 0, 0, complete
	case first == '`' || first == '~':
		return 0, 0, sure
	case (first == '-' || first == '*' || first == '_') && run == len(head) && (run >= 3 || !complete):
		if complete {
			m.line = dim
		}
		return 0, 0, complete
	}
	size, known = listMarker(head, complete)
	return size, bold, known
}

// codeLine reads the beginning of a line inside a fence, and reports whether it is known if the line closes the fence.
func (m *Markdown) codeLine(head []byte, complete bool) (known bool) {
	margin := " \t"
	if m.quoted {
		margin += ">"
	}
	text := bytes.TrimLeft(head, margin)
	run := len(text) - len(bytes.TrimLeft(text, string(m.fence)))
	m.line = code
	if len(bytes.TrimRight(text[run:], " \t")) > 0 {
		return true
	}
	if complete && run >= m.fences {
		m.line, m.fence = dim, 0
	}
	return complete
}

// listMarker returns the size of a list's marker, 0 if there is none.
func listMarker(text []byte, complete bool) (size int, known bool) {
	digits := len(text) - len(bytes.TrimLeft(text, "0123456789"))
	size = digits
	switch {
	case digits > 9:
		return 0, true
	case digits == len(text):
		return 0, complete
	case digits > 0 && (text[digits] == '.' || text[digits] == ')'), digits == 0 && bytes.IndexByte([]byte("-*+"), text[0]) >= 0:
		size++
	default:
		return 0, true
	}
	if size == len(text) {
		return 0, complete
	}
	if text[size] != ' ' && text[size] != '\t' {
		return 0, true
	}
	return size, true
}

// runLength returns how often the first byte repeats at the beginning of text.
func runLength(text []byte) int { return len(text) - len(bytes.TrimLeft(text, string(text[:1]))) }

// inline reads the next piece of a line and returns its size, 0 if it needs more text.
func (m *Markdown) inline(dst, rest []byte, last bool) ([]byte, int) {
	if rest[0] == '\n' {
		dst = m.set(dst, 0)
		m.inLine, m.line, m.open, m.ticks, m.link, m.before = false, 0, 0, 0, 0, '\n'
		m.quoted = m.quoted && m.fence != 0
		return append(dst, '\n'), 1
	}
	size := bytes.IndexAny(rest, m.markers())
	if size < 0 {
		size = len(rest)
	}
	if size > 0 {
		m.before, _ = utf8.DecodeLastRune(rest[:size])
		return m.put(dst, rest[:size], m.style()), size
	}
	run := min(runLength(rest), maxMarker)
	after := '\n'
	if run < len(rest) {
		after, _ = utf8.DecodeRune(rest[run:])
	} else if run < maxMarker && !last {
		return dst, 0
	}
	dst, size = m.inlineMarker(dst, rest, run, after)
	m.before, _ = utf8.DecodeLastRune(rest[:size])
	return dst, size
}

// markers returns the characters that can be markers in the current state.
func (m *Markdown) markers() string {
	switch {
	case m.line&(dim|code) != 0:
		return "\n"
	case m.ticks > 0:
		return "\n`"
	case m.link > 0:
		return "\n()"
	}
	return "\n`*_\\]"
}

// style returns the style of text in the current state.
func (m *Markdown) style() style {
	switch {
	case m.link > 0:
		return dim
	case m.ticks > 0:
		return m.line | code
	}
	return m.line | m.open
}

// inlineMarker reads one of the markers, repeated run times, and returns the size of what it read.
func (m *Markdown) inlineMarker(dst, rest []byte, run int, after rune) ([]byte, int) {
	shown, size := m.style(), run
	switch rest[0] {
	case '`':
		shown = m.line | code
		if m.ticks == 0 {
			m.ticks = run
		} else if m.ticks == run {
			m.ticks = 0
		}
	case '*', '_':
		if m.emphasis(rest[0], run, after) {
			shown = dim
		}
	case '\\':
		size = min(run, 2)
		if run == 1 && after < utf8.RuneSelf && unicode.In(after, unicode.P, unicode.S) {
			size = 2
		}
	case ']':
		size = 1
		if run == 1 && after == '(' {
			shown, size, m.link = dim, 2, 1
		}
	case '(':
		size = 1
		m.link++
	case ')':
		size = 1
		m.link--
	}
	return m.put(dst, rest[:size], shown), size
}

// emphasis opens or closes bold and italic, and reports whether it did.
func (m *Markdown) emphasis(char byte, run int, after rune) bool {
	if run > 3 {
		return false
	}
	which := [...]style{1: italic, 2: bold, 3: bold | italic}[run]
	inWord := func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }
	closes := !unicode.IsSpace(m.before) && (char == '*' || !inWord(after))
	// Chinese has no spaces around bold text. A single * between letters or digits is more often a product.
	opens := !unicode.IsSpace(after) && (char == '*' && run > 1 || !inWord(m.before))
	switch {
	case m.open&which != 0 && closes:
		m.open &^= which
	case m.open&which == 0 && opens:
		m.open |= which
	default:
		return false
	}
	return true
}
