package term

import "strings"

// add opens a block within the innermost open one, closing what cannot hold it.
func (p *blockParser) add(n *node) {
	for {
		switch p.last().kind {
		case kindDocument, kindQuote, kindItem:
			if n.kind != kindItem {
				p.last().append(n)
				p.open = append(p.open, n)
				return
			}
		case kindList:
			if n.kind == kindItem {
				p.last().append(n)
				p.open = append(p.open, n)
				return
			}
		}
		p.closeTip()
	}
}

// closeTo closes the open blocks behind the one of this index.
func (p *blockParser) closeTo(index int) {
	for len(p.open)-1 > index {
		p.closeTip()
	}
}

// closeTip closes the innermost open block, whose last line was the one before.
func (p *blockParser) closeTip() {
	n := p.last()
	p.open = p.open[:len(p.open)-1]
	b := n.block
	b.end = max(b.start, p.number-1)
	switch n.kind {
	case kindParagraph:
		p.finishParagraph(n)
	case kindCode, kindHTML:
		for len(b.lines) > 0 && strings.TrimLeft(b.lines[len(b.lines)-1], " \t") == "" {
			b.lines = b.lines[:len(b.lines)-1]
		}
		b.end = b.start + len(b.lines) - 1
	case kindItem, kindList:
		b.end = b.start
		if n.last != nil {
			b.end = n.last.block.end
		}
		if n.kind == kindList {
			b.tight = isTight(n)
		}
	}
}

// isTight reports whether no blank line stands between the items of a list, nor between the blocks in one (5.3).
func isTight(list *node) bool {
	for item := list.first; item != nil; item = item.next {
		if apart(item) {
			return false
		}
		for c := item.first; c != nil; c = c.next {
			if apart(c) {
				return false
			}
		}
	}
	return true
}

// apart reports whether lines, which can only be blank, lie between a block and the next.
func apart(n *node) bool { return n.next != nil && n.next.block.start > n.block.end+1 }
