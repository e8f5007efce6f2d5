package report

import (
	"fmt"
	"strings"

	"ferry/pkg/bench"
)

// line is a sentence of text and Markdown. Its tone sets its style on a terminal.
type line struct {
	tone tone
	text string
}

type tone int

const (
	plain tone = iota
	good
	bad
	warned
	defined
)

// lines returns what is below the tables: the definitions if requested, the warnings, the results, the thresholds and,
// as the last thing on the screen, the outcome.
func (l language) lines(s *bench.Summary, warnings []bench.Warning, definitions []definition, o Options, found, outcome []line) []line {
	var all []line
	if o.Explain {
		all = each(definitions, func(d definition) line { return line{defined, d.Term + l.translate(": ") + d.Text} })
	}
	for _, w := range warnings {
		all = append(all, line{warned, l.translate("warning") + l.translate(": ") + l.warning(s, w)})
	}
	all = append(all, found...)
	for _, c := range o.Checks {
		mark, tone := "✓ ", good
		if c.Missed {
			mark, tone = "✗ ", bad
		}
		all = append(all, line{tone, mark + visible(c.Node) + l.translate(": ") + visible(c.Threshold.String()) + l.translate(", measured: %s", l.message(c.Seen))})
	}
	return append(all, outcome...)
}

// summaryLines returns the lines of a summary. If failures is set, the failures have no table and are counted below
// their row.
func (l language) summaryLines(s *bench.Summary, o Options, failures bool) []line {
	var found []line
	for _, r := range s.Rows {
		tone := plain
		switch {
		case s.Leads(r):
			tone = good
		case r.OK == 0:
			tone = bad
		}
		found = append(found, line{tone, l.sentence(s, r)})
		if failures && len(r.Failures) > 0 {
			counts := each(r.Failures, func(f bench.Failure) string { return fmt.Sprintf("%d × %s", f.Count, visible(f.Class)) })
			found = append(found, line{plain, l.title(s, r) + l.translate(": ") + l.translate("failed: %s", strings.Join(counts, l.translate(", ")))})
		}
	}
	return l.lines(s, s.Warnings, l.define(s), o, found, l.best(s))
}

// best returns a line for each vantage with the best of several nodes.
func (l language) best(s *bench.Summary) []line {
	var best []line
	for _, c := range s.Best {
		names := strings.Join(each(c.Rows, func(i int) string { return l.title(s, s.Rows[i]) }), l.translate(" or "))
		if len(c.Rows) > 1 {
			names = l.translate("%s (no difference shown)", names)
		}
		if len(s.Rows) > 1 {
			best = append(best, line{good, l.translate("best") + l.translate(": ") + names})
		}
	}
	return best
}

// changeLines returns the lines of a comparison of two runs.
func (l language) changeLines(c *bench.Changes, o Options) []line {
	found := each(c.Nodes, func(n *bench.Change) line { return line{plain, l.changeSentence(n)} })
	return l.lines(c.New, c.Warnings, l.defineChanges(c), o, found, l.outcome(c))
}

// outcome returns a line with the better nodes and a line with the worse nodes, or a line that says that there is no
// change.
func (l language) outcome(c *bench.Changes) []line {
	var better, worse []string
	for _, n := range c.Nodes {
		switch {
		case n.Worse():
			worse = append(worse, visible(n.Title))
		case n.Better():
			better = append(better, visible(n.Title))
		}
	}
	var lines []line
	if len(better) > 0 {
		lines = append(lines, line{good, l.translate("better") + l.translate(": ") + strings.Join(better, l.translate(", "))})
	}
	if len(worse) > 0 {
		lines = append(lines, line{bad, l.translate("worse") + l.translate(": ") + strings.Join(worse, l.translate(", "))})
	}
	if len(lines) == 0 {
		lines = []line{{good, l.translate("no change shown")}}
	}
	return lines
}
