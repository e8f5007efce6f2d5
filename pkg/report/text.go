package report

import (
	"cmp"
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
	width int // of the terminal; 0 means no limit
	style term.Styles
	b     strings.Builder
}

func newPage(s *bench.Summary, o Options) *page {
	f := o.Facts
	if !f.TTY {
		f.Plain, f.Width = true, 0
	}
	return &page{language: languageOf(o.Lang), s: s, width: f.Width, style: term.NewStyles(f)}
}

// asText returns the report for a terminal. In a pipe it has no limit of width and no colour, so that grep and awk find
// what they look for on one line.
func asText(s *bench.Summary, o Options) (string, error) {
	p := newPage(s, o)
	p.head([2]string{"model", p.describeRequest(s)}, [2]string{"plan", p.plan(s)}, [2]string{"from", p.from(s)}, [2]string{"run", p.run(s)})
	p.results()
	p.plots()
	p.failures()
	p.phases()
	p.streams()
	p.openLoop()
	p.load()
	p.hours()
	p.lines(p.summaryLines(s, o, false))
	return p.b.String(), nil
}

func changesAsText(c *bench.Changes, o Options) (string, error) {
	p := newPage(c.New, o)
	p.head([2]string{"model", p.describeRequest(c.New)}, [2]string{"plan", p.plan(c.New)}, [2]string{"old", p.run(c.Old)}, [2]string{"new", p.run(c.New)})
	columns, verdicts := p.changeColumns(c)
	styles := map[string]term.Style{"worse": p.style.Bad, "better": p.style.Good}
	columns[len(columns)-1].style = func(row int) term.Style { return styles[directionOf(verdicts[row])] }
	p.table("", columns, p.style.Strong)
	p.lines(p.changeLines(c, o))
	return p.b.String(), nil
}

// head writes lines of a word and its value. Lines without a value are left out.
func (p *page) head(lines ...[2]string) {
	const column = 7
	margin := "\n" + strings.Repeat(" ", column)
	for _, line := range lines {
		if word, value := p.translate(line[0]), line[1]; value != "" {
			p.b.WriteString(p.style.Dim.Render(word) + strings.Repeat(" ", column-text.Width(word)) +
				strings.ReplaceAll(term.Wrap(value, p.width-column, 0), "\n", margin) + "\n")
		}
	}
}

// section writes a table under its heading, after a blank line. It writes nothing if the table is empty.
func (p *page) section(heading, body string) {
	if body == "" {
		return
	}
	p.b.WriteString("\n")
	if heading != "" {
		p.b.WriteString(p.style.Strong.Render(p.translate(heading)) + "\n")
	}
	p.b.WriteString(body)
}

func (p *page) table(heading string, columns []column, titles term.Style) {
	body, _ := render(columns, p.width, titles)
	p.section(heading, body)
}

// wrap breaks a line at the width of the terminal, and not at all in a pipe.
func (p *page) wrap(line string) string { return term.Wrap(line, p.width, 2) }

// styled returns a sentence in a style. Each of its lines is styled separately, so that a pager styles any line that
// it shows.
func (p *page) styled(style term.Style, sentence string) string {
	var b strings.Builder
	for line := range strings.SplitSeq(p.wrap(sentence), "\n") {
		b.WriteString(style.Render(line) + "\n")
	}
	return b.String()
}

// lines writes the sentences below the tables, with a blank line after the definitions.
func (p *page) lines(all []line) {
	p.b.WriteString("\n")
	styles := map[tone]term.Style{good: p.style.Good, bad: p.style.Bad, defined: p.style.Dim}
	warning := p.translate("warning") + p.translate(": ")
	for i, line := range all {
		if i > 0 && all[i-1].tone == defined && line.tone != defined {
			p.b.WriteString("\n")
		}
		if line.tone == warned {
			p.b.WriteString(p.style.Bad.Render(warning) + strings.TrimPrefix(p.wrap(line.text), warning) + "\n")
			continue
		}
		p.b.WriteString(p.styled(styles[line.tone], line.text))
	}
}

