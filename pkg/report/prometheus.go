package report

import (
	"fmt"
	"math"
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

// prometheus is for the textfile collector: gauges in base units. What is not known has no line, because a NaN spreads
// through whatever is worked out from it.
func prometheus(s *bench.Summary) string {
	e := &exposition{s: s}
	latency := func(r *bench.Row) *bench.Stats { return &r.Latency }
	ttft := func(r *bench.Row) *bench.Stats { return r.TTFT }
	lag := func(r *bench.Row) *bench.Stats { return r.Lag }
	e.rows("requests", "Requests that were finished.", func(r *bench.Row) float64 { return float64(r.Requests) })
	e.rows("successes", "Requests that had a whole answer.", func(r *bench.Row) float64 { return float64(r.OK) })
	e.rows("success_ratio", "Share of the requests that had a whole answer.",
		func(r *bench.Row) float64 { return r.Success.Value })
	e.rows("success_ratio_low", "Lower end of the Wilson 95 % interval of the success ratio.",
		func(r *bench.Row) float64 { return r.Success.Low })
	e.rows("success_ratio_high", "Upper end of the Wilson 95 % interval of the success ratio.",
		func(r *bench.Row) float64 { return r.Success.High })
	e.quantiles("latency_seconds", "Latency of whole answers.", latency)
	e.rows("latency_seconds_mean", "Mean latency of whole answers.",
		func(r *bench.Row) float64 { return described(&r.Latency).Mean / 1000 })
	e.quantiles("ttft_seconds", "Time to the first text of a stream.", ttft)
	e.rows("itl_seconds_mean", "Mean time between two tokens of a stream.",
		func(r *bench.Row) float64 { return described(r.ITL).Mean / 1000 })
	e.rows("tokens_per_second", "Mean of output tokens over latency.",
		func(r *bench.Row) float64 { return described(r.TokensPerSecond).Mean })
	e.quantiles("lag_seconds", "How much later than intended requests began, at a fixed rate.", lag)
	e.rows("vs_reference_ratio", "Latency over that of the reference, pair by pair.", func(r *bench.Row) float64 {
		if r.VsReference == nil {
			return math.NaN()
		}
		return r.VsReference.Ratio
	})
	e.failures()
	e.best()
	e.metric("last_run_timestamp_seconds", "When the run began.", []point{{value: float64(s.Header.Started.UnixMilli()) / 1000}})
	e.metric("elapsed_seconds", "How long the run took.", []point{{value: s.Elapsed}})
	e.metric("info", "What was run.", []point{{
		labels: [][2]string{{"model", s.Model}, {"prompt_sha256", s.Header.PromptSHA256}, {"program", s.Header.Program},
			{"reference", s.Header.Reference}}, value: 1}})
	return e.b.String()
}

// point is one sample of a metric.
type point struct {
	labels [][2]string
	value  float64
}

// labels are the labels of a row.
func (e *exposition) labels(r *bench.Row, more ...string) [][2]string {
	all := [][2]string{{"node", r.Node.Name}, {"connection", string(r.Node.Connection)}}
	if r.Vantage != "" {
		all = append(all, [2]string{"vantage", r.Vantage})
	}
	if len(more) == 2 {
		all = append(all, [2]string{more[0], more[1]})
	}
	return all
}

func (e *exposition) rows(name, help string, value func(*bench.Row) float64) {
	var points []point
	for _, r := range e.s.Rows {
		points = append(points, point{e.labels(r), value(r)})
	}
	e.metric(name, help, points)
}

func (e *exposition) quantiles(name, help string, of func(*bench.Row) *bench.Stats) {
	var points []point
	for _, r := range e.s.Rows {
		d := described(of(r))
		for _, q := range []struct {
			name  string
			value float64
		}{{"0.5", d.P50}, {"0.9", d.P90}, {"0.95", d.P95}, {"0.99", d.P99}} {
			points = append(points, point{e.labels(r, "quantile", q.name), q.value / 1000})
		}
	}
	e.metric(name, help, points)
}

func (e *exposition) failures() {
	var points []point
	for _, r := range e.s.Rows {
		for _, f := range r.Failures {
			points = append(points, point{e.labels(r, "class", f.Class), float64(f.Count)})
		}
	}
	e.metric("failures", "Requests that failed, by class.", points)
}

func (e *exposition) best() {
	best := e.s.BestRow()
	e.rows("best", "1 for the best node, 0 for the others.", func(r *bench.Row) float64 {
		switch {
		case best == nil:
			return math.NaN()
		case r == best:
			return 1
		}
		return 0
	})
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
		e.b.WriteString(name)
		for i, l := range p.labels {
			e.b.WriteString([]string{"{", ","}[min(i, 1)] + l[0] + `="` + quoted(l[1]) + `"`)
		}
		if len(p.labels) > 0 {
			e.b.WriteString("}")
		}
		e.b.WriteString(" " + strconv.FormatFloat(float64(rounded(p.value, 9)), 'f', -1, 64) + "\n")
	}
}

// quoted escapes the value of a label. Control characters are made visible before: the format would take them.
func quoted(s string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(visible(s))
}
