package term

import (
	"unicode"
	"unicode/utf8"
)

// delimiter is a run of characters that may open or close emphasis (6.2).
type delimiter struct {
	node       *node // its text
	prev, next *delimiter
	at         int // where it stands in the text
	original   int // how long it was
	char       byte
	opens      bool
	closes     bool
}

// run reads the delimiters at p.at and adds them as text that may become emphasis.
func (p *spanParser) run() {
	start, c := p.at, p.source[p.at]
	size := runLength(p.source[start:], c)
	if c == '~' && size != 2 { // one tilde does not strike: "3~5" is a range
		p.at += size
		return
	}
	p.flush(start)
	p.at += size
	p.from = p.at
	n := &node{kind: kindText, text: p.source[start:p.at]}
	p.parent.append(n)
	before, after := '\n', '\n'
	if start > 0 {
		before, _ = utf8.DecodeLastRuneInString(p.source[:start])
	}
	if p.at < len(p.source) {
		after, _ = utf8.DecodeRuneInString(p.source[p.at:])
	}
	left := !unicode.IsSpace(after) && (!punctuates(after) || unicode.IsSpace(before) || punctuates(before))
	right := !unicode.IsSpace(before) && (!punctuates(before) || unicode.IsSpace(after) || punctuates(after))
	d := &delimiter{node: n, at: start, original: size, char: c, opens: left, closes: right}
	if c == '_' {
		d.opens = left && (!right || punctuates(before))
		d.closes = right && (!left || punctuates(after))
	}
	d.prev = p.delimiters
	p.delimiters.next = d
	p.delimiters = d
}

func punctuates(r rune) bool { return unicode.IsPunct(r) || unicode.IsSymbol(r) }

// drop takes a delimiter off the list; its text stays.
func (p *spanParser) drop(d *delimiter) {
	d.prev.next = d.next
	if d.next != nil {
		d.next.prev = d.prev
	} else {
		p.delimiters = d.prev
	}
}

// emphasis makes emphasis of the delimiters behind bottom, and drops them ("process emphasis" in the appendix of the
// specification). searched keeps it linear: for each kind of closer, up to where no opener is to be found.
func (p *spanParser) emphasis(bottom *delimiter) {
	var searched [3 * 6]int
	for i := range searched {
		searched[i] = bottom.at + 1
	}
	for closer := bottom.next; closer != nil; {
		if !closer.closes {
			closer = closer.next
			continue
		}
		key := closer.key()
		opener := closer.prev
		for opener.at >= searched[key] && !opener.matches(closer) {
			opener = opener.prev
		}
		if opener.at < searched[key] {
			searched[key] = closer.at
			next := closer.next
			if !closer.opens {
				p.drop(closer)
			}
			closer = next
			continue
		}
		closer = p.join(opener, closer)
	}
	bottom.next = nil
	p.delimiters = bottom
}

// key tells apart the closers for which other openers may match.
func (d *delimiter) key() int {
	key := d.original % 3
	if d.opens {
		key += 3
	}
	switch d.char {
	case '_':
		key += 6
	case '~':
		key += 12
	}
	return key
}

// matches reports whether d may open what closer closes, by the rule of three: rules 9 and 10 of section 6.2.
func (d *delimiter) matches(closer *delimiter) bool {
	if !d.opens || d.char != closer.char {
		return false
	}
	return d.char == '~' || !d.closes && !closer.opens || (d.original+closer.original)%3 != 0 || closer.original%3 == 0
}

// join makes emphasis of what stands between two delimiters. It returns the closer to go on with.
func (p *spanParser) join(opener, closer *delimiter) *delimiter {
	size := 1
	if len(opener.node.text) >= 2 && len(closer.node.text) >= 2 {
		size = 2
	}
	n := &node{kind: kindEmphasis, level: uint8(size)}
	if opener.char == '~' {
		n.kind = kindStrike
	}
	n.adopt(opener.node, closer.node)
	opener.node.insertAfter(n)
	opener.next, closer.prev = closer, opener // those between them have no partner
	opener.node.text = opener.node.text[size:]
	closer.node.text = closer.node.text[size:]
	if opener.node.text == "" {
		opener.node.unlink()
		p.drop(opener)
	}
	if closer.node.text != "" {
		return closer
	}
	next := closer.next
	closer.node.unlink()
	p.drop(closer)
	return next
}
