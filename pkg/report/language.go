package report

import (
	"cmp"
	_ "embed"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"

	"ferry/pkg/bench"
	"ferry/pkg/text"
)

// language translates the program's own text. The zero value is English. The result is not yet escaped for Markdown or
// HTML.
type language struct {
	// translations has the translation of each English text or format.
	translations map[string]string
	// labels reports that a node is shown by its label, if it has a unique one.
	labels bool
}

// definition explains a term of the report.
type definition struct{ Term, Text string }

//go:embed words.json
var wordsFile []byte

// dictionary is the content of words.json. Chinese maps English texts and formats to Chinese ones. These have the same
// verbs, numbered if their order differs. In Chinese a node is 节点, a token is "token", and the reference is 基准.
type dictionary struct {
	Chinese     map[string]string
	Definitions map[string]struct{ English, Chinese definition }
}

var readWords = sync.OnceValue(func() (words dictionary) {
	if err := json.Unmarshal(wordsFile, &words); err != nil {
		panic(err) // the file is part of the program
	}
	return words
})

// languageOf returns the language with a name; "" is English.
func languageOf(name string) language {
	if name == Chinese {
		return language{translations: readWords().Chinese}
	}
	return language{}
}

// translate translates an English text, or a format with its arguments.
func (l language) translate(english string, args ...any) string {
	said := cmp.Or(l.translations[english], english)
	if len(args) == 0 {
		return said
	}
	for i, arg := range args {
		switch arg := arg.(type) {
		case bench.Count:
			args[i] = l.count(arg.N, arg.Noun)
		case bench.Settings:
			args[i] = strings.Join(each(arg, func(s string) string { return strings.Replace(s, " and ", l.translate(" and "), 1) }), l.translate(", "))
		case bench.Warning:
			args[i] = l.warning(&bench.Summary{}, arg)
		}
	}
	return fmt.Sprintf(said, args...)
}

// message translates a message of package bench and makes it safe for one line.
func (l language) message(m bench.Message) string {
	return visible(l.translate(m.Format, slices.Clone(m.Args)...))
}

// count formats a number of things.
func (l language) count(n int, noun string) string {
	if l.translations == nil {
		return text.Count(n, noun)
	}
	return l.translate("%d "+noun, n)
}

// percent formats a share with the percent sign.
func (l language) percent(share float64) string { return percent(share) + l.translate(" %") }

// interval formats the interval of a rate.
func (l language) interval(r bench.Rate) string { return percentRange(r) + l.translate(" %") }

// title returns a unique name for a row.
func (l language) title(s *bench.Summary, r *bench.Row) string {
	name := l.displayName(s, r.Node)
	if s.BothConnections() {
		name += l.translate(" (%s)", l.translate(string(r.Node.Connection)))
	}
	if len(s.Vantages) > 1 && r.Vantage != "" {
		name += " @" + r.Vantage
	}
	return visible(name)
}

// displayName returns the name that a node is shown by: its label if labels is set and no other node has that label or
// name, otherwise its name.
func (l language) displayName(s *bench.Summary, n bench.Node) string {
	shared := func(r *bench.Row) bool {
		return r.Node.Name != n.Name && (r.Node.Label == n.Label || r.Node.Name == n.Label)
	}
	if !l.labels || n.Label == "" || slices.ContainsFunc(s.Rows, shared) {
		return n.Name
	}
	return n.Label
}

