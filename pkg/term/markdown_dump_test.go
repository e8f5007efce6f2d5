package term

import (
	"fmt"
	"strings"
)

// dumper writes a document as one form for both parsers: a line for each block, text that adjoins as one.
type dumper struct {
	strings.Builder
	source []byte
	depth  int
	words  strings.Builder // text that is not written yet
}

func (d *dumper) flush() {
	if d.words.Len() > 0 {
		fmt.Fprintf(d, "%q", d.words.String())
		d.words.Reset()
	}
}

func (d *dumper) within(format string, args []any, children func()) {
	d.flush()
	fmt.Fprintf(d, "\n%s"+format, append([]any{strings.Repeat(" ", d.depth)}, args...)...)
	d.depth++
	children()
	d.flush()
	d.depth--
}

func args(a ...any) []any { return a }

func (d *dumper) own(n *node) {
	children := func() {
		for c := n.first; c != nil; c = c.next {
			d.own(c)
		}
	}
	switch n.kind {
	case kindDocument:
		children()
	case kindQuote:
		d.within("quote", nil, children)
	case kindRow:
		d.within("row", nil, children)
	case kindCell:
		d.within("cell", nil, children)
	case kindRule:
		d.within("rule", nil, children)
	case kindParagraph:
		d.within("paragraph", nil, children)
	case kindTable:
		d.within("table %v", args(n.block.alignments), children)
	case kindHeading:
		d.within("heading %d ", args(n.level), children)
	case kindList:
		d.within("list %c %v %d", args(n.block.marker, n.block.tight, n.block.number), children)
	case kindItem:
		d.within("item", nil, children)
	case kindFence, kindCode:
		d.within("code %q", args(strings.Join(n.block.lines, "\n")), children)
	case kindHTML:
		d.within("html %q", args(strings.TrimRight(strings.Join(n.block.lines, "\n"), " ")), children)
	default:
		d.ownInline(n, children)
	}
}

func (d *dumper) ownInline(n *node, children func()) {
	switch n.kind {
	case kindText:
		d.words.WriteString(decode(n.text))
	case kindVerbatim:
		d.within("raw %q", args(n.text), children)
	case kindBreak:
		d.within("break", nil, children)
	case kindSoftBreak:
		d.within("soft", nil, children)
	case kindCodeSpan:
		d.within("span %q", args(n.text), children)
	case kindEmphasis:
		d.within("emphasis %d ", args(n.level), children)
	case kindStrike:
		d.within("strike ", nil, children)
	case kindLink:
		d.within("link %q ", args(n.text), children)
	case kindAutoLink:
		d.within("address %q", args(n.text), children)
	case kindTask:
		d.within("task %v", args(n.checked), children)
	default:
		panic(n.kind)
	}
}
