package term

import "strings"

// spanParser finds what is inline in the text of a block, as the appendix of the CommonMark specification describes it
// ("Phase 2: inline structure").
type spanParser struct {
	references map[string]string

	source     string
	at         int // how far it has been read
	from       int // where the text begins that is no node yet
	parent     *node
	delimiters *delimiter // the last; the first is none
	brackets   []bracket
	dead       int           // so many of the brackets cannot open a link any more, because one was found in them
	ticks      map[int][]int // where runs of so many backticks begin, in order; made when the first is seen
	tags       tagScanner
}

// bracket is one that may open a link or an image.
type bracket struct {
	node   *node
	image  bool
	bottom *delimiter // the last one before it
	inside int        // where the words begin
}

// blocks reads the text of all blocks under a node, and drops the definitions.
func (p *spanParser) blocks(parent *node) {
	for n := parent.first; n != nil; {
		next := n.next
		switch n.kind {
		case kindDefinition:
			n.unlink()
		case kindParagraph, kindHeading, kindCell:
			text := strings.Join(n.block.lines, "\n")
			if parent.kind == kindItem && n.prev == nil && len(text) > 3 && isTask(text) {
				n.append(&node{kind: kindTask, checked: text[1] != ' '})
				text = text[4:]
			}
			p.read(n, text)
		default:
			p.blocks(n)
		}
		n = next
	}
}

// isTask reports whether a text of four bytes or more begins with a check box.
func isTask(s string) bool {
	return s[0] == '[' && (s[1] == ' ' || s[1]|0x20 == 'x') && s[2] == ']' && isBlank(s[3])
}

// read adds what is inline in a text to a block.
func (p *spanParser) read(parent *node, source string) {
	none := &delimiter{at: -1}
	*p = spanParser{references: p.references, source: source, parent: parent, delimiters: none, brackets: p.brackets[:0]}
	for p.at < len(source) {
		switch source[p.at] {
		case '\\':
			p.backslash()
		case '\n':
			p.lineEnd()
		case '`':
			p.codeSpan()
		case '*', '_', '~':
			p.run()
		case '<':
			p.angle()
		case '[':
			p.openBracket(1)
		case '!':
			if p.at+1 < len(source) && source[p.at+1] == '[' {
				p.openBracket(2)
			} else {
				p.at++
			}
		case ']':
			p.closeBracket()
		default:
			p.at++
		}
	}
	p.flush(p.at)
	p.emphasis(none)
}

// flush makes a node of the text before end.
func (p *spanParser) flush(end int) {
	if end > p.from {
		p.parent.append(&node{kind: kindText, text: p.source[p.from:end]})
	}
	p.from = end
}

// take adds a node for what is read next.
func (p *spanParser) take(n *node, size int) {
	p.flush(p.at)
	p.parent.append(n)
	p.at += size
	p.from = p.at
}

// backslash: what it escapes stays in the text, which is decoded when it is shown.
func (p *spanParser) backslash() {
	switch next := p.at + 1; {
	case next < len(p.source) && p.source[next] == '\n':
		p.take(&node{kind: kindBreak}, 2)
	case next < len(p.source) && isPunct(p.source[next]):
		p.at += 2
	default:
		p.at++
	}
}

// lineEnd reads a hard or a soft line break (6.7, 6.8).
func (p *spanParser) lineEnd() {
	end := p.at
	text := strings.TrimRight(p.source[p.from:end], " \t")
	k := kindSoftBreak
	if strings.HasSuffix(p.source[p.from:end], "  ") {
		k = kindBreak
	}
	p.flush(p.from + len(text))
	p.from = end
	p.take(&node{kind: k}, 1)
}

// codeSpan reads code (6.1). Without a run of backticks that closes it, the first is text.
func (p *spanParser) codeSpan() {
	size := runLength(p.source[p.at:], '`')
	if p.ticks == nil {
		p.ticks = map[int][]int{}
		for i := p.at; i < len(p.source); {
			n := runLength(p.source[i:], '`')
			if n == 0 {
				next := strings.IndexByte(p.source[i:], '`')
				if next < 0 {
					break
				}
				i += next
				continue
			}
			p.ticks[n] = append(p.ticks[n], i)
			i += n
		}
	}
	inside := p.at + size
	places := p.ticks[size]
	for len(places) > 0 && places[0] < inside {
		places = places[1:]
	}
	p.ticks[size] = places
	if len(places) == 0 {
		p.at = inside
		return
	}
	text := strings.ReplaceAll(p.source[inside:places[0]], "\n", " ")
	if len(text) > 1 && text[0] == ' ' && text[len(text)-1] == ' ' && strings.Trim(text, " ") != "" {
		text = text[1 : len(text)-1]
	}
	p.take(&node{kind: kindCodeSpan, text: text}, places[0]+size-p.at)
}

// angle reads an address or HTML.
func (p *spanParser) angle() {
	s := p.source[p.at:]
	if size := autoLink(s); size > 0 {
		p.take(&node{kind: kindAutoLink, text: s[1 : size-1]}, size)
	} else if size := p.tags.html(s); size > 0 {
		p.take(&node{kind: kindVerbatim, text: s[:size]}, size)
	} else {
		p.at++
	}
}

// openBracket remembers "[" or "![".
func (p *spanParser) openBracket(size int) {
	n := &node{kind: kindText, text: p.source[p.at : p.at+size]}
	bottom := p.delimiters
	p.take(n, size)
	p.brackets = append(p.brackets, bracket{node: n, image: size == 2, bottom: bottom, inside: p.at})
}

// closeBracket makes a link or an image of what stands in brackets, if an address follows or they are a reference
// ("look for link or image").
func (p *spanParser) closeBracket() {
	count := len(p.brackets) - 1
	if count < 0 {
		p.at++
		return
	}
	opener := p.brackets[count]
	p.brackets = p.brackets[:count]
	dead := p.dead > count
	p.dead = min(p.dead, count)
	if dead && !opener.image {
		p.at++
		return
	}
	destination, end, ok := p.target(opener)
	if !ok {
		p.at++
		return
	}
	p.flush(p.at)
	n := &node{kind: kindLink, text: destination}
	n.adopt(opener.node, nil)
	opener.node.unlink()
	p.parent.append(n)
	p.at, p.from = end, end
	p.emphasis(opener.bottom)
	if !opener.image {
		p.dead = count // no links in links
	}
}

// target finds the address of a link whose closing bracket is at p.at, and where the link ends.
func (p *spanParser) target(opener bracket) (destination string, end int, ok bool) {
	after := p.at + 1
	if after < len(p.source) && p.source[after] == '(' {
		if destination, end, ok = inlineLink(p.source, after); ok {
			return destination, end, true
		}
	}
	if len(p.references) == 0 {
		return "", 0, false
	}
	label, end := p.source[opener.inside:p.at], after
	if close := labelEnd(p.source, after); close >= 0 {
		end = close + 1
		if full := p.source[after+1 : close]; strings.TrimSpace(full) != "" {
			label = full
		}
	}
	if len(label) > longestLabel {
		return "", 0, false
	}
	destination, ok = p.references[normalLabel(label)]
	return destination, end, ok
}