// node returns the name of a node inside a sentence. In Chinese, a space separates it from the text at an end that is
// ASCII.
func (l language) node(s *bench.Summary, name string) string {
	if i := slices.IndexFunc(s.Rows, func(r *bench.Row) bool { return r.Node.Name == name }); i >= 0 {
		name = l.displayName(s, s.Rows[i].Node)
	}
	name = visible(name)
	if l.translations == nil || name == "" {
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

// sentence returns the result for a row.
func (l language) sentence(s *bench.Summary, r *bench.Row) string {
	return l.title(s, r) + l.translate(": ") + l.finding(s, r)
}

func (l language) finding(s *bench.Summary, r *bench.Row) string {
	if r.OK == 0 {
		return l.translate("no success in %s", bench.Count{N: r.Requests, Noun: "request"})
	}
	shown := s.Headline(r)
	middle := l.translate("mean %s (%s)", latencyText(shown.Mean), bench.Count{N: shown.N, Noun: "success"})
	if shown.HasPercentiles() {
		middle = "p50 " + latencyText(shown.P50)
	}
	if s.Figure == bench.TTFTFigure {
		middle = "TTFT " + middle
	}
	success := l.translate("; success %s (%s)", l.percent(r.Success.Value), l.interval(r.Success))
	if present(r.AnswerTokens) {
		success += l.translate("; %s tokens/answer", rate(r.AnswerTokens.Mean))
	}
	switch {
	case r.VsReference != nil:
		return l.difference(s, r.VsReference) + success
	case len(s.Rows) == 1:
		return middle + success
	case isReference(s, r) && !modelsDiffer(s):
		return l.translate("reference; ") + middle + success
	}
	return l.translate("not compared; ") + middle + success
}

// figure returns the name of the figure that rows are compared by.
func (l language) figure(s *bench.Summary) string {
	if s.Figure == bench.TTFTFigure {
		return l.translate("TTFT")
	}
	return l.translate("latency")
}

func (l language) difference(s *bench.Summary, c *bench.Comparison) string {
	than, figure := l.node(s, c.Reference), l.figure(s)
	medians := ""
	if !math.IsNaN(c.P50) && !math.IsNaN(c.ReferenceP50) {
		medians = l.translate("; p50 %s (%s: %s)", latencyText(c.P50), than, latencyText(c.ReferenceP50))
	}
	if c.ShapesDiffer {
		medians += l.translate(", but the p50s show the opposite: the distributions differ in shape")
	}
	figures := []any{than, ratio(c.Ratio), figure, bound(c.Low), bound(c.High)}
	pairs := bench.Count{N: c.Pairs, Noun: "pair"}
	switch {
	case c.Verdict == bench.Faster:
		return l.translate("faster than %s, %s × its %s (paired, 95 %% CI %s–%s)", figures...) + medians
	case c.Verdict == bench.Slower:
		return l.translate("slower than %s, %s × its %s (paired, 95 %% CI %s–%s)", figures...) + medians
	case math.IsInf(c.High, 1):
		return l.translate("too few answers to compare with %s (%s)", than, pairs) + medians
	}
	return l.translate("no difference shown vs %s, %s × its %s (paired, 95 %% CI %s–%s, %s)", append(figures, pairs)...) + medians
}

func (l language) verdict(v bench.Verdict) string { return visible(l.translate(string(v))) }

// verdictOf returns the verdict of a comparison, or that there were too few answers for a verdict.
func verdictOf(c *bench.Comparison) bench.Verdict {
	if math.IsInf(c.High, 1) {
		return "too few answers"
	}
	return c.Verdict
}

// versus returns a row's ratio to the reference, for a cell.
func (l language) versus(s *bench.Summary, r *bench.Row) string {
	c := r.VsReference
	switch {
	case c != nil && math.IsInf(c.High, 1):
		return l.verdict(verdictOf(c))
	case c != nil:
		return ratio(c.Ratio) + l.translate(" × (%s–%s), %s", bound(c.Low), bound(c.High), l.verdict(c.Verdict))
	case isReference(s, r) && !modelsDiffer(s):
		return l.translate("reference")
	}
	return text.Missing
}

// warning translates a warning, with the name of its row.
func (l language) warning(s *bench.Summary, w bench.Warning) string {
	if l.translations == nil || w.Message.Format == "" {
		return visible(w.Text)
	}
	if w.Node == "" {
		return l.message(w.Message)
	}
	name := visible(w.Node)
	if i := slices.IndexFunc(s.Rows, func(r *bench.Row) bool { return language{}.title(s, r) == name }); i >= 0 {
		name = l.title(s, s.Rows[i])
	}
	return name + l.translate(": ") + l.message(w.Message)
}

// define returns the definitions of the terms that a summary uses.
func (l language) define(s *bench.Summary) []definition {
	best := "best"
	if s.Figure == bench.TTFTFigure { // streams are ranked by TTFT
		best = "bestTTFT"
	}
	all := []definition{}
	for _, d := range []struct {
		word string
		used bool
	}{
		{"latency", true}, {"success", true}, {"attempts", s.Header.Attempts > 1}, {"connections", s.BothConnections()},
		{"rounds", len(s.Header.Nodes) > 1}, {"comparison", compared(s)}, {best, len(s.Best) > 0 && len(s.Rows) > 1},
		{"intended", s.Header.Rate > 0}, {"load", anyRow(s, func(r *bench.Row) bool { return r.InFlight > 0 })},
		{"phases", anyRow(s, hasPhases)}, {"ttft", anyRow(s, statsOf(ttft).present)}, {"itl", anyRow(s, statsOf(itl).present)},
		{"decode", anyRow(s, statsOf(decode).present)}, {"tokens", anyRow(s, statsOf(tokens).present)},
	} {
		if !d.used {
			continue
		}
		defined := l.definition(d.word)
		if d.word == best && s.BothConnections() {
			defined.Text += l.translate(", over %s connections", l.translate(string(leader(s, s.Best[0]).Node.Connection)))
		}
		all = append(all, defined)
	}
	return all
}

// definition returns the definition with a key of words.json.
func (l language) definition(word string) definition {
	d := readWords().Definitions[word]
	if l.translations != nil {
		return d.Chinese
	}
	return d.English
}
