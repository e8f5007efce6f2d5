package report

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"ferry/pkg/bench"
)

// exposition is a text in Prometheus' format 0.0.4 while it is written. A metric is written whole before the next one
// begins, as node_exporter's textfile collector wants it.
type exposition struct {
	b strings.Builder
	s *bench.Summary
}

// asPrometheus is for the textfile collector: gauges in base units. What is not known has no line, because a NaN spreads
// through whatever is worked out from it.
func asPrometheus(s *bench.Summary, _ Options) (string, error) {
	e := &exposition{s: s}
	e.rows("requests", "Requests that were finished.", requests)
	e.rows("successes", "Requests that had a whole answer.", successes)
	e.rows("success_ratio", "Share of the requests that had a whole answer.", success)
	e.rows("success_ratio_low", "Lower end of the Wilson 95 % interval of the success ratio.", successLow)
	e.rows("success_ratio_high", "Upper end of the Wilson 95 % interval of the success ratio.", successHigh)
	e.quantiles("latency_seconds", "Latency of whole answers.", latency)
	e.rows("latency_seconds_mean", "Mean latency of whole answers.", seconds(statsOf(latency).stat("mean")))
	e.quantiles("ttft_seconds", "Time to the first text of a stream.", ttft)
	e.rows("itl_seconds_mean", "Mean time between two tokens of a stream.", seconds(statsOf(itl).stat("mean")))
	e.rows("decode_tokens_per_second", "Mean of the tokens of a stream after its first text, over their time.",
		statsOf(decode).stat("mean"))
	e.rows("tokens_per_second", "Mean of output tokens over latency.", statsOf(tokens).stat("mean"))
	e.rows("answer_tokens", "Mean output tokens of an answer.", statsOf(answer).stat("mean"))
	e.quantiles("lag_seconds", "How much later than intended requests began, at a fixed rate.", lag)
	e.versus("paired_ratio", "Typical ratio of the latency, or of the TTFT of streams, to the reference's, pair by pair.",
		func(c *bench.Comparison) float64 { return c.Ratio })
	e.versus("paired_ratio_low", "Lower end of the 95 % interval of the paired ratio.",
		func(c *bench.Comparison) float64 { return c.Low })
	e.versus("paired_ratio_high", "Upper end of the 95 % interval of the paired ratio.",
		func(c *bench.Comparison) float64 { return c.High })
	var failures []point
	for _, r := range s.Rows {
		for _, f := range r.Failures {
			failures = append(failures, point{append(labelsOf(r), pair{"class", f.Class}), float64(f.Count)})
		}
	}
	e.metric("failures", "Requests that failed, by class.", failures)
	if len(s.Best) > 0 {
		e.rows("best", "1 for the best node and those not told apart from it, 0 for the others.", func(r *bench.Row) float64 {
			for _, c := range s.Best {
				if slices.ContainsFunc(c.Rows, func(i int) bool { return s.Rows[i] == r }) {
					return 1
				}
			}
			return 0
		})
	}
	e.metric("last_run_timestamp_seconds", "When the run began.",
		[]point{{value: float64(s.Header.Started.UnixMilli()) / 1000}})
	e.metric("elapsed_seconds", "How long the run took.", []point{{value: s.Elapsed}})
	e.metric("info", "What was run.", []point{{
		labels: []pair{{"model", s.Model}, {"prompt_sha256", s.Header.PromptSHA256}, {"program", s.Header.Program},
			{"reference", s.Header.Reference}}, value: 1}})
	return e.b.String(), nil
}

// point is one sample of a metric.
type point struct {
	labels []pair
	value  float64
}

type pair struct{ name, value string }

func labelsOf(r *bench.Row) []pair {
	all := []pair{{"node", r.Node.Name}, {"connection", string(r.Node.Connection)}}
	if r.Vantage != "" {
		all = append(all, pair{"vantage", r.Vantage})
	}
	return all
}

// seconds is a figure of milliseconds in seconds.
func seconds(ms figure) figure { return func(r *bench.Row) float64 { return ms(r) / 1000 } }

func (e *exposition) rows(name, help string, value figure) {
	var points []point
	for _, r := range e.s.Rows {
		points = append(points, point{labelsOf(r), value(r)})
	}
	e.metric(name, help, points)
}

// versus has a point for each row that was compared with the reference.
func (e *exposition) versus(name, help string, value func(*bench.Comparison) float64) {
	e.rows(name, help, func(r *bench.Row) float64 {
		if r.VsReference == nil {
			return math.NaN()
		}
		return value(r.VsReference)
	})
}

func (e *exposition) quantiles(name, help string, of statsOf) {
	var points []point
	for _, r := range e.s.Rows {
		for _, q := range [][2]string{{"0.5", "p50"}, {"0.9", "p90"}, {"0.95", "p95"}, {"0.99", "p99"}} {
			points = append(points, point{append(labelsOf(r), pair{"quantile", q[0]}), seconds(of.stat(q[1]))(r)})
		}
	}
	e.metric(name, help, points)
}

// metric writes the points that have a value, and nothing where there is none.
func (e *exposition) metric(name, help string, points []point) {
	name = "ferry_bench_" + name
	begun := false
	for _, p := range points {
		if math.IsNaN(p.value) || math.IsInf(p.value, 0) {
			continue
		}
		if !begun {
			fmt.Fprintf(&e.b, "# HELP %s %s\n# TYPE %s gauge\n", name, help, name)
			begun = true
		}
		labels := strings.Join(each(p.labels, func(l pair) string { return l.name + `="` + quoted(l.value) + `"` }), ",")
		if labels != "" {
			labels = "{" + labels + "}"
		}
		e.b.WriteString(name + labels + " " + strconv.FormatFloat(rounded(p.value, 9), 'f', -1, 64) + "\n")
	}
}

// quoted escapes the value of a label. Control characters are made visible before: the format would take them.
func quoted(s string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(visible(s))
}
