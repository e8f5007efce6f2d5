package report

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"ferry/pkg/bench"
	"ferry/pkg/text"
)

// latencyNames returns the statistics that a table shows, in this order.
func latencyNames() []string { return []string{"mean", "p50", "p90", "p95", "p99", "min", "max", "sd"} }

// table writes a section with a table that can become a list of cards on a narrow screen. The roles keep it a table for
// a screen reader. Each of lines is the start of a line up to the end of its first cell; first is the title of that
// column.
func (d *document) table(id, heading, class, caption, first string, lines []markup, columns []column) {
	d.open(id, heading)
	d.writef(`<div class="scroll"><table role="table" id="%s-table" class="%s"><caption>%s</caption>`+"\n", id, class, caption)
	d.writef(`<thead role="rowgroup"><tr role="row"><th role="columnheader" scope="col">%s</th>`, first)
	for i, c := range columns {
		numeric := markup("")
		if c.kind == numbers {
			columns[i].class, numeric = strings.TrimSpace("n "+c.class), ` class="n"`
		}
		d.writef(`<th role="columnheader" scope="col"%s>%s</th>`, numeric, c.title)
	}
	d.writef("</tr></thead>\n<tbody role=\"rowgroup\">\n")
	for i, line := range lines {
		d.writef("%s", line)
		for _, c := range columns {
			cell := markup(c.cells[i])
			if !c.markup {
				cell = markup(escapeHTML(c.cells[i]))
			}
			d.writef(`<td role="cell" class="%s" data-label="%s">%s</td>`, c.class, c.title, cell)
		}
		d.writef("</tr>\n")
	}
	d.writef("</tbody></table></div></section>\n")
}

// namedLine returns the start of a line that does not belong to one row.
func namedLine(name string) markup {
	return markupf(`<tr role="row"><th role="rowheader" scope="row"><bdi>%s</bdi></th>`, name)
}

// row returns the start of the line of a row.
func (d *document) row(i int, name markup) markup {
	return markupf(`<tr role="row" data-row="%d" class="%s"><th role="rowheader" scope="row">%s</th>`, i, d.rowClass(i), name)
}

// marked returns a cell whose sign and text have the colour of a class.
func marked(class, words string) string {
	return string(markupf(`<span class="mark %s">%s</span>`, class, words))
}

// thresholds writes which thresholds were kept and which were missed, by sign, word and colour.
func (d *document) thresholds(checks []bench.Check) {
	if len(checks) == 0 {
		return
	}
	d.table("thresholds", "Thresholds", "dense", d.translate("Thresholds checked in this run"), d.translate("node"),
		each(checks, func(c bench.Check) markup { return namedLine(c.Node) }), []column{
			{title: d.translate("threshold"), kind: left, class: "what", cells: each(checks, func(c bench.Check) string { return c.Threshold.String() })},
			columnOf(d.translate("measured"), left, 0, checks, func(c bench.Check) string { return d.message(c.Seen) }),
			{title: d.translate("result"), kind: left, markup: true, cells: each(checks, func(c bench.Check) string {
				if c.Missed {
					return marked("missed", "✗ "+d.translate("missed"))
				}
				return marked("kept", "✓ "+d.translate("met"))
			})},
		})
}

// changes writes the table of a comparison of two runs.
func (d *document) changes(c *bench.Changes) {
	columns, verdicts := d.changeColumns(c)
	lines := each(columns[0].cells, namedLine)
	columns[1].class, columns[6].markup = "what", true
	for i, verdict := range verdicts {
		columns[6].cells[i] = marked(directionOf(verdict), columns[6].cells[i])
	}
	for i := range columns[:6] {
		columns[i].cells = each(columns[i].cells, joinUnits)
	}
	d.table("results", "Results", "dense", d.translate("p50 of successful requests, and success rate, before and after"), columns[0].title, lines, columns[1:])
}

