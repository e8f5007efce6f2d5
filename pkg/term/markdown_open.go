package term

import (
	"strconv"
	"strings"
)

// openBlocks opens the blocks that begin on the line. It returns the index of the innermost block that goes on, or -1
// if nothing is left of the line.
func (p *blockParser) openBlocks(matched int) int {
	for {
		container := p.open[matched]
		if container.kind == kindCode {
			return matched
		}
		done, opened := p.opens(matched)
		switch {
		case done:
			return -1
		case opened:
			p.paragraph = false
			matched = len(p.open) - 1
			if k := p.last().kind; k != kindQuote && k != kindItem {
				return matched
			}
		default:
			return min(matched, len(p.open)-1)
		}
	}
}

// opens tries each kind of block at the head of the line, in the order in which they take precedence. done: nothing is
// left of the line; opened: a block was opened which takes the rest.
func (p *blockParser) opens(matched int) (done, opened bool) {
	container := p.open[matched]
	if p.blank {
		return false, false
	}
	if p.indent > 3 {
		// Indented code cannot interrupt a paragraph (4.4).
		if p.paragraph {
			return false, false
		}
		p.closeTo(matched)
		p.advance(4)
		p.add(newBlock(kindCode, p.number))
		return false, true
	}
	rest := p.line[p.text:]
	switch c := rest[0]; {
	case c == '>':
		return false, p.opensQuote(matched)
	case c == '#' && p.opensHeading(matched, rest):
		return true, false
	case (c == '`' || c == '~') && p.opensFence(matched, rest):
		return true, false
	case c == '<':
		if p.opensHTML(matched, rest) {
			return false, true
		}
	case (c == '=' || c == '-') && container.kind == kindParagraph && p.underlines(rest):
		return true, false
	}
	matched = min(matched, len(p.open)-1) // underlines may have closed a paragraph all the same
	if isRule(rest) {
		p.closeTo(matched)
		p.add(newBlock(kindRule, p.number))
		p.closeTip()
		return true, false
	}
	return false, p.opensItem(matched, rest)
}

// tooDeep bounds the nesting, so that neither time nor stack depend on it.
func (p *blockParser) tooDeep() bool { return len(p.open) > 3*deepest }

func (p *blockParser) opensQuote(matched int) bool {
	if p.tooDeep() {
		return false
	}
	p.closeTo(matched)
	p.quoteMark()
	p.add(newBlock(kindQuote, p.number))
	return true
}

// opensHeading reads an ATX heading (4.2).
func (p *blockParser) opensHeading(matched int, rest string) bool {
	level := runLength(rest, '#')
	text := rest[level:]
	if level > 6 || text != "" && text[0] != ' ' && text[0] != '\t' {
		return false
	}
	p.closeTo(matched)
	text = strings.Trim(text, " \t")
	if bare := strings.TrimRight(text, "#"); bare == "" || strings.HasSuffix(bare, " ") || strings.HasSuffix(bare, "\t") {
		text = strings.TrimRight(bare, " \t")
	}
	n := newBlock(kindHeading, p.number)
	n.level = uint8(level)
	if text != "" {
		n.block.lines = []string{text}
	}
	p.add(n)
	p.closeTip()
	return true
}

// opensFence reads the fence that begins code (4.5).
func (p *blockParser) opensFence(matched int, rest string) bool {
	size := runLength(rest, rest[0])
	if size < 3 || rest[0] == '`' && strings.IndexByte(rest[size:], '`') >= 0 {
		return false
	}
	p.closeTo(matched)
	n := newBlock(kindFence, p.number)
	n.block.marker, n.block.length, n.block.indent = rest[0], size, p.indent
	p.add(n)
	return true
}

func (p *blockParser) opensHTML(matched int, rest string) bool {
	which := beginsHTML(rest)
	if which == 0 || which == 7 && p.paragraph {
		return false
	}
	p.closeTo(matched)
	n := newBlock(kindHTML, p.number)
	n.block.html = which
	p.add(n)
	return true
}

// underlines makes the open paragraph a setext heading (4.3), unless all of it is definitions or a table: then the line
// begins a block of its own.
func (p *blockParser) underlines(rest string) bool {
	if strings.Trim(strings.TrimRight(rest, " \t"), rest[:1]) != "" {
		return false
	}
	n := p.last()
	p.closeTip()
	p.paragraph = false
	if n.kind != kindParagraph || n.next != nil {
		return false
	}
	n.kind, n.level = kindHeading, 1
	if rest[0] == '-' {
		n.level = 2
	}
	n.block.end = p.number
	return true
}

// isRule reports whether a line is a thematic break (4.1).
func isRule(s string) bool {
	count := 0
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == s[0]:
			count++
		case s[i] != ' ' && s[i] != '\t':
			return false
		}
	}
	return count >= 3 && (s[0] == '*' || s[0] == '-' || s[0] == '_')
}

// opensItem reads the marker of a list item (5.2), and opens a list unless the item goes on with one (5.3).
func (p *blockParser) opensItem(matched int, rest string) bool {
	digits := 0
	for digits < len(rest) && rest[digits] >= '0' && rest[digits] <= '9' {
		digits++
	}
	if digits == len(rest) || digits > 9 || p.tooDeep() {
		return false
	}
	marker, width := rest[digits], digits+1
	ordered := digits > 0
	if ordered && marker != '.' && marker != ')' || !ordered && marker != '-' && marker != '+' && marker != '*' {
		return false
	}
	if width < len(rest) && rest[width] != ' ' && rest[width] != '\t' {
		return false
	}
	empty := strings.TrimLeft(rest[width:], " \t") == ""
	number, _ := strconv.Atoi(rest[:digits])
	container := p.open[matched]
	if container.kind == kindParagraph && (empty || ordered && number != 1) {
		return false // what would interrupt a paragraph by mistake
	}
	p.closeTo(matched)
	for p.last().kind == kindParagraph {
		p.closeTip()
	}
	indent := p.indent
	p.toText()
	p.advance(width)
	item := newBlock(kindItem, p.number)
	item.block.indent = indent + width + 1
	if !empty && p.indent <= 4 {
		item.block.indent = indent + width + p.indent
		p.advance(p.indent)
	} else if !empty {
		p.advance(1)
	}
	if list := p.last(); list.kind != kindList || list.block.marker != marker || list.block.ordered != ordered {
		list = newBlock(kindList, p.number)
		list.block.marker, list.block.ordered, list.block.number = marker, ordered, number
		p.add(list)
	}
	p.add(item)
	return true
}