// plots writes the distribution of the latencies of each node, all on one axis.
func (p *page) plots() {
	const (
		most      = 60 // the maximum columns of a plot
		least     = 16 // with fewer columns a plot shows nothing
		pipeWidth = 80
	)
	low, high := math.Inf(1), math.Inf(-1)
	rows := p.rowsWith(func(r *bench.Row) bool { return len(r.Sorted) >= bench.MinPercentile }) // two answers are not a distribution
	for _, r := range rows {
		low, high = min(low, r.Sorted[0]), max(high, r.Sorted[len(r.Sorted)-1])
	}
	width := cmp.Or(p.width, pipeWidth)
	titles := p.names(rows)
	titles.title = ""
	titles.measure()
	room := max(narrowest, min(titles.width, width/2))
	columns := min(most, width-room-gap)
	if len(rows) == 0 || low >= high || columns < least {
		return
	}
	titles.width = room + gap
	var b strings.Builder
	for i, r := range rows {
		plot := term.Histogram(r.Sorted, low, high, columns)
		if p.s.Leads(r) {
			plot = p.style.Good.Render(plot)
		}
		name := titles.cells[i]
		if text.Width(name) > room {
			b.WriteString(strings.Join(ownLines(name, width), "\n") + "\n")
			name = ""
		}
		b.WriteString(titles.align(name) + plot + "\n")
	}
	from, to := text.Millis(low), text.Millis(high)
	between := max(1, columns-text.Width(from)-text.Width(to))
	axis := strings.Repeat(" ", room+gap) + from + strings.Repeat(" ", between) + to
	b.WriteString(p.style.Dim.Render(axis) + "\n")
	p.section("latency distribution", b.String())
}

// names returns the column of the rows' names.
func (p *page) names(rows []*bench.Row) column {
	return columnOf(p.translate("node"), names, 0, rows, func(r *bench.Row) string { return p.title(p.s, r) })
}

// column returns a column with a number for each row.
func (p *page) column(title string, rank int, rows []*bench.Row, cell func(*bench.Row) string) column {
	return columnOf(p.translate(title), numbers, rank, rows, cell)
}

// stat returns a column with one statistic for each row.
func (p *page) stat(title string, rank int, rows []*bench.Row, of statsOf, name string, spell func(float64) string) column {
	return p.column(title, rank, rows, func(r *bench.Row) string { return spell(of.stat(name)(r)) })
}

// rowTable writes a table of rows that begins with their names. It writes nothing if no row has a value.
func (p *page) rowTable(heading string, rows []*bench.Row, columns ...column) {
	if slices.ContainsFunc(columns, column.filled) {
		p.table(heading, append([]column{p.names(rows)}, columns...), p.style.Dim)
	}
}

// results writes the main table. The best row is green. A row without a success is red, and so is a success rate whose
// interval is below another row's interval.
func (p *page) results() {
	rows := p.s.Rows
	stat := func(title string, rank int, of statsOf, name string) column {
		return p.stat(title, rank, rows, of, name, latencyText)
	}
	figures := []column{
		stat("p50", 0, latency, "p50"), stat("p95", 0, latency, "p95"), stat("p99", 5, latency, "p99"),
		stat("mean", 2, latency, "mean"), stat("sd", 9, latency, "sd"), stat("min", 7, latency, "min"), stat("max", 8, latency, "max"),
	}
	if p.s.Figure == bench.TTFTFigure {
		figures = []column{
			stat("TTFT p50", 0, ttft, "p50"), stat("TTFT p95", 0, ttft, "p95"), stat("TTFT p99", 5, ttft, "p99"),
			stat("TTFT mean", 4, ttft, "mean"), stat("latency p50", 2, latency, "p50"), stat("latency p95", 7, latency, "p95"),
			stat("latency p99", 8, latency, "p99"),
		}
	}
	columns := []column{
		p.names(rows), columnOf(p.translate("label"), words, 4, rows, func(r *bench.Row) string { return visible(r.Node.Label) }),
	}
	columns = append(columns, figures...)
	columns = append(columns,
		p.column("success", 0, rows, func(r *bench.Row) string { return p.percent(r.Success.Value) }),
		p.column("95 % CI", 3, rows, func(r *bench.Row) string { return p.interval(r.Success) }),
		p.column("1st attempt", 10, rows, func(r *bench.Row) string {
			if p.s.Header.Attempts <= 1 {
				return "" // every success was at the first attempt
			}
			return p.percent(r.FirstSuccess.Value)
		}),
		p.column("ok", 6, rows, func(r *bench.Row) string { return fmt.Sprintf("%d/%d", r.OK, r.Requests) }))
	highest := 0.0
	for _, r := range rows {
		if r.Success.Low > highest { // NaN without a request
			highest = r.Success.Low
		}
	}
	quiet := each([]string{"label", "sd", "min", "max"}, func(title string) string { return p.translate(title) })
	for i, c := range columns {
		columns[i].style = func(row int) term.Style {
			switch r := rows[row]; {
			case r.OK == 0, c.title == p.translate("success") && r.Success.High < highest:
				return p.style.Bad
			case p.s.Leads(r):
				return p.style.Good
			case slices.Contains(quiet, c.title):
				return p.style.Dim
			}
			return term.Style{}
		}
	}
	p.table("", columns, p.style.Strong)
}

