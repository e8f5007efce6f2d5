package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	parser "golang.org/x/net/html"

	"ferry/pkg/bench"
)

// elements and attributes are all that a report may consist of: nothing that runs code, loads anything or links
// anywhere.
var (
	elements = strings.Fields(`html head meta title style body main header section h1 h2 p b i small span br ul li dl div dt dd
		bdi time code footer table caption thead tbody tr th td figure figcaption svg desc g line path rect circle text`)
	attributes = strings.Fields(`lang charset http-equiv content name class id aria-label aria-hidden aria-labelledby role scope
		colspan style datetime data-row data-label data-plot data-warning width height viewbox preserveaspectratio
		d x y x1 x2 y1 y2 cx cy r rx dx text-anchor`)
	void   = []string{"meta", "br"}
	placed = regexp.MustCompile(`^left:[0-9.]+%$`)
)

// TestHTMLMarkup parses every page: the tags are closed, and no name or text from outside has become an element, an
// attribute or a style.
func TestHTMLMarkup(t *testing.T) {
	for name, s := range pages() {
		t.Run(name, func(t *testing.T) {
			page := write(t, HTML, s, Options{})
			var open []string
			tokens := parser.NewTokenizer(strings.NewReader(page))
			for kind := tokens.Next(); kind != parser.ErrorToken; kind = tokens.Next() {
				token := tokens.Token()
				switch kind {
				case parser.StartTagToken, parser.SelfClosingTagToken:
					checkTag(t, token)
					if kind == parser.StartTagToken && !slices.Contains(void, token.Data) {
						open = append(open, token.Data)
					}
				case parser.EndTagToken:
					if len(open) == 0 || open[len(open)-1] != token.Data {
						t.Fatalf("</%s> closes %v", token.Data, open)
					}
					open = open[:len(open)-1]
				case parser.CommentToken:
					t.Errorf("a comment: %q", token.Data)
				}
			}
			if err := tokens.Err(); !errors.Is(err, io.EOF) || len(open) > 0 {
				t.Errorf("%v, and %v is open at the end", err, open)
			}
		})
	}
}

func checkTag(t *testing.T, token parser.Token) {
	t.Helper()
	if !slices.Contains(elements, token.Data) {
		t.Errorf("there is a <%s>", token.Data)
	}
	for _, a := range token.Attr {
		if !slices.Contains(attributes, a.Key) {
			t.Errorf("<%s> has %s=%q", token.Data, a.Key, a.Val)
		}
		if a.Key == "style" && !placed.MatchString(a.Val) {
			t.Errorf("<%s> has the style %q", token.Data, a.Val)
		}
	}
}

// TestHTMLText: nothing in a page can load anything, its policy comes before everything else, and ten nodes with 2000
// points each give a small page.
func TestHTMLText(t *testing.T) {
	for name, s := range pages() {
		page := write(t, HTML, s, Options{})
		for _, bad := range []string{"url(", "@import"} {
			if at := strings.Index(page, bad); at >= 0 {
				t.Errorf("%s: %q in %q", name, bad, page[max(at-60, 0):min(at+60, len(page))])
			}
		}
		if len(page) > 1_000_000 {
			t.Errorf("%s has %d bytes, the limit is 1 MB", name, len(page))
		}
		policy := `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">`
		if at := strings.Index(page, policy); at < 0 || at > strings.Index(page, "<title>") {
			t.Errorf("%s: the policy does not stand before all else", name)
		}
	}
}

func FuzzEscapeHTML(f *testing.F) {
	f.Add(evil)
	f.Add("</style><script>alert(1)</script>&amp;")
	f.Fuzz(func(t *testing.T, in string) {
		got := escapeHTML(in)
		if strings.ContainsAny(got, "<>\"'\x00\x1b\r\n\u202e") || parser.UnescapeString(got) != visible(in) {
			t.Errorf("%q became %q, want it escaped", in, got)
		}
	})
}

// TestGoldenHTML compares the pages with golden files, from the body on.
func TestGoldenHTML(t *testing.T) {
	page := func(name string, of any, o Options) {
		_, body, _ := strings.Cut(write(t, HTML, of, o), "</style>\n</head>\n")
		golden(t, name+".html", body)
	}
	for name, s := range pages() {
		if name != "hostile" && name != "ten" { // other tests check these two
			page(name, s, Options{})
		}
	}
	page("three.zh", three(), Options{Lang: Chinese, Checks: checks()})
	page("changes", changes(), Options{Checks: ratioChecks()})
}

// TestBestFirst: the best row is first, rows without a success are last, and indexes of rows still mean the same rows.
func TestBestFirst(t *testing.T) {
	for name, want := range map[string]string{
		"three": "hongkong singapore direct; best hongkong", "poor": "direct rare gone; best direct", "strangers": "qwen direct;",
		"merged": "hongkong hongkong direct direct hongkong direct hongkong direct; best hongkong best hongkong",
	} {
		s := bestFirst(fixtures()[name])
		got := strings.Join(each(s.Rows, func(r *bench.Row) string { return r.Node.Name }), " ") + ";"
		for _, c := range s.Best {
			got += " best " + leader(s, c).Node.Name
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}

// TestHTMLInBrowser opens every page in a headless Chromium, light and dark, narrow and wide. FERRY_SHOTS names a
// folder for screenshots.
func TestHTMLInBrowser(t *testing.T) {
	script := filepath.Join("..", "..", "testdata", "browser")
	node, err := exec.LookPath("node")
	if err != nil {
		needed(t, "node, to drive the browser")
	}
	browser, err := exec.LookPath("chromium")
	if err != nil {
		needed(t, "chromium, to show the report")
	}
	if _, err := os.Stat(filepath.Join(script, "node_modules", "playwright-core")); err != nil {
		needed(t, "playwright-core (npm ci in testdata/browser)")
	}
	folder := t.TempDir()
	for name, s := range pages() {
		s = bestFirst(s)
		expectation, err := json.Marshal(map[string][]string{
			"rows": each(s.Rows, func(r *bench.Row) string { return visible(r.Node.Name) }), "plots": plotIDs(s),
		})
		if err != nil {
			t.Fatal(err)
		}
		for file, content := range map[string]string{name + ".html": write(t, HTML, s, Options{}), name + ".json": string(expectation)} {
			if err := os.WriteFile(filepath.Join(folder, file), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	look := exec.CommandContext(t.Context(), node, "report.mjs", folder)
	look.Dir = script
	look.Env = append(os.Environ(), "FERRY_CHROMIUM="+browser)
	out, err := look.CombinedOutput()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		t.Fatal(err)
	}
	passed := strings.Count("\n"+string(out), "\nok ")
	if want := 1 + 7*len(pages()); err != nil || passed != want {
		t.Errorf("%d of %d looks passed:\n%s", passed, want, out)
	}
}

// plotIDs returns the IDs of the pictures of a summary, in the order of the page.
func plotIDs(s *bench.Summary) []string {
	ids := []string{}
	for _, plot := range []string{"comparison", "distribution", "timeline", "phases"} {
		for i, r := range s.Rows {
			if plot == "comparison" && r.VsReference == nil || plot == "phases" && !anyRow(s, hasPhases) {
				continue
			}
			ids = append(ids, fmt.Sprintf("%s-%d", plot, i))
		}
	}
	return ids
}

// needed skips a test and names the program that is missing. In CI, where everything is installed, it fails instead,
// because nobody notices a skipped test there.
func needed(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("FERRY_CI") != "" {
		t.Fatalf("missing: %s", what)
	}
	t.Skipf("skipped, for want of %s", what)
}
