package report

import (
	"fmt"
	"math"
	"slices"

	"ferry/pkg/bench"
)

// numbers is a column with a number from each row.
func (p *page) numbers(title string, rank int, value func(*bench.Row) string) column {
	c := column{title: title, rank: rank}
	for _, r := range p.s.Rows {
		c.cells = append(c.cells, value(r))
	}
	return c
}

// words is a column with words from each row.
func (p *page) words(title string, rank int, value func(*bench.Row) string) column {
	c := p.numbers(title, rank, value)
	c.words = true
	return c
}

func (p *page) name(r *bench.Row) string { return title(p.s, r) }

// table is the table of results.
func (p *page) table() string {
	latency := func(of func(bench.Stats) float64) func(*bench.Row) string {
		return func(r *bench.Row) string { return spell(of(r.Latency)) }
	}
	g := grid{columns: []column{
		p.words("node", 0, p.name),
		p.words("label", 4, func(r *bench.Row) string { return visible(r.Node.Label) }),
		p.numbers("p50", 0, latency(func(s bench.Stats) float64 { return s.P50 })),
		p.numbers("p95", 0, latency(func(s bench.Stats) float64 { return s.P95 })),
		p.numbers("p99", 5, latency(func(s bench.Stats) float64 { return s.P99 })),
		p.numbers("mean", 2, latency(func(s bench.Stats) float64 { return s.Mean })),
		p.numbers("sd", 9, latency(func(s bench.Stats) float64 { return s.SD })),
		p.numbers("min", 7, latency(func(s bench.Stats) float64 { return s.Min })),
		p.numbers("max", 8, latency(func(s bench.Stats) float64 { return s.Max })),
		p.numbers("success", 0, func(r *bench.Row) string { return percent(r.Success.Value) + " %" }),
		p.numbers("95 % CI", 3, func(r *bench.Row) string { return percentRange(r.Success) + " %" }),
		p.numbers("1st try", 10, p.firstTry),
		p.numbers("ok", 6, func(r *bench.Row) string { return fmt.Sprintf("%d/%d", r.OK, r.Requests) }),
	}}
	g.paint = p.paintResult(&g)
	return g.render(p.width(), p.style.Strong)
}

// firstTry is the share of the successes at the first attempt, where there could be others.
func (p *page) firstTry(r *bench.Row) string {
	if p.s.Header.Attempts <= 1 {
		return ""
	}
	return percent(r.FirstSuccess.Value) + " %"
}

// paintResult paints the best row green, one without success red, and of the others a success rate that lies below
// another row's, interval and all.
func (p *page) paintResult(g *grid) func(row, column int, cell string) string {
	best, highest := p.s.BestRow(), 0.0
	for _, r := range p.s.Rows {
		highest = max(highest, r.Success.Low)
	}
	return func(row, col int, cell string) string {
		r := p.s.Rows[row]
		switch heading := g.columns[col].title; {
		case r.OK == 0:
			return p.style.Bad.Render(cell)
		case heading == "success" && r.Success.High < highest:
			return p.style.Bad.Render(cell)
		case r == best:
			return p.style.Good.Render(cell)
		case heading == "label" || heading == "sd" || heading == "min" || heading == "max":
			return p.style.Dim.Render(cell)
		}
		return cell
	}
}

// phases are the means of the parts of an attempt, for the rows that have any.
func (p *page) phases() string {
	part := func(title string, rank int, of func(bench.PhaseMeans) float64) column {
		return p.numbers(title, rank, func(r *bench.Row) string {
			if of(r.Phases) <= 0 {
				return missing // a kept connection has no use for it
			}
			return spell(of(r.Phases))
		})
	}
	g := grid{columns: []column{
		p.words("node", 0, p.name),
		part("DNS", 2, func(m bench.PhaseMeans) float64 { return m.DNS }),
		part("connect", 0, func(m bench.PhaseMeans) float64 { return m.Connect }),
		part("TLS", 0, func(m bench.PhaseMeans) float64 { return m.TLS }),
		part("wait", 0, func(m bench.PhaseMeans) float64 { return m.Wait }),
		part("transfer", 1, func(m bench.PhaseMeans) float64 { return m.Transfer }),
	}}
	return p.only(&g, hasPhases)
}

