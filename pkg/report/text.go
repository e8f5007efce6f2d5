package report

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"ferry/pkg/bench"
	"ferry/pkg/term"
	"ferry/pkg/text"
)

// page is a report for a terminal while it is written.
type page struct {
	language
	s     *bench.Summary
	facts term.Facts
	style term.Styles
	b     strings.Builder
}

func newPage(s *bench.Summary, o Options) *page {
	f := o.Facts
	if !f.TTY {
		f.Plain = true
	}
	return &page{language: languageOf(o.Lang), s: s, facts: f, style: term.NewStyles(f)}
}

// asText is the report for a terminal. In a pipe it is as wide as it likes and without colour, so that grep and awk find
// what they look for on one line.
func asText(s *bench.Summary, o Options) (string, error) {
	p := newPage(s, o)
	p.head()
	p.results()
	p.plots()
	p.failures()
	p.phases()
	p.streams()
	p.openLoop()
	p.load()
	p.hours()
	p.sentences(o)
	return p.b.String(), nil
}

// width is how wide a table may be, 0 for as wide as it likes.
func (p *page) width() int {
	if !p.facts.TTY {
		return 0
	}
	return p.facts.Width
}

// section writes a table under its heading, after a blank line; nothing where there is no table.
func (p *page) section(heading, body string) {
	if body == "" {
		return
	}
	p.b.WriteString("\n")
	if heading != "" {
		p.b.WriteString(p.style.Strong.Render(heading) + "\n")
	}
	p.b.WriteString(body)
}

// wrap breaks a line at the width of the terminal, and not at all in a pipe.
func (p *page) wrap(line string) string {
	if !p.facts.TTY {
		return line
	}
	const indent = 2
	return term.Wrap(line, p.facts.Width, indent)
}

// painted is a sentence in a style, each of its lines for itself, so that a pager which shows one of them shows it whole.
func (p *page) painted(style term.Style, sentence string) string {
	var b strings.Builder
	for line := range strings.SplitSeq(p.wrap(sentence), "\n") {
		b.WriteString(style.Render(line) + "\n")
	}
	return b.String()
}

// sentences are the definitions where they are asked for, the warnings, the verdicts, the thresholds and, as the last
// thing on the screen, which node to take.
func (p *page) sentences(o Options) {
	if o.Explain && len(p.s.Rows) > 0 {
		p.explain(p.define(p.s))
	}
	p.b.WriteString("\n")
	p.warnings(p.s, p.s.Warnings)
	for _, r := range p.s.Rows {
		style := term.Style{}
		switch {
		case p.s.Leads(r):
			style = p.style.Good
		case r.OK == 0:
			style = p.style.Bad
		}
		p.b.WriteString(p.painted(style, p.sentence(p.s, r)))
	}
	p.checks(o.Checks)
	for _, line := range p.bestLines(p.s) {
		p.b.WriteString(p.painted(p.style.Good, line))
	}
}

func (p *page) explain(all []definition) {
	p.b.WriteString("\n")
	for _, d := range all {
		p.b.WriteString(p.painted(p.style.Dim, d.term+p.say(": ")+d.text))
	}
}

func (p *page) warnings(s *bench.Summary, all []bench.Warning) {
	word := p.say("warning") + p.say(": ")
	for _, w := range all {
		p.b.WriteString(p.style.Bad.Render(word) + strings.TrimPrefix(p.wrap(p.warn(s, w)), word) + "\n")
	}
}

func (p *page) checks(all []bench.Check) {
	for _, c := range all {
		style := p.style.Good
		if c.Missed {
			style = p.style.Bad
		}
		p.b.WriteString(p.painted(style, p.check(c)))
	}
}

// plots shows how the latencies of each node are spread, all over one axis.
func (p *page) plots() {
	const (
		most      = 60 // columns that a plot is worth
		least     = 16 // columns under which it shows nothing
		pipeWidth = 80
	)
	low, high := math.Inf(1), math.Inf(-1)
	var rows []*bench.Row
	for _, r := range p.s.Rows {
		if len(r.Sorted) < bench.MinPercentile {
			continue // two answers are no distribution
		}
		rows = append(rows, r)
		low, high = min(low, r.Sorted[0]), max(high, r.Sorted[len(r.Sorted)-1])
	}
	width := p.facts.Width
	if !p.facts.TTY {
		width = pipeWidth
	}
	names := p.names(rows)
	names.title = ""
	room := max(narrowest, min(names.width(), width/2))
	columns := min(most, width-room-gap)
	if len(rows) == 0 || low >= high || columns < least {
		return
	}
	var b strings.Builder
	for i, r := range rows {
		plot := term.Histogram(r.Sorted, low, high, columns)
		if p.s.Leads(r) {
			plot = p.style.Good.Render(plot)
		}
		name := names.cells[i]
		if text.Width(name) > room {
			b.WriteString(strings.Join(ownLines(name, width), "\n") + "\n")
			name = ""
		}
		b.WriteString(names.align(name, room+gap) + plot + "\n")
	}
	from, to := text.Millis(low), text.Millis(high)
	between := max(1, columns-text.Width(from)-text.Width(to))
	axis := strings.Repeat(" ", room+gap) + from + strings.Repeat(" ", between) + to
	b.WriteString(p.style.Dim.Render(axis) + "\n")
	p.section(p.say("latencies"), b.String())
}

// names is the column with the rows' names.
func (p *page) names(rows []*bench.Row) column {
	return column{title: p.say("node"), name: true, cells: each(rows, func(r *bench.Row) string { return p.title(p.s, r) })}
}

// column is one with a cell for each of some rows.
func (p *page) column(title string, rank int, rows []*bench.Row, cell func(*bench.Row) string) column {
	return column{title: p.say(title), rank: rank, cells: each(rows, cell)}
}

// rowTable is a table of some rows, their names first.
func (p *page) rowTable(heading string, rows []*bench.Row, columns ...column) {
	if len(rows) > 0 {
		t := table{columns: append([]column{p.names(rows)}, columns...)}
		body, _ := t.render(p.width(), p.style.Dim)
		p.section(p.say(heading), body)
	}
}

// results is the main table. It paints the best row green, one without success red, and of the others a success rate that
// lies below another row's, interval and all.
func (p *page) results() {
	rows := p.s.Rows
	stat := func(name string, rank int) column {
		return p.column(name, rank, rows, spelled(statsOf(latency).stat(name)))
	}
	of := func(title string, rank int, stats statsOf, name string) column {
		return p.column(title, rank, rows, spelled(stats.stat(name)))
	}
	figures := []column{
		stat("p50", 0), stat("p95", 0), stat("p99", 5), stat("mean", 2), stat("sd", 9), stat("min", 7), stat("max", 8),
	}
	if p.s.Figure == bench.TTFTFigure {
		figures = []column{
			of("TTFT p50", 0, ttft, "p50"), of("TTFT p95", 0, ttft, "p95"), of("TTFT p99", 5, ttft, "p99"),
			of("TTFT mean", 4, ttft, "mean"), of("latency p50", 2, latency, "p50"), of("latency p95", 7, latency, "p95"),
			of("latency p99", 8, latency, "p99"),
		}
	}
	columns := []column{
		p.names(rows),
		{title: p.say("label"), rank: 4, words: true, cells: each(rows, func(r *bench.Row) string { return visible(r.Node.Label) })},
	}
	columns = append(columns, figures...)
	columns = append(columns,
		p.column("success", 0, rows, func(r *bench.Row) string { return p.percent(r.Success.Value) }),
		p.column("95 % CI", 3, rows, func(r *bench.Row) string { return p.interval(r.Success) }),
		p.column("1st try", 10, rows, func(r *bench.Row) string {
			if p.s.Header.Attempts <= 1 {
				return "" // every success was at the first attempt
			}
			return p.percent(r.FirstSuccess.Value)
		}),
		p.column("ok", 6, rows, func(r *bench.Row) string { return fmt.Sprintf("%d/%d", r.OK, r.Requests) }))
	highest := 0.0
	for _, r := range rows {
		highest = max(highest, r.Success.Low)
	}
	t := table{columns: columns, paint: func(row int, title, cell string) string {
		r := rows[row]
		switch {
		case r.OK == 0, title == p.say("success") && r.Success.High < highest:
			return p.style.Bad.Render(cell)
		case p.s.Leads(r):
			return p.style.Good.Render(cell)
		case slices.Contains([]string{p.say("label"), p.say("sd"), p.say("min"), p.say("max")}, title):
			return p.style.Dim.Render(cell)
		}
		return cell
	}}
	body, _ := t.render(p.width(), p.style.Strong)
	p.section("", body)
}

