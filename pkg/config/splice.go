package config

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// doc is the text with its tree, for edits at positions from the tree. The library returns where nodes begin; doc
// finds where they end in the text. The result is only a proposal: change verifies the edit afterwards.
type doc struct {
	src    []byte
	root   *yaml.Node // nil for a file without content
	lines  []int      // where each line begins
	eol    string
	unsafe bool // a position was not found, or more than the value would be lost: no safe edit is possible
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

// byHand refuses an edit and names the line of the key or of its nearest parent.
func (d *doc) byHand(k dottedKey) *Error {
	line := 1
	if found := follow(d.root, k.path); len(found) > 0 {
		line = found[len(found)-1].key().Line
	}
	e := newError("cannot be edited safely here", fmt.Sprintf("edit the file by hand at line %d", line))
	e.Key = k.text
	return e
}

// entry is one key of a map with its value.
type entry struct {
	m *yaml.Node
	i int
}

func (e entry) key() *yaml.Node   { return e.m.Content[e.i] }
func (e entry) value() *yaml.Node { return e.m.Content[e.i+1] }
func (e entry) inFlow() bool      { return e.m.Style&yaml.FlowStyle != 0 }

// isEmpty reports whether the value is written as nothing.
func (e entry) isEmpty() bool {
	v := e.value()
	return v.Kind == yaml.ScalarNode && isPlain(v) && v.Value == ""
}

// follow returns the entries of a path, as far as they exist in the tree.
func follow(m *yaml.Node, path []string) []entry {
	if m == nil || m.Kind != yaml.MappingNode || len(path) == 0 {
		return nil
	}
	for i := 0; i < len(m.Content); i += 2 {
		if m.Content[i].Value == path[0] {
			return append([]entry{{m, i}}, follow(m.Content[i+1], path[1:])...)
		}
	}
	return nil
}

// spelled returns the path with a header's name as the file spells it, because its case is ignored.
func (d *doc) spelled(path []string) []string {
	if len(path) < 4 || path[0] != "nodes" || path[2] != "headers" {
		return path
	}
	if found := follow(d.root, path[:3]); len(found) == 3 {
		for i, n := range found[2].value().Content {
			if i%2 == 0 && strings.EqualFold(n.Value, path[3]) {
				return append(path[:3:3], n.Value)
			}
		}
	}
	return path
}

func (d *doc) start(n *yaml.Node) int {
	if n.Line < 1 || n.Line > len(d.lines) {
		d.unsafe = true
		return len(d.src)
	}
	off := d.lines[n.Line-1]
	for range n.Column - 1 {
		_, size := utf8.DecodeRune(d.src[off:])
		off += size
	}
	if n.Kind == yaml.ScalarNode && isPlain(n) && n.Value == "" {
		// An empty value is after its colon; in a flow map the library places it at the next token.
		off = len(bytes.TrimRight(d.src[:off], " "))
	}
	return off
}

// lineEnd returns where the line of off ends, before its line break. afterLine returns where the next line begins.
func (d *doc) lineEnd(off int) int {
	if i := bytes.IndexByte(d.src[off:], '\n'); i >= 0 {
		return off + i
	}
	return len(d.src)
}

func (d *doc) afterLine(off int) int { return min(d.lineEnd(off)+1, len(d.src)) }

// end returns where a node ends; indent is the 0-based column of the key that it belongs to.
func (d *doc) end(n *yaml.Node, indent int) int {
	off := d.start(n)
	switch {
	case n.Kind == yaml.ScalarNode:
		return d.after(off, scalarPattern(n, indent))
	// The map in [a: b] has no bracket.
	case n.Style&yaml.FlowStyle != 0 && off < len(d.src) && strings.IndexByte("[{", d.src[off]) >= 0:
		return d.after(d.lastIn(n, indent), `(,|\s|\s#.*)*[\]}]`)
	}
	return d.lastIn(n, indent)
}

// scalarPattern returns the pattern of a scalar as it is written.
func scalarPattern(n *yaml.Node, indent int) string {
	switch {
	case isPlain(n): // its words, which can be on several lines
		words := strings.FieldsFunc(n.Value, func(r rune) bool { return strings.ContainsRune(" \t\r\n", r) })
		for i, word := range words {
			words[i] = regexp.QuoteMeta(word)
		}
		return strings.Join(words, `\s+`)
	case n.Style&yaml.SingleQuotedStyle != 0:
		return `'([^']|'')*'`
	case n.Style&yaml.DoubleQuotedStyle != 0:
		return `"([^"\\]|\\(.|\n))*"`
	}
	// A block: its first line, and all lines up to the last one that is indented deeper than the key.
	return `.*(\n(\s*\n)*` + strings.Repeat(" ", indent+1) + `[ \t]*\S.*)*`
}

// after returns the offset behind the text at off, which has to match a pattern.
func (d *doc) after(off int, pattern string) int {
	found := regexp.MustCompile(`^(` + pattern + `)`).FindIndex(d.src[off:])
	if found == nil {
		d.unsafe = true
		return off
	}
	return off + found[1]
}

// lastIn returns where the last item of a map or a list ends, or the offset after the opening bracket if it is empty.
func (d *doc) lastIn(n *yaml.Node, indent int) int {
	switch i := len(n.Content); {
	case i == 0:
		return min(d.start(n)+1, len(d.src))
	case n.Kind == yaml.MappingNode:
		return d.entryEnd(entry{n, i - 2})
	default:
		return d.end(n.Content[i-1], indent)
	}
}

func (d *doc) entryEnd(e entry) int { return d.end(e.value(), e.key().Column-1) }

func (d *doc) splice(from, to int, text string) []byte {
	if d.unsafe || from > to {
		d.unsafe = true
		return d.src
	}
	return slices.Concat(d.src[:from], []byte(text), d.src[to:])
}

// insertLines inserts complete lines. It adds a line break to a last line without one.
func (d *doc) insertLines(off int, lines string) []byte {
	body := bytes.TrimPrefix(d.src, []byte("\ufeff"))
	if off == len(d.src) && len(body) > 0 && body[len(body)-1] != '\n' {
		lines = d.eol + lines
	}
	return d.splice(off, off, lines)
}

// set makes the change for Set.
func (d *doc) set(k dottedKey, value string) []byte {
	found := follow(d.root, k.path)
	rest := k.path[len(found):]
	m, last := d.root, entry{}
	if len(found) > 0 {
		last = found[len(found)-1]
		m = last.value()
	}
	text := render(k.kind, value, 0)
	switch {
	case len(rest) == 0:
		return d.replace(last, k.kind, value)
	case m == nil:
		return d.insertLines(len(d.src), d.block(rest, 0, text))
	case m.Kind == yaml.MappingNode && m.Style&yaml.FlowStyle != 0:
		return d.insertFlow(m, flow(rest, text))
	case m.Kind == yaml.MappingNode:
		return d.insertLines(d.afterLine(d.lastIn(m, 0)), d.block(rest, m.Content[0].Column-1, text))
	case !isNull(m):
		d.unsafe = true
		return nil
	case !last.isEmpty(): // ~ or null
		return d.splice(d.start(m), d.entryEnd(last), "{"+flow(rest, text)+"}")
	case last.inFlow():
		return d.splice(d.start(m), d.start(m), " {"+flow(rest, text)+"}")
	}
	return d.insertLines(d.afterLine(d.start(m)), d.block(rest, last.key().Column-1+d.step(), text))
}

// replace changes a value in place and keeps its quotes.
func (d *doc) replace(e entry, k kind, value string) []byte {
	v := e.value()
	from, to, text := d.start(v), d.entryEnd(e), render(k, value, v.Style)
	isBlock, quotes := v.Style&yaml.FlowStyle == 0, yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle
	switch {
	case v.Kind == yaml.SequenceNode && isBlock: // its items are on separate lines below the key
		from, text = d.after(d.end(e.key(), e.key().Column-1), ` *:`), " "+text
		d.unsafe = d.unsafe || bytes.IndexByte(d.src[from:to], '#') >= 0 // a comment among them would be lost
	case v.Kind == yaml.MappingNode && isBlock:
		d.unsafe = true
	case e.isEmpty():
		text = " " + text
	case v.Kind == yaml.ScalarNode && v.Style&quotes == 0 && string(d.src[from:to]) != v.Value:
		d.unsafe = true // several lines
	}
	return d.splice(from, to, text)
}

// insertFlow adds an entry at the end of a map {…}.
func (d *doc) insertFlow(m *yaml.Node, text string) []byte {
	last := d.lastIn(m, 0)
	comma := d.after(last, `((\s|\s#.*)*,)?`)
	switch {
	case len(m.Content) == 0:
	case comma > last:
		last, text = comma, " "+text
	default:
		text = ", " + text
	}
	return d.splice(last, last, text)
}

// unset makes the change for Unset: it removes an entry, and the maps that would be empty without it. It keeps a node
// and a map that contains a comment.
func (d *doc) unset(k dottedKey) ([]byte, *Error) {
	found := follow(d.root, k.path)
	if len(found) < len(k.path) {
		err := newError("is not set in the file", "")
		err.Key = k.text
		return nil, err
	}
	for len(found) > 1 {
		isNode := len(found) == 3 && k.path[0] == "nodes"
		if len(found[len(found)-1].m.Content) > 2 || isNode || d.hasComment(found[len(found)-2]) {
			break
		}
		found = found[:len(found)-1]
	}
	e := found[len(found)-1]
	from, to := d.start(e.key()), d.entryEnd(e)
	if !e.inFlow() { // its lines
		line := d.lines[e.key().Line-1]
		d.unsafe = d.unsafe || strings.Trim(string(d.src[line:from]), " ") != ""
		return d.splice(line, d.afterLine(to), ""), nil
	}
	switch { // the entry and one comma
	case e.i > 0:
		from = d.entryEnd(entry{e.m, e.i - 2})
	case len(e.m.Content) > 2:
		to = d.start(e.m.Content[2])
	}
	d.unsafe = d.unsafe || from > to || bytes.IndexByte(d.src[from:to], '#') >= 0
	return d.splice(from, to, ""), nil
}

// hasComment reports whether an entry may contain a comment. A # in a value also counts, which does no harm.
func (d *doc) hasComment(e entry) bool {
	from, to := d.start(e.key()), d.entryEnd(e)
	if d.unsafe {
		return true
	}
	if !e.inFlow() && bytes.IndexByte(d.src[from:to], '\n') >= 0 {
		to = d.lineEnd(to)
	}
	return bytes.IndexByte(d.src[from:to], '#') >= 0
}

// step returns the file's indentation, 2 if unknown.
func (d *doc) step() int {
	for i := 1; d.root != nil && i < len(d.root.Content); i += 2 {
		v := d.root.Content[i]
		if v.Kind == yaml.MappingNode && v.Style&yaml.FlowStyle == 0 && len(v.Content) > 0 {
			if n := v.Content[0].Column - d.root.Content[i-1].Column; n > 0 {
				return n
			}
		}
	}
	return 2
}

// block returns nested entries, one per line.
func (d *doc) block(path []string, indent int, value string) string {
	line := strings.Repeat(" ", indent) + render(kindText, path[0], 0) + ":"
	if len(path) == 1 {
		return line + " " + value + d.eol
	}
	return line + d.eol + d.block(path[1:], indent+d.step(), value)
}

// flow returns nested entries on one line.
func flow(path []string, value string) string {
	text := render(kindText, path[0], 0) + ": "
	if len(path) == 1 {
		return text + value
	}
	return text + "{" + flow(path[1:], value) + "}"
}

// render returns a value as YAML: a number or a boolean unchanged, text in its previous quotes or in the quotes that
// it needs.
func render(k kind, s string, was yaml.Style) string {
	switch {
	case k == kindList || k == kindCommas:
		items, style := k.split(s), yaml.Style(0)
		if k == kindCommas {
			style = yaml.DoubleQuotedStyle
		}
		for i, item := range items {
			items[i] = render(kindText, item, style)
		}
		return "[" + strings.Join(items, ", ") + "]"
	case k == kindNumber || k == kindBool || k == kindJSON:
		return s // it passed its rule, so nothing needs quotes, and JSON is YAML
	case was&yaml.SingleQuotedStyle != 0 && !strings.ContainsFunc(s, unicode.IsControl):
		return "'" + strings.ReplaceAll(s, "'", "''") + "'"
	case was&yaml.DoubleQuotedStyle != 0 || !isPlainText(s):
		return strconv.Quote(s) // its escapes are valid in YAML
	}
	return s
}

// isPlainText reports whether s has the same meaning without quotes in every version of YAML: it begins with a letter
// or is a duration, has no YAML syntax in it, and is not one of the words for true, false and null.
func isPlainText(s string) bool {
	words := []string{"", "true", "false", "yes", "no", "on", "off", "y", "n", "null"}
	switch {
	case slices.Contains(words, strings.ToLower(s)):
		return false
	case s[0] >= '0' && s[0] <= '9':
		return checkDelay(s) == nil
	}
	isPlain, _ := regexp.MatchString(`^(https?://)?\pL[\pL\p{Nd}_./~-]*$`, s)
	return isPlain
}
