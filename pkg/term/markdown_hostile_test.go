package term

import (
	"strings"
	"testing"
	"time"
)

// TestRenderIsBounded gives shapes on which Markdown parsers have been known to take quadratic time, to nest without
// end or to make much out of little.
func TestRenderIsBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("long: a hundred kilobytes of each shape")
	}
	for name, shape := range hostileShapes() {
		t.Run(name, func(t *testing.T) {
			before := spent()
			out := Render(shape, 40, Facts{TTY: true})
			took := spent() - before
			t.Log(took, len(shape), len(out))
			if took > 5*time.Second { // tens of milliseconds; quadratic time would be minutes
				t.Errorf("took %v", took)
			}
			if most := 100 * len(shape); len(out) > most+addressBudget {
				t.Errorf("%d bytes became %d", len(shape), len(out))
			}
		})
	}
}

func hostileShapes() map[string]string {
	const n = 100_000
	repeat := strings.Repeat
	return map[string]string{
		"quotes":            repeat(">", n),
		"quotes, spaced":    repeat("> ", n),
		"quotes on lines":   repeat(repeat(">", 99)+"a\n", n/99),
		"lists":             repeat("- ", n) + "a",
		"numbers":           repeat("1. ", n) + "a",
		"deep, blank lines": repeat("- ", 80) + "a\n" + repeat("\n", n),
		"deeper each line":  staircase(600),
		"brackets":          repeat("[", n),
		"closing brackets":  repeat("]", n),
		"bracket pairs":     repeat("[", n/2) + repeat("]", n/2),
		"bracket parens":    repeat("[](", n/3),
		"links unclosed":    repeat("[a](<b", n/6),
		"links in links":    repeat("[a", n/2) + repeat("](b)", n/4),
		"images":            repeat("![", n/2) + repeat("](b)", n/4),
		"stars":             repeat("*", n),
		"stars around":      repeat("*", n/2) + "a" + repeat("*", n/2),
		"stars apart":       repeat("*a ", n/3),
		"stars mixed":       repeat("a**b", n/8) + repeat("c* ", n/6),
		"stars, unders":     repeat("*_", n/2) + "a" + repeat("_*", n/2),
		"tildes":            repeat("~~a ", n/4),
		"backticks":         ticks(440),
		"links, dead":       repeat("[", n/2) + repeat("[a](b)", n/12),
		"images, dead":      repeat("![", n/4) + repeat("[a](b)", n/12),
		"links in a title":  repeat("[a](b '", n/7),
		"labels":            "[a]: b\n\n" + repeat("[a][", n/4),
		"labels, escaped":   "[a]: b\n\n" + repeat("[a]", n/6) + repeat("[\\[", n/6),
		"paired, labelled":  "[a]: b\n\n" + repeat("[", n/2) + repeat("]", n/2),
		"parentheses":       repeat("[](\\(", n/5),
		"attributes":        "<a" + repeat(" b", n/2),
		"values":            repeat("<a b=\"", n/8) + repeat("<a b='", n/8),
		"addresses":         repeat("<a:", n/3),
		"underlines":        repeat("[a]: b\n===\n", n/10),
		"items":             repeat("- a\n", n/4),
		"items, loose":      repeat("- a\n\n", n/5),
		"html":              repeat("<div>\n", n/6),
		"indents":           repeat("    a\n\n", n/6),
		"blank fence":       "```\n" + repeat("\n", n),
		"angles":            repeat("<", n),
		"tags unclosed":     repeat("<a b='", n/6),
		"comments":          repeat("<!--", n/4),
		"instructions":      repeat("<?", n/2),
		"declarations":      repeat("<!A ", n/4),
		"sections":          repeat("<![CDATA[", n/9),
		"ampersands":        repeat("&", n),
		"references":        "[a]: /" + repeat("x", n) + "\n\n" + repeat("[a] ", n/4),
		"definitions":       repeat("[a]: b\n", n/7),
		"definitions open":  repeat("[a]: (", n/6),
		"titles unclosed":   repeat("[a]: b '\n", n/9),
		"wide head":         repeat("|a", n/5) + "\n" + repeat("|-", n/5) + "\n" + repeat("a\n", n/10),
		"pipes":             repeat("|", n),
		"delimiter rows":    repeat("a|b\n-|-:-\n", n/10),
		"long head":         "|" + repeat(repeat("a", 1000)+"|", 50) + "\n|" + repeat("-|", 50) + "\n" + repeat("|a\n", n/50),
		"a word":            repeat("a", n),
		"wide":              repeat("中", n/3),
		"combining":         "a" + repeat("\u0301", n/2),
		"joined":            repeat("👩\u200d", n/7),
		"spaces":            "a" + repeat(" ", n) + "b",
		"tabs in code":      "    " + repeat("a\t", n/2),
		"paragraphs":        repeat("a\n\n", n/3),
		"one paragraph":     repeat("a\n", n/2),
		"hard breaks":       repeat("a\\\n", n/3),
		"fences":            repeat("```\n", n/4),
	}
}

func staircase(steps int) string {
	var b strings.Builder
	for i := range steps {
		b.WriteString(strings.Repeat("  ", i) + "- a\n")
	}
	return b.String()
}

func ticks(most int) string {
	var b strings.Builder
	for i := 1; i < most; i++ {
		b.WriteString("a" + strings.Repeat("`", i))
	}
	return b.String()
}