// results writes the main table. For streams, TTFT comes first.
func (d *document) results() {
	rows, floor := d.s.Rows, successFloor(d.s.Rows)
	var lines []markup
	for i := range rows {
		lines = append(lines, d.row(i, d.fullName(i)))
	}
	columns := []column{{title: d.translate("success"), kind: left, class: "success", markup: true,
		cells: each(rows, func(r *bench.Row) string { return string(d.success(r, floor)) })}}
	add := func(of statsOf, figure, name string) {
		title := d.translate("%s, ms", strings.TrimSpace(figure+" "+d.translate(name)))
		columns = append(columns, columnOf(title, numbers, 0, rows, func(r *bench.Row) string { return shortNumber(of.stat(name)(r)) }))
	}
	if d.s.Figure == bench.TTFTFigure {
		add(ttft, "TTFT", "p50")
		add(ttft, "TTFT", "p95")
		for _, name := range []string{"p50", "p95", "p99", "mean"} {
			add(latency, d.translate("latency"), name)
		}
	} else {
		for _, name := range latencyNames() {
			add(latency, "", name)
		}
	}
	main := slices.IndexFunc(columns, func(c column) bool { return strings.Contains(c.title, "p50") })
	columns[main].class = "main"
	if compared(d.s) {
		columns = append(columns, column{title: d.translate("vs reference"), kind: left, class: "versus", markup: true,
			cells: each(rows, func(r *bench.Row) string { return string(d.versusCell(r.VsReference)) })})
	}
	caption := d.translate("Latency of successful requests only. Success rate with 95 %% CI, on an axis from %.0f %% to 100 %%.", floor*100)
	d.table("results", "Results", "results", caption, d.translate("node"), lines, columns)
}

// fullName returns everything that identifies the series of a row.
func (d *document) fullName(i int) markup {
	r, name := d.s.Rows[i], d.name(i)
	if d.s.Leads(r) && len(d.s.Rows) > 1 {
		name += markupf(` <span class="badge">%s</span>`, d.translate("best"))
	}
	if compared(d.s) && isReference(d.s, r) {
		name += markupf(` <span class="badge quiet">%s</span>`, d.translate("reference"))
	}
	if r.Node.Label != "" {
		name += markupf(`<span class="label"><bdi>%s</bdi></span>`, r.Node.Label)
	}
	name += markupf(`<span class="host"><bdi>%s</bdi></span>`, r.Node.Host)
	if d.s.Model == "" {
		name += markupf(`<span class="host"><bdi>%s</bdi></span>`, r.Node.Model)
	}
	return name
}

// successFloor returns where the axis of all success bars begins. On an axis from 0, an interval from 95 to 99 % would
// be too small to see.
func successFloor(rows []*bench.Row) float64 {
	low := 1.0
	for _, r := range rows {
		if r.Requests > 0 {
			low = min(low, r.Success.Low)
		}
	}
	return min(math.Floor(low*10)/10, 0.9)
}

// success returns a success rate in figures and as a bar with its interval.
func (d *document) success(r *bench.Row, floor float64) markup {
	if r.Requests == 0 {
		return markupf(`<span>%s</span>`, d.translate("no request"))
	}
	at := axis{lo: floor, hi: 1}
	low, high := at.share(r.Success.Low), at.share(r.Success.High)
	bounds := d.translate("%s to %s", joinUnits(d.percent(r.Success.Low)), joinUnits(d.percent(r.Success.High)))
	cell := markupf(`<span class="figure"><b>%s</b> <small>%s</small></span>`, joinUnits(d.percent(r.Success.Value)), d.translate("%d of %d", r.OK, r.Requests)) +
		markupf(`<svg class="interval" height="14" role="img"><title>%s</title>`,
			d.translate("%s, on an axis from %d %% to 100 %%", bounds, int(math.Round(floor*100)))) +
		`<rect class="track" x="0" y="5" width="100%" height="4" rx="2"/>` +
		markupf(`<rect class="range" x="%.2f%%" y="4" width="%.2f%%" height="6" rx="3"/>`, low, high-low) +
		markupf(`<circle class="value" cx="%.2f%%" cy="7" r="4.5"/></svg><small class="bounds">%s</small>`, at.share(r.Success.Value), bounds)
	if r.FirstOK != r.OK {
		cell += markupf(`<small class="bounds">%s</small>`, d.translate("first attempt %s", joinUnits(d.percent(r.FirstSuccess.Value))))
	}
	return cell
}

// versusCell returns the ratio to the reference and both p50s.
func (d *document) versusCell(c *bench.Comparison) markup {
	if c == nil {
		return markupf(`<span>%s</span>`, text.Missing)
	}
	shown := verdictOf(c)
	sign := map[bench.Verdict]string{bench.Faster: "▼ ", bench.Slower: "▲ ", bench.NoDifference: "= "}[shown] // the shape shows it too
	medians := d.translate("%s; p50 %s vs %s", bench.Count{N: c.Pairs, Noun: "pair"}, latencyText(c.P50), latencyText(c.ReferenceP50))
	if c.ShapesDiffer {
		medians += d.translate(": the distributions differ in shape")
	}
	return markupf(`<span class="figure"><b>%s</b> <small>%s</small></span>`, joinUnits(ratio(c.Ratio)+d.translate(" ×")), d.ratioInterval(c)) +
		markup(marked(directionOf(shown), sign+d.language.verdict(shown))) + markupf(`<small class="bounds">%s</small>`, joinUnits(medians))
}

