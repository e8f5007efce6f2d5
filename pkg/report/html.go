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
	"ferry/pkg/text"
)

//go:embed html.css
var htmlStyle string

// document gathers the HTML. A template engine would be linked into every command and pay at its start; put is enough.
type document struct {
	b bytes.Buffer
	s *bench.Summary
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
func asHTML(s *bench.Summary, _ Options) (string, error) {
	d := &document{s: s}
	d.head()
	d.verdict()
	d.warnings()
	if len(s.Rows) > 0 {
		d.results()
		d.comparison()
		d.distribution()
		d.timeline()
		d.phases()
		d.measures()
		d.failures()
	}
	d.facts()
	d.put(`<section id="definitions"><h2>What the words mean</h2>` + "\n<dl class=\"definitions\">\n")
	for _, word := range english().define(s) {
		d.put("<div><dt>%s</dt><dd>%s</dd></div>\n", word.term, word.text)
	}
	d.put("</dl></section>\n")
	d.put("<footer><p>ferry %s · schema %d · run <code>%s</code></p></footer>\n</main>\n</body>\n</html>\n",
		s.Header.Program, s.Header.Schema, s.Header.ID)
	return d.b.String(), nil
}

func (d *document) head() {
	title := d.heading()
	d.put(`<!DOCTYPE html>
<html lang="en">
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
`, title, markup(htmlStyle), title)
	d.put("<p class=\"when\">%s</p>\n</header>\n", d.when())
}

// heading names the series as far as they fit, and counts them otherwise.
func (d *document) heading() string {
	names := nodeNames(d.s)
	whole := strings.Join(names, ", ")
	if len(names) > 4 || len(whole) > 60 {
		whole = fmt.Sprintf("%d nodes", len(names))
	}
	switch len(names) {
	case 0:
		return "Nothing was measured"
	case 1:
		return "Latency and success of " + whole
	}
	return "Latency and success compared: " + whole
}

// when says when, for how long, how much and what was measured.
func (d *document) when() markup {
	var requests int
	for _, r := range d.s.Rows {
		requests += r.Requests
	}
	var line document
	if started := d.s.Header.Started; !started.IsZero() {
		line.put(`<time datetime="%s">%s</time> · `,
			started.Format(time.RFC3339), started.UTC().Format("2 January 2006, 15:04:05 UTC"))
	}
	line.put("%s in %s", text.Count(requests, "request"), tied(span(d.s.Elapsed)))
	if d.s.Runs > 1 {
		line.put(" · %d runs merged", d.s.Runs)
	}
	if d.s.Model != "" {
		line.put(" · <bdi>%s</bdi>", d.s.Model)
	}
	return line.markup()
}

// verdict says first which row is best at each vantage, or why there is none, and then what was found about the others.
func (d *document) verdict() {
	d.put(`<section class="verdict" id="verdict"><h2 class="hidden">Verdict</h2>` + "\n")
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
				title(d.s, best), badge("best"), tied(english().finding(d.s, best)))
			continue
		}
		d.put(`<p class="first">`)
		for k, i := range c.Rows {
			if k > 0 {
				d.put(" or ")
			}
			d.put(`<b><bdi>%s</bdi></b>`, title(d.s, d.s.Rows[i]))
		}
		d.put("%s</p>\n", badge("not told apart"))
	}
	if len(d.s.Best) == 0 {
		d.put(`<p class="first sentence">%s</p>`+"\n", noBest(d.s).Error())
	}
	others := slices.DeleteFunc(slices.Clone(d.s.Rows), d.s.Leads)
	if len(others) > 0 {
		d.put("<ul>\n")
		for _, r := range others {
			d.put("<li><b><bdi>%s</bdi></b>: %s</li>\n", title(d.s, r), tied(english().finding(d.s, r)))
		}
		d.put("</ul>\n")
	}
	d.put("</section>\n")
}

func (d *document) warnings() {
	s := d.s
	if len(s.Warnings) == 0 && s.Stopped == "" {
		return
	}
	d.put(`<section class="warnings" id="warnings"><h2>Before you rely on this</h2>` + "\n<ul>\n")
	if s.Stopped != "" {
		d.put("<li>the run: %s</li>\n", english().stopped(s.Stopped))
	}
	for _, w := range s.Warnings {
		d.put(`<li data-warning="%s">%s</li>`+"\n", w.Code, w.Text)
	}
	d.put("</ul></section>\n")
}

// facts says what was asked, how and from where.
func (d *document) facts() {
	h := &d.s.Header
	d.put(`<section id="facts"><h2>What was measured</h2>` + "\n<dl class=\"facts\">\n")
	fact := func(name, value string) {
		if value != "" {
			d.put("<div><dt>%s</dt><dd><bdi>%s</bdi></dd></div>\n", name, value)
		}
	}
	model := cmp.Or(d.s.Model, "the node’s own")
	if modelsDiffer(d.s) {
		model = "differs from node to node"
	}
	plan := text.Count(h.Requests, "round")
	if h.Requests == 0 {
		plan = "as many rounds as fit in " + h.Duration.String()
	}
	if h.Warmup > 0 {
		plan += fmt.Sprintf(", after %d to warm up", h.Warmup)
	}
	load := fmt.Sprintf("%d at once per node", max(h.Concurrency, 1))
	if h.Rate > 0 {
		load = fmt.Sprintf("%.4g requests/s per node, at most %d at once", h.Rate, h.Concurrency)
	}
	attempts := "one per request"
	if h.Attempts > 1 {
		attempts = fmt.Sprintf("at most %d per request", h.Attempts)
	}
	answers := "whole"
	if h.Stream {
		answers = "streamed"
	}
	if h.MaxTokens > 0 {
		answers += fmt.Sprintf(", at most %d tokens", h.MaxTokens)
	}
	fact("Model", model)
	fact("Plan", plan)
	fact("Load", load)
	fact("Connections", h.Connections)
	fact("Attempts", attempts)
	fact("Answers", answers)
	fact("Reference", h.Reference)
	fact("Measured from", strings.Join(d.s.Vantages, ", "))
	fact("Proxy", cmp.Or(h.Proxy, "none"))
	fact("Program", "ferry "+h.Program)
	fact("Seed", strconv.FormatUint(h.Seed, 10))
	if h.PromptSHA256 != "" {
		d.put("<div class=\"wide\"><dt>Prompt (SHA-256)</dt><dd>%s</dd></div>\n", h.PromptSHA256)
	}
	d.put("</dl></section>\n")
}

// name writes a series's name for a heading or the side of a picture, and beside it what the name leaves open: over which
// connection, and from where.
func (d *document) name(i int) {
	r := d.s.Rows[i]
	d.put(`<span class="name"><i class="dot"></i><b><bdi>%s</bdi></b>`, r.Node.Name)
	if d.s.BothConnections() {
		d.put(` <span class="tag">%s</span>`, r.Node.Connection)
	}
	if len(d.s.Vantages) > 1 {
		d.put(` <span class="tag">from %s</span>`, cmp.Or(r.Vantage, "an unnamed place"))
	}
	d.put(`</span>`)
}

// role is the colour of a row: the best one, the one all are compared with, or any other. A colour for each would be no
// help to many readers, and its name stands beside every picture anyway.
func (d *document) role(i int) string {
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
