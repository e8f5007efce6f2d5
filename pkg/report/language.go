package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"ferry/pkg/bench"
	"ferry/pkg/text"
)

// language says the program's own words in one language. Nothing of it is escaped for Markdown or HTML yet.
type language struct {
	// words has what is said in place of each English text or format, nil for English. What it lacks is said in English.
	words       map[string]string
	definitions map[string]definition
	// labels says that a node goes by its label, where it has one of its own.
	labels bool
}

// definition says what a word of the report means.
type definition struct{ term, text string }

// languageOf is the one that a report is asked for in; "" is English.
func languageOf(name string) language {
	if name == Chinese {
		return chinese()
	}
	return english()
}

func english() language { return language{definitions: englishDefinitions()} }

// say says an English text, or a format with what belongs into it.
func (l language) say(english string, args ...any) string {
	said := cmp.Or(l.words[english], english)
	if len(args) == 0 {
		return said
	}
	for i, arg := range args {
		switch arg := arg.(type) {
		case bench.Count:
			args[i] = l.count(arg.N, arg.Noun)
		case bench.Settings:
			args[i] = strings.Join(each(arg, func(s string) string { return strings.Replace(s, " and ", l.say(" and "), 1) }), l.say(", "))
		case bench.Warning:
			args[i] = l.warning(&bench.Summary{}, arg)
		}
	}
	return fmt.Sprintf(said, args...)
}

// message says a message of the bench, fit for one line.
func (l language) message(m bench.Message) string {
	return visible(l.say(m.Format, slices.Clone(m.Args)...))
}

// count is a number of things.
func (l language) count(n int, noun string) string {
	if l.words == nil {
		return text.Count(n, noun)
	}
	return l.say("%d "+noun, n)
}

// percent is a share with its sign.
func (l language) percent(share float64) string { return percent(share) + l.say(" %") }

// interval is a rate's interval.
func (l language) interval(r bench.Rate) string { return percentRange(r) + l.say(" %") }

// title names a row so that no other row has the same name.
func (l language) title(s *bench.Summary, r *bench.Row) string {
	name := l.called(s, r.Node)
	if s.BothConnections() {
		name += l.say(" (%s)", l.say(string(r.Node.Connection)))
	}
	if len(s.Vantages) > 1 {
		name += " @" + r.Vantage
	}
	return visible(name)
}

// called is what a node goes by: its label where it is to, and no other node goes by the same, else its name.
func (l language) called(s *bench.Summary, n bench.Node) string {
	shared := func(r *bench.Row) bool {
		return r.Node.Name != n.Name && (r.Node.Label == n.Label || r.Node.Name == n.Label)
	}
	if !l.labels || n.Label == "" || slices.ContainsFunc(s.Rows, shared) {
		return n.Name
	}
	return n.Label
}

// node is the name of a node inside a sentence. In Chinese it is set off where its ends are Latin.
func (l language) node(s *bench.Summary, name string) string {
	if i := slices.IndexFunc(s.Rows, func(r *bench.Row) bool { return r.Node.Name == name }); i >= 0 {
		name = l.called(s, s.Rows[i].Node)
	}
	name = visible(name)
	if l.words == nil || name == "" {
		return name
	}
	if name[0] < 0x80 {
		name = " " + name
	}
	if name[len(name)-1] < 0x80 {
		name += " "
	}
	return name
}

// sentence says what was found about a row.
func (l language) sentence(s *bench.Summary, r *bench.Row) string {
	return l.title(s, r) + l.say(": ") + l.finding(s, r)
}

