package term

import (
	"strconv"
	"strings"

	"github.com/charmbracelet/x/ansi"
)

const (
	// renderLimit is the size in bytes up to which Markdown is rendered.
	renderLimit = 1 << 20
	// addressBudget bounds what the addresses of links may add to a text, in bytes: a reference may be used many times.
	addressBudget = 1 << 20
	codeIndent    = "    "
	ruleWidth     = 24
)

// Render lays Markdown out for a terminal of so many columns: prose wrapped at words, code as it stands, tables in
// columns, links followed by their address. Nothing of the text is left out but what Markdown itself means as markup.
// The layout is the same whether f is plain or not; only the styles differ. The result is empty or ends in one newline.
//
// The text must be safe for a terminal already; what rendering makes of it (character references) stays so. A text of
// more than 1 MiB, and one that nests too deep (tooCostly), is returned as it is.
func Render(markdown string, width int, f Facts) string {
	if len(markdown) > renderLimit || tooCostly(markdown) {
		return markdown
	}
	source := visible(strings.ToValidUTF8(strings.ReplaceAll(markdown, "\r\n", "\n"), "\ufffd"))
	r := &renderer{width: max(width, narrowest), plain: f.Plain, addresses: addressBudget}
	r.blocks(parseMarkdown(source), true)
	out := strings.TrimRight(r.out.String(), "\n")
	if out == "" {
		return ""
	}
	return out + "\n"
}

// renderer walks the blocks and writes lines.
type renderer struct {
	out       strings.Builder
	width     int
	plain     bool
	prefix    []margin
	indent    int // columns of the margins
	addresses int // bytes of addresses that may still be shown
	inCell    bool
}

// margin is what stands left of a block: first in front of its first line, rest in front of the others.
type margin struct {
	first, rest string
	begun       bool
}

// room is how many columns are left for text.
func (r *renderer) room() int { return r.width - r.indent }

// push opens a margin. Where it would leave too little room it is not taken; its marker then gets a line of its own.
func (r *renderer) push(first, rest string) (pop func()) {
	columns := ansi.StringWidth(rest)
	if r.room()-columns < min(r.width/2, 20) {
		if marker := strings.TrimSpace(first); marker != "" && marker != bar {
			r.text(marker, 0)
		}
		return func() {}
	}
	r.prefix = append(r.prefix, margin{first: first, rest: rest})
	r.indent += columns
	return func() {
		if last := &r.prefix[len(r.prefix)-1]; !last.begun && last.first != last.rest {
			r.line(nil) // an empty item still shows its marker
		}
		r.prefix = r.prefix[:len(r.prefix)-1]
		r.indent -= columns
	}
}

// line writes one line with its margins, without trailing spaces.
func (r *renderer) line(pieces []piece) {
	all := make([]piece, 0, len(r.prefix)+len(pieces))
	for i := range r.prefix {
		m := &r.prefix[i]
		text := m.rest
		if !m.begun {
			text, m.begun = m.first, true
		}
		all = append(all, piece{text, marginStyle(text)})
	}
	all = append(all, pieces...)
	for len(all) > 0 {
		last := &all[len(all)-1]
		if last.text = strings.TrimRight(last.text, " "); last.text != "" {
			break
		}
		all = all[:len(all)-1]
	}
	for _, p := range all {
		r.out.WriteString(paint(p.text, p.style, r.plain))
	}
	r.out.WriteByte('\n')
}

// blank writes an empty line, which no item's marker may take.
func (r *renderer) blank() {
	for _, m := range r.prefix {
		if !m.begun {
			return
		}
	}
	r.line(nil)
}

// blocks writes what stands in a container, with an empty line between its blocks if it is loose.
func (r *renderer) blocks(parent *node, loose bool) {
	for n := parent.first; n != nil; n = n.next {
		if n.prev != nil && loose {
			r.blank()
		}
		r.block(n)
	}
}

func (r *renderer) block(n *node) {
	switch n.kind {
	case kindHeading:
		marks := strings.Repeat("#", int(n.level)) + " "
		pop := r.push(marks, strings.Repeat(" ", len(marks)))
		r.prose(n, bold)
		pop()
	case kindParagraph:
		r.prose(n, 0)
	case kindQuote:
		pop := r.push(bar+" ", bar+" ")
		r.blocks(n, true)
		pop()
	case kindList:
		r.list(n)
	case kindFence, kindCode:
		r.code(n)
	case kindRule:
		r.line([]piece{{strings.Repeat("─", min(r.room(), ruleWidth)), dim}})
	case kindHTML:
		r.html(n)
	case kindTable:
		r.table(n)
	}
}

func (r *renderer) list(list *node) {
	number, digits := list.block.number, 0
	ordered := list.block.ordered
	if ordered {
		count := 0
		for item := list.first; item != nil; item = item.next {
			count++
		}
		digits = len(strconv.Itoa(number + count - 1))
	}
	for item := list.first; item != nil; item = item.next {
		if item.prev != nil && !list.block.tight {
			r.blank()
		}
		marker := "• "
		if ordered {
			marker = strconv.Itoa(number) + string(list.block.marker) + " "
			marker = strings.Repeat(" ", max(0, digits+2-len(marker))) + marker
			number++
		} else if box := taskBox(item); box != nil {
			marker = boxText(box)
		}
		pop := r.push(marker, strings.Repeat(" ", ansi.StringWidth(marker)))
		r.blocks(item, !list.block.tight)
		pop()
	}
}

// taskBox is the check box at the head of an item, or nil.
func taskBox(item *node) *node {
	if first := item.first; first != nil && first.first != nil && first.first.kind == kindTask {
		return first.first
	}
	return nil
}

func boxText(box *node) string {
	if box.checked {
		return "[x] "
	}
	return "[ ] "
}

// code writes a code block as it stands: never wrapped, so that it can be copied; tabs become spaces, because behind a
// margin they would not line up.
func (r *renderer) code(n *node) {
	pop := r.push(codeIndent, codeIndent)
	defer pop()
	for _, line := range n.block.lines {
		r.line([]piece{{expandTabs(line), code}})
	}
}

func expandTabs(line string) string {
	if !strings.Contains(line, "\t") {
		return line
	}
	var b strings.Builder
	column := 0
	for i, part := range strings.Split(line, "\t") {
		if i > 0 {
			stop := 4 - column%4
			b.WriteString(strings.Repeat(" ", stop))
			column += stop
		}
		b.WriteString(part)
		column += ansi.StringWidth(part)
	}
	return b.String()
}

// html writes a block of HTML as the text that it is, line by line.
func (r *renderer) html(n *node) {
	for _, line := range n.block.lines {
		r.text(expandTabs(line), 0)
	}
}
