package report

import (
	"bytes"
	"cmp"
	_ "embed"
	"fmt"
	"html"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"ferry/pkg/bench"
)

//go:embed html.css
var htmlStyle string

// document gathers the HTML. A template engine would be linked into every command and pay at its start; put is enough.
type document struct {
	language
	b bytes.Buffer
	s *bench.Summary
	// role is the class of a row, which is its colour.
	role func(i int) string
}

// markup is text that is HTML already: the program's own words, or what put has made.
type markup string

// put writes a format of the program's own. Whatever is neither a number nor markup is escaped, so that what is forgotten
// is safe: names, labels and the words of a failure come from outside.
func (d *document) put(format string, args ...any) {
	for i, arg := range args {
		switch arg := arg.(type) {
		case int, float64, rune:
		case markup:
			args[i] = string(arg)
		default:
			args[i] = escapeHTML(fmt.Sprint(arg))
		}
	}
	fmt.Fprintf(&d.b, format, args...)
}

// markup is what was put.
func (d *document) markup() markup { return markup(d.b.String()) }

// escapeHTML makes text safe between tags and in a quoted attribute. What would turn or hide other text becomes visible.
func escapeHTML(text string) string { return html.EscapeString(visible(text)) }

// asHTML writes the report as one file that asks for nothing: no script, no font, no picture from elsewhere, which its own
// policy forbids. Every picture is SVG whose height is in pixels and whose width is the reader's.
func asHTML(s *bench.Summary, o Options) (string, error) {
	d := &document{language: languageOf(o.Lang), s: bestFirst(s)}
	d.role = d.rank
	d.head(d.heading(), d.when())
	d.verdict()
	d.thresholds(o.Checks)
	d.warnings(s.Warnings)
	if len(s.Rows) > 0 {
		d.results()
		if s.Figure == bench.TTFTFigure {
			d.measures()
		}
		d.comparison()
		d.distribution()
		d.timeline()
		d.hours()
		d.phases()
		if s.Figure != bench.TTFTFigure {
			d.measures()
		}
		d.failures()
	}
	d.facts()
	d.end(d.define(s))
	return d.b.String(), nil
}

// bestFirst is the summary with its rows in the order in which one looks for them: vantage by vantage, the best first, then
// those not told apart from it, then the others by their typical latency, or TTFT of streams, those without success last.
func bestFirst(s *bench.Summary) *bench.Summary {
	place := func(r *bench.Row) int {
		for _, c := range s.Best {
			if s.Rows[c.Leader] == r {
				return 0
			}
			if slices.ContainsFunc(c.Rows, func(i int) bool { return s.Rows[i] == r }) {
				return 1
			}
		}
		if r.OK > 0 {
			return 2
		}
		return 3
	}
	typical := func(r *bench.Row) float64 {
		if figures := s.Headline(r); figures.HasPercentiles() {
			return figures.P50
		}
		return s.Headline(r).Mean
	}
	ordered := *s
	ordered.Rows = slices.SortedStableFunc(slices.Values(s.Rows), func(a, b *bench.Row) int {
		return cmp.Or(cmp.Compare(slices.Index(s.Vantages, a.Vantage), slices.Index(s.Vantages, b.Vantage)),
			cmp.Compare(place(a), place(b)), cmp.Compare(typical(a), typical(b)))
	})
	ordered.Best = nil
	for _, c := range s.Best {
		rows := c.Rows
		c.Leader, c.Rows = slices.Index(ordered.Rows, s.Rows[c.Leader]), nil
		for _, i := range rows {
			c.Rows = append(c.Rows, slices.Index(ordered.Rows, s.Rows[i]))
		}
		slices.Sort(c.Rows)
		ordered.Best = append(ordered.Best, c)
	}
	return &ordered
}

// end writes the definitions and what made the page.
func (d *document) end(all []definition) {
	d.put(`<section id="definitions"><h2>%s</h2>`+"\n<dl class=\"definitions\">\n", d.say("What the words mean"))
	for _, word := range all {
		d.put("<div><dt>%s</dt><dd>%s</dd></div>\n", word.term, word.text)
	}
	d.put("</dl></section>\n")
	d.put("<footer><p>ferry %s · %s <code>%s</code></p></footer>\n</main>\n</body>\n</html>\n",
		d.s.Header.Program, d.say("schema %d · run", d.s.Header.Schema), d.s.Header.ID)
}

