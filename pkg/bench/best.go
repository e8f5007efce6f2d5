package bench

import (
	"cmp"
	"slices"
	"time"
)

// Choice is the recommendation for one vantage.
type Choice struct {
	Vantage string
	// Rows are indexes of rows in ascending order: the fastest row, and the rows that it is not proven to be faster
	// than.
	Rows []int
	// Leader is the index of the row among them that is typically the fastest.
	Leader int
}

// Leads reports whether a row is the single best row of its vantage.
func (s *Summary) Leads(r *Row) bool {
	return slices.ContainsFunc(s.Best, func(c Choice) bool { return len(c.Rows) == 1 && s.Rows[c.Leader] == r })
}

// recommendable reports whether a row's node can be recommended: it had at least two requests and a success, and did
// not end early because of a failure that is the client's fault.
func (r *Row) recommendable() bool {
	refused := r.Ended != "" && slices.ContainsFunc(r.Failures, func(f Failure) bool { return f.Blame == "client" })
	return r.OK > 0 && r.Requests > 1 && !refused
}

// choose finds the best rows at each vantage. Only rows of one kind of connection compete; the other kind is there for
// comparison. Success comes first: a row is excluded if its success rate is below the interval of another row. A
// remaining row is the single best one if it is proven faster than all others.
func (s *Summary) choose(w *workspace) {
	for _, vantage := range s.Vantages {
		var candidates []int
		floor := 0.
		for i, r := range s.Rows {
			if r.Vantage == vantage && r.recommendable() && (len(candidates) == 0 || r.Node.Connection == s.Rows[candidates[0]].Node.Connection) {
				candidates = append(candidates, i)
				floor = max(floor, r.Success.Low)
			}
		}
		candidates = slices.DeleteFunc(candidates, func(i int) bool { return s.Rows[i].Success.Value < floor })
		if len(candidates) > 0 {
			choice := s.fastest(candidates, w)
			choice.Vantage = vantage
			s.Best = append(s.Best, choice)
		}
	}
}

// fastest returns the row of candidates that is typically the fastest by paired ratios, together with the rows that it
// is not proven to be faster than. Without pairs nothing is proven.
func (s *Summary) fastest(candidates []int, w *workspace) Choice {
	typical := func(i int) float64 { return s.Headline(s.Rows[i]).P50OrMean() }
	versus := func(i, j int) Comparison {
		return *cmp.Or(s.Rows[i].series.compareWith(s.Rows[j].series, w, figures[s.Figure], alpha), &Comparison{Ratio: 1, P: 1})
	}
	leader := candidates[0]
	for _, i := range candidates[1:] {
		ratio := versus(i, leader).Ratio
		if ratio < 1 || ratio == 1 && typical(i) < typical(leader) {
			leader = i
		}
	}
	others := slices.DeleteFunc(slices.Clone(candidates), func(i int) bool { return i == leader })
	ps := make([]float64, len(others))
	for k, i := range others {
		if c := versus(i, leader); c.Ratio > 1 {
			ps[k] = c.P
		} else {
			ps[k] = 1
		}
	}
	c := Choice{Leader: leader, Rows: []int{leader}}
	for k, level := range holm(ps) {
		if ps[k] >= level {
			c.Rows = append(c.Rows, others[k])
		}
	}
	slices.Sort(c.Rows)
	return c
}

// P50OrMean returns the p50, or the mean if there are too few values for a percentile.
func (s *Stats) P50OrMean() float64 {
	if s.HasPercentiles() {
		return s.P50
	}
	return s.Mean
}

// firstText returns the time to the first text, negative if there is none. In an open loop it counts from when the
// request should have begun.
func (s partSample) firstText() time.Duration {
	switch {
	case s.TTFT() == 0:
		return -1
	case s.openLoop:
		return s.TTFT() + s.Lag()
	}
	return s.TTFT()
}

// holm returns for each test the level that its p has to be below, so that all tests together show a difference that
// does not exist in at most 5 % of the reports (Holm's step-down procedure). From the first test that fails, all tests
// have the same level.
func holm(ps []float64) []float64 {
	order := make([]int, len(ps))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(ps[i], ps[j]) })
	levels := make([]float64, len(ps))
	level, failed := 0., false
	for k, i := range order {
		if !failed {
			level = alpha / float64(len(ps)-k)
		}
		levels[i] = level
		failed = failed || ps[i] >= level
	}
	return levels
}
