package report

import (
	"math"
	"strings"

	"github.com/charmbracelet/lipgloss"

	"ferry/pkg/bench"
	"ferry/pkg/term"
)

const (
	// plotColumns is the most that a plot is worth.
	plotColumns = 60
	// leastPlot is the width under which a plot shows nothing.
	leastPlot = 16
)

// plots shows how the latencies of each node are spread, all over one axis.
func (p *page) plots() {
	low, high := math.Inf(1), math.Inf(-1)
	names := column{words: true}
	var rows []*bench.Row
	for _, r := range p.s.Rows {
		if len(r.Sorted) < bench.MinPercentile {
			continue // two answers are no distribution
		}
		rows = append(rows, r)
		names.cells = append(names.cells, p.name(r))
		low, high = min(low, r.Sorted[0]), max(high, r.Sorted[len(r.Sorted)-1])
	}
	width := p.facts.Width
	if !p.facts.TTY {
		width = pipeWidth
	}
	names.cut(max(narrowest, min(names.width(), width/2)))
	columns := min(plotColumns, width-names.width()-gap)
	if len(rows) == 0 || low >= high || columns < leastPlot {
		return
	}
	p.b.WriteString("\n" + p.style.Strong.Render("latencies") + "\n")
	for i, r := range rows {
		plot := term.Histogram(r.Sorted, low, high, columns)
		if r == p.s.BestRow() {
			plot = p.style.Good.Render(plot)
		}
		p.b.WriteString(names.align(names.cells[i], names.width()) + "  " + plot + "\n")
	}
	from, to := spell(low), spell(high)
	between := max(1, columns-lipgloss.Width(from)-lipgloss.Width(to))
	axis := strings.Repeat(" ", names.width()+gap) + from + strings.Repeat(" ", between) + to
	p.b.WriteString(p.style.Dim.Render(axis) + "\n")
}

// pipeWidth is how wide a plot is laid out where nothing says how wide it may be.
const pipeWidth = 80