// rowFailure is one class of failures of a row.
type rowFailure struct {
	row int
	bench.Failure
}

func failuresOf(s *bench.Summary) []rowFailure {
	var all []rowFailure
	for i, r := range s.Rows {
		for _, f := range r.Failures {
			all = append(all, rowFailure{i, f})
		}
	}
	return all
}

// failures writes the failures by class. They have their own table because no mean may include them. The text of the
// first failure of each class is in the table if every text fits, otherwise below the table.
func (p *page) failures() {
	all := failuresOf(p.s)
	node := func(f rowFailure) string { return p.title(p.s, p.s.Rows[f.row]) }
	dim := func(int) term.Style { return p.style.Dim }
	columns := []column{
		columnOf(p.translate("node"), names, 0, all, node),
		columnOf(p.translate("class"), words, 0, all, func(f rowFailure) string { return visible(f.Class) }),
		columnOf(p.translate("count"), numbers, 0, all, func(f rowFailure) string { return fmt.Sprint(f.Count) }),
		columnOf(p.translate("mean"), numbers, 0, all, func(f rowFailure) string { return text.Millis(f.Latency.Mean) }),
		columnOf(p.translate("blame"), words, 1, all, func(f rowFailure) string { return visible(p.translate(f.Blame)) }).styled(dim),
		columnOf(p.translate("first error"), left, 2, all, func(f rowFailure) string { return visible(f.Detail) }).styled(dim),
	}
	body, whole := render(columns, p.width, p.style.Dim)
	for _, f := range all {
		if !whole && f.Detail != "" {
			body += p.styled(p.style.Dim, node(f)+p.translate(", ")+visible(f.Class)+p.translate(": ")+visible(f.Detail))
		}
	}
	p.section("failures", body)
}

// phases writes the mean phases of an attempt, for the rows that have any.
func (p *page) phases() {
	rows := p.rowsWith(hasPhases)
	rank := map[string]int{"dns": 2, "transfer": 1}
	var columns []column
	for i, part := range phasesOf(&bench.Row{}) {
		columns = append(columns, p.column(part.words, rank[part.name], rows, func(r *bench.Row) string {
			if ms := phasesOf(r)[i].ms; ms > 0 {
				return text.Millis(ms)
			}
			return text.Missing // a kept connection skips this phase
		}))
	}
	p.rowTable("mean time per phase", rows, columns...)
}