func (l language) finding(s *bench.Summary, r *bench.Row) string {
	if r.OK == 0 {
		return l.say("no success in %s", bench.Count{N: r.Requests, Noun: "request"})
	}
	shown := s.Headline(r)
	middle := l.say("mean %s of %s", took(shown.Mean), bench.Count{N: shown.N, Noun: "success"})
	if shown.HasPercentiles() {
		middle = "p50 " + took(shown.P50)
	}
	if s.Figure == bench.TTFTFigure {
		middle = "TTFT " + middle
	}
	success := l.say("; success %s (%s)", l.percent(r.Success.Value), l.interval(r.Success))
	if present(r.AnswerTokens) {
		success += l.say("; %s tokens an answer", rate(r.AnswerTokens.Mean))
	}
	switch {
	case r.VsReference != nil:
		return l.difference(s, r.VsReference) + success
	case len(s.Rows) == 1:
		return middle + success
	case reference(s, r) && !modelsDiffer(s):
		return l.say("the reference; ") + middle + success
	}
	return l.say("not compared; ") + middle + success
}

// figure is what the rows are compared by.
func (l language) figure(s *bench.Summary) string {
	if s.Figure == bench.TTFTFigure {
		return l.say("TTFT")
	}
	return l.say("latency")
}

func (l language) difference(s *bench.Summary, c *bench.Comparison) string {
	than, figure := l.node(s, c.Reference), l.figure(s)
	medians := ""
	if !math.IsNaN(c.P50) && !math.IsNaN(c.ReferenceP50) {
		medians = l.say("; p50 %s, %s %s", took(c.P50), than, took(c.ReferenceP50))
	}
	if c.ShapesDiffer {
		medians += l.say(", which say otherwise: the distributions differ in shape")
	}
	pairs := bench.Count{N: c.Pairs, Noun: "pair"}
	switch {
	case c.Verdict == bench.Faster:
		return l.say("faster than %s, typically %s × its %s pair by pair (95 %% interval %s–%s)",
			than, ratio(c.Ratio), figure, bound(c.Low), bound(c.High)) + medians
	case c.Verdict == bench.Slower:
		return l.say("slower than %s, typically %s × its %s pair by pair (95 %% interval %s–%s)",
			than, ratio(c.Ratio), figure, bound(c.Low), bound(c.High)) + medians
	case math.IsInf(c.High, 1):
		return l.say("no difference shown to %s (%s: too few for an interval)", than, pairs) + medians
	}
	return l.say("no difference shown to %s, typically %s × its %s pair by pair (95 %% interval %s–%s, %s)",
		than, ratio(c.Ratio), figure, bound(c.Low), bound(c.High), pairs) + medians
}

// verdict is a word.
func (l language) verdict(v bench.Verdict) string { return visible(l.say(string(v))) }

// versus is a row's ratio to the reference, for a cell.
func (l language) versus(s *bench.Summary, r *bench.Row) string {
	c := r.VsReference
	switch {
	case c != nil && math.IsInf(c.High, 1):
		return l.verdict(c.Verdict)
	case c != nil:
		return ratio(c.Ratio) + l.say(" × (%s–%s), %s", bound(c.Low), bound(c.High), l.verdict(c.Verdict))
	case reference(s, r) && !modelsDiffer(s):
		return l.say("reference")
	}
	return text.Missing
}

// warning is a warning with the name of its row.
func (l language) warning(s *bench.Summary, w bench.Warning) string {
	if l.words == nil || w.Words.Format == "" {
		return visible(w.Text)
	}
	if w.Node == "" {
		return l.message(w.Words)
	}
	name := visible(w.Node)
	for _, r := range s.Rows {
		if title(s, r) == name {
			name = l.title(s, r)
			break
		}
	}
	return name + l.say(": ") + l.message(w.Words)
}

// warn is a line with a warning.
func (l language) warn(s *bench.Summary, w bench.Warning) string {
	return l.say("warning") + l.say(": ") + l.warning(s, w)
}

// check is a threshold with what was seen.
func (l language) check(c bench.Check) string {
	mark := "✓ "
	if c.Missed {
		mark = "✗ "
	}
	return mark + visible(c.Node) + l.say(": ") + visible(c.Threshold.String()) + l.say(", seen %s", l.message(c.Seen))
}

