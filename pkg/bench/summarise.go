package bench

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Summarise computes everything that reports show. It merges runs of the same vantage. The parts of one run, in any
// order, give the same result as the complete run. Nothing may be added to the runs meanwhile. It keeps 8 bytes for
// each success in addition to the samples of the runs. While it works, it needs up to 16 more bytes for each sample of
// the largest row.
func Summarise(runs []*Run) *Summary {
	if len(runs) == 0 {
		return &Summary{}
	}
	s := &Summary{Vantages: vantages(runs), Header: runs[0].Header}
	s.Started, s.LastStarted = startRange(runs)
	elapsed, sum := elapsed(runs)
	s.Runs, s.Elapsed = len(elapsed), sum.Seconds()
	for _, run := range runs {
		s.Stopped = cmp.Or(s.Stopped, run.Stopped)
		h := run.Header
		if h.Requests != runs[0].Header.Requests || h.Duration != runs[0].Header.Duration {
			s.Header.Requests, s.Header.Duration = 0, 0
		}
		if h.Connections != runs[0].Header.Connections {
			s.Header.Connections = "both"
		}
		if h.Seed != runs[0].Header.Seed {
			s.Header.Seed = 0
		}
	}
	all := seriesOf(runs)
	s.Figure = figureOf(all)
	w := &workspace{}
	for _, c := range all {
		s.Rows = append(s.Rows, c.row(w, s, elapsed))
	}
	s.FasterWaited = s.fasterWaited()
	model, same := oneModel(all)
	if same {
		s.Model = model
		s.compareRows(all, w)
		s.choose(w)
	}
	s.warn(runs, w, same)
	return s
}

// elapsed returns the duration of each run and their sum. For the parts of one run, the longest duration counts.
func elapsed(runs []*Run) (longest map[string]time.Duration, sum time.Duration) {
	longest = map[string]time.Duration{}
	for _, run := range runs {
		longest[run.Header.ID] = max(longest[run.Header.ID], run.Elapsed)
	}
	for _, d := range longest {
		sum += d
	}
	return longest, sum
}

// fasterWaited reports whether a closed loop without a rate limit kept a node less busy than another.
func (s *Summary) fasterWaited() bool {
	most := map[string]float64{}
	for _, r := range s.Rows {
		if s.Header.Rate > 0 || r.Node.Limit != "" {
			return false
		}
		most[r.Vantage] = max(most[r.Vantage], r.InFlight)
	}
	return slices.ContainsFunc(s.Rows, func(r *Row) bool { return r.Ended == "" && r.InFlight < waitedShare*most[r.Vantage] })
}

// A node with fewer than waitedShare of the busiest node's requests in flight waited for others.
const waitedShare = 0.9

// figures are the figures that nodes are compared by.
var figures = map[string]func(partSample) time.Duration{LatencyFigure: partSample.latency, TTFTFigure: partSample.firstText}

// figureOf returns the figure that nodes are compared by: TTFT if every node that answered has one.
func figureOf(all []*nodeSeries) string {
	figure := LatencyFigure
	for _, c := range all {
		answered, timed := false, false
		for s := range c.all() {
			answered = answered || s.OK()
			if timed = s.OK() && s.TTFT() > 0; timed {
				break
			}
		}
		switch {
		case timed:
			figure = TTFTFigure
		case answered:
			return LatencyFigure
		}
	}
	return figure
}

// oneModel returns the model that all series have in common, "" if none was named, and whether they have the same
// model.
func oneModel(all []*nodeSeries) (model string, same bool) {
	for _, c := range all {
		for _, p := range c.parts {
			if p.series.Node.Model != all[0].node.Model {
				return "", false
			}
		}
	}
	return all[0].node.Model, true
}

