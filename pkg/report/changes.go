package report

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"math"
	"strings"
	"time"

	"ferry/pkg/bench"
	"ferry/pkg/term"
	"ferry/pkg/text"
)

// changeFormats are the forms of a comparison of two runs.
func changeFormats() []format[*bench.Changes] {
	return []format[*bench.Changes]{
		{Text, changesAsText}, {Markdown, changesAsMarkdown}, {JSON, changesAsJSON}, {JUnit, changesAsJUnit}, {HTML, changesAsHTML},
	}
}

// ChangeFormats lists the formats of a comparison of two runs in the order in which help names them.
func ChangeFormats() []string {
	return each(changeFormats(), func(f format[*bench.Changes]) string { return f.name })
}

// WriteChanges shows a comparison of two runs in a format, as Write shows a summary.
func WriteChanges(w io.Writer, name string, c *bench.Changes, o Options) error {
	return emit(w, changeFormats(), name, c, o)
}

// measure is one measure of a node in two runs, in words.
type measure struct {
	node, name, old, new, change, interval string
	verdict                                bench.Verdict
}

// measures are those of a node: the first token of a stream, the latency, and success.
func (l language) measures(n *bench.Change) []measure {
	title := visible(n.Title)
	var all []measure
	add := func(name string, c *bench.Comparison, old, new *bench.Stats) {
		m := measure{title, l.say(name), text.Missing, text.Missing, text.Missing, text.Missing, ""}
		if old != nil && new != nil {
			m.old, m.new = text.Millis(old.P50), text.Millis(new.P50)
		}
		if c != nil {
			m.change, m.interval, m.verdict = ratio(c.Ratio)+l.say(" ×"), l.ratioInterval(c), c.Verdict
		}
		all = append(all, m)
	}
	if n.TTFT != nil {
		add("TTFT p50", n.TTFT, n.Old.TTFT, n.New.TTFT)
	}
	add("latency p50", n.Latency, &n.Old.Latency, &n.New.Latency)
	s := n.Success
	return append(all, measure{title, l.say("success"), l.percent(n.Old.Success.Value), l.percent(n.New.Success.Value),
		l.say("%s pp", points(s.Value)), l.say("%s to %s", points(s.Low), points(s.High)), s.Verdict})
}

// points is a difference of two shares in percentage points. What is not nothing is not written as 0.
func points(difference float64) string {
	if math.IsNaN(difference) {
		return text.Missing
	}
	sign := "+"
	if difference < 0 {
		sign = "-"
	}
	if difference == 0 {
		return "0"
	}
	return sign + text.Percent(math.Abs(difference), 1)
}

// verdicts are those on a node in words.
func (l language) verdicts(n *bench.Change) string {
	all := n.Verdicts()
	if len(all) == 0 {
		return l.say("no change shown")
	}
	return strings.Join(each(all, l.verdict), l.say(", "))
}

// changeSentence says what was found about a node.
func (l language) changeSentence(n *bench.Change) string {
	return visible(n.Title) + l.say(": ") + l.changeFinding(n)
}

func (l language) changeFinding(n *bench.Change) string {
	sentence := l.verdicts(n)
	for _, m := range []struct {
		name string
		c    *bench.Comparison
	}{{"TTFT", n.TTFT}, {"latency", n.Latency}} {
		name := strings.TrimSpace(l.say(m.name))
		switch c := m.c; {
		case c == nil:
		case math.IsInf(c.High, 1):
			sentence += l.say("; %s typically %s × the old one (too few for an interval)", name, ratio(c.Ratio))
		default:
			sentence += l.say("; %s typically %s × the old one (95 %% interval %s–%s), p50 %s, was %s", name,
				ratio(c.Ratio), bound(c.Low), bound(c.High), text.Millis(c.P50), text.Millis(c.ReferenceP50))
		}
	}
	return sentence + l.say("; success %s (%s), was %s (%s)", l.percent(n.New.Success.Value), l.interval(n.New.Success),
		l.percent(n.Old.Success.Value), l.interval(n.Old.Success))
}