// define defines the words that a summary uses.
func (l language) define(s *bench.Summary) []definition {
	var all []definition
	for _, d := range []struct {
		word string
		used bool
	}{
		{"latency", true}, {"success", true}, {"attempts", s.Header.Attempts > 1}, {"connections", s.BothConnections()},
		{"rounds", len(s.Header.Nodes) > 1}, {"comparison", compared(s)}, {bestWord(s), len(s.Best) > 0 && len(s.Rows) > 1},
		{"intended", s.Header.Rate > 0}, {"load", anyRow(s, func(r *bench.Row) bool { return r.InFlight > 0 })}, {"phases", anyRow(s, hasPhases)}, {"ttft", anyRow(s, statsOf(ttft).present)},
		{"itl", anyRow(s, statsOf(itl).present)}, {"decode", anyRow(s, statsOf(decode).present)}, {"tokens", anyRow(s, statsOf(tokens).present)},
	} {
		if !d.used {
			continue
		}
		defined := l.definitions[d.word]
		if d.word == bestWord(s) && s.BothConnections() {
			defined.text += l.say(", over %s connections", l.say(string(leader(s, s.Best[0]).Node.Connection)))
		}
		all = append(all, defined)
	}
	return all
}

// bestWord is the definition of best that a summary needs: streams are ranked by TTFT.
func bestWord(s *bench.Summary) string {
	if s.Figure == bench.TTFTFigure {
		return "bestTTFT"
	}
	return "best"
}

func englishDefinitions() map[string]definition {
	return map[string]definition{
		"latency": {"latency", "from the start of a request, before its address is looked up, " +
			"to the last byte of a whole answer; failures are counted and never averaged in"},
		"success": {"success rate", "whole answers with text among all requests, with the Wilson 95 % interval that so many " +
			"requests allow; refusals, empty answers and reasoning without text are failures"},
		"attempts": {"attempts", "a request may take several; the waits between them are part of its latency"},
		"connections": {"cold, reused",
			"over a new connection for each request, and over one that an earlier request left open"},
		"rounds": {"rounds", "each round asks every node the same, in an order drawn anew, with a nonce of equal length"},
		"comparison": {"comparison", "round by round against the reference: the typical paired ratio of the latencies, of streams of the TTFT " +
			"(Hodges–Lehmann), with the interval of the Wilcoxon signed-rank test; all intervals hold together with 95 % (Holm)"},
		"best": {"best", "success first: a node is out whose success rate lies below another's interval; of the rest " +
			"the one that is proven faster than each other one, pair by pair"},
		"bestTTFT": {"best", "success first: a node is out whose success rate lies below another's interval; of the rest " +
			"the one whose TTFT is proven shorter than that of each other one, pair by pair"},
		"intended": {"intended", "at a fixed rate, latency and TTFT count from when a request was due; " +
			"actual counts from when it began, and lag is what lies between"},
		"load": {"in flight", "requests that are waited for at a time, on average: what all took together over the time of the runs; " +
			"requests/s are over the same time"},
		"phases": {"phases", "the mean parts of the last attempt of each success"},
		"ttft":   {"TTFT", "from the start of a request to its first text that is not empty"},
		"itl": {"ITL", "(latency − TTFT) / tokens of the text after its first event, for each stream of 10 tokens and more; " +
			"an event of several tokens shares its time among them"},
		"decode": {"decode/s", "1 / ITL, for each request: tokens per second without the TTFT"},
		"tokens": {"tokens/s", "output tokens / latency, for each request"},
		"change": {"change", "the median of all ratios of a new latency or TTFT to an old one (Hodges–Lehmann), " +
			"with the interval of the Wilcoxon rank-sum test; nothing is paired, and failures are not in it"},
		"successChange": {"change of success", "the new rate less the old one in percentage points (pp), with the interval of Newcombe"},
		"intervals": {"intervals", "all hold together with 95 % (Holm); they are of these two runs, " +
			"and how much a node varies from hour to hour is not in them"},
	}
}
