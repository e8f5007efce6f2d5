package report

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"

	"ferry/pkg/bench"
)

// document gathers the document. A template engine would be linked into every command and pay at its start; put is enough.
type document struct {
	b bytes.Buffer
	s *bench.Summary
}

// markup is text that is HTML already: the program's own words, or what put has made.
type markup string

// put writes a format of the program's own. Whatever is neither a number nor markup is escaped, so that what is forgotten
// is safe: names, labels and the words of a failure come from outside.
func (d *document) put(format string, args ...any) {
	for i, arg := range args {
		switch arg := arg.(type) {
		case int, float64, rune:
		case markup:
			args[i] = string(arg)
		case string:
			args[i] = escapeHTML(arg)
		default:
			args[i] = escapeHTML(fmt.Sprint(arg))
		}
	}
	fmt.Fprintf(&d.b, format, args...)
}

// escapeHTML makes text safe between tags and in a quoted attribute. What would turn or hide other text becomes visible.
func escapeHTML(text string) string {
	var b strings.Builder
	for _, r := range visible(text) {
		switch r {
		case '&':
			b.WriteString("&amp;")
		case '<':
			b.WriteString("&lt;")
		case '>':
			b.WriteString("&gt;")
		case '"':
			b.WriteString("&#34;")
		case '\'':
			b.WriteString("&#39;")
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// tags are what a row's name leaves open: over which connection, and from where.
func (d *document) tags(r *bench.Row) []string {
	var tags []string
	if d.s.BothConnections() {
		tags = append(tags, string(r.Node.Connection))
	}
	if len(d.s.Vantages) > 1 {
		tags = append(tags, "from "+orElse(r.Vantage, "an unnamed place"))
	}
	return tags
}

// name writes a series's name for a heading or the side of a picture.
func (d *document) name(i int) {
	r := d.s.Rows[i]
	d.put(`<span class="name"><i class="dot"></i><b><bdi>%s</bdi></b>`, r.Node.Name)
	for _, tag := range d.tags(r) {
		d.put(` <span class="tag">%s</span>`, tag)
	}
	d.put(`</span>`)
}

// role is the colour of a row: the best one, the one all are compared with, or any other. A colour for each would be no
// help to many readers, and its name stands beside every picture anyway.
func (d *document) role(i int) string {
	switch {
	case i == d.s.Best:
		return "best"
	case reference(d.s, d.s.Rows[i]) && compared(d.s):
		return "ref"
	}
	return "any"
}

// tied keeps a number and its unit on one line.
func tied(text string) string {
	var b strings.Builder
	for i, r := range text {
		if r == ' ' && i > 0 && text[i-1] >= '0' && text[i-1] <= '9' {
			unit, _, _ := strings.Cut(text[i+1:], " ")
			switch strings.TrimRight(unit, ".,;:)") {
			case "%", "ms", "s", "×":
				r = '\u00a0'
			}
		}
		b.WriteRune(r)
	}
	return b.String()
}

// bare shows a time in ms or a rate to three or four digits: more would claim what no sample shows.
func bare(v float64) string {
	switch size := math.Abs(v); {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return missing
	case size >= 99.95:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case size >= 9.995:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}
