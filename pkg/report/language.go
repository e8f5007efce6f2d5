package report

import (
	"fmt"
	"math"

	"ferry/pkg/bench"
	"ferry/pkg/text"
)

// language is what a report says in one language. Nothing of it is escaped for Markdown or HTML yet.
type language struct {
	// columns are the titles of Markdown's table.
	columns              []string
	best, warning, colon string
	or, notApart         string // between nodes, and with all of them
	failed               string // the failures' classes and counts
	// title names a row, node the node of the reference inside a sentence.
	title func(*bench.Summary, *bench.Row) string
	node  func(s *bench.Summary, name string) string
	// verdict is a word; ratio has the two ends of an interval and that word in it.
	verdict func(bench.Verdict) string
	ratio   string
	// What is found about a row: sentences, or parts of one.
	noSuccess, pairs       func(n int) string
	mean                   func(ok int, ms string) string
	success                string // a rate and its interval
	reference, notCompared string // and then p50
	itself                 string // the reference, in a cell
	faster, slower         string // the reference, the ratio, the ends of its interval
	tooFew                 string // the reference, the pairs
	same                   string // the reference, the ends of the ratio's interval, the pairs
	medians                string // p50, the reference, its p50
	shapes                 string // added where p50 and verdict contradict each other
	// warnings are by code; one that is not there is said in English.
	warnings    map[string]string
	definitions map[string]definition
	// bestOf is added to the definition of best where both kinds of connection were measured.
	bestOf map[bench.Connection]string
}

// definition says what a word of the report means.
type definition struct{ term, text string }

func english() language {
	return language{
		columns: []string{"access", "mean latency", "success rate", "p50", "p95", "p99", "requests",
			"success 95 % interval", "vs reference"},
		best: "best", warning: "warning", colon: ": ",
		or: " or ", notApart: "%s (not told apart)",
		failed: "failed: %s",
		title:  title, node: func(_ *bench.Summary, name string) string { return visible(name) },
		verdict:     func(v bench.Verdict) string { return visible(string(v)) },
		ratio:       " × (%s–%s), %s",
		noSuccess:   func(n int) string { return "no success in " + text.Count(n, "request") },
		pairs:       func(n int) string { return text.Count(n, "pair") },
		mean:        func(ok int, ms string) string { return "mean " + ms + " of " + text.Count(ok, "success") },
		success:     "; success %s %% (%s %%)",
		reference:   "the reference; ",
		notCompared: "not compared; ",
		itself:      "reference",
		faster:      "faster than %s, typically %s × its latency pair by pair (95 %% interval %s–%s)",
		slower:      "slower than %s, typically %s × its latency pair by pair (95 %% interval %s–%s)",
		tooFew:      "no difference shown to %s (%s: too few for an interval)",
		same:        "no difference shown to %s, typically %s × its latency pair by pair (95 %% interval %s–%s, %s)",
		medians:     "; p50 %s, %s %s",
		shapes:      ", which say otherwise: the distributions differ in shape",
		definitions: map[string]definition{
			"latency": {"latency", "from the start of a request, before its address is looked up, " +
				"to the last byte of a whole answer; failures are counted and never averaged in"},
			"success": {"success rate", "whole answers with text among all requests, with the Wilson 95 % interval that so many " +
				"requests allow; refusals, empty answers and reasoning without text are failures"},
			"attempts": {"attempts", "a request may take several; the waits between them are part of its latency"},
			"connections": {"cold, reused",
				"over a new connection for each request, and over one that an earlier request left open"},
			"rounds": {"rounds", "each round asks every node the same, in an order drawn anew, with a nonce of equal length"},
			"comparison": {"comparison", "round by round against the reference: the typical paired ratio of the latencies " +
				"(Hodges–Lehmann), with the interval of the Wilcoxon signed-rank test; all intervals hold together with 95 % (Holm)"},
			"best": {"best", "success first: a node is out whose success rate lies below another's interval; of the rest " +
				"the one that is proven faster than each other one, pair by pair"},
			"bestTTFT": {"best", "success first: a node is out whose success rate lies below another's interval; of the rest " +
				"the one whose TTFT is proven shorter than that of each other one, pair by pair"},
			"intended": {"intended", "at a fixed rate, latency counts from when a request was due; " +
				"actual counts from when it began, and lag is what lies between"},
			"phases": {"phases", "the mean parts of the last attempt of each success"},
			"ttft":   {"TTFT", "from the start of a request to its first text that is not empty"},
			"itl":    {"ITL", "(latency − TTFT) / (output tokens − 1), for each request"},
			"tokens": {"tokens/s", "output tokens / latency, for each request"},
		},
		bestOf: map[bench.Connection]string{bench.Cold: ", over cold connections", bench.Reused: ", over reused connections"},
	}
}

