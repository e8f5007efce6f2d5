package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"ferry/pkg/bench"
)

// markdown is a table that begins with the three columns that people compare nodes by, and sentences under it. The
// table's header is its first line: the whole can be pasted into a page as it is, or cut after the table.
func markdown(s *bench.Summary, lang string) string {
	var b strings.Builder
	words := english()
	if lang == Chinese {
		words = chinese()
	}
	row := func(cells ...string) { b.WriteString("| " + strings.Join(cells, " | ") + " |\n") }
	row(words.columns...)
	b.WriteString("|---" + strings.Repeat("|---:", len(words.columns)-2) + "|---|\n")
	for _, r := range s.Rows {
		row(escapeMarkdown(words.name(s, r)), milliseconds(r.Latency.Mean), percent(r.Success.Value)+"%",
			milliseconds(r.Latency.P50), milliseconds(r.Latency.P95), milliseconds(r.Latency.P99),
			strconv.Itoa(r.Requests), percentRange(r.Success)+"%", escapeMarkdown(words.versus(s, r)))
	}
	item := func(text string) { b.WriteString("- " + escapeMarkdown(text) + "\n") }
	b.WriteString("\n")
	for _, r := range s.Rows {
		item(words.verdict(s, r))
	}
	if best := s.BestRow(); best != nil && len(s.Rows) > 1 {
		item(words.best + words.name(s, best))
	}
	for _, w := range s.Warnings {
		item(words.warning(s, w))
	}
	for _, d := range definitions(s) {
		item(words.define(d))
	}
	return b.String()
}

// language is how Markdown says things. Everything that it says is still to be escaped.
type language struct {
	columns         []string
	best            string
	name            func(*bench.Summary, *bench.Row) string
	versus, verdict func(*bench.Summary, *bench.Row) string
	warning         func(*bench.Summary, bench.Warning) string
	define          func(definition) string
}

func english() language {
	return language{
		columns: []string{"access", "mean latency", "success rate", "p50", "p95", "p99", "requests", "success 95 % interval", "vs reference"},
		best:    "best: ",
		name:    title,
		versus: func(s *bench.Summary, r *bench.Row) string {
			return versus(s, r, "reference", " × (%s–%s), %s", func(v bench.Verdict) string { return visible(string(v)) })
		},
		verdict: verdict,
		warning: func(_ *bench.Summary, w bench.Warning) string { return "warning: " + visible(w.Text) },
		define:  func(d definition) string { return d.term + ": " + d.en },
	}
}

// versus is a row's ratio to the reference.
func versus(s *bench.Summary, r *bench.Row, itself, layout string, say func(bench.Verdict) string) string {
	c := r.VsReference
	switch {
	case c != nil && math.IsInf(c.High, 1):
		return say(c.Verdict)
	case c != nil:
		return ratio(c.Ratio) + fmt.Sprintf(layout, ratio(c.Low), ratio(c.High), say(c.Verdict))
	case reference(s, r) && !modelsDiffer(s):
		return itself
	}
	return missing
}

// milliseconds writes a time without a space and in whole milliseconds, 800ms, but for what would come out as none.
func milliseconds(ms float64) string {
	if math.IsNaN(ms) || math.IsInf(ms, 0) {
		return missing
	}
	if ms < 0.95 {
		return strconv.FormatFloat(ms, 'f', 1, 64) + "ms"
	}
	return strconv.FormatFloat(math.Round(ms), 'f', 0, 64) + "ms"
}

// escapeMarkdown makes a text stand in a line of Markdown, and in a cell of a table, as the characters that it has. An underscore
// inside a word opens nothing and stays as it is, so that a name with one can still be searched for.
func escapeMarkdown(s string) string {
	var b strings.Builder
	before := ' '
	for i, r := range s {
		after, _ := utf8.DecodeRuneInString(s[i+utf8.RuneLen(r):])
		if strings.ContainsRune("\\`*[]<>|&~$", r) || r == '_' && !(letter(before) && letter(after)) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
		before = r
	}
	return b.String()
}

func letter(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }
