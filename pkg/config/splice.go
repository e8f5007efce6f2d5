package config

import (
	"bytes"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// splice replaces one stretch of the text.
func (d *doc) splice(from, to int, text string) []byte {
	return slices.Concat(d.src[:from], []byte(text), d.src[to:])
}

// set makes the one change that Set wants.
func (d *doc) set(k keyPath, value string) ([]byte, *Error) {
	path := d.find(k)
	rest := k.parts[len(path):]
	var out []byte
	ok := false
	switch {
	case len(rest) == 0:
		out, ok = d.replace(path[len(path)-1], k, value)
	case d.root == nil:
		out, ok = d.insertAt(len(d.src), renderBlock(rest, 0, 2, render(k, value, 0), d.eol)), true
	case len(path) == 0:
		out, ok = d.insert(d.root, k, rest, value)
	default:
		parent := path[len(path)-1]
		if v := parent.value(); isNull(v) {
			out, ok = d.fillNull(parent, k, rest, value)
		} else if v.Kind == yaml.MappingNode {
			out, ok = d.insert(v, k, rest, value)
		}
	}
	if !ok {
		return nil, d.byHand(k)
	}
	return out, nil
}

// replace changes a value in its place, in the quotes that it has.
func (d *doc) replace(e entry, k keyPath, value string) ([]byte, bool) {
	v := e.value()
	if e.isEmpty() {
		off, ok := d.colon(e)
		return d.splice(off, off, " "+render(k, value, 0)), ok
	}
	from, ok := d.start(v)
	to, ok2 := d.end(v, e.indent())
	if !ok || !ok2 {
		return nil, false
	}
	switch {
	case v.Kind == yaml.SequenceNode && v.Style&yaml.FlowStyle == 0:
		// The items stand on lines of their own below the key.
		if from, ok = d.colon(e); !ok || bytes.IndexByte(d.src[from:to], '#') >= 0 {
			return nil, false // a comment among them would be lost
		}
		return d.splice(from, to, " "+render(k, value, 0)), true
	case v.Kind == yaml.ScalarNode && v.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0:
	case v.Kind == yaml.ScalarNode && isPlain(v) && string(d.src[from:to]) == v.Value:
	case v.Kind != yaml.ScalarNode && v.Style&yaml.FlowStyle != 0:
	default:
		return nil, false // several lines
	}
	return d.splice(from, to, render(k, value, v.Style)), true
}

// insert adds an entry at the end of a map.
func (d *doc) insert(m *yaml.Node, k keyPath, rest []string, value string) ([]byte, bool) {
	if m.Style&yaml.FlowStyle != 0 {
		from, ok := d.start(m)
		if !ok {
			return nil, false
		}
		end, last := flowEnd(d.src, from)
		if end == 0 {
			return nil, false
		}
		text := renderFlow(rest, render(k, value, 0))
		switch d.src[last-1] {
		case ',':
			text = " " + text
		case '{':
			if len(m.Content) > 0 {
				return nil, false
			}
		default:
			text = ", " + text
		}
		return d.splice(last, last, text), true
	}
	lastEntry := entry{m, len(m.Content) - 2}
	end, ok := d.entryEnd(lastEntry)
	if !ok {
		return nil, false
	}
	text := renderBlock(rest, m.Content[0].Column-1, d.step(), render(k, value, 0), d.eol)
	return d.insertAt(d.afterLine(end), text), true
}

// fillNull gives a key without a value its first entry.
func (d *doc) fillNull(e entry, k keyPath, rest []string, value string) ([]byte, bool) {
	flow := "{" + renderFlow(rest, render(k, value, 0)) + "}"
	if !e.isEmpty() { // ~ or null
		from, ok := d.start(e.value())
		return d.splice(from, from+len(e.value().Value), flow), ok
	}
	off, ok := d.colon(e)
	if !ok {
		return nil, false
	}
	if e.inFlow() {
		return d.splice(off, off, " "+flow), true
	}
	text := renderBlock(rest, e.indent()+d.step(), d.step(), render(k, value, 0), d.eol)
	return d.insertAt(d.afterLine(off), text), true
}

// afterLine is where the line after off begins.
func (d *doc) afterLine(off int) int { return min(d.lineEnd(off)+1, len(d.src)) }

// insertAt adds whole lines; a last line without a line break gets one.
func (d *doc) insertAt(off int, lines string) []byte {
	body := bytes.TrimPrefix(d.src, []byte("\ufeff"))
	if off == len(d.src) && len(body) > 0 && body[len(body)-1] != '\n' {
		lines = d.eol + lines
	}
	return d.splice(off, off, lines)
}

// step is by how much the file indents, 2 when it does not say.
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

// unset makes the one change that Unset wants.
func (d *doc) unset(k keyPath) ([]byte, *Error) {
	path := d.find(k)
	if len(path) < len(k.parts) {
		return nil, bad("is not set in the file", "")
	}
	for len(path) > 1 {
		e := path[len(path)-1]
		isNode := len(path) == 3 && k.parts[0] == "nodes"
		if len(e.m.Content) > 2 || isNode || d.hasComment(path[len(path)-2]) {
			break
		}
		path = path[:len(path)-1]
	}
	e := path[len(path)-1]
	remove := d.removeLines
	if e.inFlow() {
		remove = d.removeFlow
	}
	out, ok := remove(e)
	if !ok {
		return nil, d.byHand(k)
	}
	return out, nil
}

// hasComment holds when a comment might stand inside an entry. A # in a value counts too: nothing is lost by that.
func (d *doc) hasComment(e entry) bool {
	from, ok := d.start(e.key())
	to, ok2 := d.entryEnd(e)
	if !ok || !ok2 {
		return true
	}
	text := string(d.src[from:to])
	if !e.inFlow() && strings.Contains(text, "\n") {
		text = string(d.src[from:d.lineEnd(to)])
	}
	return strings.Contains(text, "#")
}

// removeLines takes away the lines of an entry that has them to itself.
func (d *doc) removeLines(e entry) ([]byte, bool) {
	from, ok := d.start(e.key())
	to, ok2 := d.entryEnd(e)
	if !ok || !ok2 {
		return nil, false
	}
	line := d.lines[e.key().Line-1]
	if strings.Trim(string(d.src[line:from]), " ") != "" {
		return nil, false
	}
	return d.splice(line, d.afterLine(to), ""), true
}

// removeFlow takes away an entry of {…} and one comma.
func (d *doc) removeFlow(e entry) ([]byte, bool) {
	from, ok := d.start(e.key())
	to, ok2 := d.entryEnd(e)
	if !ok || !ok2 {
		return nil, false
	}
	switch {
	case e.i > 0:
		from, ok = d.entryEnd(entry{e.m, e.i - 2})
	case len(e.m.Content) > 2:
		to, ok = d.start(e.m.Content[2])
	}
	if !ok || bytes.IndexByte(d.src[from:to], '#') >= 0 {
		return nil, false
	}
	return d.splice(from, to, ""), true
}
