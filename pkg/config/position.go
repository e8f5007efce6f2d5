package config

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// doc is a text with its tree, for edits at places that the tree names. The library gives where nodes begin; where they
// end is found here, in the text. What is found is only ever a proposal: change proves the edit afterwards.
type doc struct {
	src   []byte
	root  *yaml.Node // nil for a file without content
	lines []int      // where each line begins
	eol   string
}

func newDoc(src []byte, root *yaml.Node) *doc {
	d := &doc{src: src, root: root, lines: []int{0}, eol: "\n"}
	if bytes.HasPrefix(src, []byte("\ufeff")) {
		d.lines[0] = len("\ufeff")
	}
	for i, c := range src {
		if c == '\n' {
			d.lines = append(d.lines, i+1)
		}
	}
	if i := bytes.IndexByte(src, '\n'); i > 0 && src[i-1] == '\r' {
		d.eol = "\r\n"
	}
	return d
}

// byHand refuses an edit and names the line where the key, or its nearest parent, stands.
func (d *doc) byHand(k keyPath) *Error {
	line := 1
	if path := d.find(k); len(path) > 0 {
		line = path[len(path)-1].key().Line
	}
	return &Error{Key: k.text, Msg: "cannot be edited safely here", HintText: "edit the file by hand at line " + itoa(line)}
}

// start is where a node begins.
func (d *doc) start(n *yaml.Node) (int, bool) {
	if n.Line < 1 || n.Line > len(d.lines) {
		return 0, false
	}
	off := d.lines[n.Line-1]
	for range n.Column - 1 {
		_, size := utf8.DecodeRune(d.src[off:])
		off += size
	}
	return off, off <= len(d.src)
}

// lineEnd is where the line of off ends, before its line break.
func (d *doc) lineEnd(off int) int {
	if i := bytes.IndexByte(d.src[off:], '\n'); i >= 0 {
		return off + i
	}
	return len(d.src)
}

// end is where a node ends; indent is the column, from 0, of the key that it belongs to. It does not know a null that
// is written as nothing: entry.end does.
func (d *doc) end(n *yaml.Node, indent int) (int, bool) {
	off, ok := d.start(n)
	if !ok || off >= len(d.src) {
		return 0, false
	}
	switch {
	case n.Kind == yaml.ScalarNode && n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0:
		end := quoteEnd(d.src, off)
		return end, end > 0
	case n.Kind == yaml.ScalarNode && isPlain(n) && bytes.HasPrefix(d.src[off:], []byte(n.Value)):
		return off + len(n.Value), true
	case n.Kind == yaml.ScalarNode:
		return d.blockEnd(off, indent), true
	case n.Style&yaml.FlowStyle != 0:
		end, _ := flowEnd(d.src, off)
		return end, end > 0
	case len(n.Content) == 0:
		return 0, false
	case n.Kind == yaml.MappingNode:
		return d.entryEnd(entry{n, len(n.Content) - 2})
	}
	return d.end(n.Content[len(n.Content)-1], indent)
}

// blockEnd is the end of the last line, from off on, that is deeper than indent.
func (d *doc) blockEnd(off, indent int) int {
	end := d.lineEnd(off)
	for next := end + 1; next < len(d.src); {
		stop := d.lineEnd(next)
		line := strings.TrimRight(string(d.src[next:stop]), " \t\r")
		if deep := len(line) - len(strings.TrimLeft(line, " ")); line != "" {
			if deep <= indent {
				break
			}
			end = stop
		}
		next = stop + 1
	}
	return end
}

// quoteEnd is the place behind the quote that closes the one at off, 0 without one.
func quoteEnd(src []byte, off int) int {
	quote := src[off]
	for i := off + 1; i < len(src); i++ {
		switch {
		case quote == '"' && src[i] == '\\':
			i++
		case src[i] != quote:
		case quote == '\'' && i+1 < len(src) && src[i+1] == '\'':
			i++
		default:
			return i + 1
		}
	}
	return 0
}

// flowEnd is the place behind the bracket that closes the one at off, and the place behind the last thing before it. It
// returns 0 without one.
func flowEnd(src []byte, off int) (end, last int) {
	depth, before := 0, byte(0) // before is the last byte that is no space
	for i := off; i < len(src); i++ {
		c := src[i]
		switch {
		case c == '\n' || c == '\r' || c == ' ' || c == '\t':
			continue
		case c == '#' && (src[i-1] == ' ' || src[i-1] == '\t' || src[i-1] == '\n'):
			for i+1 < len(src) && src[i+1] != '\n' {
				i++
			}
			continue
		case (c == '"' || c == '\'') && strings.IndexByte("{[,:?", before) >= 0:
			if i = quoteEnd(src, i) - 1; i < 0 {
				return 0, 0
			}
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			if depth--; depth == 0 {
				return i + 1, last
			}
		}
		before, last = src[i], i+1
	}
	return 0, 0
}

// entry is one key of a map with its value.
type entry struct {
	m *yaml.Node
	i int
}

func (e entry) key() *yaml.Node   { return e.m.Content[e.i] }
func (e entry) value() *yaml.Node { return e.m.Content[e.i+1] }
func (e entry) inFlow() bool      { return e.m.Style&yaml.FlowStyle != 0 }
func (e entry) indent() int       { return e.key().Column - 1 }

// isEmpty holds for a value that is written as nothing.
func (e entry) isEmpty() bool {
	v := e.value()
	return v.Kind == yaml.ScalarNode && isPlain(v) && v.Value == ""
}

// colon is the place behind the ':' of an entry.
func (d *doc) colon(e entry) (int, bool) {
	off, ok := d.end(e.key(), e.indent())
	if !ok {
		return 0, false
	}
	for off < len(d.src) && d.src[off] == ' ' {
		off++
	}
	return off + 1, off < len(d.src) && d.src[off] == ':'
}

func (d *doc) entryEnd(e entry) (int, bool) {
	if e.isEmpty() {
		return d.colon(e)
	}
	return d.end(e.value(), e.indent())
}

// find follows a key as far as the file has it.
func (d *doc) find(k keyPath) []entry {
	var path []entry
	m := d.root
	for depth, part := range k.parts {
		if m == nil || m.Kind != yaml.MappingNode {
			break
		}
		fold := k.isHeader() && depth == 3
		i := 0
		for i < len(m.Content) && m.Content[i].Value != part && !(fold && strings.EqualFold(m.Content[i].Value, part)) {
			i += 2
		}
		if i >= len(m.Content) {
			break
		}
		path = append(path, entry{m, i})
		m = m.Content[i+1]
	}
	return path
}
