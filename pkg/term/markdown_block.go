package term

import "strings"

// blockParser finds the blocks of a document, line by line, in the way that the appendix of the CommonMark
// specification describes (spec.commonmark.org/0.31.2, "A parsing strategy"): a line first continues the open blocks
// as far as it can, then opens new ones, and what is left of it is added to the innermost.
type blockParser struct {
	open       []*node // the open blocks, outermost first
	references map[string]string

	number    int // of the line
	line      string
	offset    int // in bytes
	column    int
	tabbed    bool // a tab has been taken in part
	text      int  // offset of the next character that is no space
	textAt    int  // its column
	indent    int
	blank     bool
	paragraph bool // a paragraph was open when the line began, which the line may continue lazily
}

// parseMarkdown makes a document of a text.
func parseMarkdown(source string) *node {
	p := &blockParser{references: map[string]string{}}
	document := newBlock(kindDocument, 0)
	p.open = []*node{document}
	for line := range strings.Lines(source) {
		p.number++
		p.line = strings.TrimSuffix(line, "\n")
		p.take()
	}
	p.number++
	p.closeTo(0)
	p.closeTip()
	spans := &spanParser{references: p.references}
	spans.blocks(document)
	return document
}

// take adds a line to the document.
func (p *blockParser) take() {
	p.offset, p.column, p.tabbed = 0, 0, false
	p.look()
	matched := 0
	for matched+1 < len(p.open) {
		ok, done := p.continues(p.open[matched+1])
		if done {
			return
		}
		if !ok {
			break
		}
		matched++
	}
	p.paragraph = p.last().kind == kindParagraph
	container := p.open[matched]
	if container.kind == kindFence || container.kind == kindHTML {
		p.addLine(matched)
		return
	}
	matched = p.openBlocks(matched)
	if matched < 0 {
		return
	}
	// Lazy continuation (5.1): text behind an open paragraph goes on with it, whatever containers its line lacks.
	if p.paragraph && !p.blank && matched < len(p.open)-1 {
		p.addText()
		return
	}
	p.closeTo(matched)
	p.addLine(matched)
}

func (p *blockParser) last() *node { return p.open[len(p.open)-1] }

// look finds the next character that is no space.
func (p *blockParser) look() {
	i, column := p.offset, p.column
scan:
	for ; i < len(p.line); i++ {
		switch p.line[i] {
		case ' ':
			column++
		case '\t':
			column += 4 - column%4
		default:
			break scan
		}
	}
	p.text, p.textAt = i, column
	p.indent, p.blank = column-p.column, i == len(p.line)
}

// peek is the next character that is no space, or 0.
func (p *blockParser) peek() byte {
	if p.blank {
		return 0
	}
	return p.line[p.text]
}

// advance goes on by so many columns of white space or bytes of text. A tab may be taken in part (2.2).
func (p *blockParser) advance(columns int) {
	for columns > 0 && p.offset < len(p.line) {
		if p.line[p.offset] != '\t' {
			p.offset++
			p.column++
			columns--
			p.tabbed = false
			continue
		}
		stop := 4 - p.column%4
		p.tabbed = stop > columns
		taken := min(stop, columns)
		p.column += taken
		columns -= taken
		if !p.tabbed {
			p.offset++
		}
	}
	p.look()
}

// toText goes on to the next character that is no space.
func (p *blockParser) toText() {
	p.offset, p.column, p.tabbed = p.text, p.textAt, false
	p.look()
}

// rest is what is left of the line; a tab of which a part was taken is what spaces remain of it.
func (p *blockParser) rest() string {
	if p.tabbed && p.offset < len(p.line) {
		return strings.Repeat(" ", 4-p.column%4) + p.line[p.offset+1:]
	}
	return p.line[p.offset:]
}

// continues reports whether the line goes on with an open block, and whether that is all there is to do with the line.
func (p *blockParser) continues(n *node) (ok, done bool) {
	switch n.kind {
	case kindQuote:
		if p.indent > 3 || p.peek() != '>' {
			return false, false
		}
		p.quoteMark()
	case kindItem:
		switch {
		case p.blank && n.first == nil:
			return false, false // an item may begin with one blank line only (5.2)
		case p.blank:
			p.toText()
		case p.indent >= n.block.indent:
			p.advance(n.block.indent)
		default:
			return false, false
		}
	case kindFence:
		return p.continuesFence(n)
	case kindCode:
		switch {
		case p.indent >= 4:
			p.advance(4)
		case p.blank:
			p.toText()
		default:
			return false, false
		}
	case kindHTML:
		return !p.blank || n.block.html < 6, false
	case kindHeading, kindRule:
		return false, false
	case kindParagraph:
		return !p.blank, false
	}
	return true, false
}

func (p *blockParser) continuesFence(n *node) (ok, done bool) {
	if p.indent <= 3 && p.peek() == n.block.marker {
		size := runLength(p.line[p.text:], n.block.marker)
		if size >= n.block.length && strings.TrimLeft(p.line[p.text+size:], " \t") == "" {
			p.closeTo(len(p.open) - 2)
			n.block.end = p.number
			return false, true
		}
	}
	p.advance(min(p.indent, n.block.indent))
	return true, false
}

func (p *blockParser) quoteMark() {
	p.toText()
	p.advance(1)
	if p.offset < len(p.line) && (p.line[p.offset] == ' ' || p.line[p.offset] == '\t') {
		p.advance(1)
	}
}

// runLength counts how often c stands at the head of s.
func runLength(s string, c byte) int {
	i := 0
	for i < len(s) && s[i] == c {
		i++
	}
	return i
}

// addLine gives what is left of the line to the innermost of the open blocks, which is open[matched].
func (p *blockParser) addLine(matched int) {
	n := p.open[matched]
	switch n.kind {
	case kindFence, kindCode:
		n.block.lines = append(n.block.lines, p.rest())
	case kindHTML:
		n.block.lines = append(n.block.lines, p.rest())
		if endsHTML(n.block.html, p.line[p.offset:]) {
			p.closeTo(matched - 1)
			n.block.end = p.number
		}
	case kindParagraph:
		p.addText()
	default:
		if !p.blank {
			p.add(newBlock(kindParagraph, p.number))
			p.addText()
		}
	}
}

// addText adds the line to the paragraph that is the innermost open block.
func (p *blockParser) addText() {
	b := p.last().block
	b.lines = append(b.lines, p.line[p.text:])
}