// streamHeading is over the table of streams, which has one column for whole answers.
func (p *page) streamHeading() string {
	if slices.ContainsFunc(p.s.Rows, func(r *bench.Row) bool { return present(r.TTFT) }) {
		return "streams"
	}
	return "tokens"
}

// streams is what only a stream, or a node that counts tokens, has to tell.
func (p *page) streams() string {
	of := func(title string, rank int, stats func(*bench.Row) *bench.Stats, value func(bench.Stats) float64,
		spell func(float64) string) column {
		return p.numbers(title, rank, func(r *bench.Row) string {
			if s := stats(r); present(s) {
				return spell(value(*s))
			}
			return ""
		})
	}
	ttft := func(r *bench.Row) *bench.Stats { return r.TTFT }
	itl := func(r *bench.Row) *bench.Stats { return r.ITL }
	tokens := func(r *bench.Row) *bench.Stats { return r.TokensPerSecond }
	g := grid{columns: []column{
		p.words("node", 0, p.name),
		of("TTFT p50", 0, ttft, func(s bench.Stats) float64 { return s.P50 }, spell),
		of("TTFT p95", 1, ttft, func(s bench.Stats) float64 { return s.P95 }, spell),
		of("ITL mean", 0, itl, func(s bench.Stats) float64 { return s.Mean }, spell),
		of("tokens/s", 0, tokens, func(s bench.Stats) float64 { return s.Mean }, rate),
	}}
	return p.only(&g, func(r *bench.Row) bool { return present(r.TTFT) || present(r.ITL) || present(r.TokensPerSecond) })
}

// openLoop sets latency from the intended start beside that from the actual one.
func (p *page) openLoop() string {
	of := func(title string, rank int, stats func(*bench.Row) *bench.Stats, value func(bench.Stats) float64) column {
		return p.numbers(title, rank, func(r *bench.Row) string {
			if s := stats(r); present(s) && !math.IsNaN(value(*s)) {
				return spell(value(*s))
			}
			return ""
		})
	}
	intended := func(r *bench.Row) *bench.Stats { return &r.Latency }
	actual := func(r *bench.Row) *bench.Stats { return r.Uncorrected }
	lag := func(r *bench.Row) *bench.Stats { return r.Lag }
	p50 := func(s bench.Stats) float64 { return s.P50 }
	p99 := func(s bench.Stats) float64 { return s.P99 }
	g := grid{columns: []column{
		p.words("node", 0, p.name),
		of("intended p50", 2, intended, p50),
		of("intended p99", 0, intended, p99),
		of("actual p50", 2, actual, p50),
		of("actual p99", 0, actual, p99),
		of("lag p50", 1, lag, p50),
		of("lag p99", 0, lag, p99),
		p.numbers("not sent", 3, func(r *bench.Row) string {
			if r.Unsent == 0 {
				return ""
			}
			return fmt.Sprint(r.Unsent)
		}),
	}}
	return p.only(&g, func(r *bench.Row) bool { return present(r.Uncorrected) || present(r.Lag) })
}

// only keeps the rows of a grid that have something to tell, and renders it.
func (p *page) only(g *grid, has func(*bench.Row) bool) string {
	kept := false
	for c := range g.columns {
		var cells []string
		for i, r := range p.s.Rows {
			if has(r) {
				cells = append(cells, g.columns[c].cells[i])
				kept = true
			}
		}
		g.columns[c].cells = cells
	}
	if !kept {
		return ""
	}
	return g.render(p.width(), p.style.Dim)
}
