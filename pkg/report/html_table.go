package report

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"ferry/pkg/bench"
)

// latencyColumns are the numbers of a Stats as the tables show them.
func latencyColumns(s bench.Stats) []float64 {
	return []float64{s.Mean, s.P50, s.P90, s.P95, s.P99, s.Min, s.Max, s.SD}
}

// latencyNames are the names of these columns.
func latencyNames() []string { return []string{"mean", "p50", "p90", "p95", "p99", "min", "max", "sd"} }

// table opens a table that can become a list of cards on a narrow screen. The roles keep it a table for who listens to it.
func (d *document) table(id, class, caption string) {
	d.put(`<div class="scroll"><table role="table" id="%s" class="%s"><caption>%s</caption>`+"\n", id, class, caption)
}

func (d *document) columns(numeric bool, names ...string) {
	class := ""
	if numeric {
		class = ` class="n"`
	}
	for _, name := range names {
		d.put(`<th role="columnheader" scope="col"%s>%s</th>`, markup(class), name)
	}
}

func (d *document) cell(class, label, value string) {
	d.put(`<td role="cell" class="%s" data-label="%s">%s</td>`, class, label, value)
}

func (d *document) results() {
	floor := successFloor(d.s.Rows)
	d.put(`<section id="results"><h2>Results</h2>` + "\n")
	d.table("results-table", "results", fmt.Sprintf("Latency of whole answers in ms. Success with its 95 %% interval, drawn from %.0f to 100 %%.", floor*100))
	d.put(`<thead role="rowgroup"><tr role="row">`)
	d.columns(false, "node", "success")
	d.columns(true, latencyNames()...)
	if compared(d.s) {
		d.columns(false, "against the reference")
	}
	d.put("</tr></thead>\n<tbody role=\"rowgroup\">\n")
	for i, r := range d.s.Rows {
		d.put(`<tr role="row" data-row="%d" data-node="%s" class="%s">`, i, r.Node.Name, d.role(i))
		d.rowHeading(i)
		d.successCell(r, floor)
		for c, v := range latencyColumns(r.Latency) {
			class := "n"
			if c == 1 {
				class = "n main"
			}
			d.cell(class, latencyNames()[c], bare(v))
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
	if i == d.s.Best && len(d.s.Rows) > 1 {
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
	d.put(`<rect class="range" x="%.2f%%" y="4" width="%.2f%%" height="6" rx="3"/>`, at.share(r.Success.Low), at.share(r.Success.High)-at.share(r.Success.Low))
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
		d.put(`<span>%s</span></td>`, missing)
		return
	}
	d.put(`<span class="figure"><b>%s&nbsp;×</b> <small>%s</small></span>`, ratio(c.Ratio), intervalText(c))
	d.put(`<span class="mark %s">%s</span>`, markup(verdictClass(c.Verdict)), markup(verdictSign(c.Verdict))+markup(escapeHTML(string(c.Verdict))))
	d.put(`<small class="bounds">%s</small></td>`, tied(savedText(c)))
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

// verdictSign says the verdict by shape too.
func verdictSign(v bench.Verdict) string {
	switch v {
	case bench.Faster:
		return "▼ "
	case bench.Slower:
		return "▲ "
	}
	return "= "
}

// intervalText is a ratio's interval; math.Inf stands for none.
func intervalText(c *bench.Comparison) string {
	if math.IsInf(c.High, 1) {
		return "too few for an interval"
	}
	return ratio(c.Low) + " to " + ratio(c.High)
}

// savedText says what the ratio means in time.
func savedText(c *bench.Comparison) string {
	switch c.Verdict {
	case bench.Faster:
		return "saves " + spell(c.Saved) + " (" + spellRange(c.SavedLow, c.SavedHigh) + ")"
	case bench.Slower:
		return "costs " + spell(-c.Saved) + " (" + spellRange(-c.SavedHigh, -c.SavedLow) + ")"
	}
	return "over " + count(c.Pairs, "pair", "pairs")
}

// measure is one more thing that a stream or a fixed rate lets one measure.
type measure struct {
	name, unit string
	of         func(*bench.Row) *bench.Stats
}

func otherMeasures() []measure {
	return []measure{
		{"time to first text", "ms", func(r *bench.Row) *bench.Stats { return r.TTFT }},
		{"time between tokens", "ms", func(r *bench.Row) *bench.Stats { return r.ITL }},
		{"tokens per second", "1/s", func(r *bench.Row) *bench.Stats { return r.TokensPerSecond }},
		{"latency from the actual start", "ms", func(r *bench.Row) *bench.Stats { return r.Uncorrected }},
		{"start later than intended", "ms", func(r *bench.Row) *bench.Stats { return r.Lag }},
	}
}

func (d *document) measures() {
	open := false
	for _, m := range otherMeasures() {
		if !slices.ContainsFunc(d.s.Rows, func(r *bench.Row) bool { return present(m.of(r)) }) {
			continue
		}
		if !open {
			open = true
			d.put(`<section id="measures"><h2>More measures</h2>` + "\n")
			d.table("measures-table", "dense", "Of successes only")
			d.put(`<thead role="rowgroup"><tr role="row">`)
			d.columns(false, "node")
			d.columns(true, latencyNames()...)
			d.put("</tr></thead>\n")
		}
		d.measure(m)
	}
	if open {
		d.put("</table></div></section>\n")
	}
}

// measure is a group of rows under the measure's name.
func (d *document) measure(m measure) {
	d.put(`<tbody role="rowgroup"><tr role="row" class="group"><th role="rowheader" scope="rowgroup" colspan="%d">%s, %s</th></tr>`+"\n",
		1+len(latencyNames()), m.name, m.unit)
	for i, r := range d.s.Rows {
		stats := m.of(r)
		if !present(stats) {
			continue
		}
		d.put(`<tr role="row" data-row="%d" class="%s"><th role="rowheader" scope="row">`, i, d.role(i))
		d.name(i)
		d.put(`</th>`)
		for c, v := range latencyColumns(*stats) {
			d.cell("n", latencyNames()[c], bare(v))
		}
		d.put("</tr>\n")
	}
	d.put("</tbody>\n")
}

func (d *document) failures() {
	d.put(`<section id="failures"><h2>Failures</h2>` + "\n")
	defer d.put("</section>\n")
	open := false
	for i, r := range d.s.Rows {
		for _, f := range r.Failures {
			if !open {
				open = true
				d.table("failures-table", "dense", "Requests that got no whole answer, after all attempts")
				d.put(`<thead role="rowgroup"><tr role="row">`)
				d.columns(false, "node", "kind", "lies with")
				d.columns(true, "count", "share", "time to failure")
				d.columns(false, "the first one’s words")
				d.put("</tr></thead>\n<tbody role=\"rowgroup\">\n")
			}
			d.failure(i, r, f)
		}
	}
	if open {
		d.put("</tbody></table></div>\n")
		return
	}
	d.put("<p>No request failed.</p>\n")
}

func (d *document) failure(i int, r *bench.Row, f bench.Failure) {
	d.put(`<tr role="row" data-row="%d" class="%s"><th role="rowheader" scope="row">`, i, d.role(i))
	d.name(i)
	d.put(`</th>`)
	d.cell("what", "kind", f.Class)
	d.cell("", "lies with", f.Blame)
	d.cell("n", "count", strconv.Itoa(f.Count))
	d.cell("n", "share", percent(float64(f.Count)/float64(max(r.Requests, 1)))+"\u00a0%")
	typical := f.Latency.P50
	if !f.Latency.HasPercentiles() {
		typical = f.Latency.Mean
	}
	d.cell("n", "time to failure", spell(typical))
	d.cell("words", "the first one’s words", f.Detail)
	d.put("</tr>\n")
}
