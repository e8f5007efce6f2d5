package report

import (
	"fmt"
	"math"
	"strconv"

	"ferry/pkg/bench"
	"ferry/pkg/text"
)

// latencyNames are the statistics that a table shows, in this order.
func latencyNames() []string { return []string{"mean", "p50", "p90", "p95", "p99", "min", "max", "sd"} }

// table opens a table that can become a list of cards on a narrow screen. The roles keep it a table for a screen reader.
func (d *document) table(id, class, caption string, headings ...markup) {
	d.put(`<div class="scroll"><table role="table" id="%s" class="%s"><caption>%s</caption>`+"\n", id, class, caption)
	d.put(`<thead role="rowgroup"><tr role="row">`)
	for _, h := range headings {
		d.put("%s", h)
	}
	d.put("</tr></thead>\n")
}

// headings are those of columns of words, or of numbers.
func headings(numeric bool, names ...string) markup {
	class := markup("")
	if numeric {
		class = ` class="n"`
	}
	var h document
	for _, name := range names {
		h.put(`<th role="columnheader" scope="col"%s>%s</th>`, class, name)
	}
	return h.markup()
}

func (d *document) cell(class, label, value string) {
	d.put(`<td role="cell" class="%s" data-label="%s">%s</td>`, class, label, value)
}

// row opens a line of a table with the name of its row.
func (d *document) row(i int) {
	d.put(`<tr role="row" data-row="%d" class="%s"><th role="rowheader" scope="row">`, i, d.role(i))
	d.name(i)
	d.put(`</th>`)
}

func (d *document) results() {
	floor := successFloor(d.s.Rows)
	d.put(`<section id="results"><h2>Results</h2>` + "\n")
	titles := []markup{headings(false, "node", "success"), headings(true, latencyNames()...)}
	if compared(d.s) {
		titles = append(titles, headings(false, "against the reference"))
	}
	const caption = "Latency of whole answers in ms. Success with its 95 %% interval, drawn from %.0f to 100 %%."
	d.table("results-table", "results", fmt.Sprintf(caption, floor*100), titles...)
	d.put("<tbody role=\"rowgroup\">\n")
	for i, r := range d.s.Rows {
		d.put(`<tr role="row" data-row="%d" data-node="%s" class="%s">`, i, r.Node.Name, d.role(i))
		d.rowHeading(i)
		d.successCell(r, floor)
		for _, name := range latencyNames() {
			class := "n"
			if name == "p50" {
				class = "n main"
			}
			d.cell(class, name, bare(r.Latency.Named(name)))
		}
		if compared(d.s) {
			d.comparisonCell(r)
		}
		d.put("</tr>\n")
	}
	d.put("</tbody></table></div></section>\n")
}

// rowHeading has all that says which series a row is.
func (d *document) rowHeading(i int) {
	r := d.s.Rows[i]
	d.put(`<th role="rowheader" scope="row">`)
	d.name(i)
	if d.s.Leads(r) && len(d.s.Rows) > 1 {
		d.put(` <span class="badge">best</span>`)
	}
	if compared(d.s) && reference(d.s, r) {
		d.put(` <span class="badge quiet">reference</span>`)
	}
	if r.Node.Label != "" {
		d.put(`<span class="label"><bdi>%s</bdi></span>`, r.Node.Label)
	}
	d.put(`<span class="host"><bdi>%s</bdi></span>`, r.Node.Host)
	if d.s.Model == "" {
		d.put(`<span class="host"><bdi>%s</bdi></span>`, r.Node.Model)
	}
	d.put(`</th>`)
}

// successFloor is where the axis of all success bars begins: intervals between 95 and 99 % would be a speck on one that
// begins at 0.
func successFloor(rows []*bench.Row) float64 {
	low := 1.0
	for _, r := range rows {
		if r.Requests > 0 {
			low = min(low, r.Success.Low)
		}
	}
	return min(math.Floor(low*10)/10, 0.9)
}

func (d *document) successCell(r *bench.Row, floor float64) {
	d.put(`<td role="cell" class="success" data-label="success">`)
	if r.Requests == 0 {
		d.put(`<span>no request</span></td>`)
		return
	}
	at := axis{lo: floor, hi: 1}
	d.put(`<span class="figure"><b>%s&nbsp;%%</b> <small>%d of %d</small></span>`, percent(r.Success.Value), r.OK, r.Requests)
	d.put(`<svg class="interval" height="14" role="img"><title>%s to %s %%, on an axis from %d to 100 %%</title>`,
		percent(r.Success.Low), percent(r.Success.High), int(math.Round(floor*100)))
	d.put(`<rect class="track" x="0" y="5" width="100%%" height="4" rx="2"/>`)
	d.put(`<rect class="range" x="%.2f%%" y="4" width="%.2f%%" height="6" rx="3"/>`,
		at.share(r.Success.Low), at.share(r.Success.High)-at.share(r.Success.Low))
	d.put(`<circle class="value" cx="%.2f%%" cy="7" r="4.5"/></svg>`, at.share(r.Success.Value))
	d.put(`<small class="bounds">%s to %s&nbsp;%%</small>`, percent(r.Success.Low), percent(r.Success.High))
	if r.FirstOK != r.OK {
		d.put(`<small class="bounds">first attempt %s&nbsp;%%</small>`, percent(r.FirstSuccess.Value))
	}
	d.put(`</td>`)
}