func (d *document) head(title string, when markup) {
	tag := "en"
	if d.words != nil {
		tag = "zh-Hans"
	}
	d.put(`<!DOCTYPE html>
<html lang="%s">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>%s</title>
<style>
%s</style>
</head>
<body>
<main>
<header>
<p class="kicker">ferry bench</p>
<h1>%s</h1>
<p class="when">%s</p>
</header>
`, tag, title, markup(htmlStyle), title, when)
}

// heading names the series as far as they fit, and counts them otherwise.
func (d *document) heading() string {
	names := nodeNames(d.s)
	whole := strings.Join(names, d.say(", "))
	if len(names) > 4 || len(whole) > 60 {
		whole = d.count(len(names), "node")
	}
	switch len(names) {
	case 0:
		return d.say("Nothing was measured")
	case 1:
		return d.say("Latency and success of %s", whole)
	}
	return d.say("Latency and success compared: %s", whole)
}

// when says when, for how long, how much and what was measured.
func (d *document) when() markup {
	var requests int
	for _, r := range d.s.Rows {
		requests += r.Requests
	}
	line := document{language: d.language}
	if started := d.s.Started; !started.IsZero() {
		line.put(`<time datetime="%s">%s</time> · `, started.Format(time.RFC3339), started.UTC().Format(d.say("2 January 2006, 15:04:05 UTC")))
	}
	line.put("%s", d.say("%s in %s", bench.Count{N: requests, Noun: "request"}, tied(span(d.s.Elapsed))))
	if d.s.Runs > 1 {
		line.put(" · %s", d.say("%d runs merged", d.s.Runs))
	}
	if d.s.Model != "" {
		line.put(" · <bdi>%s</bdi>", d.s.Model)
	}
	return line.markup()
}

// verdict says first which row is best at each vantage, or why there is none, and then what was found about the others.
func (d *document) verdict() {
	d.put(`<section class="verdict" id="verdict"><h2 class="hidden">%s</h2>`+"\n", d.say("Verdict"))
	badge := func(word string) markup {
		if len(d.s.Rows) < 2 {
			return ""
		}
		return markup(` <span class="badge">` + word + `</span>`)
	}
	for _, c := range d.s.Best {
		if len(c.Rows) == 1 {
			best := leader(d.s, c)
			d.put(`<p class="first"><b><bdi>%s</bdi></b>%s<br>%s</p>`+"\n",
				d.title(d.s, best), badge(d.say("best")), tied(d.finding(d.s, best)))
			continue
		}
		d.put(`<p class="first">`)
		for k, i := range c.Rows {
			if k > 0 {
				d.put("%s", d.say(" or "))
			}
			d.put(`<b><bdi>%s</bdi></b>`, d.title(d.s, d.s.Rows[i]))
		}
		d.put("%s</p>\n", badge(d.say("not told apart")))
	}
	if len(d.s.Best) == 0 {
		d.put(`<p class="first sentence">%s</p>`+"\n", d.say(noBest(d.s).Error()))
	}
	others := slices.DeleteFunc(slices.Clone(d.s.Rows), d.s.Leads)
	if len(others) > 0 {
		d.put("<ul>\n")
		for _, r := range others {
			d.put("<li><b><bdi>%s</bdi></b>%s%s</li>\n", d.title(d.s, r), d.say(": "), tied(d.finding(d.s, r)))
		}
		d.put("</ul>\n")
	}
	d.put("</section>\n")
}

// thresholds says which were kept and which were missed, by sign, word and colour.
func (d *document) thresholds(checks []bench.Check) {
	if len(checks) == 0 {
		return
	}
	d.put(`<section id="thresholds"><h2>%s</h2>`+"\n", d.say("Thresholds"))
	d.table("thresholds-table", "dense", d.say("Bounds that this run was held to"), headings(false, d.say("node"), d.say("threshold"), d.say("seen"), d.say("result")))
	d.put("<tbody role=\"rowgroup\">\n")
	for _, c := range checks {
		class, sign, word := "kept", "✓", "kept"
		if c.Missed {
			class, sign, word = "missed", "✗", "missed"
		}
		d.put(`<tr role="row"><th role="rowheader" scope="row"><bdi>%s</bdi></th>`, c.Node)
		d.cell("what", d.say("threshold"), c.Threshold.String())
		d.cell("", d.say("seen"), d.message(c.Seen))
		d.cell("mark "+class, d.say("result"), sign+" "+d.say(word))
		d.put("</tr>\n")
	}
	d.put("</tbody></table></div></section>\n")
}

