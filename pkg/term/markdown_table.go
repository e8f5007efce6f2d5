package term

import (
	"slices"
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// grid is a table's cells, the first row being the heading.
type grid struct {
	rows       [][]*prose
	widths     []int
	alignments []alignment
}

// table lays a table out in columns. Where they do not fit, the cells are wrapped within their columns; where even that
// has no room, each row becomes a list of "heading: cell". Nothing is cut: it is an answer that is shown.
func (r *renderer) table(n *node) {
	g := r.grid(n)
	if len(gap)*(len(g.widths)-1)+len(g.widths) > r.room() {
		r.records(g)
		return
	}
	natural := slices.Clone(g.widths)
	shrink(g.widths, r.room(), 0)
	total := len(gap) * (len(g.widths) - 1)
	for _, w := range g.widths {
		total += w
	}
	if total > r.room() {
		r.records(g)
		return
	}
	tall := !slices.Equal(natural, g.widths)
	for i, row := range g.rows {
		cells := make([][]slice, len(row))
		height := 1
		for c, cell := range row {
			cells[c] = wrap(cell.text.String(), g.widths[c])
			height = max(height, len(cells[c]))
		}
		if i > 1 && tall {
			r.blank() // else one could not tell where a row ends
		}
		r.tableRow(g, row, cells, height)
		if i == 0 {
			r.tableRule(g)
		}
	}
}

func (r *renderer) grid(n *node) *grid {
	r.inCell = true
	defer func() { r.inCell = false }()
	g := &grid{alignments: n.block.alignments, widths: make([]int, len(n.block.alignments))}
	for row := n.first; row != nil; row = row.next {
		var st style
		if row.prev == nil {
			st = bold
		}
		cells := make([]*prose, 0, len(g.widths))
		for cell := row.first; cell != nil; cell = cell.next {
			p := &prose{}
			r.inline(p, cell, st)
			g.widths[len(cells)] = max(g.widths[len(cells)], 1, ansi.StringWidth(p.text.String()))
			cells = append(cells, p)
		}
		g.rows = append(g.rows, cells)
	}
	return g
}

// tableRow writes one row, which takes as many lines as its tallest cell.
func (r *renderer) tableRow(g *grid, row []*prose, cells [][]slice, height int) {
	for y := range height {
		var line []piece
		for c, cell := range row {
			var pieces []piece
			w := 0
			if y < len(cells[c]) {
				text, s := cell.text.String(), cells[c][y]
				pieces, _ = cell.pieces(text, s, 0)
				w = ansi.StringWidth(text[s.start:s.end])
			}
			space := max(0, g.widths[c]-w)
			left := 0
			switch g.alignments[c] {
			case alignRight:
				left = space
			case alignCenter:
				left = space / 2
			}
			line = append(line, piece{text: strings.Repeat(" ", left)})
			line = append(line, pieces...)
			line = append(line, piece{text: strings.Repeat(" ", space-left) + gap})
		}
		r.line(line)
	}
}

func (r *renderer) tableRule(g *grid) {
	var rules []string
	for _, w := range g.widths {
		rules = append(rules, strings.Repeat("─", w))
	}
	r.line([]piece{{strings.Join(rules, gap), dim}})
}

// records writes a table too wide for columns: a paragraph for each row, a line for each cell.
func (r *renderer) records(g *grid) {
	heads := make([]string, len(g.widths))
	for c, head := range g.rows[0] {
		heads[c] = cut(head.text.String(), r.room()) // once for each row, so it must not be long
	}
	if len(g.rows) == 1 {
		r.text(strings.Join(heads, gap), bold)
	}
	for i, row := range g.rows[1:] {
		if i > 0 {
			r.blank()
		}
		for c, cell := range row {
			var p prose
			p.append(heads[c]+": ", bold)
			text := cell.text.String()
			pieces, _ := cell.pieces(text, slice{0, len(text)}, 0)
			for _, piece := range pieces {
				p.append(piece.text, piece.style)
			}
			r.write(&p)
		}
	}
}
