package report

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"ferry/pkg/bench"
)

// asMarkdown is a table that begins with the three columns that people compare nodes by, and sentences under it. The
// table's header is its first line: the whole can be pasted into a page as it is, or cut after the table.
func asMarkdown(s *bench.Summary, o Options) (string, error) {
	l := languageOf(o.Lang)
	l.labels = o.Lang == Chinese
	titles := []string{"access", "mean latency", "success rate", "p50", "p95", "p99", "requests", "success 95 % interval", "vs reference"}
	if s.Figure == bench.TTFTFigure {
		titles[1], titles[3], titles[4], titles[5] = "mean TTFT", "TTFT p50", "TTFT p95", "TTFT p99"
	}
	var columns []column
	for i, cell := range []func(*bench.Row) string{
		func(r *bench.Row) string { return escapeMarkdown(l.title(s, r)) },
		func(r *bench.Row) string { return wholeMillis(s.Headline(r).Mean) },
		func(r *bench.Row) string { return percent(r.Success.Value) + "%" },
		func(r *bench.Row) string { return wholeMillis(s.Headline(r).P50) },
		func(r *bench.Row) string { return wholeMillis(s.Headline(r).P95) },
		func(r *bench.Row) string { return wholeMillis(s.Headline(r).P99) },
		func(r *bench.Row) string { return strconv.Itoa(r.Requests) },
		func(r *bench.Row) string { return percentRange(r.Success) + "%" },
		func(r *bench.Row) string { return escapeMarkdown(l.versus(s, r)) },
	} {
		columns = append(columns, column{title: l.say(titles[i]), cells: each(s.Rows, cell)})
	}
	var b strings.Builder
	markdownTable(&b, columns, "|---"+strings.Repeat("|---:", len(columns)-2)+"|---|")
	items := markdownItems{&b}
	if o.Explain {
		items.define(l, l.define(s))
	}
	for _, w := range s.Warnings {
		items.add(l.warn(s, w))
	}
	for _, r := range s.Rows {
		items.add(l.sentence(s, r))
		if len(r.Failures) > 0 {
			counts := each(r.Failures, func(f bench.Failure) string { return fmt.Sprintf("%d × %s", f.Count, visible(f.Class)) })
			items.add(l.title(s, r) + l.say(": ") + l.say("failed: %s", strings.Join(counts, l.say(", "))))
		}
	}
	for _, c := range o.Checks {
		items.add(l.check(c))
	}
	for _, line := range l.bestLines(s) {
		items.add(line)
	}
	return b.String(), nil
}

// markdownTable writes a table and a blank line under it. rule is the line under its titles.
func markdownTable(b *strings.Builder, columns []column, rule string) {
	for i := -1; i < len(columns[0].cells); i++ {
		b.WriteString("| " + strings.Join(line(columns, i), " | ") + " |\n")
		if i < 0 {
			b.WriteString(rule + "\n")
		}
	}
	b.WriteString("\n")
}

// markdownItems is a list of sentences.
type markdownItems struct{ b *strings.Builder }

func (m markdownItems) add(sentence string) { m.b.WriteString("- " + escapeMarkdown(sentence) + "\n") }

func (m markdownItems) define(l language, all []definition) {
	for _, d := range all {
		m.add(d.term + l.say(": ") + d.text)
	}
}

// escapeMarkdown makes a text stand in a line of Markdown, and in a cell of a table, as the characters that it has. An
// underscore inside a word opens nothing and stays as it is, so that a name with one can still be searched for.
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
