package bench

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestDifferentModels(t *testing.T) {
	h := Header{ID: "x", Reference: "a", Nodes: nodesOf("a", "b")}
	records := append(rounds(0, around(100, 20)...), rounds(1, around(50, 20)...)...)
	h.Nodes[1].Model = "other"
	s := Summarise([]*Run{newRun(h, records...)})
	equal(t, "two models", []any{s.Model, len(s.Best), inShort(s.Rows[1].VsReference), len(s.Warnings), s.Warnings[0].Code},
		[]any{"", 0, "", 1, DifferentModels})
	h.Nodes[0].Model, h.Nodes[1].Model = "", ""
	s = Summarise([]*Run{newRun(h, records...)})
	equal(t, "no model named, which is one", []any{s.Leads(s.Rows[1]), inShort(s.Rows[1].VsReference), len(s.Warnings)},
		[]any{true, "20 pairs, 0.50 of a, faster", 0})
}

// late makes the requests of the first node late at a rate of 50/s.
func late(ms uint32) func(*Run) {
	return func(r *Run) {
		r.Header.Rate = 50
		for i := range r.Series[0].samples[0] {
			r.Series[0].samples[0][i].lag = ms * 1000
		}
	}
}

// paired leaves the given number of 20 rounds in common.
func paired(pairs uint32) func(*Run) {
	return func(r *Run) {
		for i := range r.Series[1].samples[0] {
			r.Series[1].samples[0][i].Round += 20 - pairs
		}
	}
}