// failures lists the failures by class: they have their own table because no mean may count them in. The words of the
// first one stand beside its class where all have room to stand whole, and under the table otherwise.
func (p *page) failures() {
	type failure struct {
		node string
		bench.Failure
	}
	var all []failure
	for _, r := range p.s.Rows {
		for _, f := range r.Failures {
			f.Class, f.Blame, f.Detail = visible(f.Class), visible(p.say(f.Blame)), visible(f.Detail)
			all = append(all, failure{p.title(p.s, r), f})
		}
	}
	t := table{columns: []column{
		{title: p.say("node"), name: true, cells: each(all, func(f failure) string { return f.node })},
		{title: p.say("class"), words: true, cells: each(all, func(f failure) string { return f.Class })},
		{title: p.say("count"), cells: each(all, func(f failure) string { return fmt.Sprint(f.Count) })},
		{title: p.say("mean"), cells: each(all, func(f failure) string { return text.Millis(f.Latency.Mean) })},
		{title: p.say("blame"), words: true, rank: 1, cells: each(all, func(f failure) string { return f.Blame })},
		{title: p.say("the first one"), left: true, rank: 2, cells: each(all, func(f failure) string { return f.Detail })},
	}, paint: func(_ int, title, cell string) string {
		if title == p.say("blame") || title == p.say("the first one") {
			return p.style.Dim.Render(cell)
		}
		return cell
	}}
	body, whole := t.render(p.width(), p.style.Dim)
	for _, f := range all {
		if !whole && f.Detail != "" {
			body += p.painted(p.style.Dim, f.node+p.say(", ")+f.Class+p.say(": ")+f.Detail)
		}
	}
	p.section(p.say("failures"), body)
}

// phases are the means of the parts of an attempt, for the rows that have any.
func (p *page) phases() {
	rows := p.with(hasPhases)
	rank := map[string]int{"dns": 2, "transfer": 1}
	var columns []column
	for i, part := range phasesOf(bench.PhaseMeans{}) {
		columns = append(columns, p.column(part.words, rank[part.name], rows, func(r *bench.Row) string {
			if ms := phasesOf(r.Phases)[i].ms; ms > 0 {
				return text.Millis(ms)
			}
			return text.Missing // a kept connection has no use for it
		}))
	}
	p.rowTable("phases, mean", rows, columns...)
}

// streams is what only a stream, or a node that counts tokens, has to tell.
func (p *page) streams() {
	heading := "tokens"
	if anyRow(p.s, statsOf(ttft).present) {
		heading = "streams"
	}
	rows := p.with(func(r *bench.Row) bool { return present(r.TTFT) || present(r.TokensPerSecond) })
	of := func(title string, rank int, stats statsOf, name string, spell func(float64) string) column {
		return p.column(title, rank, rows, func(r *bench.Row) string {
			if !stats.present(r) {
				return ""
			}
			return spell(stats.stat(name)(r))
		})
	}
	columns := []column{
		of("ITL mean", 0, itl, "mean", text.Millis), of("decode/s", 0, decode, "mean", rate), of("tokens/s", 0, tokens, "mean", rate),
		of("tokens an answer", 0, answer, "mean", rate),
	}
	if p.s.Figure != bench.TTFTFigure { // else it is in the main table
		columns = append([]column{of("TTFT p50", 0, ttft, "p50", text.Millis), of("TTFT p95", 1, ttft, "p95", text.Millis)}, columns...)
	}
	p.rowTable(heading, rows, columns...)
}