// compareRows compares every row with the reference of the same vantage and the same kind of connection.
func (s *Summary) compareRows(all []*nodeSeries, w *workspace) {
	answered := func(i int) bool { return s.Rows[i].OK > 0 }
	var pairs [][2]int
	var ps []float64
	for i, c := range all {
		at := referenceOf(all, c, s.Header.Reference, answered)
		if at < 0 || at == i {
			continue
		}
		if v := c.compareWith(all[at], w, figures[s.Figure], alpha); v != nil {
			s.Rows[i].VsReference = v
			pairs, ps = append(pairs, [2]int{i, at}), append(ps, v.P)
		}
	}
	for k, level := range holm(ps) {
		i, at := pairs[k][0], pairs[k][1]
		if level < alpha {
			s.Rows[i].VsReference = all[i].compareWith(all[at], w, figures[s.Figure], level)
		}
		v := s.Rows[i].VsReference
		v.P50, v.ReferenceP50 = s.Headline(s.Rows[i]).P50, s.Headline(s.Rows[at]).P50
		v.ShapesDiffer = v.Verdict == Faster && v.P50 >= v.ReferenceP50 || v.Verdict == Slower && v.P50 <= v.ReferenceP50
	}
}

// referenceOf returns the index of the series that c is compared with, negative if there is none. If the reference has
// no answer, the first node that answered replaces it.
func referenceOf(all []*nodeSeries, c *nodeSeries, name string, answered func(int) bool) int {
	named, first := -1, -1
	for i, o := range all {
		if o.node.Connection != c.node.Connection || o.vantage != c.vantage {
			continue
		}
		if o.node.Name == name {
			named = i
		}
		if first < 0 && answered(i) {
			first = i
		}
	}
	if named < 0 || !answered(named) {
		return first
	}
	return named
}

// Title returns a unique name for a row: its node, the connection if both kinds were measured, and the vantage if there
// are several and it has a name.
func (s *Summary) Title(r *Row) string {
	name := r.Node.Name
	if s.BothConnections() {
		name += " (" + string(r.Node.Connection) + ")"
	}
	if len(s.Vantages) > 1 && r.Vantage != "" {
		name += " @" + r.Vantage
	}
	return name
}

// BothConnections reports whether the rows have more than one kind of connection.
func (s *Summary) BothConnections() bool {
	return slices.ContainsFunc(s.Rows, func(r *Row) bool { return r.Node.Connection != s.Rows[0].Node.Connection })
}

// precise reports whether the half-width of every 95 % interval of a run, which may be in parts, is at most precision.
// For a mean latency or a ratio to the reference, this is a share of the value; for a success rate, a share of all
// requests. Series that ended early are ignored.
func precise(parts []*Run, precision float64) bool {
	live := slices.DeleteFunc(seriesOf(parts), func(c *nodeSeries) bool {
		return slices.ContainsFunc(c.parts, func(p part) bool { return p.series.Ended != "" })
	})
	if len(live) == 0 {
		return false
	}
	w := &workspace{}
	for _, c := range live {
		if !c.precise(w, precision) {
			return false
		}
	}
	if _, same := oneModel(live); !same {
		return true
	}
	figure := figures[figureOf(live)]
	for i, c := range live {
		at := referenceOf(live, c, parts[0].Header.Reference, func(int) bool { return true }) // precise nodes have answered
		if at < 0 || at == i {
			continue
		}
		v := c.compareWith(live[at], w, figure, alpha/float64(len(live)-1))
		if v == nil || !((v.High-v.Low)/2 <= precision*v.Ratio) {
			return false
		}
	}
	return true
}

// precise reports whether the mean latency and the success rate of a series are precise.
func (c *nodeSeries) precise(w *workspace, precision float64) bool {
	latency := c.describe(w, "", latencyMS)
	if latency == nil || latency.N < minPrecise {
		return false
	}
	n := float64(latency.N)
	half := studentQuantile(1-alpha/2, n-1) * latency.SD / math.Sqrt(n)
	success := wilson(latency.N, c.size())
	return half <= precision*latency.Mean && (success.High-success.Low)/2 <= precision
}