// turn is a cell's verdict as a turn to the slower or the faster, "same" for any other cell.
func (l language) turn(cell string) string {
	switch cell {
	case l.say(string(bench.Slower)), l.say(string(bench.FailsMore)):
		return "slower"
	case l.say(string(bench.Faster)), l.say(string(bench.FailsLess)):
		return "faster"
	}
	return "same"
}

// outcome says in a line each which nodes are better and which are worse, or that there is no change.
func (l language) outcome(c *bench.Changes) []string {
	var lines []string
	for _, kind := range []struct {
		word string
		is   func(*bench.Change) bool
	}{
		{"better", func(n *bench.Change) bool { return n.Better() && !n.Worse() }}, {"worse", (*bench.Change).Worse},
	} {
		var names []string
		for _, n := range c.Nodes {
			if kind.is(n) {
				names = append(names, visible(n.Title))
			}
		}
		if len(names) > 0 {
			lines = append(lines, l.say(kind.word)+l.say(": ")+strings.Join(names, l.say(", ")))
		}
	}
	if len(lines) == 0 {
		lines = []string{l.say("no change shown")}
	}
	return lines
}

// defineChanges defines the words of a comparison.
func (l language) defineChanges(c *bench.Changes) []definition {
	all := []definition{l.definitions["latency"], l.definitions["success"]}
	if c.New.Header.Stream {
		all = append(all, l.definitions["ttft"])
	}
	if c.New.Header.Rate > 0 {
		all = append(all, l.definitions["intended"])
	}
	return append(all, l.definitions["change"], l.definitions["successChange"], l.definitions["intervals"])
}

// changeColumns are the columns of the table.
func (l language) changeColumns(c *bench.Changes) []column {
	var all []measure
	for _, n := range c.Nodes {
		all = append(all, l.measures(n)...)
	}
	add := func(title string, rank int, cell func(measure) string) column {
		return column{title: l.say(title), rank: rank, cells: each(all, cell)}
	}
	columns := []column{
		add("node", 0, func(m measure) string { return m.node }), add("measure", 0, func(m measure) string { return m.name }),
		add("old", 2, func(m measure) string { return m.old }), add("new", 1, func(m measure) string { return m.new }),
		add("change", 0, func(m measure) string { return m.change }), add("95 % CI", 3, func(m measure) string { return m.interval }),
		add("verdict", 0, func(m measure) string { return cmp.Or(l.verdict(m.verdict), text.Missing) }),
	}
	columns[0].name, columns[1].left, columns[6].left = true, true, true
	return columns
}

func changesAsText(c *bench.Changes, o Options) (string, error) {
	p := newPage(c.New, o)
	was := newPage(c.Old, o)
	p.headLines([2]string{p.say("model"), p.model()}, [2]string{p.say("plan"), p.plan()}, [2]string{p.say("old"), was.run()},
		[2]string{p.say("new"), p.run()})
	t := table{columns: p.changeColumns(c), paint: func(_ int, _, cell string) string {
		switch p.turn(strings.TrimSpace(cell)) {
		case "slower":
			return p.style.Bad.Render(cell)
		case "faster":
			return p.style.Good.Render(cell)
		}
		return cell
	}}
	body, _ := t.render(p.width(), p.style.Strong)
	p.section("", body)
	if o.Explain {
		p.explain(p.defineChanges(c))
	}
	p.b.WriteString("\n")
	p.warnings(c.New, c.Warnings)
	for _, n := range c.Nodes {
		p.b.WriteString(p.painted(term.Style{}, p.changeSentence(n)))
	}
	p.checks(o.Checks)
	for _, line := range p.outcome(c) {
		style := p.style.Good
		if strings.HasPrefix(line, p.say("worse")) {
			style = p.style.Bad
		}
		p.b.WriteString(p.painted(style, line))
	}
	return p.b.String(), nil
}

func changesAsMarkdown(c *bench.Changes, o Options) (string, error) {
	l := languageOf(o.Lang)
	var b strings.Builder
	columns := l.changeColumns(c)
	for i := range columns[0].cells {
		for _, column := range columns {
			column.cells[i] = escapeMarkdown(column.cells[i])
		}
	}
	markdownTable(&b, columns, "|---|---|---:|---:|---:|---:|---|")
	items := markdownItems{&b}
	if o.Explain {
		items.define(l, l.defineChanges(c))
	}
	for _, w := range c.Warnings {
		items.add(l.warn(c.New, w))
	}
	for _, n := range c.Nodes {
		items.add(l.changeSentence(n))
	}
	for _, check := range o.Checks {
		items.add(l.check(check))
	}
	for _, line := range l.outcome(c) {
		items.add(line)
	}
	return b.String(), nil
}

