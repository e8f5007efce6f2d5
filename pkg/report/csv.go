package report

import (
	"encoding/csv"
	"fmt"
	"math"
	"strconv"
	"strings"

	"ferry/pkg/bench"
)

// csvText is one line for each row, under a line of names, quoted as RFC 4180 says. Lines end in LF alone, so that cut
// and awk find no CR in the last column. Times are in ms; what is missing is empty.
func csvText(s *bench.Summary) string {
	var b strings.Builder
	w := csv.NewWriter(&b)
	var names []string
	for _, f := range csvRow(s, &bench.Row{}) {
		names = append(names, f.name)
	}
	w.Write(names) // nothing fails into a Builder
	for _, r := range s.Rows {
		var cells []string
		for _, f := range csvRow(s, r) {
			cells = append(cells, f.cell)
		}
		w.Write(cells)
	}
	w.Flush()
	return b.String()
}

type field struct{ name, cell string }

func csvRow(s *bench.Summary, r *bench.Row) []field {
	out := []field{
		{"node", harmless(r.Node.Name)}, {"label", harmless(r.Node.Label)}, {"connection", harmless(string(r.Node.Connection))},
		{"vantage", harmless(r.Vantage)}, {"url_host", harmless(r.Node.Host)}, {"api", harmless(r.Node.API)},
		{"model", harmless(r.Node.Model)}, {"requests", strconv.Itoa(r.Requests)}, {"ok", strconv.Itoa(r.OK)},
		{"success_rate", fixed(r.Success.Value, 4)},
		{"success_low", fixed(r.Success.Low, 4)}, {"success_high", fixed(r.Success.High, 4)},
		{"first_success_rate", fixed(r.FirstSuccess.Value, 4)},
	}
	l := described(&r.Latency)
	out = append(out, field{"mean_ms", fixed(l.Mean, 3)}, field{"sd_ms", fixed(l.SD, 3)}, field{"min_ms", fixed(l.Min, 3)},
		field{"p50_ms", fixed(l.P50, 3)}, field{"p90_ms", fixed(l.P90, 3)}, field{"p95_ms", fixed(l.P95, 3)},
		field{"p99_ms", fixed(l.P99, 3)}, field{"max_ms", fixed(l.Max, 3)})
	ttft, itl, tokens := described(r.TTFT), described(r.ITL), described(r.TokensPerSecond)
	out = append(out, field{"ttft_p50_ms", fixed(ttft.P50, 3)}, field{"ttft_p95_ms", fixed(ttft.P95, 3)},
		field{"itl_mean_ms", fixed(itl.Mean, 3)}, field{"tokens_per_second", fixed(tokens.Mean, 3)})
	plain, lag := described(r.Uncorrected), described(r.Lag)
	out = append(out, field{"uncorrected_p50_ms", fixed(plain.P50, 3)}, field{"uncorrected_p99_ms", fixed(plain.P99, 3)},
		field{"lag_p50_ms", fixed(lag.P50, 3)}, field{"lag_p99_ms", fixed(lag.P99, 3)})
	p := phases(r)
	out = append(out, field{"dns_ms", fixed(float64(p.DNS), 3)}, field{"connect_ms", fixed(float64(p.Connect), 3)},
		field{"tls_ms", fixed(float64(p.TLS), 3)}, field{"wait_ms", fixed(float64(p.Wait), 3)},
		field{"transfer_ms", fixed(float64(p.Transfer), 3)})
	out = append(out, field{"errors", errorCounts(r)})
	return append(out, csvVersus(r.VsReference)...)
}

func csvVersus(c *bench.Comparison) []field {
	if c == nil {
		nan := math.NaN()
		c = &bench.Comparison{Pairs: -1, Ratio: nan, Low: nan, High: nan, P: nan, Saved: nan}
	}
	pairs := ""
	if c.Pairs >= 0 {
		pairs = strconv.Itoa(c.Pairs)
	}
	return []field{{"reference", harmless(c.Reference)}, {"pairs", pairs}, {"p50_ratio", fixed(c.Ratio, 4)},
		{"p50_ratio_low", fixed(c.Low, 4)}, {"p50_ratio_high", fixed(c.High, 4)}, {"p", significant(c.P)},
		{"saved_ms", fixed(c.Saved, 3)}, {"verdict", harmless(string(c.Verdict))}}
}

// errorCounts lists the failures in one cell: 5xx=3 timeout=1.
func errorCounts(r *bench.Row) string {
	var parts []string
	for _, f := range r.Failures {
		parts = append(parts, fmt.Sprintf("%s=%d", f.Class, f.Count))
	}
	return harmless(strings.Join(parts, " "))
}

// described gives statistics that are NaN where there are none.
func described(s *bench.Stats) bench.Stats {
	if present(s) {
		return *s
	}
	nan := math.NaN()
	return bench.Stats{Mean: nan, SD: nan, Min: nan, P50: nan, P90: nan, P95: nan, P99: nan, Max: nan}
}

func fixed(x float64, places int) string {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return ""
	}
	return strconv.FormatFloat(x, 'f', places, 64)
}

// significant writes a p-value: three digits, however small it is.
func significant(x float64) string {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return ""
	}
	return strconv.FormatFloat(x, 'g', 3, 64)
}

// harmless makes words that a spreadsheet would take for a formula begin with an apostrophe, and control characters
// visible.
func harmless(s string) string {
	s = visible(s)
	if s != "" && strings.ContainsRune("=+-@", []rune(s)[0]) {
		return "'" + s
	}
	return s
}
