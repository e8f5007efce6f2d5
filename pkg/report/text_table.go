package report

import (
	"slices"
	"strings"

	"github.com/charmbracelet/x/ansi"

	"ferry/pkg/term"
	"ferry/pkg/text"
)

const (
	gap = 2
	// narrowest is the width below which words are not cut further.
	narrowest = 6
	// roomForName is the maximum width that counts for a column of words or names while columns are dropped. Most names
	// fit.
	roomForName = 28
)

// render lays out columns for a terminal of a given width, 0 for no limit. It drops complete columns before it cuts a
// cell, because half a number is a wrong number, and reports whether it kept all columns.
func render(columns []column, width int, heading term.Style) (lines string, whole bool) {
	columns = slices.DeleteFunc(columns, func(c column) bool { return !c.filled() })
	if len(columns) == 0 {
		return "", true
	}
	for i := range columns {
		columns[i].measure() // only once, because a name from a file may be very long
	}
	all := len(columns)
	if width > 0 {
		columns = fit(columns, width)
		shorten(columns, width)
	}
	var b strings.Builder
	for i := -1; i < len(columns[0].cells); i++ {
		cells := cellsOf(columns, i)
		if first := columns[0]; i >= 0 && first.kind == names && text.Width(cells[0]) > first.width {
			for _, own := range ownLines(cells[0], width) {
				b.WriteString(first.paint(i, own) + "\n")
			}
			cells[0] = ""
		}
		for c, cell := range cells {
			cells[c] = columns[c].paint(i, columns[c].align(cell))
		}
		shown := strings.TrimRight(strings.Join(cells, strings.Repeat(" ", gap)), " ")
		if i < 0 {
			shown = heading.Render(shown)
		}
		b.WriteString(shown + "\n")
	}
	return b.String(), len(columns) == all
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
func fit(columns []column, width int) []column {
	for {
		needed, last := -gap, 0
		for i, c := range columns {
			needed += gap + c.width
			if c.kind == words || c.kind == names {
				needed -= max(0, c.width-roomForName)
			}
			if c.rank >= columns[last].rank {
				last = i
			}
		}
		if needed <= width || columns[last].rank == 0 {
			return columns
		}
		columns = slices.Delete(columns, last, last+1)
	}
}

// shorten cuts words by one terminal column at a time, always in the widest table column, so that two long columns are
// cut alike. Names are not cut: their column becomes narrower, and names that do not fit are on a separate line.
func shorten(columns []column, width int) {
	total := -gap
	for _, c := range columns {
		total += gap + c.width
	}
	for ; total > width; total-- {
		var widest *column
		for i, c := range columns {
			if c.kind == words && c.width > narrowest && (widest == nil || c.width > widest.width) {
				widest = &columns[i]
			}
		}
		if widest == nil {
			break
		}
		widest.width--
	}
	if columns[0].kind == names && total > width {
		columns[0].width = max(narrowest, columns[0].width-(total-width))
	}
	for i := range columns {
		if c := &columns[i]; c.kind == words {
			// Cut between visible characters: an emoji of several runes stays complete.
			c.title = text.Cut(c.title, c.width)
			c.cells = each(c.cells, func(cell string) string { return text.Cut(cell, c.width) })
			c.measure()
		}
	}
}

// measure sets the width of the column to the width of its widest cell.
func (c *column) measure() {
	c.width = text.Width(c.title)
	for _, cell := range c.cells {
		c.width = max(c.width, text.Width(cell))
	}
}

func (c column) align(cell string) string {
	pad := strings.Repeat(" ", max(0, c.width-text.Width(cell)))
	if c.kind == numbers {
		return pad + cell
	}
	return cell + pad
}

// styled returns the column with a style for each cell.
func (c column) styled(style func(row int) term.Style) column {
	c.style = style
	return c
}

// paint styles a cell that already has its final width.
func (c column) paint(row int, cell string) string {
	if row < 0 || c.style == nil {
		return cell
	}
	return c.style(row).Render(cell)
}