// ratioInterval formats the interval of a ratio. There is none if High is +Inf.
func (l language) ratioInterval(c *bench.Comparison) string {
	if math.IsInf(c.High, 1) {
		return l.translate("too few samples")
	}
	return l.translate("%s to %s", bound(c.Low), bound(c.High))
}

// measures writes the measures that only streams or a fixed rate have, and the tokens, each as a group of rows under
// its name.
func (d *document) measures() {
	var lines []markup
	var stats []*bench.Stats
	for _, m := range []struct {
		name, unit string
		of         statsOf
	}{
		{d.translate("time to first token (TTFT)"), "ms", ttft}, {d.translate("inter-token latency (ITL)"), "ms", itl},
		{d.translate("tokens per second"), "token/s", tokens}, {d.translate("tokens per second after the first text"), "token/s", decode},
		{d.translate("tokens per answer"), "token", answer}, {d.translate("latency from the actual start"), "ms", uncorrected},
		{d.translate("start delay (lag)"), "ms", lag},
	} {
		group := markupf(`<tr role="row" class="group"><th role="rowheader" scope="rowgroup" colspan="%d">%s%s%s</th></tr>`+"\n",
			1+len(latencyNames()), m.name, d.translate(", "), m.unit)
		for i, r := range d.s.Rows {
			if !m.of.present(r) {
				continue
			}
			if len(lines) > 0 && group != "" {
				group = "</tbody>\n<tbody role=\"rowgroup\">\n" + group
			}
			lines, stats, group = append(lines, group+d.row(i, d.name(i))), append(stats, m.of(r)), ""
		}
	}
	if len(lines) == 0 {
		return
	}
	columns := each(latencyNames(), func(name string) column {
		return columnOf(d.translate(name), numbers, 0, stats, func(s *bench.Stats) string { return shortNumber(s.Named(name)) })
	})
	d.table("measures", "Other metrics", "dense", d.translate("Successful requests only"), d.translate("node"), lines, columns)
}

// hours writes the results by hour of day of runs over several days.
func (d *document) hours() {
	if !anyRow(d.s, hasHours) {
		return
	}
	var hours []int
	for hour := range 24 {
		if anyRow(d.s, func(r *bench.Row) bool { return hourOf(r, hour).Requests > 0 }) {
			hours = append(hours, hour)
		}
	}
	columns := each(d.s.Rows, func(r *bench.Row) column {
		return columnOf(d.title(d.s, r), numbers, 0, hours, func(hour int) string {
			h := hourOf(r, hour)
			if h.Requests == 0 {
				return text.Missing
			}
			return joinUnits(text.Millis(h.P50) + " · " + d.percent(float64(h.OK)/float64(h.Requests)))
		})
	})
	d.table("hours", "By hour of day", "dense", d.translate("p50 %s and success rate of the requests that started in each hour, %s",
		d.figure(d.s), zone(d.s)), d.translate("hour"), each(hours, func(hour int) markup { return namedLine(fmt.Sprintf("%02d:00", hour)) }), columns)
}

func (d *document) failures() {
	all := failuresOf(d.s)
	if len(all) == 0 {
		d.open("failures", "Failures")
		d.writef("<p>%s</p>\n</section>\n", d.translate("No request failed."))
		return
	}
	d.table("failures", "Failures", "dense", d.translate("Requests that failed after all attempts"), d.translate("node"),
		each(all, func(f rowFailure) markup { return d.row(f.row, d.name(f.row)) }), []column{
			{title: d.translate("class"), kind: left, class: "what", cells: each(all, func(f rowFailure) string { return f.Class })},
			columnOf(d.translate("blame"), left, 0, all, func(f rowFailure) string { return d.translate(f.Blame) }),
			columnOf(d.translate("count"), numbers, 0, all, func(f rowFailure) string { return strconv.Itoa(f.Count) }),
			columnOf(d.translate("share"), numbers, 0, all, func(f rowFailure) string {
				return joinUnits(d.percent(float64(f.Count) / float64(max(d.s.Rows[f.row].Requests, 1))))
			}),
			columnOf(d.translate("time to failure"), numbers, 0, all, func(f rowFailure) string { return text.Millis(f.Latency.P50OrMean()) }),
			{title: d.translate("first error"), kind: left, class: "words", cells: each(all, func(f rowFailure) string { return f.Detail })},
		})
}
