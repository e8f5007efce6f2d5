package report

import (
	"html"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"ferry/pkg/bench"
)

// verbs returns the verbs of a format in the order of their arguments.
func verbs(format string) string {
	var found []string
	for i, m := range regexp.MustCompile(`%(?:\[(\d+)\])?([a-z])`).FindAllStringSubmatch(strings.ReplaceAll(format, "%%", ""), -1) {
		at, err := strconv.Atoi(m[1])
		if err != nil {
			at = i + 1
		}
		found = append(found, strconv.Itoa(at)+m[2])
	}
	slices.Sort(found)
	return strings.Join(found, " ")
}

// translatedTexts returns the English texts in the sources of the reports, and of the messages of package bench.
func translatedTexts(t *testing.T) []string {
	t.Helper()
	var source string
	for _, pattern := range []string{"*.go", "../bench/*.go"} {
		paths, err := filepath.Glob(pattern)
		if err != nil || len(paths) == 0 {
			t.Fatalf("%s: %d sources, %v", pattern, len(paths), err)
		}
		for _, path := range paths {
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasSuffix(path, "_test.go") {
				source += string(content)
			}
		}
	}
	source = regexp.MustCompile(`" ?\+\s+"`).ReplaceAllString(source, "") // joins two literals to one
	const literal = `("(?:[^"\\]|\\.)+")[,)}]`
	var said []string
	for before, prefix := range map[string]string{
		`\b(?:translate|none|column|stat|most|rowTable|section|ratios)\(`: "", `\b(?:open|table)\((?:"[a-z]+", )?`: "", `heading: `: "",
		`\badd\(\w+, [^,]+,\s+`: "", `\bMessage\{(?:Format: )?`: "", `\b(?:count|work)\([^"\n]+, `: "%d ", `\bCount\{[^"\n]+, (?:Noun: )?`: "%d ",
	} {
		for _, m := range regexp.MustCompile(before+literal).FindAllStringSubmatch(source, -1) {
			text, err := strconv.Unquote(m[1])
			if err != nil {
				t.Fatal(err)
			}
			said = append(said, prefix+text)
		}
	}
	return said
}

// TestChineseWords: each text of a report has a Chinese translation with the same verbs, and no translation is unused.
func TestChineseWords(t *testing.T) {
	words, said := languageOf(Chinese).translations, translatedTexts(t)
	if len(said) < 250 {
		t.Fatalf("found %d texts in the sources, want 250 and more", len(said))
	}
	for _, english := range said {
		chinese, ok := words[english]
		if !ok {
			t.Errorf("words.json has no words for %q", english)
		}
		if ok && verbs(chinese) != verbs(english) {
			t.Errorf("%q has the verbs %s, and %q has %s", chinese, verbs(chinese), english, verbs(english))
		}
	}
	for word, d := range readWords().Definitions {
		if d.English.Text == "" || d.Chinese.Text == "" || d.Chinese.Text == d.English.Text {
			t.Errorf("words.json has the definitions %+v of %q, want one of each language", d, word)
		}
	}
}

// textOf returns the text of a page, without tags and styles.
func textOf(page string) string {
	page = regexp.MustCompile(`(?s)<style>.*?</style>|<code>.*?</code>`).ReplaceAllString(page, "")
	page = regexp.MustCompile(`data-label="([^"]*)"`).ReplaceAllString(page, ">$1<")
	return html.UnescapeString(regexp.MustCompile(`<[^>]*>`).ReplaceAllString(page, " "))
}

// TestChineseWhole: a Chinese report has no English except names, codes, texts of a server, and terms that engineers in
// China use untranslated: statistics, protocols and methods.
func TestChineseWhole(t *testing.T) {
	latin := strings.Fields(`p50 p90 p95 p99 TTFT ITL DNS TLS ms s min h token UTC Wilson Hodges Lehmann Wilcoxon Holm CI
		truncated timeout reset connect tls 5xx 429 ferry bench SHA com example plus direct hongkong singapore claude haiku `)
	whole := func(name string, of any, known string, checks []bench.Check) {
		for _, format := range []string{Text, Markdown, HTML} {
			got := write(t, format, of, Options{Lang: Chinese, Explain: true, Checks: checks})
			if format == HTML {
				got = textOf(got)
			}
			for _, word := range regexp.MustCompile(`\b[A-Za-z][A-Za-z0-9]+`).FindAllString(got, -1) {
				if !slices.Contains(append(strings.Fields(known), latin...), word) {
					t.Errorf("%s in %s has the word %q:\n%s", name, format, word, got)
					break
				}
			}
			for _, not := range []string{"参照", "词元", " %"} {
				if strings.Contains(got, not) {
					t.Errorf("%s in %s has %q:\n%s", name, format, not, got)
				}
			}
		}
	}
	for name, s := range fixtures() {
		if name == "hostile" {
			continue
		}
		for _, r := range s.Rows {
			for i := range r.Failures {
				r.Failures[i].Detail = ""
			}
			r.Ended = ""
		}
		s.Header.Proxy, s.Header.PromptSHA256 = "", ""
		whole(name, s, "gone rare qwen beijing shanghai", []bench.Check{check("p95<1s", "direct", "no request", true)})
	}
	for name, c := range comparisons() {
		c.Old.Header.PromptSHA256, c.New.Header.PromptSHA256 = "", ""
		whole(name, c, "tokyo seoul concurrency ratio connect cannot Newcombe", ratioChecks())
	}
}

// TestLabelsAreUnique: Chinese Markdown shows a node by its label only if the label cannot mean another node.
func TestLabelsAreUnique(t *testing.T) {
	l := languageOf(Chinese)
	l.labels = true
	for _, c := range []struct{ labels, want [3]string }{
		{[3]string{"甲", "乙", ""}, [3]string{"甲", "乙", "c"}},
		{[3]string{"甲", "甲", "丙"}, [3]string{"a", "b", "丙"}},
		{[3]string{"c", "乙", ""}, [3]string{"a", "乙", "c"}},
	} {
		s := &bench.Summary{}
		for i, name := range []string{"a", "b", "c"} {
			s.Rows = append(s.Rows, &bench.Row{Node: node(name, c.labels[i])})
		}
		for i, r := range s.Rows {
			if title, inside := l.title(s, r), strings.TrimSpace(l.node(s, r.Node.Name)); title != c.want[i] || inside != c.want[i] {
				t.Errorf("labels %q: got %s and %s, want %s", c.labels, title, inside, c.want[i])
			}
		}
	}
}
