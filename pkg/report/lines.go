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
		all = each(definitions, func(d definition) line { return line{defined, d.Term + l.say(": ") + d.Text} })
	}
	for _, w := range warnings {
		all = append(all, line{warned, l.say("warning") + l.say(": ") + l.warning(s, w)})
	}
	all = append(all, found...)
	for _, c := range o.Checks {
		mark, tone := "✓ ", good
		if c.Missed {
			mark, tone = "✗ ", bad
		}
		all = append(all, line{tone, mark + visible(c.Node) + l.say(": ") + visible(c.Threshold.String()) + l.say(", measured: %s", l.message(c.Seen))})
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
			found = append(found, line{plain, l.title(s, r) + l.say(": ") + l.say("failed: %s", strings.Join(counts, l.say(", ")))})
		}
	}
	return l.lines(s, s.Warnings, l.define(s), o, found, l.best(s))
}

// best returns a line for each vantage with the best of several nodes.
func (l language) best(s *bench.Summary) []line {
	var best []line
	for _, c := range s.Best {
		names := strings.Join(each(c.Rows, func(i int) string { return l.title(s, s.Rows[i]) }), l.say(" or "))
		if len(c.Rows) > 1 {
			names = l.say("%s (no difference shown)", names)
		}
		if len(s.Rows) > 1 {
			best = append(best, line{good, l.say("best") + l.say(": ") + names})
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
		lines = append(lines, line{good, l.say("better") + l.say(": ") + strings.Join(better, l.say(", "))})
	}
	if len(worse) > 0 {
		lines = append(lines, line{bad, l.say("worse") + l.say(": ") + strings.Join(worse, l.say(", "))})
	}
	if len(lines) == 0 {
		lines = []line{{good, l.say("no change shown")}}
	}
	return lines
}
