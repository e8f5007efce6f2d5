package bench

import (
	"cmp"
	"slices"
	"time"
)

// Choice is what to take at one vantage.
type Choice struct {
	Vantage string
	// Rows are indexes of rows in their order: the fastest one, and those that it is not proven to be faster than.
	Rows []int
	// Leader is the index of the row that is typically the fastest of them.
	Leader int
}

// Leads reports whether a row is the one best of its vantage.
func (s *Summary) Leads(r *Row) bool {
	return slices.ContainsFunc(s.Best, func(c Choice) bool { return len(c.Rows) == 1 && s.Rows[c.Leader] == r })
}

// fit reports whether a row's node can be recommended: not after a single request, and not where it refused the rest.
func (r *Row) fit() bool {
	refused := r.Ended != "" && slices.ContainsFunc(r.Failures, func(f Failure) bool { return f.Blame == "client" })
	return r.OK > 0 && r.Requests > 1 && !refused
}

// choose finds the best at each vantage. Nodes over one kind of connection compete: the other kind is there to be compared
// with. Success comes first: a row is out whose rate lies below the interval of another. Of the rest the one is best that
// is proven faster than all others.
func (s *Summary) choose(w *workspace) {
	for _, vantage := range s.Vantages {
		var able []int
		floor := 0.
		for i, r := range s.Rows {
			if r.Vantage == vantage && r.fit() && (len(able) == 0 || r.Node.Connection == s.Rows[able[0]].Node.Connection) {
				able = append(able, i)
				floor = max(floor, r.Success.Low)
			}
		}
		able = slices.DeleteFunc(able, func(i int) bool { return s.Rows[i].Success.Value < floor })
		if len(able) > 0 {
			choice := s.fastest(able, w)
			choice.Vantage = vantage
			s.Best = append(s.Best, choice)
		}
	}
}

// fastest finds which of some rows is typically the fastest, pair by pair, and which it is not proven to be faster than.
// No pairs prove nothing.
func (s *Summary) fastest(able []int, w *workspace) Choice {
	typical := func(i int) float64 { return s.Headline(s.Rows[i]).middle() }
	versus := func(i, j int) Comparison {
		return *cmp.Or(s.Rows[i].series.against(s.Rows[j].series, w, figures[s.Figure], alpha), &Comparison{Ratio: 1, P: 1})
	}
	leader := able[0]
	for _, i := range able[1:] {
		ratio := versus(i, leader).Ratio
		if ratio < 1 || ratio == 1 && typical(i) < typical(leader) {
			leader = i
		}
	}
	others := slices.DeleteFunc(slices.Clone(able), func(i int) bool { return i == leader })
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

// middle is the p50, or the mean of too few values for one.
func (s *Stats) middle() float64 {
	if s.HasPercentiles() {
		return s.P50
	}
	return s.Mean
}

// firstText is the time to the first text, below 0 without one: over an open loop from when the request should have begun.
func (s partSample) firstText() time.Duration {
	switch {
	case s.TTFT() == 0:
		return -1
	case s.open:
		return s.TTFT() + s.Lag()
	}
	return s.TTFT()
}

// holm gives each test the level that its p has to be below, so that the tests together show a difference where there is
// none in at most 5 % of the reports (Holm's step-down procedure). All tests from the first one that fails on have its level.
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
