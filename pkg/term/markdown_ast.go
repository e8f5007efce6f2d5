package term

// kind says what a node of a document is.
type kind uint8

const (
	kindDocument kind = iota
	kindQuote
	kindList
	kindItem
	kindParagraph
	kindHeading
	kindFence      // fenced code
	kindCode       // indented code
	kindHTML       // a block of HTML
	kindRule       // a thematic break
	kindDefinition // what is left of a paragraph of link reference definitions until its list knows whether it is tight
	kindTable
	kindRow
	kindCell

	kindText
	kindVerbatim // text in which nothing is escaped: raw HTML
	kindBreak    // a hard line break
	kindSoftBreak
	kindCodeSpan
	kindEmphasis
	kindStrike
	kindLink // and images
	kindAutoLink
	kindTask
)

// node is a part of a document: a block or something inline. Parents and siblings are linked as in every tree that is
// taken apart and put together while it is built.
type node struct {
	kind        kind
	level       uint8 // of a heading: 1 to 6; of emphasis: 1 or 2
	checked     bool  // a task is done
	first, last *node
	prev, next  *node
	parent      *node
	text        string // source of text; the address of a link
	block       *block // of blocks only
}

// block is what only blocks need.
type block struct {
	lines      []string // of a leaf, without line ends
	alignments []alignment
	start, end int // numbers of the first and the last line
	number     int // of the first item of an ordered list
	indent     int // of an item: columns of marker and space; of a fence: columns before it
	length     int // of a fence
	marker     byte
	html       uint8 // which of the seven kinds of HTML block
	ordered    bool
	tight      bool
}

type alignment uint8

const (
	alignNone alignment = iota
	alignLeft
	alignRight
	alignCenter
)

func newBlock(k kind, line int) *node {
	return &node{kind: k, block: &block{start: line, end: line}}
}

// append makes c the last child.
func (n *node) append(c *node) {
	c.parent, c.prev, c.next = n, n.last, nil
	if n.last != nil {
		n.last.next = c
	} else {
		n.first = c
	}
	n.last = c
}

// insertAfter puts c behind n.
func (n *node) insertAfter(c *node) {
	c.parent, c.prev, c.next = n.parent, n, n.next
	if n.next != nil {
		n.next.prev = c
	} else {
		n.parent.last = c
	}
	n.next = c
}

// unlink takes n out of its parent.
func (n *node) unlink() {
	if n.prev != nil {
		n.prev.next = n.next
	} else {
		n.parent.first = n.next
	}
	if n.next != nil {
		n.next.prev = n.prev
	} else {
		n.parent.last = n.prev
	}
	n.parent, n.prev, n.next = nil, nil, nil
}

// adopt makes all that stands between from and to, exclusive, children of n. to may be nil.
func (n *node) adopt(from, to *node) {
	for c := from.next; c != to; {
		next := c.next
		c.unlink()
		n.append(c)
		c = next
	}
}
