package report

import (
	"encoding/csv"
	"fmt"
	"strconv"
	"strings"

	"ferry/pkg/bench"
)

// asCSV returns a line of names and a line for each row, quoted as in RFC 4180. Lines end in LF only, so that cut and
// awk find no CR in the last column. Times are in ms; missing values are empty.
func asCSV(s *bench.Summary, _ Options) (string, error) {
	var columns []column
	text := func(name string, of func(*bench.Row) string) {
		columns = append(columns, columnOf(name, words, 0, s.Rows, func(r *bench.Row) string { return escapeFormula(of(r)) }))
	}
	number := func(name string, places int, of figure) {
		columns = append(columns, columnOf(name, numbers, 0, s.Rows, func(r *bench.Row) string { return fixed(of(r), places) }))
	}
	text("node", func(r *bench.Row) string { return r.Node.Name })
	text("label", func(r *bench.Row) string { return r.Node.Label })
	text("connection", func(r *bench.Row) string { return string(r.Node.Connection) })
	text("vantage", func(r *bench.Row) string { return r.Vantage })
	text("url_host", func(r *bench.Row) string { return r.Node.Host })
	text("api", func(r *bench.Row) string { return r.Node.API })
	text("model", func(r *bench.Row) string { return r.Node.Model })
	number("requests", 0, requests)
	number("ok", 0, successes)
	number("success_rate", 4, success)
	number("success_low", 4, successLow)
	number("success_high", 4, successHigh)
	number("first_success_rate", 4, func(r *bench.Row) float64 { return r.FirstSuccess.Value })
	for _, name := range bench.StatNames() {
		number(name+"_ms", 3, statsOf(latency).stat(name))
	}
	number("ttft_p50_ms", 3, statsOf(ttft).stat("p50"))
	number("ttft_p95_ms", 3, statsOf(ttft).stat("p95"))
	number("itl_mean_ms", 3, statsOf(itl).stat("mean"))
	number("decode_tokens_per_second", 3, statsOf(decode).stat("mean"))
	number("tokens_per_second", 3, statsOf(tokens).stat("mean"))
	number("answer_tokens", 3, statsOf(answer).stat("mean"))
	number("requests_per_second", 3, perSecond)
	number("in_flight", 3, inFlight)
	number("uncorrected_p50_ms", 3, statsOf(uncorrected).stat("p50"))
	number("uncorrected_p99_ms", 3, statsOf(uncorrected).stat("p99"))
	number("lag_p50_ms", 3, statsOf(lag).stat("p50"))
	number("lag_p99_ms", 3, statsOf(lag).stat("p99"))
	for i, part := range phasesOf(&bench.Row{}) {
		number(part.name+"_ms", 3, func(r *bench.Row) float64 { return phasesOf(r)[i].ms })
	}
	text("errors", func(r *bench.Row) string {
		return strings.Join(each(r.Failures, func(f bench.Failure) string { return fmt.Sprintf("%s=%d", f.Class, f.Count) }), " ")
	})
	versus := func(name string, cell func(*bench.Comparison) string) {
		text(name, func(r *bench.Row) string {
			if r.VsReference == nil {
				return ""
			}
			return cell(r.VsReference)
		})
	}
	versus("reference", func(c *bench.Comparison) string { return c.Reference })
	versus("figure", func(*bench.Comparison) string { return s.Figure })
	versus("pairs", func(c *bench.Comparison) string { return strconv.Itoa(c.Pairs) })
	versus("paired_ratio", func(c *bench.Comparison) string { return fixed(c.Ratio, 4) })
	versus("paired_ratio_low", func(c *bench.Comparison) string { return fixed(c.Low, 4) })
	versus("paired_ratio_high", func(c *bench.Comparison) string { return fixed(c.High, 4) })
	versus("p", func(c *bench.Comparison) string { return decimal(c.P, 'g', 3) })
	versus("level", func(c *bench.Comparison) string { return decimal(c.Level, 'g', 3) })
	versus("reference_p50_ms", func(c *bench.Comparison) string { return fixed(c.ReferenceP50, 3) })
	versus("shapes_differ", func(c *bench.Comparison) string { return strconv.FormatBool(c.ShapesDiffer) })
	versus("verdict", func(c *bench.Comparison) string { return string(c.Verdict) })
	var b strings.Builder
	w := csv.NewWriter(&b)
	for i := -1; i < len(s.Rows); i++ {
		w.Write(cellsOf(columns, i)) // writing to a Builder cannot fail
	}
	w.Flush()
	return b.String(), nil
}

// escapeFormula puts an apostrophe before text that a spreadsheet would take for a formula, and makes control
// characters visible.
func escapeFormula(s string) string {
	s = visible(s)
	if s != "" && strings.ContainsRune("=+-@", []rune(s)[0]) {
		return "'" + s
	}
	return s
}
