package report

import (
	"slices"
	"strings"

	"github.com/charmbracelet/x/ansi"

	"ferry/pkg/term"
	"ferry/pkg/text"
)

// table lays out columns for a terminal of a given width, 0 for no limit. It drops complete columns before it cuts a
// cell, because half a number is a wrong number, and reports whether it kept all columns.
type table struct {
	columns []column
	widths  []int
	// paint styles a cell that already has its final width; nil styles nothing.
	paint func(row int, title, cell string) string
}

const (
	gap = 2
	// narrowest is the width below which words are not cut further.
	narrowest = 6
	// roomForName is the maximum width that counts for a column of words or names while columns are dropped. Most names
	// fit.
	roomForName = 28
)

func (t *table) render(width int, heading term.Style) (lines string, whole bool) {
	t.columns = slices.DeleteFunc(t.columns, func(c column) bool { return !c.filled() })
	if len(t.columns) == 0 {
		return "", true
	}
	t.widths = each(t.columns, column.width) // computed once, because a name from a file may be very long
	all := len(t.columns)
	if width > 0 {
		t.fit(width)
		t.shorten(width)
	}
	var b strings.Builder
	for i := -1; i < len(t.columns[0].cells); i++ {
		cells := cellsOf(t.columns, i)
		paint := func(c int, cell string) string {
			if i < 0 || t.paint == nil {
				return cell
			}
			return t.paint(i, t.columns[c].title, cell)
		}
		if i >= 0 && t.columns[0].kind == names && text.Width(cells[0]) > t.widths[0] {
			for _, own := range ownLines(cells[0], width) {
				b.WriteString(paint(0, own) + "\n")
			}
			cells[0] = ""
		}
		for c, cell := range cells {
			cells[c] = paint(c, t.columns[c].align(cell, t.widths[c]))
		}
		shown := strings.TrimRight(strings.Join(cells, strings.Repeat(" ", gap)), " ")
		if i < 0 {
			shown = heading.Render(shown)
		}
		b.WriteString(shown + "\n")
	}
	return b.String(), len(t.columns) == all
}

// ownLines returns the separate lines of a name that does not fit in its column. A very long name is cut to the first
// few lines.
func ownLines(name string, width int) []string {
	const most = 4
	lines := strings.Split(ansi.Hardwrap(text.Cut(name, most*width), width, true), "\n")
	return lines[:min(len(lines), most)]
}

// fit drops columns until the rest fits. Words and names count with at most roomForName, so that a long name does not
// remove numbers.
func (t *table) fit(width int) {
	for {
		needed, last := -gap, 0
		for i, c := range t.columns {
			needed += gap + t.widths[i]
			if c.kind == words || c.kind == names {
				needed -= max(0, t.widths[i]-roomForName)
			}
			if c.rank >= t.columns[last].rank {
				last = i
			}
		}
		if needed <= width || t.columns[last].rank == 0 {
			return
		}
		t.columns, t.widths = slices.Delete(t.columns, last, last+1), slices.Delete(t.widths, last, last+1)
	}
}

// shorten cuts words by one terminal column at a time, always in the widest table column, so that two long columns are
// cut alike. Names are not cut: their column becomes narrower, and names that do not fit are on a separate line.
func (t *table) shorten(width int) {
	total := -gap
	for _, w := range t.widths {
		total += gap + w
	}
	for ; total > width; total-- {
		widest := -1
		for i, c := range t.columns {
			if c.kind == words && t.widths[i] > narrowest && (widest < 0 || t.widths[i] > t.widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			break
		}
		t.widths[widest]--
	}
	if t.columns[0].kind == names && total > width {
		t.widths[0] = max(narrowest, t.widths[0]-(total-width))
	}
	for i := range t.columns {
		if c := &t.columns[i]; c.kind == words {
			// Cut between visible characters: an emoji of several runes stays complete.
			c.title = text.Cut(c.title, t.widths[i])
			c.cells = each(c.cells, func(cell string) string { return text.Cut(cell, t.widths[i]) })
			t.widths[i] = c.width()
		}
	}
}

func (c column) width() int {
	width := text.Width(c.title)
	for _, cell := range c.cells {
		width = max(width, text.Width(cell))
	}
	return width
}

func (c column) align(cell string, width int) string {
	pad := strings.Repeat(" ", max(0, width-text.Width(cell)))
	if c.kind == numbers {
		return pad + cell
	}
	return cell + pad
}