func TestWarnings(t *testing.T) {
	slow := func(at int, ms float64) []float64 {
		values := around(800, 40)
		values[at] = ms
		return values
	}
	none := func(*Run) {}
	for _, c := range []struct {
		name   string
		a, b   []float64
		change func(*Run)
		want   []string
	}{
		{"nothing", around(800, 40), around(900, 40), none, nil},
		{"few", around(800, 5), around(900, 5), none,
			[]string{"few_rounds: at most 5 requests per node: not reliable with fewer than 10"}},
		{"few of one", around(800, 40), around(900, 7), none, []string{"few_rounds b: b: only 7 requests: not reliable with fewer than 10"}},
		{"none", nil, nil, none, []string{"no_success a: a: no success in 0 requests", "no_success b: b: no success in 0 requests"}},
		{"none of one", around(800, 40), nil, none, []string{"no_success b: b: no success in 0 requests"}},
		{"precise at its end", around(800, 40), around(900, 40), func(r *Run) { r.Header.Precision = 0.05 }, nil},
		{"not precise", around(800, 40), around(900, 40), func(r *Run) { r.Header.Precision = 0.01 },
			[]string{"not_precise: the run ended before all intervals were within ±1 %"}},
		{"ended", around(800, 40), around(900, 1), func(r *Run) { r.Series[1].Ended = "status 401" },
			[]string{"ended_early b: b: stopped after 1 request: status 401"}},
		{"slow first", slow(0, 3100), around(900, 40), none,
			[]string{"slow_first a: a: the first request took 3.10 s, far from the median of 800 ms: a larger --warmup excludes it"}},
		{"slow later", slow(20, 3100), around(900, 40), none,
			[]string{"outliers a: a: 1 of 40 requests are outliers, far from the median of 800 ms: they affect mean and sd"}},
		{"one spike among equals", slices.Concat(slices.Repeat([]float64{10}, 20), []float64{11}), around(900, 21), none,
			[]string{"outliers a: a: 1 of 21 requests are outliers, far from the median of 10 ms: they affect mean and sd"}},
		{"two levels, the first request on the higher one", slices.Concat(around(3100, 12), around(800, 28)), around(900, 40), none,
			[]string{"several_levels a: a: 12 of 40 requests are far from the median of 812 ms: the distribution has several " +
				"modes, so neither mean nor p50 describes it"}},
		{"a ripple among equals", slices.Concat(slices.Repeat([]float64{10}, 20), []float64{10.01}), around(900, 21), none, nil},
		{"busy", around(800, 40), around(900, 40), func(r *Run) { r.SchedulingDelay = 60 * time.Millisecond },
			[]string{"busy_client: this machine was busy: latencies include scheduling delays of up to 60 ms"}},
		{"busy, but the nodes are slow", around(800, 40), around(900, 40), func(r *Run) { r.SchedulingDelay = 30 * time.Millisecond }, nil},
		{"fast nodes, a machine not busy", around(1, 40), around(1, 40), func(r *Run) { r.SchedulingDelay = time.Millisecond }, nil},
		{"clock", around(800, 40), around(900, 40), func(r *Run) { r.ClockJump = -90 * time.Second },
			[]string{"clock_jumped: the system clock moved back by 90.00 s during the run; latencies are not affected"}},
		{"clock slewed", around(800, 40), around(900, 40), func(r *Run) { r.ClockJump = time.Second }, nil},
		{"no success", around(800, 40), nil, func(r *Run) {
			for _, f := range rounds(1, around(900, 40)...) {
				f.Class = "reset"
				r.Series[1].add(f)
			}
		}, []string{"no_success b: b: no success in 40 requests"}},
		{"failures of a node that is not told apart", around(800, 10), around(800, 8), func(r *Run) {
			r.Series[1] = newRun(r.Header, series(1, 2, "5xx", around(800, 8)...)...).Series[1]
		}, []string{"few_rounds b: b: it and a both answered in only 8 rounds: this shows only large differences",
			"some_failed b: b: 2 of 10 requests failed: use more requests (-r) to find out if it fails more often than the others"}},
		{"failures of a node that is proven slower", around(800, 20), around(900, 19), func(r *Run) {
			r.Series[1] = newRun(r.Header, series(1, 1, "5xx", around(900, 19)...)...).Series[1]
		}, nil},
		{"unsent", around(800, 40), around(900, 40), func(r *Run) { r.Series[0].Unsent = 2 },
			[]string{"unsent a: a: 2 requests could not start in time and were not sent: -c 1 is too low for this rate"}},
		{"fresh", around(800, 40), around(900, 39), func(r *Run) {
			r.Series[1].add(Outcome{Node: 1, Round: 39, Latency: 900 * time.Millisecond, Attempts: 1, Fresh: true})
		}, []string{"fresh_connections b: b: 1 request opened a new connection instead of reusing one"}},
		{"notes", around(800, 40), around(900, 40), func(r *Run) { r.Notes = []Message{{"%s: cut", []any{"x"}}, {"%s: cut", []any{"x"}}} },
			[]string{"cut_file: x: cut"}},
		{"begun late by half of a round", around(800, 40), around(900, 40), late(10), nil},
		{"begun late by more than a round", around(800, 40), around(900, 40), late(30),
			[]string{"overrun a: a: requests started late, typically by 30 ms: -c 1 is too low for this rate"}},
		{"5 pairs", around(800, 20), around(900, 20), paired(5),
			[]string{"few_rounds b: b: it and a both answered in only 5 rounds: at least 6 are needed to show a difference"}},
		{"9 pairs", around(800, 20), around(900, 20), paired(9),
			[]string{"few_rounds b: b: it and a both answered in only 9 rounds: this shows only large differences"}},
		{"10 pairs", around(800, 20), around(900, 20), paired(10), nil},
	} {
		h := Header{ID: "x", Reference: "a", Nodes: nodesOf("a", "b"), Concurrency: 1}
		run := newRun(h, append(rounds(0, c.a...), rounds(1, c.b...)...)...)
		c.change(run)
		equal(t, c.name, warned(Summarise([]*Run{run})), strings.Join(c.want, "\n"))
	}
}

// A run in which a node had no request has no first request of that node.
func TestSlowFirstNeedsARequest(t *testing.T) {
	second := Header{ID: "y", Reference: "a", Nodes: nodesOf("a", "b")}
	first := second
	first.ID = "x"
	s := Summarise([]*Run{
		newRun(first, append(rounds(0, around(800, 20)...), rounds(1, around(800, 20)...)...)...),
		newRun(second, rounds(0, around(800, 20)...)...),
	})
	equal(t, "warnings", len(s.Warnings), 0)
}
