package report

import (
	"fmt"
	"strings"
)

// failures lists the failures by class: they have their own table because no mean may count them in. The words of the
// first one stand beside its class where all have room to stand whole, and under the table otherwise.
func (p *page) failures() string {
	names := column{title: "node", words: true}
	class := column{title: "class", words: true}
	counts := column{title: "count"}
	mean := column{title: "mean"}
	blame := column{title: "blame", words: true, rank: 1}
	first := column{title: "the first one", left: true, rank: 2}
	var under []string
	for _, r := range p.s.Rows {
		for _, f := range r.Failures {
			names.cells = append(names.cells, p.name(r))
			class.cells = append(class.cells, visible(f.Class))
			counts.cells = append(counts.cells, fmt.Sprint(f.Count))
			mean.cells = append(mean.cells, spell(f.Latency.Mean))
			blame.cells = append(blame.cells, visible(f.Blame))
			first.cells = append(first.cells, visible(f.Detail))
			if f.Detail != "" {
				under = append(under, p.name(r)+", "+visible(f.Class)+": "+visible(f.Detail))
			}
		}
	}
	g := grid{columns: []column{names, class, counts, mean, blame, first}}
	g.paint = func(_, col int, cell string) string {
		if title := g.columns[col].title; title == blame.title || title == first.title {
			return p.style.Dim.Render(cell)
		}
		return cell
	}
	table := g.render(p.width(), p.style.Dim)
	if g.has(first.title) {
		return table
	}
	var b strings.Builder
	b.WriteString(table)
	for _, line := range under {
		for wrapped := range strings.SplitSeq(p.wrap(line), "\n") {
			b.WriteString(p.style.Dim.Render(wrapped) + "\n")
		}
	}
	return b.String()
}