func changesAsJSON(c *bench.Changes, o Options) (string, error) {
	run := func(s *bench.Summary) object {
		return object{{"id", s.Header.ID}, {"started", s.Started.UTC().Format(time.RFC3339Nano)}, {"elapsed_s", millis(s.Elapsed)},
			{"requests", s.Header.Requests}, {"program", s.Header.Program}}
	}
	nodes, checks, onlyNew := []object{}, []object{}, []string{}
	for _, n := range c.Nodes {
		s := n.Success
		nodes = append(nodes, object{
			{"node", n.New.Node.Name}, {"connection", n.New.Node.Connection}, {"verdicts", append([]bench.Verdict{}, n.Verdicts()...)},
			{"latency", jsonChange(n.Latency)}, {"ttft", jsonChange(n.TTFT)},
			{"success", object{{"change", share(s.Value)}, {"ci", interval(s.Rate)}, {"verdict", s.Verdict}, {"p", number(s.P, -1)}, {"level", number(s.Level, -1)}}},
			{"old", jsonRow(n.Old)}, {"new", jsonRow(n.New)},
		})
	}
	for _, r := range c.OnlyNew { // the thresholds and the exit code are about these too
		onlyNew = append(onlyNew, title(c.New, r))
		nodes = append(nodes, object{
			{"node", r.Node.Name}, {"connection", r.Node.Connection}, {"verdicts", []bench.Verdict{}}, {"latency", nil}, {"ttft", nil},
			{"success", nil}, {"old", nil}, {"new", jsonRow(r)},
		})
	}
	for _, check := range o.Checks {
		checks = append(checks, object{{"threshold", check.Threshold.String()}, {"node", check.Node}, {"missed", check.Missed}, {"seen", check.Seen.String()}})
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(object{
		{"schema", bench.Schema}, {"model", c.New.Model}, {"prompt_sha256", c.New.Header.PromptSHA256}, {"old", run(c.Old)}, {"new", run(c.New)},
		{"settings", append([]string{}, c.Settings...)}, {"only_old", append([]string{}, c.OnlyOld...)},
		{"only_new", onlyNew}, {"nodes", nodes}, {"thresholds", checks}, {"warnings", jsonWarnings(c.Warnings)},
	})
	return string(text.SafeJSON(b.Bytes())), err
}

func jsonChange(c *bench.Comparison) any {
	if c == nil {
		return nil
	}
	return object{{"ratio", share(c.Ratio)}, {"ci", []any{share(c.Low), share(c.High)}}, {"verdict", c.Verdict}, {"p", number(c.P, -1)},
		{"level", number(c.Level, -1)}, {"old_p50_ms", millis(c.ReferenceP50)}, {"new_p50_ms", millis(c.P50)}}
}

// changesAsJUnit has a case for each node of the new run, which fails without a success in it, and one for each threshold.
func changesAsJUnit(c *bench.Changes, o Options) (string, error) {
	suite := junitSuite{
		junitCounts: junitCounts{Name: "ferry bench compare", Time: fixed(c.New.Elapsed, 3)}, Properties: junitProperties(c.New),
		Timestamp: c.New.Started.UTC().Format("2006-01-02T15:04:05"), Out: junitWarnings(c.Warnings),
	}
	for _, n := range c.Nodes {
		row := junitRow(c.New, n.New)
		row.Class, row.Out = "ferry.bench.compare.node", english().changeSentence(n)
		suite.Cases = append(suite.Cases, row)
	}
	for _, r := range c.OnlyNew {
		row := junitRow(c.New, r)
		row.Class, row.Out = "ferry.bench.compare.node", english().say("only the new run has %s", row.Name)
		suite.Cases = append(suite.Cases, row)
	}
	return suite.write(o.Checks)
}
