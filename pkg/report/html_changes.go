package report

import (
	"slices"
	"strings"

	"ferry/pkg/bench"
)

// changesAsHTML writes two runs as one file, in the manner of asHTML: the verdict first, then each measure before and after,
// the ratios, and the latencies of both runs under each other.
func changesAsHTML(c *bench.Changes, o Options) (string, error) {
	ratios, both := changeRows(c, languageOf(o.Lang))
	d := &document{language: languageOf(o.Lang), s: ratios}
	d.role = func(int) string { return "best" }
	names := each(c.Nodes, func(n *bench.Change) string { return n.Title })
	title := d.say("Before and after: %s", strings.Join(names, d.say(", ")))
	if len(names) > 4 {
		title = d.say("Before and after: %s", bench.Count{N: len(names), Noun: "node"})
	}
	d.head(title, d.whenBoth(c))
	d.changeVerdict(c)
	d.thresholds(o.Checks)
	d.warnings(c.Warnings)
	d.changeTable(c)
	d.ratios("comparison", "New against old", d.say("How many times the old latency, with the interval. One that touches 1 shows no difference."),
		"← faster than before", func(r *bench.Row) (words, sentence string) {
			if r.VsReference == nil {
				return "", ""
			}
			n := c.Nodes[slices.Index(ratios.Rows, r)]
			return tied(ratio(r.VsReference.Ratio) + d.say(" ×") + d.say(", ") + d.language.verdict(r.VsReference.Verdict)), d.changeSentence(n)
		})
	d.s = both
	d.role = func(i int) string { return []string{"ref", "best"}[i%2] } // old and new in turn
	d.distribution()
	d.failures()
	d.s = c.New
	d.facts()
	d.end(d.defineChanges(c))
	return d.b.String(), nil
}

// changeRows are the nodes that both runs have, as rows of reports: the new rows with their ratio to the old ones, and all
// rows, each old one before its new one.
func changeRows(c *bench.Changes, l language) (ratios, both *bench.Summary) {
	ratios, both = &bench.Summary{Header: c.New.Header}, &bench.Summary{Header: c.New.Header}
	row := func(r *bench.Row, name string) *bench.Row {
		named := *r
		named.Node.Name, named.VsReference = name, nil
		return &named
	}
	for _, n := range c.Nodes {
		now := row(n.New, n.Title)
		now.VsReference = n.Latency
		ratios.Rows = append(ratios.Rows, now)
		both.Rows = append(both.Rows, row(n.Old, n.Title+l.say(", ")+l.say("old")), row(n.New, n.Title+l.say(", ")+l.say("new")))
	}
	return ratios, both
}

// whenBoth says when the two runs began.
func (d *document) whenBoth(c *bench.Changes) markup {
	line := document{language: d.language}
	line.put("%s", d.say("%s and then %s", c.Old.Started.UTC().Format(d.say("2 January 2006, 15:04:05 UTC")),
		c.New.Started.UTC().Format(d.say("2 January 2006, 15:04:05 UTC"))))
	if c.New.Model != "" {
		line.put(" · <bdi>%s</bdi>", c.New.Model)
	}
	return line.markup()
}

func (d *document) changeVerdict(c *bench.Changes) {
	d.put(`<section class="verdict" id="verdict"><h2 class="hidden">%s</h2>`+"\n", d.say("Verdict"))
	for _, line := range d.outcome(c) {
		d.put(`<p class="first sentence"><b>%s</b></p>`+"\n", line)
	}
	d.put("<ul>\n")
	for _, n := range c.Nodes {
		d.put("<li><b><bdi>%s</bdi></b>%s%s</li>\n", n.Title, d.say(": "), tied(d.changeFinding(n)))
	}
	d.put("</ul>\n</section>\n")
}

// changeTable is the table of the terminal.
func (d *document) changeTable(c *bench.Changes) {
	d.put(`<section id="results"><h2>%s</h2>`+"\n", d.say("Results"))
	columns := d.changeColumns(c)
	titles := line(columns, -1)
	verdict := len(titles) - 1
	d.table("results-table", "dense", d.say("Medians of successes and success rates, before and after"),
		headings(false, titles[:2]...), headings(true, titles[2:verdict]...), headings(false, titles[verdict]))
	d.put("<tbody role=\"rowgroup\">\n")
	for i := range columns[0].cells {
		cells := line(columns, i)
		d.put(`<tr role="row" class="any"><th role="rowheader" scope="row"><bdi>%s</bdi></th>`, cells[0])
		d.cell("what", titles[1], cells[1])
		for k := 2; k < verdict; k++ {
			d.cell("n", titles[k], tied(cells[k]))
		}
		d.cell("mark "+d.turn(cells[verdict]), titles[verdict], cells[verdict])
		d.put("</tr>\n")
	}
	d.put("</tbody></table></div></section>\n")
}
