package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// table holds the measurements of one subject.
type table struct {
	title, about string
	rows         []row
}

// row is one figure, with the command that it was measured with.
type row struct {
	what, command string
	values        []float64 // one per round
	ratios        []float64 // one per round; the goal is for the ratios if there are any
	goal          *goal
}

// goal is the range that a figure must be in.
type goal struct{ low, high float64 }

func atMost(high float64) *goal { return &goal{math.Inf(-1), high} }
func atLeast(low float64) *goal { return &goal{low, math.Inf(1)} }

func (g *goal) String() string {
	switch {
	case math.IsInf(g.low, -1):
		return fmt.Sprintf("at most %g", g.high)
	case math.IsInf(g.high, 1):
		return fmt.Sprintf("at least %g", g.low)
	}
	return fmt.Sprintf("%.4g to %.4g", g.low, g.high)
}

func (t *table) add(r row) { t.rows = append(t.rows, r) }

// compare adds a row of one quantity for each side, with the ratio of the first side to the others, and their goals.
func (t *table) compare(quantity string, sides []*side, goals map[string]*goal) {
	for i, s := range sides {
		r := row{what: s.name + ", " + quantity, command: s.line, values: s.got[quantity], goal: goals[s.name]}
		if i > 0 {
			r.ratios = ratios(sides[0].got[quantity], r.values)
		}
		t.add(r)
	}
}

const met, missed = "met", "**missed**"

// verdict returns the goal of a row, and whether it was met.
func (r row) verdict() (goal, verdict string) {
	figures := r.values
	if r.ratios != nil {
		figures = r.ratios
	}
	switch figure := quantile(figures, 0.5); {
	case r.goal == nil:
		return "", ""
	case figure >= r.goal.low && figure <= r.goal.high:
		return r.goal.String(), met
	}
	return r.goal.String(), missed
}

func (t *table) markdown() string {
	text := "\n## " + t.title + "\n\n" + t.about + "\n\n| what | figure | spread | ratio | goal | | command |\n|---|---:|---:|---:|---|---|---|\n"
	for _, r := range t.rows {
		ratio := ""
		if r.ratios != nil {
			ratio = number(quantile(r.ratios, 0.5)) + " (" + spread(r.ratios) + ")"
		}
		goal, verdict := r.verdict()
		text += fmt.Sprintf("| %s | %s | %s | %s | %s | %s | `%s` |\n", r.what, number(quantile(r.values, 0.5)), spread(r.values), ratio, goal, verdict,
			strings.ReplaceAll(r.command, "|", `\|`))
	}
	return text
}

// report returns the file of a complete run.
func report(head string, tables []*table) string {
	verdicts, all := map[string]int{}, ""
	for _, t := range tables {
		all += t.markdown()
		for _, r := range t.rows {
			_, verdict := r.verdict()
			verdicts[verdict]++
		}
	}
	return fmt.Sprintf(`# Measured

%s
Of %d goals this run met %d and missed %d.

Figure: the median of the rounds. Spread: the 25th to the 75th percentile of the rounds. Ratio: the first program of the
table divided by this one, in the same round; median and spread. A goal is for the ratio if there is one, else for the figure.
%s
## To run a command yourself

%s`, head, verdicts[met]+verdicts[missed], verdicts[met], verdicts[missed], all, howToRepeat())
}

// number formats a figure with four digits, or more if its whole part has more.
func number(v float64) string {
	return fmt.Sprintf("%.*f", max(0, 4-len(fmt.Sprint(int(math.Abs(v))))), v)
}

// spread returns the middle half of a sample; a single value has none.
func spread(sample []float64) string {
	if len(sample) < 2 {
		return "–"
	}
	return number(quantile(sample, 0.25)) + " to " + number(quantile(sample, 0.75))
}

// quantile interpolates between order statistics; q is 0 to 1. It is NaN for an empty sample.
func quantile(sample []float64, q float64) float64 {
	if len(sample) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(sample))
	at := q * float64(len(sorted)-1)
	low := int(at)
	if low+1 == len(sorted) {
		return sorted[low]
	}
	return sorted[low] + (at-float64(low))*(sorted[low+1]-sorted[low])
}

// ratios divides two series round by round: a slow moment of the machine affects both values of a pair.
func ratios(a, b []float64) (all []float64) {
	for i := range min(len(a), len(b)) {
		all = append(all, a[i]/b[i])
	}
	return all
}