// sentence says what was found about a row.
func (l language) sentence(s *bench.Summary, r *bench.Row) string {
	return l.title(s, r) + l.colon + l.finding(s, r)
}

func (l language) finding(s *bench.Summary, r *bench.Row) string {
	if r.OK == 0 {
		return l.noSuccess(r.Requests)
	}
	middle := l.mean(r.OK, text.Millis(r.Latency.Mean))
	if r.Latency.HasPercentiles() {
		middle = "p50 " + text.Millis(r.Latency.P50)
	}
	success := fmt.Sprintf(l.success, percent(r.Success.Value), percentRange(r.Success))
	switch {
	case r.VsReference != nil:
		return l.difference(s, r.VsReference) + success
	case len(s.Rows) == 1:
		return middle + success
	case reference(s, r) && !modelsDiffer(s):
		return l.reference + middle + success
	}
	return l.notCompared + middle + success
}

func (l language) difference(s *bench.Summary, c *bench.Comparison) string {
	than := l.node(s, c.Reference)
	medians := ""
	if !math.IsNaN(c.P50) && !math.IsNaN(c.ReferenceP50) {
		medians = fmt.Sprintf(l.medians, text.Millis(c.P50), than, text.Millis(c.ReferenceP50))
	}
	if c.ShapesDiffer {
		medians += l.shapes
	}
	switch {
	case c.Verdict == bench.Faster:
		return fmt.Sprintf(l.faster, than, ratio(c.Ratio), ratio(c.Low), ratio(c.High)) + medians
	case c.Verdict == bench.Slower:
		return fmt.Sprintf(l.slower, than, ratio(c.Ratio), ratio(c.Low), ratio(c.High)) + medians
	case math.IsInf(c.High, 1):
		return fmt.Sprintf(l.tooFew, than, l.pairs(c.Pairs)) + medians
	}
	return fmt.Sprintf(l.same, than, ratio(c.Ratio), ratio(c.Low), ratio(c.High), l.pairs(c.Pairs)) + medians
}

// versus is a row's ratio to the reference, for a cell.
func (l language) versus(s *bench.Summary, r *bench.Row) string {
	c := r.VsReference
	switch {
	case c != nil && math.IsInf(c.High, 1):
		return l.verdict(c.Verdict)
	case c != nil:
		return ratio(c.Ratio) + fmt.Sprintf(l.ratio, ratio(c.Low), ratio(c.High), l.verdict(c.Verdict))
	case reference(s, r) && !modelsDiffer(s):
		return l.itself
	}
	return text.Missing
}

// warn says a warning by its code, with the name of its row.
func (l language) warn(s *bench.Summary, w bench.Warning) string {
	said, known := l.warnings[w.Code]
	if !known {
		return l.warning + l.colon + visible(w.Text)
	}
	if w.Node == "" {
		return l.warning + l.colon + said
	}
	name := visible(w.Node)
	for _, r := range s.Rows {
		if title(s, r) == name {
			name = l.title(s, r)
			break
		}
	}
	return l.warning + l.colon + name + l.colon + said
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
		{"intended", s.Header.Rate > 0}, {"phases", anyRow(s, hasPhases)}, {"ttft", anyRow(s, statsOf(ttft).present)},
		{"itl", anyRow(s, statsOf(itl).present)}, {"tokens", anyRow(s, statsOf(tokens).present)},
	} {
		if !d.used {
			continue
		}
		defined := l.definitions[d.word]
		if d.word == bestWord(s) && s.BothConnections() {
			defined.text += l.bestOf[leader(s, s.Best[0]).Node.Connection]
		}
		all = append(all, defined)
	}
	return all
}

// bestWord is the definition of best that a summary needs: streams are ranked by TTFT.
func bestWord(s *bench.Summary) string {
	if s.Header.Stream {
		return "bestTTFT"
	}
	return "best"
}
