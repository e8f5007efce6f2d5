package report

import (
	"cmp"
	"math"
	"strings"
	"time"

	"ferry/pkg/bench"
	"ferry/pkg/text"
)

// changeColumns returns the columns of the table, which has a line for each measure of each node, and the verdict of
// each line.
func (l language) changeColumns(c *bench.Changes) (columns []column, verdicts []bench.Verdict) {
	columns = []column{
		{title: l.translate("node"), kind: names}, {title: l.translate("metric"), kind: left}, {title: l.translate("old"), rank: 2}, {title: l.translate("new"), rank: 1},
		{title: l.translate("change")}, {title: l.translate("95 % CI"), rank: 3}, {title: l.translate("verdict"), kind: left},
	}
	add := func(verdict bench.Verdict, cells ...string) {
		for i, cell := range append(cells, cmp.Or(l.verdict(verdict), text.Missing)) {
			columns[i].cells = append(columns[i].cells, cell)
		}
		verdicts = append(verdicts, verdict)
	}
	for _, n := range c.Nodes {
		node := visible(n.Title)
		ratios := func(name string, c *bench.Comparison, old, new *bench.Stats) {
			was, is := text.Missing, text.Missing
			if old != nil && new != nil {
				was, is = text.Millis(old.P50), text.Millis(new.P50)
			}
			if c == nil {
				add("", node, name, was, is, text.Missing, text.Missing)
				return
			}
			add(verdictOf(c), node, name, was, is, ratio(c.Ratio)+l.translate(" ×"), l.ratioInterval(c))
		}
		if n.TTFT != nil {
			ratios(l.translate("TTFT p50"), n.TTFT, n.Old.TTFT, n.New.TTFT)
		}
		ratios(l.translate("latency p50"), n.Latency, &n.Old.Latency, &n.New.Latency)
		s := n.Success
		add(s.Verdict, node, l.translate("success"), l.percent(n.Old.Success.Value), l.percent(n.New.Success.Value),
			l.translate("%s pp", points(s.Value)), l.translate("%s to %s", points(s.Low), points(s.High)))
	}
	return columns, verdicts
}

// directionOf returns whether a verdict is worse, better or the same. This sets its colour.
func directionOf(v bench.Verdict) string {
	switch v {
	case bench.Slower, bench.FailsMore:
		return "worse"
	case bench.Faster, bench.FailsLess:
		return "better"
	}
	return "same"
}

// points formats a difference of two shares in percentage points. Only 0 is shown as 0.
func points(difference float64) string {
	size := text.Percent(math.Abs(difference), 1)
	switch {
	case difference > 0:
		return "+" + size
	case difference < 0:
		return "-" + size
	}
	return size
}

// changeSentence returns the result for a node.
func (l language) changeSentence(n *bench.Change) string {
	return visible(n.Title) + l.translate(": ") + l.changeFinding(n)
}

func (l language) changeFinding(n *bench.Change) string {
	sentence := cmp.Or(strings.Join(each(n.Verdicts(), l.verdict), l.translate(", ")), l.translate("no change shown"))
	figure := func(name string, c *bench.Comparison) {
		switch name := strings.TrimSpace(name); {
		case c == nil:
		case math.IsInf(c.High, 1):
			sentence += l.translate("; %s %s × the old value (too few samples for a CI)", name, ratio(c.Ratio))
		default:
			sentence += l.translate("; %s %s × the old value (95 %% CI %s–%s), p50 %s, was %s", name,
				ratio(c.Ratio), bound(c.Low), bound(c.High), text.Millis(c.P50), text.Millis(c.ReferenceP50))
		}
	}
	figure(l.translate("TTFT"), n.TTFT)
	figure(l.translate("latency"), n.Latency)
	return sentence + l.translate("; success %s (%s), was %s (%s)", l.percent(n.New.Success.Value), l.interval(n.New.Success),
		l.percent(n.Old.Success.Value), l.interval(n.Old.Success))
}

// defineChanges returns the definitions of the terms in a comparison.
func (l language) defineChanges(c *bench.Changes) []definition {
	words := []string{"latency", "success"}
	if c.New.Header.Stream {
		words = append(words, "ttft")
	}
	if c.New.Header.Rate > 0 {
		words = append(words, "intended")
	}
	return each(append(words, "change", "successChange", "intervals"), l.definition)
}

func changesAsJSON(c *bench.Changes, o Options) (string, error) {
	run := func(s *bench.Summary) object {
		return object{{"id", s.Header.ID}, {"started", s.Started.UTC().Format(time.RFC3339Nano)}, {"elapsed_s", millis(s.Elapsed)},
			{"requests", s.Header.Requests}, {"program", s.Header.Program}}
	}
	nodes := each(c.Nodes, func(n *bench.Change) object {
		s := n.Success
		return object{
			{"node", n.New.Node.Name}, {"connection", n.New.Node.Connection}, {"verdicts", append([]bench.Verdict{}, n.Verdicts()...)},
			{"latency", jsonChange(n.Latency)}, {"ttft", jsonChange(n.TTFT)},
			{"success", object{{"change", share(s.Value)}, {"ci", interval(s.Rate)}, {"verdict", s.Verdict}, {"p", number(s.P, -1)}, {"level", number(s.Level, -1)}}},
			{"old", jsonRow(n.Old)}, {"new", jsonRow(n.New)},
		}
	})
	for _, r := range c.OnlyNew { // the thresholds and the exit code are about these too
		nodes = append(nodes, object{
			{"node", r.Node.Name}, {"connection", r.Node.Connection}, {"verdicts", []bench.Verdict{}}, {"latency", nil}, {"ttft", nil},
			{"success", nil}, {"old", nil}, {"new", jsonRow(r)},
		})
	}
	checks := each(o.Checks, func(c bench.Check) object {
		return object{{"threshold", c.Threshold.String()}, {"node", c.Node}, {"missed", c.Missed}, {"seen", c.Seen.String()}}
	})
	return object{
		{"schema", bench.Schema}, {"model", c.New.Model}, {"prompt_sha256", c.New.Header.PromptSHA256}, {"old", run(c.Old)}, {"new", run(c.New)},
		{"settings", append([]string{}, c.Settings...)}, {"only_old", append([]string{}, c.OnlyOld...)},
		{"only_new", each(c.OnlyNew, func(r *bench.Row) string { return language{}.title(c.New, r) })}, {"nodes", nodes}, {"thresholds", checks},
		{"warnings", each(c.Warnings, jsonWarning)},
	}.document()
}

func jsonChange(c *bench.Comparison) any {
	if c == nil {
		return nil
	}
	return object{{"ratio", share(c.Ratio)}, {"ci", []any{share(c.Low), share(c.High)}}, {"verdict", c.Verdict}, {"p", number(c.P, -1)},
		{"level", number(c.Level, -1)}, {"old_p50_ms", millis(c.ReferenceP50)}, {"new_p50_ms", millis(c.P50)}}
}

// changesAsJUnit returns a case for each node of the new run, which fails if the node has no success, and one for each
// threshold.
func changesAsJUnit(c *bench.Changes, o Options) (string, error) {
	var cases []junitCase
	add := func(r *bench.Row, out string) {
		row := junitRow(c.New, r)
		row.Class, row.Out = "ferry.bench.compare.node", out
		cases = append(cases, row)
	}
	for _, n := range c.Nodes {
		add(n.New, language{}.changeSentence(n))
	}
	for _, r := range c.OnlyNew {
		add(r, language{}.translate("only the new run has %s", language{}.title(c.New, r)))
	}
	return junit("ferry bench compare", c.New, c.Warnings, cases, o.Checks)
}
