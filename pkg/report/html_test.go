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

// elements and attributes are all that a report may be made of: nothing that runs, loads or leads anywhere.
var (
	elements = strings.Fields(`html head meta title style body main header section h1 h2 p b i small span br ul li dl div dt dd
		bdi time code footer table caption thead tbody tr th td figure figcaption svg desc g line path rect circle text`)
	attributes = strings.Fields(`lang charset http-equiv content name class id aria-label aria-hidden aria-labelledby role scope
		colspan style datetime data-row data-node data-label data-plot data-warning width height viewbox preserveaspectratio
		d x y x1 x2 y1 y2 cx cy r rx dx text-anchor`)
	void   = []string{"meta", "br"}
	placed = regexp.MustCompile(`^left:[0-9.]+%$`)
)

// TestHTMLMarkup reads every page with a parser: the tags are closed, and none of the names and words that come from
// outside has become an element, an attribute or a style.
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

// TestHTMLText looks for what must not be in any page: what Go prints for no number or a wrong verb, raw controls, and
// anything that a style could load.
func TestHTMLText(t *testing.T) {
	for name, s := range pages() {
		page := write(t, HTML, s, Options{})
		for _, bad := range []string{"NaN", "Inf", "%!", "\x1b", "\u202e", "\u0085", "url(", "@import", "<nil>"} {
			if at := strings.Index(page, bad); at >= 0 {
				t.Errorf("%s: %q in %q", name, bad, page[max(at-60, 0):min(at+60, len(page))])
			}
		}
		policy := `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">`
		if at := strings.Index(page, policy); at < 0 || at > strings.Index(page, "<title>") {
			t.Errorf("%s: the policy does not stand before all else", name)
		}
	}
}

// TestHTMLEscapes knows what becomes of each character, between tags and in attributes alike.
func TestHTMLEscapes(t *testing.T) {
	for in, want := range map[string]string{
		`a<b>&"'`:           `a&lt;b&gt;&amp;&#34;&#39;`,
		"香港 ☺":              "香港 ☺",
		"\x1b[31m\u202e":    `\x1b[31m\u202e`,
		"\xff":              `\xff`,
		"</title><script>x": "&lt;/title&gt;&lt;script&gt;x",
	} {
		if got := escapeHTML(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
	var d document
	d.put("%s %s %v %d %.1f", "<", markup("<"), bench.Connection("<"), 3, 0.5)
	if got := d.b.String(); got != "&lt; < &lt; 3 0.5" {
		t.Errorf("put wrote %q", got)
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

// TestGoldenHTML holds the pages to golden files, from the body on.
func TestGoldenHTML(t *testing.T) {
	for name, s := range pages() {
		if name != "hostile" && name != "ten" && name != "realistic" { // the last two are for the browser
			_, body, _ := strings.Cut(write(t, HTML, s, Options{}), "</style>\n</head>\n")
			golden(t, name+".html", body)
		}
	}
	_, body, _ := strings.Cut(write(t, HTML, three(), Options{Lang: Chinese, Checks: checks()}), "</style>\n</head>\n")
	golden(t, "three.zh.html", body)
}

// TestBestFirst: the best row stands first, those without success last, and what names rows names the same ones.
func TestBestFirst(t *testing.T) {
	for name, want := range map[string]string{
		"three": "hongkong singapore direct; best hongkong", "poor": "direct rare gone; best direct", "strangers": "qwen direct;",
		"merged": "hongkong hongkong direct direct hongkong direct hongkong direct; best hongkong best hongkong",
	} {
		s := bestFirst(fixtures()[name]())
		got := strings.Join(each(s.Rows, func(r *bench.Row) string { return r.Node.Name }), " ") + ";"
		for _, c := range s.Best {
			got += " best " + leader(s, c).Node.Name
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}

func TestHTMLSize(t *testing.T) {
	const most = 1_000_000
	if size := len(write(t, HTML, ten(), Options{})); size > most {
		t.Errorf("ten nodes with 2000 points each make %d bytes, the limit is %d", size, most)
	}
}

func TestTied(t *testing.T) {
	for in, want := range map[string]string{
		"95 % interval 2.1–2.6 s; success": "95\u00a0% interval 2.1–2.6\u00a0s; success",
		"(0–3 %) after 12 ms.":             "(0–3\u00a0%) after 12\u00a0ms.",
		"3 seconds, 5 misses":              "3 seconds, 5 misses",
		" 5 s":                             " 5\u00a0s", "": "", "0.25 × of": "0.25\u00a0× of",
	} {
		if got := tied(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

// TestHTMLInBrowser opens every page in a headless Chromium, light and dark, narrow and wide. FERRY_SHOTS names a folder for
// pictures of them.
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
	for name, s := range looks() {
		s = bestFirst(s)
		expectation, err := json.Marshal(map[string][]string{"rows": rowNames(s), "plots": plotIDs(s)})
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
	if want := 1 + 7*len(looks()); err != nil || passed != want {
		t.Errorf("%d of %d looks passed:\n%s", passed, want, out)
	}
}

// rowNames are the names that the table of results shows.
func rowNames(s *bench.Summary) []string {
	names := []string{}
	for _, r := range s.Rows {
		names = append(names, visible(r.Node.Name))
	}
	return names
}

// plotIDs are the pictures that a summary has, in the order of the page.
func plotIDs(s *bench.Summary) []string {
	ids := []string{}
	rows := func(plot string, has func(*bench.Row) bool) {
		for i, r := range s.Rows {
			if has(r) {
				ids = append(ids, fmt.Sprintf("%s-%d", plot, i))
			}
		}
	}
	all := func(*bench.Row) bool { return true }
	rows("comparison", func(r *bench.Row) bool { return r.VsReference != nil })
	rows("distribution", all)
	rows("timeline", all)
	for _, r := range s.Rows {
		if hasPhases(r) {
			rows("phases", all)
			break
		}
	}
	return ids
}

// needed skips a test by the name of what it lacks. Where everything is to be there it fails instead: a skip that nobody
// sees is a check that nobody makes.
func needed(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("FERRY_CI") != "" {
		t.Fatalf("missing: %s", what)
	}
	t.Skipf("skipped, for want of %s", what)
}
