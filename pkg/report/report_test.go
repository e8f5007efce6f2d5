package report

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"ferry/pkg/bench"
	"ferry/pkg/term"
	"ferry/pkg/text"
)

// update rewrites the golden files: go test ./pkg/report -run Golden -update.
var update = flag.Bool("update", false, "rewrite the golden files")

// write returns a report on a summary or on a comparison of two runs.
func write(t *testing.T, format string, of any, o Options) string {
	t.Helper()
	var b strings.Builder
	var err error
	switch of := of.(type) {
	case *bench.Summary:
		err = Write(&b, format, of, o)
	case *bench.Changes:
		err = WriteChanges(&b, format, of, o)
	}
	if err != nil {
		t.Fatalf("%s: %v", format, err)
	}
	return b.String()
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		lines, old := strings.Split(got, "\n"), append(strings.Split(string(want), "\n"), "")
		i := 0
		for i < len(lines)-1 && i < len(old)-1 && lines[i] == old[i] {
			i++
		}
		t.Errorf("%s is not current (go test ./pkg/report -run Golden -update): line %d is\n%s\nwant\n%s", path, i+1, lines[i], old[i])
	}
}

// check returns the result of a threshold.
func check(text, node, seen string, missed bool) bench.Check {
	threshold, err := bench.ParseThreshold(text)
	if err != nil {
		panic(err)
	}
	return bench.Check{Threshold: threshold, Node: node, Seen: bench.Message{Format: seen}, Missed: missed}
}

func checks() []bench.Check {
	return []bench.Check{
		check("hongkong:p95<1200ms", "hongkong", "1.22 s", true), check("success>=80%", "direct", "82 %", false),
	}
}

func terminal(width int) Options {
	return Options{Facts: term.Facts{TTY: true, Plain: true, Width: width}}
}

func TestGolden(t *testing.T) {
	pipe := term.Facts{Plain: true, Width: 80}
	forms := func(name string, of any, shown Options, tested []bench.Check) {
		for _, width := range []int{60, 80, 120} {
			golden(t, name+"."+strconv.Itoa(width)+".txt", write(t, Text, of, terminal(width)))
		}
		golden(t, name+".md", write(t, Markdown, of, Options{Checks: shown.Checks}))
		golden(t, name+".json", write(t, JSON, of, shown))
		golden(t, name+".xml", write(t, JUnit, of, Options{Checks: tested}))
		shown.Facts = pipe
		golden(t, name+".pipe.txt", write(t, Text, of, shown))
		shown.Facts, shown.Lang = terminal(80).Facts, Chinese
		golden(t, name+".zh.txt", write(t, Text, of, shown))
	}
	for name, s := range fixtures() {
		if name == "hostile" {
			continue // TestClean checks what it must not contain
		}
		forms(name, s, Options{}, checks())
		golden(t, name+".zh.md", write(t, Markdown, s, Options{Lang: Chinese}))
		golden(t, name+".csv", write(t, CSV, s, Options{}))
		golden(t, name+".prom", write(t, Prometheus, s, Options{}))
	}
	for name, c := range comparisons() {
		forms(name, c, Options{Checks: ratioChecks(), Explain: true}, ratioChecks())
	}
	colour := term.Facts{TTY: true, Width: 80}
	golden(t, "poor.colour.txt", write(t, Text, poor(), Options{Facts: term.Facts{TTY: true, Width: 120}}))
	golden(t, "three.colour.txt", write(t, Text, three(), Options{Facts: colour}))
	golden(t, "changes.colour.txt", write(t, Text, changes(), Options{Facts: colour, Checks: ratioChecks()}))
	golden(t, "merged.explained.txt", write(t, Text, merged(), Options{Facts: pipe, Explain: true, Checks: checks()}))
	golden(t, "merged.explained.zh.md", write(t, Markdown, merged(), Options{Lang: Chinese, Explain: true, Checks: checks()}))
	golden(t, "three.best", write(t, Best, three(), Options{}))
}

// TestClean: whatever a run contains, no report has a control character, or Go's text for a missing number or a wrong
// verb.
func TestClean(t *testing.T) {
	clean := func(name, format string, of any, test []bench.Check) {
		for _, o := range []Options{{}, terminal(80), {Lang: Chinese}} {
			o.Checks = test
			got := write(t, format, of, o)
			for i, r := range got {
				if r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == unicode.ReplacementChar && format != JSON) {
					t.Fatalf("%s as %s has %U at %d: %q", name, format, r, i, got[max(0, i-40):min(len(got), i+10)])
				}
			}
			got = strings.ReplaceAll(got, `le="+Inf"`, "") // a bucket of Prometheus
			for _, bad := range []string{"NaN", "Inf", "%!", "<nil>"} {
				if at := strings.Index(got, bad); at >= 0 {
					t.Errorf("%s as %s has %q in %q", name, format, bad, got[max(at-60, 0):min(at+60, len(got))])
				}
			}
		}
	}
	for name, s := range pages() {
		for _, format := range []string{Text, Markdown, JSON, CSV, JUnit, Prometheus, HTML} {
			clean(name, format, s, []bench.Check{check(evil+":p95<1s", evil, evil, true)})
		}
	}
	all := comparisons()
	all["hostile"] = hostileChanges()
	for name, c := range all {
		for _, format := range ChangeFormats() {
			clean(name, format, c, ratioChecks())
		}
	}
}