// openLoop sets latency from the intended start beside that from the actual one.
func (p *page) openLoop() {
	rows := p.with(func(r *bench.Row) bool { return present(r.Uncorrected) || present(r.Lag) })
	of := func(title string, rank int, stats statsOf, name string) column {
		return p.column(title, rank, rows, func(r *bench.Row) string {
			return strings.TrimSuffix(text.Millis(stats.stat(name)(r)), text.Missing)
		})
	}
	unsent := p.column("not sent", 3, rows, func(r *bench.Row) string {
		if r.Unsent == 0 {
			return ""
		}
		return fmt.Sprint(r.Unsent)
	})
	p.rowTable("fixed rate", rows, of("intended p50", 2, latency, "p50"), of("intended p99", 0, latency, "p99"),
		of("actual p50", 2, uncorrected, "p50"), of("actual p99", 0, uncorrected, "p99"),
		of("lag p50", 1, lag, "p50"), of("lag p99", 0, lag, "p99"), unsent)
}

// load is how busy the run kept each node. In a closed loop the slowest sets the pace.
func (p *page) load() {
	rows := p.with(func(r *bench.Row) bool { return !math.IsNaN(r.InFlight) })
	p.rowTable("load", rows, p.column("requests/s", 0, rows, func(r *bench.Row) string { return bare(r.PerSecond) }),
		p.column("in flight", 0, rows, func(r *bench.Row) string { return bare(r.InFlight) }))
	if p.s.FasterWaited {
		p.b.WriteString(p.painted(p.style.Dim,
			p.say("faster nodes waited for slower ones between the rounds: their requests/s are not the most that they can do")))
	}
}

// hours is what runs of several days have of each hour of the day.
func (p *page) hours() {
	rows := p.with(hasHours)
	if len(rows) == 0 {
		return
	}
	share := func(h bench.Hour) float64 { return float64(h.OK) / float64(h.Requests) }
	of := func(title string, rank int, better func(a, b bench.Hour) bool, cell func(bench.Hour) string) column {
		return p.column(title, rank, rows, func(r *bench.Row) string {
			found := r.Hours[0]
			for _, h := range r.Hours[1:] {
				if better(h, found) {
					found = h
				}
			}
			if share(found) == 1 && title == "least success" {
				return text.Missing // no hour had a failure
			}
			return fmt.Sprintf("%02d:00 %s", found.Hour, cell(found))
		})
	}
	p50 := func(h bench.Hour) string { return text.Millis(h.P50) }
	known := func(a, b bench.Hour) bool { return !math.IsNaN(a.P50) && math.IsNaN(b.P50) }
	p.rowTable("p50 by hour of day", rows,
		column{title: "00:00 " + zone(p.s) + " 23:00", left: true, rank: 1, cells: each(rows, func(r *bench.Row) string {
			values := make([]float64, 24)
			for i := range values {
				values[i] = hourOf(r, i).P50
			}
			return term.Spark(values, 24)
		})},
		of("fastest", 0, func(a, b bench.Hour) bool { return a.P50 < b.P50 || known(a, b) }, p50),
		of("slowest", 0, func(a, b bench.Hour) bool { return a.P50 > b.P50 || known(a, b) }, p50),
		of("least success", 2, func(a, b bench.Hour) bool { return share(a) < share(b) },
			func(h bench.Hour) string { return p.percent(share(h)) }))
}

// with are the rows that have something to tell.
func (p *page) with(has func(*bench.Row) bool) []*bench.Row {
	var rows []*bench.Row
	for _, r := range p.s.Rows {
		if has(r) {
			rows = append(rows, r)
		}
	}
	return rows
}
