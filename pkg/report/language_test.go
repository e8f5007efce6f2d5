package report

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"ferry/pkg/bench"
)

// verbs are those of a format, in the order of their arguments.
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

// saidTexts are the English texts in the sources of the reports and of the messages of a bench.
func saidTexts(t *testing.T) []string {
	t.Helper()
	var said []string
	sources, err := filepath.Glob("*.go")
	messages, other := filepath.Glob("../bench/*.go")
	if err != nil || other != nil || len(sources) == 0 || len(messages) == 0 {
		t.Fatalf("the sources: %v, %v", err, other)
	}
	for _, path := range append(sources, messages...) {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				said = append(said, saidIn(n)...)
			case *ast.CompositeLit:
				if name, ok := n.Type.(*ast.SelectorExpr); ok && name.Sel.Name == "Count" && len(n.Elts) == 2 {
					said = append(said, "%d "+literal(n.Elts[1]))
				}
				if name, ok := n.Type.(*ast.Ident); ok && len(n.Elts) == 2 {
					switch text := literal(n.Elts[0]); {
					case name.Name == "Message" && text != "":
						said = append(said, text)
					case name.Name == "Count":
						said = append(said, "%d "+literal(n.Elts[1]))
					}
				}
			}
			return true
		})
	}
	return said
}

// saidIn are the texts that a call says.
func saidIn(call *ast.CallExpr) []string {
	name := ""
	switch f := call.Fun.(type) {
	case *ast.SelectorExpr:
		name = f.Sel.Name
	case *ast.Ident:
		name = f.Name
	}
	at := map[string]int{"say": 0, "none": 0, "count": 1, "add": 2, "column": 0, "rowTable": 0, "of": 0, "stat": 0}
	i, ok := at[name]
	if !ok || len(call.Args) <= i {
		return nil
	}
	text := literal(call.Args[i])
	switch {
	case text == "":
		return nil
	case name == "count":
		text = "%d " + text
	}
	return []string{text}
}

// literal is the value of a string or of a sum of strings, "" for anything else.
func literal(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.KeyValueExpr:
		return literal(e.Value)
	case *ast.BinaryExpr:
		if left, right := literal(e.X), literal(e.Y); left != "" && right != "" {
			return left + right
		}
	case *ast.BasicLit:
		if text, err := strconv.Unquote(e.Value); err == nil && e.Kind == token.STRING {
			return text
		}
	}
	return ""
}

// TestChineseWords: each text that a report says has Chinese words with the same verbs, and none is left over in English.
func TestChineseWords(t *testing.T) {
	words, said := chinese().words, saidTexts(t)
	if len(said) < 100 {
		t.Fatalf("found %d texts in the sources, want 100 and more", len(said))
	}
	for _, english := range said {
		chinese, ok := words[english]
		if !ok {
			t.Errorf("language_zh.go has no words for %q", english)
		}
		if ok && verbs(chinese) != verbs(english) {
			t.Errorf("%q has the verbs %s, and %q has %s", chinese, verbs(chinese), english, verbs(english))
		}
	}
	for word := range english().definitions {
		if chinese().definitions[word].text == "" {
			t.Errorf("language_zh.go does not define %q", word)
		}
	}
}

// latin are words that an engineer in China writes as they are: names of statistics, protocols and methods, and codes.
var latin = strings.Fields(`p50 p90 p95 p99 TTFT ITL DNS TLS ms s min h token UTC Wilson Hodges Lehmann Wilcoxon Holm CI
	truncated timeout reset connect tls 5xx 429 ferry bench SHA com example plus`)

// TestChineseChanges: so with a comparison of two runs.
func TestChineseChanges(t *testing.T) {
	known := append(slices.Clone(latin), strings.Fields("direct hongkong singapore tokyo seoul claude haiku concurrency ratio connect cannot Newcombe")...)
	for name, c := range map[string]*bench.Changes{"changes": changes(), "streams": streams(), "few": few()} {
		for _, format := range []string{Text, Markdown, HTML} {
			for _, s := range []*bench.Summary{c.Old, c.New} {
				s.Header.PromptSHA256 = ""
			}
			got := writeChanges(t, format, c, Options{Lang: Chinese, Explain: true, Checks: ratioChecks()})
			if format == HTML {
				got = textOf(t, got)
			}
			for _, word := range regexp.MustCompile(`\b[A-Za-z][A-Za-z0-9]+`).FindAllString(got, -1) {
				if !slices.Contains(known, word) {
					t.Errorf("%s in %s has the word %q:\n%s", name, format, word, got)
					break
				}
			}
		}
	}
}

// textOf are the words that a page shows or says, without tags and styles.
func textOf(t *testing.T, page string) string {
	t.Helper()
	var b strings.Builder
	tokens, skip := html.NewTokenizer(strings.NewReader(page)), false
	for kind := tokens.Next(); kind != html.ErrorToken; kind = tokens.Next() {
		token := tokens.Token()
		switch {
		case token.Data == "style" || token.Data == "code":
			skip = kind == html.StartTagToken
		case kind == html.TextToken && !skip:
			b.WriteString(token.Data + " ")
		}
		for _, a := range token.Attr {
			if a.Key == "data-label" {
				b.WriteString(a.Val + " ")
			}
		}
	}
	return b.String()
}

// TestChineseWhole: nothing of a report in Chinese is English but names, codes and the words of a server.
func TestChineseWhole(t *testing.T) {
	known := append(slices.Clone(latin), strings.Fields(`direct hongkong singapore gone rare qwen beijing shanghai claude haiku`)...)
	for name, fixture := range fixtures() {
		if name == "hostile" {
			continue
		}
		for _, format := range []string{Text, Markdown, HTML} {
			s := fixture()
			for _, r := range s.Rows {
				for i := range r.Failures {
					r.Failures[i].Detail = ""
				}
				r.Ended = ""
			}
			s.Header.Proxy, s.Header.PromptSHA256 = "", ""
			got := write(t, format, s, Options{Lang: Chinese, Explain: true, Checks: []bench.Check{check("p95<1s", "direct", "no request", true)}})
			if format == HTML {
				got = textOf(t, got)
			}
			for _, word := range regexp.MustCompile(`\b[A-Za-z][A-Za-z0-9]+`).FindAllString(got, -1) {
				if !slices.Contains(known, word) {
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
}

// TestLabelsAreUnique: Chinese Markdown calls a node by its label only where no other node can be meant.
func TestLabelsAreUnique(t *testing.T) {
	l := chinese()
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
