package report

import (
	"math"
	"slices"

	"ferry/pkg/bench"
	"ferry/pkg/term"
	"ferry/pkg/text"
)

// column is one column of a table: its title, and one cell for each line.
type column struct {
	title string
	cells []string
	kind  kind
	// rank is the order in which columns are dropped if the terminal is too narrow, the highest first. Columns of rank
	// 0 stay.
	rank int
	// width is the width on a terminal. style returns the style of the cell of a row there; nil styles nothing.
	width int
	style func(row int) term.Style
	// class is the class of the cells in HTML. markup reports that the cells are already HTML.
	class  string
	markup bool
}

// kind is how the cells of a column are aligned and cut.
type kind int

const (
	numbers kind = iota // right-aligned, never cut
	left                // left-aligned, never cut
	words               // left-aligned, cut if the terminal is too narrow
	names               // names in the first column: left-aligned, never cut, on a separate line if they do not fit
)

// columnOf returns a column with a cell for each item.
func columnOf[T any](title string, kind kind, rank int, items []T, cell func(T) string) column {
	return column{title: title, kind: kind, rank: rank, cells: each(items, cell)}
}

// filled reports whether a cell of the column has a value.
func (c column) filled() bool {
	return slices.ContainsFunc(c.cells, func(cell string) bool { return cell != "" && cell != text.Missing })
}

func each[T, U any](items []T, of func(T) U) []U {
	all := make([]U, len(items))
	for i, item := range items {
		all[i] = of(item)
	}
	return all
}

// cellsOf returns the cells of a line of a table, or the titles if i is negative.
func cellsOf(columns []column, i int) []string {
	return each(columns, func(c column) string {
		if i < 0 {
			return c.title
		}
		return c.cells[i]
	})
}

// figure returns a number of a row, NaN if the row does not have it.
type figure func(*bench.Row) float64

func requests(r *bench.Row) float64    { return float64(r.Requests) }
func perSecond(r *bench.Row) float64   { return r.PerSecond }
func inFlight(r *bench.Row) float64    { return r.InFlight }
func successes(r *bench.Row) float64   { return float64(r.OK) }
func success(r *bench.Row) float64     { return r.Success.Value }
func successLow(r *bench.Row) float64  { return r.Success.Low }
func successHigh(r *bench.Row) float64 { return r.Success.High }

// statsOf returns a row's statistics of one kind, nil if the row has none.
type statsOf func(*bench.Row) *bench.Stats

func latency(r *bench.Row) *bench.Stats     { return &r.Latency }
func ttft(r *bench.Row) *bench.Stats        { return r.TTFT }
func itl(r *bench.Row) *bench.Stats         { return r.ITL }
func tokens(r *bench.Row) *bench.Stats      { return r.TokensPerSecond }
func decode(r *bench.Row) *bench.Stats      { return r.DecodeRate }
func answer(r *bench.Row) *bench.Stats      { return r.AnswerTokens }
func uncorrected(r *bench.Row) *bench.Stats { return r.Uncorrected }
func lag(r *bench.Row) *bench.Stats         { return r.Lag }

// present reports whether a row has statistics of a kind.
func (of statsOf) present(r *bench.Row) bool { return present(of(r)) }

func present(s *bench.Stats) bool { return s != nil && s.N > 0 }

// stat returns one statistic by its name: mean, p50 and so on.
func (of statsOf) stat(name string) figure {
	return func(r *bench.Row) float64 {
		if !of.present(r) {
			return math.NaN()
		}
		return of(r).Named(name)
	}
}

// anyRow reports whether a row has a property.
func anyRow(s *bench.Summary, has func(*bench.Row) bool) bool {
	return slices.ContainsFunc(s.Rows, has)
}

// hasHours reports whether a row has results for at least two hours of day.
func hasHours(r *bench.Row) bool { return len(r.Hours) > 1 }

// hourOf returns a row's results for an hour, empty if it has none.
func hourOf(r *bench.Row, hour int) bench.Hour {
	if i := slices.IndexFunc(r.Hours, func(h bench.Hour) bool { return h.Hour == hour }); i >= 0 {
		return r.Hours[i]
	}
	return bench.Hour{Hour: hour, P50: math.NaN()}
}

// zone returns the time zone of the hours of day.
func zone(s *bench.Summary) string { return "UTC" + s.Started.Format("-07:00") }

// phase is one part of a request.
type phase struct {
	name, words string
	ms          float64
}

// phasesOf returns the mean phases of a row in their order in a request, NaN without a success.
func phasesOf(r *bench.Row) []phase {
	m := r.Phases
	all := []phase{
		{"dns", "DNS", m.DNS}, {"connect", "connect", m.Connect}, {"tls", "TLS", m.TLS},
		{"wait", "wait", m.Wait}, {"transfer", "transfer", m.Transfer},
	}
	for i := range all {
		if r.OK == 0 {
			all[i].ms = math.NaN()
		}
	}
	return all
}

// nonzeroPhases returns the phases of a row that took time.
func nonzeroPhases(r *bench.Row) []phase {
	return slices.DeleteFunc(phasesOf(r), func(part phase) bool { return !(part.ms > 0) }) // also removes NaN
}

// total returns the sum of all phases of a row.
func total(r *bench.Row) float64 {
	sum := 0.0
	for _, part := range nonzeroPhases(r) {
		sum += part.ms
	}
	return sum
}

// hasPhases reports whether any phase of a row took time.
func hasPhases(r *bench.Row) bool { return total(r) > 0 }
