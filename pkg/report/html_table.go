package report

import (
	"math"
	"slices"
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

// figureColumn is a column of a figure of each row: the statistics, one of them, and the heading with its unit.
type figureColumn struct {
	of          statsOf
	stat, title string
}

// figures are the columns of the main table: of streams TTFT first.
func (d *document) figures() []figureColumn {
	var all []figureColumn
	if d.s.Figure != bench.TTFTFigure {
		for _, name := range latencyNames() {
			all = append(all, figureColumn{latency, name, d.say("%s, ms", d.say(name))})
		}
		return all
	}
	for _, name := range []string{"p50", "p95"} {
		all = append(all, figureColumn{ttft, name, d.say("%s, ms", "TTFT "+name)})
	}
	for _, name := range []string{"p50", "p95", "p99", "mean"} {
		all = append(all, figureColumn{latency, name, d.say("%s, ms", d.say("latency")+" "+d.say(name))})
	}
	return all
}

func (d *document) results() {
	floor := successFloor(d.s.Rows)
	d.put(`<section id="results"><h2>%s</h2>`+"\n", d.say("Results"))
	figures := d.figures()
	main := slices.IndexFunc(figures, func(f figureColumn) bool { return f.stat == "p50" })
	titles := []markup{headings(false, d.say("node"), d.say("success")),
		headings(true, each(figures, func(f figureColumn) string { return f.title })...)}
	if compared(d.s) {
		titles = append(titles, headings(false, d.say("against the reference")))
	}
	caption := d.say("Of successes only, and success with its 95 %% interval, drawn from %.0f %% to 100 %%.", floor*100)
	d.table("results-table", "results", caption, titles...)
	d.put("<tbody role=\"rowgroup\">\n")
	for i, r := range d.s.Rows {
		d.put(`<tr role="row" data-row="%d" data-node="%s" class="%s">`, i, r.Node.Name, d.role(i))
		d.rowHeading(i)
		d.successCell(r, floor)
		for k, f := range figures {
			class := "n"
			if k == main {
				class = "n main"
			}
			d.cell(class, f.title, bare(f.of.stat(f.stat)(r)))
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
		d.put(` <span class="badge">%s</span>`, d.say("best"))
	}
	if compared(d.s) && reference(d.s, r) {
		d.put(` <span class="badge quiet">%s</span>`, d.say("reference"))
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
	d.put(`<td role="cell" class="success" data-label="%s">`, d.say("success"))
	if r.Requests == 0 {
		d.put(`<span>%s</span></td>`, d.say("no request"))
		return
	}
	at := axis{lo: floor, hi: 1}
	d.put(`<span class="figure"><b>%s</b> <small>%s</small></span>`, tied(d.percent(r.Success.Value)), d.say("%d of %d", r.OK, r.Requests))
	bounds := d.say("%s to %s", tied(d.percent(r.Success.Low)), tied(d.percent(r.Success.High)))
	d.put(`<svg class="interval" height="14" role="img"><title>%s</title>`,
		d.say("%s, on an axis from %d %% to 100 %%", bounds, int(math.Round(floor*100))))
	d.put(`<rect class="track" x="0" y="5" width="100%%" height="4" rx="2"/>`)
	d.put(`<rect class="range" x="%.2f%%" y="4" width="%.2f%%" height="6" rx="3"/>`,
		at.share(r.Success.Low), at.share(r.Success.High)-at.share(r.Success.Low))
	d.put(`<circle class="value" cx="%.2f%%" cy="7" r="4.5"/></svg>`, at.share(r.Success.Value))
	d.put(`<small class="bounds">%s</small>`, bounds)
	if r.FirstOK != r.OK {
		d.put(`<small class="bounds">%s</small>`, d.say("first attempt %s", tied(d.percent(r.FirstSuccess.Value))))
	}
	d.put(`</td>`)
}

func (d *document) comparisonCell(r *bench.Row) {
	d.put(`<td role="cell" class="versus" data-label="%s">`, d.say("against the reference"))
	c := r.VsReference
	if c == nil {
		d.put(`<span>%s</span></td>`, text.Missing)
		return
	}
	d.put(`<span class="figure"><b>%s</b> <small>%s</small></span>`, tied(ratio(c.Ratio)+d.say(" ×")), d.ratioInterval(c))
	class := verdictClass(c.Verdict)
	sign := map[string]string{"faster": "▼", "slower": "▲", "same": "="}[class] // says it by shape too
	d.put(`<span class="mark %s">%s %s</span>`, class, sign, d.language.verdict(c.Verdict))
	d.put(`<small class="bounds">%s</small></td>`, tied(d.mediansText(c)))
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
	return l.say("%s to %s", bound(c.Low), bound(c.High))
}

// mediansText has the p50s beside the paired ratio.
func (l language) mediansText(c *bench.Comparison) string {
	medians := l.say("over %s; p50 %s against %s", bench.Count{N: c.Pairs, Noun: "pair"}, took(c.P50), took(c.ReferenceP50))
	if c.ShapesDiffer {
		medians += l.say(": the distributions differ in shape")
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
		{"time to first text (TTFT)", "ms", ttft}, {"time between tokens (ITL)", "ms", itl}, {"tokens per second", "token/s", tokens},
		{"tokens per second after the first text", "token/s", decode}, {"tokens of an answer", "token", answer},
		{"latency from the actual start", "ms", uncorrected}, {"start later than intended (lag)", "ms", lag},
	} {
		if !anyRow(d.s, m.of.present) {
			continue
		}
		if !open {
			open = true
			d.put(`<section id="measures"><h2>%s</h2>`+"\n", d.say("More measures"))
			d.table("measures-table", "dense", d.say("Of successes only"), headings(false, d.say("node")),
				headings(true, each(latencyNames(), func(name string) string { return d.say(name) })...))
		}
		d.put(`<tbody role="rowgroup"><tr role="row" class="group"><th role="rowheader" scope="rowgroup" colspan="%d">%s, %s</th></tr>`+"\n",
			1+len(latencyNames()), d.say(m.name), m.unit)
		for i, r := range d.s.Rows {
			if !m.of.present(r) {
				continue
			}
			d.row(i)
			for _, name := range latencyNames() {
				d.cell("n", d.say(name)+d.say(", ")+m.unit, bare(m.of(r).Named(name)))
			}
			d.put("</tr>\n")
		}
		d.put("</tbody>\n")
	}
	if open {
		d.put("</table></div></section>\n")
	}
}

// hours is what runs of several days have of each hour of the day.
func (d *document) hours() {
	if !anyRow(d.s, hasHours) {
		return
	}
	d.put(`<section id="hours"><h2>%s</h2>`+"\n", d.say("By hour of day"))
	names := each(d.s.Rows, func(r *bench.Row) string { return d.title(d.s, r) })
	d.table("hours-table", "dense", d.say("p50 of the %s, and success rate, of the requests that began in each hour, %s",
		d.figure(d.s), zone(d.s)), headings(false, d.say("hour")), headings(true, names...))
	d.put("<tbody role=\"rowgroup\">\n")
	for hour := range 24 {
		if !anyRow(d.s, func(r *bench.Row) bool { return hourOf(r, hour).Requests > 0 }) {
			continue
		}
		d.put(`<tr role="row"><th role="rowheader" scope="row">%02d:00</th>`, hour)
		for i, r := range d.s.Rows {
			cell := text.Missing
			if h := hourOf(r, hour); h.Requests > 0 {
				cell = text.Millis(h.P50) + " · " + d.percent(float64(h.OK)/float64(h.Requests))
			}
			d.cell("n", names[i], tied(cell))
		}
		d.put("</tr>\n")
	}
	d.put("</tbody></table></div></section>\n")
}

func (d *document) failures() {
	d.put(`<section id="failures"><h2>%s</h2>`+"\n", d.say("Failures"))
	defer d.put("</section>\n")
	if !anyRow(d.s, func(r *bench.Row) bool { return len(r.Failures) > 0 }) {
		d.put("<p>%s</p>\n", d.say("No request failed."))
		return
	}
	kind, lies, count, share := d.say("class"), d.say("lies with"), d.say("count"), d.say("share")
	after, words := d.say("time to failure"), d.say("the first one’s words")
	d.table("failures-table", "dense", d.say("Requests without success, after all attempts"),
		headings(false, d.say("node"), kind, lies), headings(true, count, share, after), headings(false, words))
	d.put("<tbody role=\"rowgroup\">\n")
	for i, r := range d.s.Rows {
		for _, f := range r.Failures {
			typical := f.Latency.P50
			if !f.Latency.HasPercentiles() {
				typical = f.Latency.Mean
			}
			d.row(i)
			d.cell("what", kind, f.Class)
			d.cell("", lies, d.say(f.Blame))
			d.cell("n", count, strconv.Itoa(f.Count))
			d.cell("n", share, tied(d.percent(float64(f.Count)/float64(max(r.Requests, 1)))))
			d.cell("n", after, text.Millis(typical))
			d.cell("words", words, f.Detail)
			d.put("</tr>\n")
		}
	}
	d.put("</tbody></table></div>\n")
}
