package report

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"ferry/pkg/bench"
)

// asMarkdown returns a table, which begins with the three columns that people compare nodes by, and sentences below it.
// The first line is the header of the table, so the output can be pasted into a page as it is, or cut after the table.
func asMarkdown(s *bench.Summary, o Options) (string, error) {
	l := languageOf(o.Lang)
	l.labels = o.Lang == Chinese
	mean, figure := "mean latency", ""
	if s.Figure == bench.TTFTFigure {
		mean, figure = "mean TTFT", "TTFT "
	}
	var columns []column
	add := func(title string, kind kind, cell func(*bench.Row) string) {
		columns = append(columns, columnOf(l.translate(title), kind, 0, s.Rows, cell))
	}
	add("access", names, func(r *bench.Row) string { return l.title(s, r) })
	add(mean, numbers, func(r *bench.Row) string { return wholeMillis(s.Headline(r).Mean) })
	add("success rate", numbers, func(r *bench.Row) string { return percent(r.Success.Value) + "%" })
	for _, name := range []string{"p50", "p95", "p99"} {
		add(figure+name, numbers, func(r *bench.Row) string { return wholeMillis(s.Headline(r).Named(name)) })
	}
	add("requests", numbers, func(r *bench.Row) string { return strconv.Itoa(r.Requests) })
	add("success 95 % CI", numbers, func(r *bench.Row) string { return percentRange(r.Success) + "%" })
	add("vs reference", left, func(r *bench.Row) string { return l.versus(s, r) })
	return markdown(columns, l.summaryLines(s, o, true)), nil
}

func changesAsMarkdown(c *bench.Changes, o Options) (string, error) {
	l := languageOf(o.Lang)
	columns, _ := l.changeColumns(c)
	return markdown(columns, l.changeLines(c, o)), nil
}

// markdown returns a table, a blank line and a list.
func markdown(columns []column, lines []line) string {
	var b strings.Builder
	row := func(cells []string) { b.WriteString("| " + strings.Join(each(cells, escapeMarkdown), " | ") + " |\n") }
	row(cellsOf(columns, -1))
	for _, c := range columns {
		b.WriteString("|---")
		if c.kind == numbers {
			b.WriteString(":")
		}
	}
	b.WriteString("|\n")
	for i := range columns[0].cells {
		row(cellsOf(columns, i))
	}
	b.WriteString("\n")
	for _, line := range lines {
		b.WriteString("- " + escapeMarkdown(line.text) + "\n")
	}
	return b.String()
}

// escapeMarkdown escapes text so that a line of Markdown or a cell of a table shows it literally. An underscore inside
// a word has no effect and is not escaped, so that a name with one can still be searched for.
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