func (d *document) warnings(all []bench.Warning) {
	if len(all) == 0 && d.s.Stopped == "" {
		return
	}
	d.put(`<section class="warnings" id="warnings"><h2>%s</h2>`+"\n<ul>\n", d.say("Before you rely on this"))
	if d.s.Stopped != "" {
		d.put("<li>%s</li>\n", d.say("the run: %s", d.stopped(d.s.Stopped)))
	}
	for _, w := range all {
		d.put(`<li data-warning="%s">%s</li>`+"\n", w.Code, d.warning(d.s, w))
	}
	d.put("</ul></section>\n")
}

// facts says what was asked, how and from where.
func (d *document) facts() {
	h := &d.s.Header
	d.put(`<section id="facts"><h2>%s</h2>`+"\n<dl class=\"facts\">\n", d.say("What was measured"))
	fact := func(name, value string) {
		if value != "" {
			d.put("<div><dt>%s</dt><dd><bdi>%s</bdi></dd></div>\n", name, value)
		}
	}
	model := cmp.Or(d.s.Model, d.say("the node's own"))
	if modelsDiffer(d.s) {
		model = d.say("different ones")
	}
	plan := d.count(h.Requests, "round")
	if h.Requests == 0 {
		plan = d.say("requests for %s", span(h.Duration.Seconds()))
	}
	if h.Warmup > 0 {
		plan += d.say(", ") + d.count(h.Warmup, "warm-up round")
	}
	load := d.say("%d at a time", max(h.Concurrency, 1))
	if h.Rate > 0 {
		load = d.say("%s a second, at most %d at a time", rate(h.Rate), h.Concurrency)
	}
	attempts := d.say("one attempt")
	if h.Attempts > 1 {
		attempts = d.say("up to %d attempts", h.Attempts)
	}
	answers := d.say("whole answers")
	if h.Stream {
		answers = d.say("streamed")
	}
	if h.MaxTokens > 0 {
		answers += d.say(", ") + d.say("at most %s", bench.Count{N: h.MaxTokens, Noun: "token"})
	}
	fact(d.say("Model"), model)
	fact(d.say("Plan"), plan)
	fact(d.say("Load of each node"), load)
	fact(d.say("Connections"), d.connections(d.s)+d.say(", ")+d.raced(h))
	fact(d.say("Attempts"), attempts)
	fact(d.say("Answers"), answers)
	fact(d.say("Reference"), h.Reference)
	fact(d.say("Measured from"), strings.Join(d.s.Vantages, d.say(", ")))
	fact(d.say("Proxy"), cmp.Or(h.Proxy, d.say("none")))
	fact(d.say("Program"), "ferry "+h.Program)
	fact(d.say("Seed"), strconv.FormatUint(h.Seed, 10))
	if h.PromptSHA256 != "" {
		d.put("<div class=\"wide\"><dt>%s</dt><dd>%s</dd></div>\n", d.say("Prompt (SHA-256)"), h.PromptSHA256)
	}
	d.put("</dl></section>\n")
}

// name writes a series's name for a heading or the side of a picture, and beside it what the name leaves open: over which
// connection, and from where.
func (d *document) name(i int) {
	r := d.s.Rows[i]
	d.put(`<span class="name"><i class="dot"></i><b><bdi>%s</bdi></b>`, r.Node.Name)
	if d.s.BothConnections() {
		d.put(` <span class="tag">%s</span>`, d.say(string(r.Node.Connection)))
	}
	if len(d.s.Vantages) > 1 {
		d.put(` <span class="tag">%s</span>`, d.say("from %s", cmp.Or(r.Vantage, d.say("an unnamed place"))))
	}
	d.put(`</span>`)
}

// rank is the colour of a row: the best one, the one all are compared with, or any other. A colour for each would be no
// help to many readers, and its name stands beside every picture anyway.
func (d *document) rank(i int) string {
	switch {
	case d.s.Leads(d.s.Rows[i]):
		return "best"
	case reference(d.s, d.s.Rows[i]) && compared(d.s):
		return "ref"
	}
	return "any"
}

// tied keeps a number and its unit on one line.
func tied(sentence string) string {
	unit := regexp.MustCompile(`([0-9]) ((?:%|ms|s|×)[.,;:)]*(?: |$))`)
	return unit.ReplaceAllString(sentence, "$1\u00a0$2")
}
