package report

import (
	"strings"

	"ferry/pkg/bench"
	"ferry/pkg/term"
)

// page is a report for a terminal while it is written.
type page struct {
	s     *bench.Summary
	facts term.Facts
	style term.Styles
	b     strings.Builder
}

// textReport is the report for a terminal. In a pipe it is as wide as it likes and without colour, so that grep and awk find
// what they look for on one line.
func textReport(s *bench.Summary, f term.Facts) string {
	if !f.TTY {
		f.Plain = true
	}
	p := &page{s: s, facts: f, style: term.NewStyles(f)}
	p.head()
	p.section("", p.table())
	p.plots()
	p.section("failures", p.failures())
	p.section("phases, mean", p.phases())
	p.section(p.streamHeading(), p.streams())
	p.section("fixed rate", p.openLoop())
	p.verdicts()
	p.warnings()
	p.define()
	return p.b.String()
}

// width is how wide a table may be, 0 for as wide as it likes.
func (p *page) width() int {
	if !p.facts.TTY {
		return 0
	}
	return p.facts.Width
}

// section writes a table under its heading, after a blank line; nothing where there is no table.
func (p *page) section(heading, body string) {
	if body == "" {
		return
	}
	p.b.WriteString("\n")
	if heading != "" {
		p.b.WriteString(p.style.Strong.Render(heading) + "\n")
	}
	p.b.WriteString(body)
}

// wrap breaks a line at the width of the terminal, and not at all in a pipe.
func (p *page) wrap(line string) string {
	if !p.facts.TTY {
		return line
	}
	return term.Wrap(line, p.facts.Width, indent)
}

// painted writes lines in a style, each one for itself, so that a pager which shows one of them shows it whole.
func (p *page) painted(paint func(...string) string, lines string) {
	for line := range strings.SplitSeq(lines, "\n") {
		p.b.WriteString(paint(line) + "\n")
	}
}

func (p *page) verdicts() {
	if len(p.s.Rows) == 0 {
		return
	}
	p.b.WriteString("\n")
	best := p.s.BestRow()
	for _, r := range p.s.Rows {
		paint := plain
		switch {
		case r == best:
			paint = p.style.Good.Render
		case r.OK == 0:
			paint = p.style.Bad.Render
		}
		p.painted(paint, p.wrap(verdict(p.s, r)))
	}
	if best != nil && len(p.s.Rows) > 1 {
		p.painted(p.style.Good.Render, p.wrap("best: "+title(p.s, best)))
	}
}

// plain paints nothing.
func plain(words ...string) string { return strings.Join(words, " ") }

// indent is how far the second line of a sentence stands in.
const indent = 2

func (p *page) warnings() {
	for _, w := range p.s.Warnings {
		const word = "warning:"
		rest := strings.TrimPrefix(p.wrap(word+" "+visible(w.Text)), word)
		p.b.WriteString(p.style.Bad.Render(word) + rest + "\n")
	}
}

func (p *page) define() {
	if len(p.s.Rows) == 0 {
		return
	}
	p.b.WriteString("\n")
	for _, d := range definitions(p.s) {
		p.painted(p.style.Dim.Render, p.wrap(d.term+": "+d.en))
	}
}
