package report

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"ferry/pkg/bench"
)

// exposition builds text in Prometheus' format 0.0.4. Each metric is completely written before the next begins, as
// node_exporter's textfile collector requires.
type exposition struct {
	b strings.Builder
	s *bench.Summary
}

// asPrometheus returns text for the textfile collector, in base units, with the names and types that promtool requires.
// Unknown values have no line, because NaN spreads to everything that is computed from it.
func asPrometheus(s *bench.Summary, _ Options) (string, error) {
	e := &exposition{s: s}
	e.rows(counter, "requests_total", "Finished requests.", requests)
	e.rows(counter, "successes_total", "Requests with a complete answer.", successes)
	e.metric(counter, "failures_total", "Failed requests, by class.", each(failuresOf(s), func(f rowFailure) point {
		return point{labels: rowLabels(s.Rows[f.row], "class", f.Class), value: float64(f.Count)}
	}))
	e.rows(counter, "unsent_total", "Requests at a fixed rate that could not start in time.", func(r *bench.Row) float64 { return float64(r.Unsent) })
	e.rows(gauge, "success_ratio", "Share of requests with a complete answer.", success)
	e.rows(gauge, "success_ratio_low", "Lower end of the Wilson 95 % confidence interval of the success ratio.", successLow)
	e.rows(gauge, "success_ratio_high", "Upper end of the Wilson 95 % confidence interval of the success ratio.", successHigh)
	e.histogram("latency", "Latency of complete answers.", latency, func(r *bench.Row) []int { return r.LatencyBuckets })
	e.histogram("ttft", "Time to the first text of a stream.", ttft, func(r *bench.Row) []int { return r.TTFTBuckets })
	e.rows(gauge, "itl_mean_seconds", "Mean inter-token latency of streams.", seconds(statsOf(itl).stat("mean")))
	e.rows(gauge, "decode_tokens_per_second", "Mean decode rate of streams, excluding the time to the first text.",
		statsOf(decode).stat("mean"))
	e.rows(gauge, "tokens_per_second", "Mean of output tokens / latency.", statsOf(tokens).stat("mean"))
	e.rows(gauge, "answer_tokens", "Mean output tokens per answer.", statsOf(answer).stat("mean"))
	e.quantiles("lag", "Start delay of requests at a fixed rate.", lag)
	e.rows(gauge, "requests_per_second", "Finished requests / duration of the run.", perSecond)
	e.rows(gauge, "in_flight_requests", "Mean number of requests in flight.", inFlight)
	e.versus("paired_ratio", "Ratio of the latency, or of the TTFT of streams, to the reference, paired by round.",
		func(c *bench.Comparison) float64 { return c.Ratio })
	e.versus("paired_ratio_low", "Lower end of the 95 % confidence interval of the paired ratio.",
		func(c *bench.Comparison) float64 { return c.Low })
	e.versus("paired_ratio_high", "Upper end of the 95 % confidence interval of the paired ratio.",
		func(c *bench.Comparison) float64 { return c.High })
	if len(s.Best) > 0 {
		e.rows(gauge, "best", "1 for the best node and for nodes with no difference shown to it, 0 for the others.", func(r *bench.Row) float64 {
			if recommended(s, r) {
				return 1
			}
			return 0
		})
	}
	e.metric(gauge, "last_run_timestamp_seconds", "Start time of the last run.",
		[]point{{value: float64(s.LastStarted.UnixMilli()) / 1000}})
	e.metric(gauge, "elapsed_seconds", "Duration of the runs.", []point{{value: s.Elapsed}})
	e.metric(gauge, "info", "Parameters of the run.", []point{{value: 1, labels: labels("model", s.Model,
		"prompt_sha256", s.Header.PromptSHA256, "program", s.Header.Program, "reference", s.Header.Reference)}})
	return e.b.String(), nil
}

const gauge, counter = "gauge", "counter"

// histogram writes a histogram with fixed bounds, and the percentiles and mean of the sample itself.
func (e *exposition) histogram(name, help string, of statsOf, buckets func(*bench.Row) []int) {
	var points []point
	for _, r := range e.s.Rows {
		if !of.present(r) {
			continue
		}
		for i, bound := range bench.Buckets() {
			le := strconv.FormatFloat(bound/1000, 'f', -1, 64)
			points = append(points, point{"_bucket", rowLabels(r, "le", le), float64(buckets(r)[i])})
		}
		n := float64(of(r).N)
		points = append(points, point{"_bucket", rowLabels(r, "le", "+Inf"), n},
			point{"_sum", rowLabels(r), of(r).Mean / 1000 * n}, point{"_count", rowLabels(r), n})
	}
	e.metric("histogram", name+"_seconds", help, points)
	e.quantiles(name, help, of)
	e.rows(gauge, name+"_mean_seconds", "Mean. "+help, seconds(of.stat("mean")))
}

// point is one value of a metric. suffix is appended to the name of the metric if it is a histogram.
type point struct {
	suffix, labels string
	value          float64
}

// rowLabels returns the labels of a row, and more labels given as alternating names and values.
func rowLabels(r *bench.Row, more ...string) string {
	all := []string{"node", r.Node.Name, "connection", string(r.Node.Connection)}
	if r.Vantage != "" {
		all = append(all, "vantage", r.Vantage)
	}
	return labels(append(all, more...)...)
}

func labels(namesAndValues ...string) string {
	var all []string
	for pair := range slices.Chunk(namesAndValues, 2) {
		all = append(all, pair[0]+`="`+escapeLabel(pair[1])+`"`)
	}
	return "{" + strings.Join(all, ",") + "}"
}

// seconds converts a figure from milliseconds to seconds.
func seconds(ms figure) figure { return func(r *bench.Row) float64 { return ms(r) / 1000 } }

func (e *exposition) rows(kind, name, help string, value figure) {
	e.metric(kind, name, help, each(e.s.Rows, func(r *bench.Row) point { return point{labels: rowLabels(r), value: value(r)} }))
}

// versus writes a point for each row that was compared with a reference, which may not be the reference of the run.
func (e *exposition) versus(name, help string, value func(*bench.Comparison) float64) {
	var points []point
	for _, r := range e.s.Rows {
		if c := r.VsReference; c != nil {
			points = append(points, point{labels: rowLabels(r, "reference", c.Reference), value: value(c)})
		}
	}
	e.metric(gauge, name, help, points)
}

func (e *exposition) quantiles(name, help string, of statsOf) {
	var points []point
	for _, r := range e.s.Rows {
		for _, q := range []string{"p50", "p90", "p95", "p99"} {
			points = append(points, point{labels: rowLabels(r, "percentile", q[1:]), value: seconds(of.stat(q))(r)})
		}
	}
	e.metric(gauge, name+"_percentile_seconds", "Percentiles by nearest rank. "+help, points)
}

// metric writes the points that have a value, and nothing if there are none.
func (e *exposition) metric(kind, name, help string, points []point) {
	name = "ferry_bench_" + name
	points = slices.DeleteFunc(points, func(p point) bool { return math.IsNaN(p.value) || math.IsInf(p.value, 0) })
	if len(points) > 0 {
		fmt.Fprintf(&e.b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
	}
	for _, p := range points {
		fmt.Fprintf(&e.b, "%s%s%s %s\n", name, p.suffix, p.labels, strconv.FormatFloat(rounded(p.value, 9), 'f', -1, 64))
	}
}

// escapeLabel escapes the value of a label. It first makes control characters visible, because the format would accept
// them.
func escapeLabel(s string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(visible(s))
}
