package report

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	parser "golang.org/x/net/html"

	"ferry/pkg/bench"
	"ferry/pkg/text"
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

// cells reads a table: for each row of the page, what stands under each label.
func cells(page, id string) []map[string]string {
	_, table, _ := strings.Cut(page, `id="`+id+`"`)
	table, _, _ = strings.Cut(table, "</table>")
	var rows []map[string]string
	tags := regexp.MustCompile(`<svg.*?</svg>|<[^>]*>`)
	for _, row := range strings.Split(table, "<tr ")[2:] {
		cell := map[string]string{}
		for _, match := range regexp.MustCompile(`<td [^>]*data-label="([^"]*)">(.*?)</td>`).FindAllStringSubmatch(row, -1) {
			words := strings.Fields(parser.UnescapeString(tags.ReplaceAllString(match[2], " ")))
			cell[match[1]] = strings.Join(words, " ")
		}
		rows = append(rows, cell)
	}
	return rows
}

func TestHTMLResults(t *testing.T) {
	s := three()
	s.Rows[1].Latency = bench.Stats{N: 98, Mean: 829.4, SD: 99.951, Min: 9.996, P50: 759.49, P90: 1321, P95: 1552.5, P99: 0.4242, Max: 12040}
	got := cells(write(t, HTML, s, Options{}), "results-table")
	if len(got) != 3 {
		t.Fatalf("%d rows: %v", len(got), got)
	}
	want := map[string]string{
		"mean": "829", "p50": "759", "p90": "1321", "p95": "1552", "p99": "0.42", "min": "10.0", "max": "12040", "sd": "100",
		"success":               "98 % 98 of 100 93.0 to 99.4 %",
		"against the reference": "0.25 × 0.14 to 0.32 ▼ faster saves 2.31 s (2.11–2.68 s)",
	}
	if !maps.Equal(got[1], want) {
		t.Errorf("the row is\n%v, not\n%v", got[1], want)
	}
	if verdict := got[2]["against the reference"]; verdict != "1.00 × 0.97 to 1.04 = no difference shown over 20 pairs" {
		t.Errorf("singapore: %s", verdict)
	}
	if got[0]["against the reference"] != text.Missing {
		t.Errorf("the reference is compared with itself: %v", got[0])
	}
}

// TestHTMLMissing shows a dash for what there is none of, and no percentile of two answers.
func TestHTMLMissing(t *testing.T) {
	s := poor()
	page := write(t, HTML, s, Options{})
	got := cells(page, "results-table")
	for _, label := range latencyNames() {
		if got[1][label] != text.Missing {
			t.Errorf("no success, but %s is %s", label, got[1][label])
		}
	}
	if got[2]["p50"] != text.Missing || got[2]["mean"] == text.Missing {
		t.Errorf("of two answers p50 is %s and the mean %s", got[2]["p50"], got[2]["mean"])
	}
	for plot, want := range map[string]string{"distribution-1": ">no answer<", "distribution-2": ">too few answers for a curve<"} {
		if svg := plotOf(t, page, plot); !strings.Contains(svg, want) || strings.Contains(svg, "area") {
			t.Errorf("%s: %s", plot, svg)
		}
	}
	if svg := plotOf(t, page, "distribution-2"); strings.Count(svg, `class="single"`) != 2 {
		t.Errorf("two answers are not two dots: %s", svg)
	}
}

// plotOf cuts one picture out of a page.
func plotOf(t *testing.T, page, id string) string {
	t.Helper()
	_, rest, found := strings.Cut(page, `data-plot="`+id+`"`)
	if !found {
		t.Fatalf("there is no %s", id)
	}
	svg, _, _ := strings.Cut(rest, "</div></div>")
	return svg
}

func TestHTMLFailures(t *testing.T) {
	got := cells(write(t, HTML, three(), Options{}), "failures-table")
	want := map[string]string{
		"kind": "timeout", "lies with": "node", "count": "7", "share": "7 %", "time to failure": "15.00 s",
		"the first one’s words": "the connection timed out: i/o timeout",
	}
	if len(got) != 4 || !maps.Equal(got[1], want) {
		t.Errorf("the failures are %v", got)
	}
	if page := write(t, HTML, alone(), Options{}); !strings.Contains(page, "No request failed.") {
		t.Error("a run without failures does not say so")
	}
}

// TestHTMLVerdict has the best row's sentence first, and a reason where there is no best row.
func TestHTMLVerdict(t *testing.T) {
	for name, want := range map[string]string{
		"three": three().Rows[1].Node.Name, "strangers": "there is no best node: they were asked for different models",
	} {
		page := write(t, HTML, pages()[name], Options{})
		_, first, _ := strings.Cut(page, `<p class="first`)
		first, _, _ = strings.Cut(first, "</p>")
		if !strings.Contains(first, want) {
			t.Errorf("%s: the verdict begins with %s", name, first)
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

// TestHTMLPhases adds each bar's parts up to where the sum lies on the axis.
func TestHTMLPhases(t *testing.T) {
	s := three()
	page := write(t, HTML, s, Options{})
	a := linear(total(s.Rows[0].Phases) * 1.02)
	for i, r := range s.Rows {
		svg := plotOf(t, page, fmt.Sprintf("phases-%d", i))
		sum := 0.0
		for _, match := range regexp.MustCompile(`<rect class="[a-z]+" x="([0-9.]+)%" y="3" width="([0-9.]+)%"`).FindAllStringSubmatch(svg, -1) {
			from, _ := strconv.ParseFloat(match[1], 64)
			width, _ := strconv.ParseFloat(match[2], 64)
			if diff := from - sum; diff < -0.01 || diff > 0.01 {
				t.Errorf("row %d: a phase begins at %g %%, the one before ended at %g %%", i, from, sum)
			}
			sum += width
		}
		if want := total(r.Phases) / a.hi * 100; sum < want-0.02 || sum > want+0.02 {
			t.Errorf("row %d: the bar is %g %% long, not %g %%", i, sum, want)
		}
	}
	if svg := plotOf(t, page, "phases-2"); strings.Contains(svg, "DNS") {
		t.Errorf("a phase that took no time is shown: %s", svg)
	}
}