// streams writes the measures that only a stream, or a node that counts tokens, has.
func (p *page) streams() {
	heading := "tokens"
	if anyRow(p.s, statsOf(ttft).present) {
		heading = "streaming"
	}
	rows := p.rowsWith(func(r *bench.Row) bool { return present(r.TTFT) || present(r.TokensPerSecond) })
	columns := []column{
		p.stat("ITL mean", 0, rows, itl, "mean", text.Millis), p.stat("decode/s", 0, rows, decode, "mean", rate),
		p.stat("tokens/s", 0, rows, tokens, "mean", rate), p.stat("tokens/answer", 0, rows, answer, "mean", rate),
	}
	if p.s.Figure != bench.TTFTFigure { // otherwise it is in the main table
		columns = append([]column{p.stat("TTFT p50", 0, rows, ttft, "p50", text.Millis), p.stat("TTFT p95", 1, rows, ttft, "p95", text.Millis)}, columns...)
	}
	p.rowTable(heading, rows, columns...)
}

// openLoop writes the latency from the intended start beside the latency from the actual start.
func (p *page) openLoop() {
	rows := p.rowsWith(func(r *bench.Row) bool { return present(r.Uncorrected) || present(r.Lag) })
	stat := func(title string, rank int, of statsOf, name string) column {
		return p.stat(title, rank, rows, of, name, text.Millis)
	}
	p.rowTable("fixed rate", rows, stat("intended p50", 2, latency, "p50"), stat("intended p99", 0, latency, "p99"),
		stat("actual p50", 2, uncorrected, "p50"), stat("actual p99", 0, uncorrected, "p99"),
		stat("lag p50", 1, lag, "p50"), stat("lag p99", 0, lag, "p99"), p.column("not sent", 3, rows, func(r *bench.Row) string {
			if r.Unsent == 0 {
				return ""
			}
			return fmt.Sprint(r.Unsent)
		}))
}

// load writes how busy the run kept each node. In a closed loop the slowest node sets the pace.
func (p *page) load() {
	rows := p.rowsWith(func(r *bench.Row) bool { return !math.IsNaN(r.InFlight) })
	p.rowTable("load", rows, p.column("requests/s", 0, rows, func(r *bench.Row) string { return requestRate(r.PerSecond) }),
		p.column("in flight", 0, rows, func(r *bench.Row) string { return shortNumber(r.InFlight) }))
	if p.s.FasterWaited {
		p.b.WriteString(p.styled(p.style.Dim,
			p.translate("each round waits for the slowest node, so the requests/s of faster nodes are not their maximum")))
	}
}

// hours writes the results by hour of day of runs over several days.
func (p *page) hours() {
	rows := p.rowsWith(hasHours)
	share := func(h bench.Hour) float64 { return float64(h.OK) / float64(h.Requests) }
	p50 := func(h bench.Hour) string { return fmt.Sprintf("%02d:00 %s", h.Hour, text.Millis(h.P50)) }
	// most returns a column with the hour that has the largest figure. An hour without a figure counts as the smallest.
	most := func(title string, rank int, figure func(bench.Hour) float64, cell func(bench.Hour) string) column {
		return p.column(title, rank, rows, func(r *bench.Row) string {
			return cell(slices.MaxFunc(r.Hours, func(a, b bench.Hour) int { return cmp.Compare(figure(a), figure(b)) }))
		})
	}
	p.rowTable("p50 by hour of day", rows,
		columnOf("00:00 "+zone(p.s)+" 23:00", left, 1, rows, func(r *bench.Row) string {
			values := make([]float64, 24)
			for i := range values {
				values[i] = hourOf(r, i).P50
			}
			return term.Spark(values, 24)
		}),
		most("fastest", 0, func(h bench.Hour) float64 { return -h.P50 }, p50),
		most("slowest", 0, func(h bench.Hour) float64 { return h.P50 }, p50),
		most("lowest success", 2, func(h bench.Hour) float64 { return -share(h) }, func(h bench.Hour) string {
			if h.OK == h.Requests {
				return text.Missing
			}
			return fmt.Sprintf("%02d:00 %s", h.Hour, p.percent(share(h)))
		}))
}

// rowsWith returns the rows for which has is true.
func (p *page) rowsWith(has func(*bench.Row) bool) []*bench.Row {
	return slices.DeleteFunc(slices.Clone(p.s.Rows), func(r *bench.Row) bool { return !has(r) })
}
