package report

import (
	"slices"
	"strings"

	"github.com/charmbracelet/lipgloss"
	"github.com/charmbracelet/x/ansi"

	"ferry/pkg/term"
)

// grid is a table for a terminal: it gives up whole columns before it cuts a cell, because half a number is a wrong one.
type grid struct {
	columns []column
	// paint styles a cell that is already as wide as it will be; nil paints nothing.
	paint func(row, column int, cell string) string
}

// column is one column of a grid.
type column struct {
	title string
	// rank is the order in which columns go when there is no room, the highest first. Those of rank 0 stay.
	rank int
	// words says that it holds words: they stand left and may be cut. Numbers stand right and are whole.
	words bool
	// left says that it stands left and is whole.
	left  bool
	cells []string
}

const (
	gap = 2
	// narrowest is the width under which words are not cut further.
	narrowest = 6
)

// render lays the grid out in so many columns of the terminal; 0 is as wide as it likes.
func (g *grid) render(width int, heading lipgloss.Style) string {
	g.dropEmpty()
	if width > 0 {
		g.fit(width)
	}
	if len(g.columns) == 0 {
		return ""
	}
	rows := make([][]string, 1+len(g.columns[0].cells))
	for c, col := range g.columns {
		wide := col.width()
		rows[0] = append(rows[0], col.align(col.title, wide))
		for i, cell := range col.cells {
			cell = col.align(cell, wide)
			if g.paint != nil {
				cell = g.paint(i, c, cell)
			}
			rows[i+1] = append(rows[i+1], cell)
		}
	}
	return term.Table(rows, wide(rows), len(g.columns), heading)
}

// wide is a width that no row passes: term.Table shall cut nothing here.
func wide(rows [][]string) int {
	width := 0
	for _, cell := range rows[0] {
		width += lipgloss.Width(cell) + gap
	}
	return width
}

// dropEmpty leaves out the columns in which nothing stands.
func (g *grid) dropEmpty() {
	g.columns = slices.DeleteFunc(g.columns, func(c column) bool {
		return !slices.ContainsFunc(c.cells, func(cell string) bool { return cell != "" && cell != missing })
	})
}

// fit gives up columns, and then the ends of words. Words are counted with at most roomForName while columns are given
// up, so that a long name does not drive numbers out. Widths are measured once: a name from a file may be very long.
func (g *grid) fit(width int) {
	widths := make([]int, len(g.columns))
	for i, c := range g.columns {
		widths[i] = c.width()
	}
	for {
		needed, last := -gap, 0
		for i, c := range g.columns {
			needed += gap + widths[i]
			if c.words {
				needed -= max(0, widths[i]-roomForName)
			}
			if c.rank >= g.columns[last].rank {
				last = i
			}
		}
		if needed <= width || g.columns[last].rank == 0 {
			break
		}
		g.columns, widths = slices.Delete(g.columns, last, last+1), slices.Delete(widths, last, last+1)
	}
	g.shorten(widths, width)
}

// roomForName is what a column of words is counted with while columns are given up: most names fit in it.
const roomForName = 28

// shorten takes from the widest words, column by column of the terminal, so that two long columns share the loss.
func (g *grid) shorten(widths []int, width int) {
	total := -gap
	for _, w := range widths {
		total += gap + w
	}
	for ; total > width; total-- {
		widest := -1
		for i, c := range g.columns {
			if c.words && widths[i] > narrowest && (widest < 0 || widths[i] > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			break
		}
		widths[widest]--
	}
	for i, c := range g.columns {
		if c.words {
			g.columns[i].cut(widths[i])
		}
	}
}

// has reports whether a column is still there.
func (g *grid) has(title string) bool {
	return slices.ContainsFunc(g.columns, func(c column) bool { return c.title == title })
}

func (c column) width() int {
	w := lipgloss.Width(c.title)
	for _, cell := range c.cells {
		w = max(w, lipgloss.Width(cell))
	}
	return w
}

// cut shortens the words of a column, in a copy.
func (c *column) cut(width int) {
	c.title = clip(c.title, width)
	c.cells = slices.Clone(c.cells)
	for i, cell := range c.cells {
		c.cells[i] = clip(cell, width)
	}
}

// clip shortens words to a width, between characters as they are seen: an emoji of several runes stays whole.
func clip(s string, width int) string { return ansi.Truncate(s, width, "…") }

func (c column) align(cell string, width int) string {
	pad := strings.Repeat(" ", max(0, width-lipgloss.Width(cell)))
	if c.words || c.left {
		return cell + pad
	}
	return pad + cell
}