func (d *document) comparisonCell(r *bench.Row) {
	d.put(`<td role="cell" class="versus" data-label="against the reference">`)
	c := r.VsReference
	if c == nil {
		d.put(`<span>%s</span></td>`, text.Missing)
		return
	}
	d.put(`<span class="figure"><b>%s&nbsp;×</b> <small>%s</small></span>`, ratio(c.Ratio), english().ratioInterval(c))
	class := verdictClass(c.Verdict)
	sign := map[string]string{"faster": "▼", "slower": "▲", "same": "="}[class] // says it by shape too
	d.put(`<span class="mark %s">%s %s</span>`, class, sign, c.Verdict)
	d.put(`<small class="bounds">%s</small></td>`, tied(mediansText(c)))
}

func verdictClass(v bench.Verdict) string {
	switch v {
	case bench.Faster:
		return "faster"
	case bench.Slower:
		return "slower"
	}
	return "same"
}

// ratioInterval is a ratio's interval; math.Inf stands for none.
func (l language) ratioInterval(c *bench.Comparison) string {
	if math.IsInf(c.High, 1) {
		return l.say("too few for an interval")
	}
	return l.say("%s to %s", ratio(c.Low), ratio(c.High))
}

// mediansText has the p50s beside the paired ratio.
func mediansText(c *bench.Comparison) string {
	medians := "over " + text.Count(c.Pairs, "pair") + "; p50 " + text.Millis(c.P50) + " against " + text.Millis(c.ReferenceP50)
	if c.ShapesDiffer {
		medians += ": the distributions differ in shape"
	}
	return medians
}

// measures are what a stream or a fixed rate lets one measure besides, each a group of rows under its name.
func (d *document) measures() {
	open := false
	for _, m := range []struct {
		name, unit string
		of         statsOf
	}{
		{"time to first text", "ms", ttft}, {"time between tokens", "ms", itl}, {"tokens per second", "1/s", tokens},
		{"tokens per second after the first text", "1/s", decode}, {"tokens of an answer", "tokens", answer},
		{"latency from the actual start", "ms", uncorrected}, {"start later than intended", "ms", lag},
	} {
		if !anyRow(d.s, m.of.present) {
			continue
		}
		if !open {
			open = true
			d.put(`<section id="measures"><h2>More measures</h2>` + "\n")
			d.table("measures-table", "dense", "Of successes only", headings(false, "node"), headings(true, latencyNames()...))
		}
		d.put(`<tbody role="rowgroup"><tr role="row" class="group"><th role="rowheader" scope="rowgroup" colspan="%d">%s, %s</th></tr>`+"\n",
			1+len(latencyNames()), m.name, m.unit)
		for i, r := range d.s.Rows {
			if !m.of.present(r) {
				continue
			}
			d.row(i)
			for _, name := range latencyNames() {
				d.cell("n", name, bare(m.of(r).Named(name)))
			}
			d.put("</tr>\n")
		}
		d.put("</tbody>\n")
	}
	if open {
		d.put("</table></div></section>\n")
	}
}

func (d *document) failures() {
	d.put(`<section id="failures"><h2>Failures</h2>` + "\n")
	defer d.put("</section>\n")
	if !anyRow(d.s, func(r *bench.Row) bool { return len(r.Failures) > 0 }) {
		d.put("<p>No request failed.</p>\n")
		return
	}
	d.table("failures-table", "dense", "Requests without success, after all attempts",
		headings(false, "node", "kind", "lies with"), headings(true, "count", "share", "time to failure"),
		headings(false, "the first one’s words"))
	d.put("<tbody role=\"rowgroup\">\n")
	for i, r := range d.s.Rows {
		for _, f := range r.Failures {
			typical := f.Latency.P50
			if !f.Latency.HasPercentiles() {
				typical = f.Latency.Mean
			}
			d.row(i)
			d.cell("what", "kind", f.Class)
			d.cell("", "lies with", f.Blame)
			d.cell("n", "count", strconv.Itoa(f.Count))
			d.cell("n", "share", percent(float64(f.Count)/float64(max(r.Requests, 1)))+"\u00a0%")
			d.cell("n", "time to failure", text.Millis(typical))
			d.cell("words", "the first one’s words", f.Detail)
			d.put("</tr>\n")
		}
	}
	d.put("</tbody></table></div>\n")
}
