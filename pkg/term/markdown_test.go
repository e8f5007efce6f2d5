package term

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestRenderGolden compares every testdata/*.md with its golden files: plain at 40 and 80 columns, and one with styles.
func TestRenderGolden(t *testing.T) {
	sources, err := filepath.Glob("testdata/*.md")
	if err != nil || len(sources) < 4 {
		t.Fatalf("%d sources, %v", len(sources), err)
	}
	for _, source := range sources {
		name := strings.TrimSuffix(source, ".md")
		for _, width := range []int{40, 80} {
			golden(t, source, fmt.Sprintf("%s.%d.txt", name, width), width, Facts{TTY: true, Plain: true})
		}
	}
	golden(t, "testdata/answer.md", "testdata/answer.styled.txt", 60, Facts{TTY: true})
}

func golden(t *testing.T, source, want string, width int, f Facts) {
	t.Helper()
	in, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	got := Render(string(in), width, f)
	if *update {
		if err := os.WriteFile(want, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	golden, err := os.ReadFile(want)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(golden) {
		t.Errorf("%s: got\n%s\nwant\n%s", want, got, golden)
	}
}

func TestRender(t *testing.T) {
	plain := Facts{TTY: true, Plain: true}
	for name, test := range map[string]struct {
		in    string
		width int
		want  string
	}{
		"nothing":                    {"", 80, ""},
		"blank":                      {" \n\n", 80, ""},
		"one newline at the end":     {"a\n\n\n", 80, "a\n"},
		"CR LF":                      {"a\r\nb\r\n\r\nc", 80, "a b\n\nc\n"},
		"an empty item":              {"- \n- a", 80, "•\n• a\n"},
		"numbers line up":            {"9. a\n10. b", 80, " 9. a\n10. b\n"},
		"parenthesis":                {"3) a", 80, "3) a\n"},
		"numbered tasks":             {"1. [x] a", 80, "1. [x] a\n"},
		"an address alone":           {"[https://a.b](https://a.b)", 80, "https://a.b\n"},
		"mail":                       {"[a@b.c](mailto:a@b.c)", 80, "a@b.c\n"},
		"an image without words":     {"![](a.png)", 80, "a.png\n"},
		"one tilde is a range":       {"3~5, 6~7", 80, "3~5, 6~7\n"},
		"a backtick in code":         {"`` a`b ``", 80, "`` a`b ``\n"},
		"a reference in code":        {"`&amp;`", 80, "`&amp;`\n"},
		"no reference":               {"&nothing; &amp &#; &#x; &#99999999;", 80, "&nothing; &amp &#; &#x; &#99999999;\n"},
		"each decoded once":          {`\&amp; &amp;lt; &#38;gt;`, 80, "&amp; &lt; &gt;\n"},
		"a soft break":               {"中\n文\na\nb中\nc", 80, "中文 a b中 c\n"},
		"no table without the head":  {"|a|b|\n|-|\n", 80, "|a|b| |-|\n"},
		"cells too many and too few": {"|a|b|\n|-|-|\n|1|\n|1|2|3|", 80, "a  b\n─  ───\n1\n1  2|3\n"},
		"a long word":                {"ab abcdefghijkl", 8, "ab\nabcdefgh\nijkl\n"},
		"unsafe all the same":        {"a\x1b[1m\x9b\u202e\r`\x07`", 80, "a\\x1b[1m\ufffd\\u202e\\x0d`\\x07`\n"},
		"a rule":                     {"- - - - - -\n", 10, "──────────\n"},
		"a quote in a cell's code":   {"|a|\n|-|\n|`x\\|y`|", 80, "a\n─────\n`x|y`\n"},
	} {
		if got := Render(test.in, test.width, plain); got != test.want {
			t.Errorf("%s: got %q, want %q", name, got, test.want)
		}
	}
}

// TestRenderStyles: colour only where the stream takes it, and what is left without it is the same text.
func TestRenderStyles(t *testing.T) {
	if testing.Short() {
		t.Skip("long: every page at every width")
	}
	in := "**a *b*** `c`"
	if got, want := Render(in, 80, Facts{TTY: true}), "\x1b[1ma \x1b[0m\x1b[1;3mb\x1b[0m \x1b[36m`c`\x1b[0m\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	sources, _ := filepath.Glob("testdata/*.md")
	for _, source := range sources {
		in, err := os.ReadFile(source)
		if err != nil {
			t.Fatal(err)
		}
		for width := -1; width < 90; width++ {
			styled, plain := Render(string(in), width, Facts{TTY: true}), Render(string(in), width, Facts{Plain: true})
			if got := ansi.Strip(styled); got != plain {
				t.Fatalf("%s at %d: the layout depends on the styles:\n%s\n%s", source, width, got, plain)
			}
			checkRendered(t, string(in), styled, width, false)
			checkRendered(t, string(in), plain, width, true)
		}
	}
}

// TestRenderHugeAsIs: what is not rendered comes back unchanged.
func TestRenderHugeAsIs(t *testing.T) {
	for name, in := range map[string]string{
		"large":       strings.Repeat("**a** ", renderLimit/6+1),
		"deep":        strings.Repeat("> ", deepest+1) + "**a**",
		"deep, long":  strings.Repeat("> ", 90) + "**a**" + strings.Repeat("\n", deepLines/90+1),
		"deep indent": strings.Repeat(" ", 4*deepest) + "- a",
	} {
		if got := Render(in, 80, Facts{}); got != in {
			t.Errorf("%s: %.80q", name, got)
		}
	}
	if in := strings.Repeat("- ", 200); Render(in, 80, Facts{}) == in {
		t.Error("a long thematic break counts as depth")
	}
}

// mayHoldCode finds what a code block needs. Code is not wrapped, so no width is asked of such a text.
var mayHoldCode = regexp.MustCompile("```|~~~|    |\t")

var ownSGR = regexp.MustCompile(`\x1b\[[0-9]+(;[0-9]+)*m`)

// checkRendered holds what is true of every rendering.
func checkRendered(t *testing.T, in, out string, width int, plain bool) {
	t.Helper()
	if tooCostly(in) || len(in) > renderLimit {
		return
	}
	text := out
	if !plain {
		text = ownSGR.ReplaceAllString(out, "")
	}
	if i := strings.IndexFunc(text, func(r rune) bool { return obeyed(r) || r == '\t' }); i >= 0 {
		t.Fatalf("a control character at %d of %q", i, out)
	}
	if text != "" && !strings.HasSuffix(text, "\n") || strings.HasSuffix(text, "\n\n") {
		t.Fatalf("the end of %q", text)
	}
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasSuffix(line, " ") {
			t.Fatalf("trailing spaces: %q", line)
		}
		if mayHoldCode.MatchString(in) {
			continue
		}
		if w := ansi.StringWidth(line); w > max(width, narrowest) {
			t.Fatalf("%d columns at width %d: %q of %q", w, width, line, in)
		}
	}
}

func FuzzRender(f *testing.F) {
	sources, err := filepath.Glob("testdata/*.md")
	if err != nil {
		f.Fatal(err)
	}
	for _, source := range sources {
		in, err := os.ReadFile(source)
		if err != nil {
			f.Fatal(err)
		}
		for part := range strings.SplitSeq(string(in), "\n\n") {
			f.Add(part, 24)
		}
	}
	f.Add("1234567890. a\n> - > 中文👩\u200d💻", 1)
	f.Fuzz(func(t *testing.T, in string, width int) {
		width = max(-1, width%200)
		checkRendered(t, in, Render(in, width, Facts{Plain: true}), width, true)
		checkRendered(t, in, Render(in, width, Facts{TTY: true}), width, false)
	})
}