func TestUnknownFormat(t *testing.T) {
	var b bytes.Buffer
	if err := Write(&b, "yaml", three(), Options{}); err == nil || !strings.Contains(text.Hint(err), "markdown, json") || b.Len() > 0 {
		t.Errorf("an unknown format: got %v, want an error that lists the formats", err)
	}
	if err := Write(&b, Markdown, three(), Options{Lang: "de"}); err == nil || text.Hint(err) != "use one of en, zh" || b.Len() > 0 {
		t.Errorf("an unknown language: got %v, want an error that lists the languages", err)
	}
}

func TestLanguage(t *testing.T) {
	for tag, want := range map[string]string{
		"zh": "zh", "zh_CN": "zh", "zh_TW.UTF-8": "zh", "zh-Hans": "zh", "ZH": "zh", "en": "en", "en_US.UTF-8": "en", "zh.UTF-8": "zh", "zh@x": "zh",
		"": "", "C": "", "C.UTF-8": "", "fr_FR": "", "zha": "", "english": "", "xzh": "",
	} {
		if got, ok := Language(tag); got != want || ok != (want != "") {
			t.Errorf("%q: got %q, %v, want %q", tag, got, ok, want)
		}
	}
}

type fullDisk struct{}

var errFull = errors.New("no space left")

func (fullDisk) Write([]byte) (int, error) { return 0, errFull }

func TestWriteError(t *testing.T) {
	for _, format := range Formats() {
		if err := Write(fullDisk{}, format, three(), Options{}); !errors.Is(err, errFull) {
			t.Errorf("%s: a write that failed gave %v", format, err)
		}
	}
}

func TestBest(t *testing.T) {
	tests := []struct {
		name  string
		s     *bench.Summary
		wants string // the text of the error
	}{
		{"none succeeded", func() *bench.Summary { s := poor(); s.Rows, s.Best = s.Rows[1:2], nil; return s }(),
			"no best node: no request succeeded"},
		{"nothing ran", nothing(), "no best node: no request succeeded"},
		{"different models", strangers(), "no best node: the nodes use different models"},
		{"none named", func() *bench.Summary { s := three(); s.Best = nil; return s }(),
			"no best node: each node rejected its requests or got only one"},
		{"two places", func() *bench.Summary { s := merged(); s.Best[1].Leader = 4; return s }(),
			"the best node differs between places: hongkong at beijing, direct at shanghai"},
		{"a place without a name", func() *bench.Summary { s := merged(); s.Best[1].Leader, s.Best[1].Vantage = 4, ""; return s }(),
			"the best node differs between places: hongkong at beijing, direct at an unnamed place"},
		{"a flag", named("--proxy=http://evil"), "the name of the best node is not a plain word: --proxy=http://evil"},
		{"two words", named("a --yes"), "the name of the best node is not a plain word: a --yes"},
		{"an escape", named("a\x1b[2J"), `the name of the best node is not a plain word: a\x1b[2J`},
		{"a line end", named("a\nb"), `the name of the best node is not a plain word: a\nb`},
	}
	for _, tt := range tests {
		var b bytes.Buffer
		err := Write(&b, Best, tt.s, Options{})
		if err == nil || err.Error() != tt.wants || text.Hint(err) == "" || b.Len() > 0 {
			t.Errorf("%s: got %v, and %q was written; want %s", tt.name, err, b.String(), tt.wants)
		}
	}
	if got := write(t, Best, named("https://hk.example.com/api?x=1"), Options{}); got != "https://hk.example.com/api?x=1\n" {
		t.Errorf("a URL: %q", got)
	}
}

func TestPlanOfMergedRuns(t *testing.T) {
	s := three()
	s.Header.Requests, s.Header.Duration = 0, 0
	if got := write(t, Text, s, Options{}); !strings.Contains(got, "different numbers of requests to each of 3 nodes") {
		t.Errorf("got %s, want different numbers of requests in the plan", got)
	}
}

func TestTitleWithoutVantage(t *testing.T) {
	s := merged()
	r := s.Rows[0]
	r.Vantage = ""
	for _, got := range []string{s.Title(r), languageOf("").title(s, r)} {
		if strings.Contains(got, "@") {
			t.Errorf("got %q, want no @ without a vantage behind it", got)
		}
	}
}

func named(name string) *bench.Summary {
	s := three()
	leader(s, s.Best[0]).Node.Name = name
	return s
}
