package report

import (
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

// headFormat is a page up to its first section, with verbs for the language, the title, the style, the title again, and
// the time and model.
//
//go:embed head.html
var headFormat string

// document collects the HTML. A template engine would be linked into every command and slow down its start; markupf is
// enough.
type document struct {
	language
	b strings.Builder
	s *bench.Summary
	// rowClass returns the class of a row, which sets its colour.
	rowClass func(i int) string
}

// markup is text that is already HTML: the program's own text, or a result of markupf.
type markup string

// markupf fills a format of the program. It escapes every argument that is neither a number, markup nor a list of
// markup, so that nothing stays unescaped by mistake: names, labels and texts of failures come from outside.
func markupf(format string, args ...any) markup {
	for i, arg := range args {
		switch arg := arg.(type) {
		case int, float64:
		case markup:
			args[i] = string(arg)
		case []markup:
			args[i] = strings.Join(each(arg, func(m markup) string { return string(m) }), "")
		default:
			args[i] = escapeHTML(fmt.Sprint(arg))
		}
	}
	return markup(fmt.Sprintf(format, args...))
}

func (d *document) writef(format string, args ...any) {
	d.b.WriteString(string(markupf(format, args...)))
}

// escapeHTML makes text safe between tags and in a quoted attribute. Characters that would reorder or hide other text
// become visible.
func escapeHTML(text string) string { return html.EscapeString(visible(text)) }

// asHTML returns the report as one file that loads nothing: it has no scripts, and no fonts or pictures from elsewhere.
// Its own content security policy forbids them. Every picture is an SVG with a height in pixels and the width of the
// page.
func asHTML(s *bench.Summary, o Options) (string, error) {
	d := &document{language: languageOf(o.Lang), s: bestFirst(s)}
	d.rowClass = d.rank
	d.head(d.heading(), d.when())
	d.verdict()
	d.thresholds(o.Checks)
	d.warnings(d.stopReason("run: %s", s), s.Warnings)
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

// changesAsHTML returns a comparison of two runs as one file, like asHTML: the verdict first, then each measure before
// and after, the ratios, and the latencies of both runs below each other.
func changesAsHTML(c *bench.Changes, o Options) (string, error) {
	d := &document{language: languageOf(o.Lang), s: c.New}
	names := each(c.Nodes, func(n *bench.Change) string { return n.Title })
	d.head(d.translate("Before and after: %s", d.nodeList(names)),
		markupf("%s", d.translate("old: %s, new: %s", d.moment(c.Old.Started), d.moment(c.New.Started))))
	outcome := each(d.outcome(c), func(said line) markup { return markupf(`<p class="first sentence"><b>%s</b></p>`+"\n", said.text) })
	d.verdictSection(outcome, each(c.Nodes, func(n *bench.Change) markup { return d.listItem(n.Title, d.changeFinding(n)) }))
	d.thresholds(o.Checks)
	d.warnings(append(d.stopReason("old run: %s", c.Old), d.stopReason("new run: %s", c.New)...), c.Warnings)
	d.changes(c)
	ratios, both := d.changeRows(c)
	d.s, d.rowClass = ratios, func(int) string { return "best" }
	d.ratios("New vs old", d.translate("Ratio of new to old latency, with its CI. An interval that contains 1 shows no difference."),
		"← faster than before", func(r *bench.Row) (words, sentence string) {
			n := c.Nodes[slices.Index(ratios.Rows, r)]
			return joinUnits(ratio(n.Latency.Ratio) + d.translate(" ×") + d.translate(", ") + d.language.verdict(verdictOf(n.Latency))), d.changeSentence(n)
		})
	d.s, d.rowClass = both, func(i int) string { return []string{"ref", "best"}[i%2] } // old and new alternate
	d.distribution()
	d.failures()
	d.s = c.New
	d.facts()
	d.end(d.defineChanges(c))
	return d.b.String(), nil
}

// changeRows returns the nodes that both runs have as rows: in ratios the new rows with their ratio to the old ones, in
// both all rows, each old row before its new row.
func (l language) changeRows(c *bench.Changes) (ratios, both *bench.Summary) {
	ratios, both = &bench.Summary{}, &bench.Summary{}
	row := func(r *bench.Row, name string, versus *bench.Comparison) *bench.Row {
		named := *r
		named.Node.Name, named.Node.Connection, named.VsReference = name, "", versus // the name includes the connection
		return &named
	}
	for _, n := range c.Nodes {
		ratios.Rows = append(ratios.Rows, row(n.New, n.Title, n.Latency))
		both.Rows = append(both.Rows, row(n.Old, n.Title+l.translate(", ")+l.translate("old"), nil), row(n.New, n.Title+l.translate(", ")+l.translate("new"), nil))
	}
	return ratios, both
}

// bestFirst returns the summary with its rows in the order in which readers look for them: by vantage, the best row
// first, then the rows that are not told apart from it, then the others by their typical latency, or TTFT for streams.
// Rows without a success are last.
func bestFirst(s *bench.Summary) *bench.Summary {
	place := func(r *bench.Row) int {
		switch {
		case slices.ContainsFunc(s.Best, func(c bench.Choice) bool { return leader(s, c) == r }):
			return 0
		case recommended(s, r):
			return 1
		case r.OK > 0:
			return 2
		}
		return 3
	}
	typical := func(r *bench.Row) float64 { return s.Headline(r).P50OrMean() }
	ordered := *s
	ordered.Rows = slices.SortedStableFunc(slices.Values(s.Rows), func(a, b *bench.Row) int {
		return cmp.Or(cmp.Compare(slices.Index(s.Vantages, a.Vantage), slices.Index(s.Vantages, b.Vantage)),
			cmp.Compare(place(a), place(b)), cmp.Compare(typical(a), typical(b)))
	})
	at := func(i int) int { return slices.Index(ordered.Rows, s.Rows[i]) }
	ordered.Best = each(s.Best, func(c bench.Choice) bench.Choice {
		return bench.Choice{Vantage: c.Vantage, Leader: at(c.Leader), Rows: slices.Sorted(slices.Values(each(c.Rows, at)))}
	})
	return &ordered
}

// end writes the definitions and the footer.
func (d *document) end(all []definition) {
	d.open("definitions", "Definitions")
	d.writef("<dl class=\"definitions\">\n%s</dl></section>\n", each(all, func(word definition) markup {
		return markupf("<div><dt>%s</dt><dd>%s</dd></div>\n", word.Term, word.Text)
	}))
	d.writef("<footer><p>ferry %s · %s <code>%s</code></p></footer>\n</main>\n</body>\n</html>\n",
		d.s.Header.Program, d.translate("schema %d · run", d.s.Header.Schema), d.s.Header.ID)
}

// open begins a section.
func (d *document) open(id, heading string) {
	d.writef(`<section id="%s"><h2>%s</h2>`+"\n", id, d.translate(heading))
}

// head opens the page. The time and the model are below its title.
func (d *document) head(title string, when markup) {
	tag := "en"
	if d.translations != nil {
		tag = "zh-Hans"
	}
	if d.s.Model != "" {
		when += markupf(" · <bdi>%s</bdi>", d.s.Model)
	}
	d.writef(headFormat, tag, title, markup(htmlStyle), title, when)
}

// nodeList returns the names of the nodes if they fit, otherwise their number.
func (l language) nodeList(names []string) string {
	whole := strings.Join(names, l.translate(", "))
	if len(names) > 4 || len(whole) > 60 {
		return l.count(len(names), "node")
	}
	return whole
}

func (d *document) heading() string {
	names := nodeNames(d.s)
	switch len(names) {
	case 0:
		return d.translate("No results")
	case 1:
		return d.translate("Latency and success rate of %s", d.nodeList(names))
	}
	return d.translate("Latency and success rate: %s", d.nodeList(names))
}

// moment formats a date and time for people.
func (l language) moment(t time.Time) string {
	return t.UTC().Format(l.translate("2 January 2006, 15:04:05 UTC"))
}

// when returns when the run was, how long it took and how many requests it made.
func (d *document) when() (when markup) {
	var requests int
	for _, r := range d.s.Rows {
		requests += r.Requests
	}
	if started := d.s.Started; !started.IsZero() {
		when = markupf(`<time datetime="%s">%s</time> · `, started.Format(time.RFC3339), d.moment(started))
	}
	when += markupf("%s", d.translate("%s in %s", bench.Count{N: requests, Noun: "request"}, joinUnits(span(d.s.Elapsed))))
	if d.s.Runs > 1 {
		when += markupf(" · %s", d.translate("%d runs merged, the last started %s", d.s.Runs, d.moment(d.s.LastStarted)))
	}
	return when
}

// verdictSection writes the verdict: what is best, or why nothing is, and then the results for the others.
func (d *document) verdictSection(first, others []markup) {
	d.writef(`<section class="verdict" id="verdict"><h2 class="hidden">%s</h2>`+"\n%s", d.translate("Verdict"), first)
	if len(others) > 0 {
		d.writef("<ul>\n%s</ul>\n", others)
	}
	d.writef("</section>\n")
}

// listItem returns the result for a row or a node as an item of a list.
func (d *document) listItem(name, finding string) markup {
	return markupf("<li><b><bdi>%s</bdi></b>%s%s</li>\n", name, d.translate(": "), joinUnits(finding))
}

// verdict writes first which row is best at each vantage, or why there is none.
func (d *document) verdict() {
	badge := func(word string) markup {
		if len(d.s.Rows) < 2 {
			return ""
		}
		return markupf(` <span class="badge">%s</span>`, d.translate(word))
	}
	first := each(d.s.Best, func(c bench.Choice) markup {
		if len(c.Rows) == 1 {
			best := leader(d.s, c)
			return markupf(`<p class="first"><b><bdi>%s</bdi></b>%s<br>%s</p>`+"\n", d.title(d.s, best), badge("best"), joinUnits(d.finding(d.s, best)))
		}
		names := each(c.Rows, func(i int) string { return string(markupf(`<b><bdi>%s</bdi></b>`, d.title(d.s, d.s.Rows[i]))) })
		return markupf(`<p class="first">%s%s</p>`+"\n", markup(strings.Join(names, d.translate(" or "))), badge("no difference shown"))
	})
	if len(first) == 0 {
		first = []markup{markupf(`<p class="first sentence">%s</p>`+"\n", d.translate(noBest(d.s).Error()))}
	}
	others := slices.DeleteFunc(slices.Clone(d.s.Rows), d.s.Leads)
	d.verdictSection(first, each(others, func(r *bench.Row) markup { return d.listItem(d.title(d.s, r), d.finding(d.s, r)) }))
}

func (d *document) warnings(stopped []markup, all []bench.Warning) {
	if len(all)+len(stopped) == 0 {
		return
	}
	warnings := each(all, func(w bench.Warning) markup {
		return markupf(`<li data-warning="%s">%s</li>`+"\n", w.Code, d.warning(d.s, w))
	})
	d.writef(`<section class="warnings" id="warnings"><h2>%s</h2>`+"\n<ul>\n%s%s</ul></section>\n", d.translate("Warnings"), stopped, warnings)
}

// stopReason returns the item of a list that says why a run ended early, nothing if it did not.
func (d *document) stopReason(sentence string, s *bench.Summary) []markup {
	if s.Stopped == "" {
		return nil
	}
	return []markup{markupf("<li>%s</li>\n", d.translate(sentence, d.stopped(s.Stopped)))}
}

// facts writes what was requested, how and from where.
func (d *document) facts() {
	h := d.s.Header
	d.open("facts", "Test setup")
	d.writef("<dl class=\"facts\">\n")
	plan, answers := d.work(h, "round"), d.answers(h)
	if h.Warmup > 0 {
		plan += d.translate(", ") + d.count(h.Warmup, "warm-up round")
	}
	if h.MaxTokens > 0 {
		answers += d.translate(", ") + d.translate("at most %s", bench.Count{N: h.MaxTokens, Noun: "token"})
	}
	seed := ""
	if h.Seed > 0 {
		seed = strconv.FormatUint(h.Seed, 10)
	}
	for _, fact := range [][2]string{
		{"Model", d.model(d.s)}, {"Plan", plan}, {"Load per node", d.load(h)}, {"Connections", d.connections(d.s)},
		{"Attempts", d.attempts(h)}, {"Answers", answers}, {"Reference", h.Reference},
		{"Measured from", strings.Join(vantages(d.s), d.translate(", "))}, {"Proxy", cmp.Or(h.Proxy, d.translate("none"))},
		{"Program", "ferry " + h.Program}, {"Seed", seed},
	} {
		if fact[1] != "" {
			d.writef("<div><dt>%s</dt><dd><bdi>%s</bdi></dd></div>\n", d.translate(fact[0]), fact[1])
		}
	}
	if h.PromptSHA256 != "" {
		d.writef("<div class=\"wide\"><dt>%s</dt><dd>%s</dd></div>\n", d.translate("Prompt (SHA-256)"), h.PromptSHA256)
	}
	d.writef("</dl></section>\n")
}

// name returns the name of a series for a heading or the side of a picture. It adds the connection and the vantage if
// the name of the node does not identify the series.
func (d *document) name(i int) markup {
	r := d.s.Rows[i]
	name := markupf(`<span class="name"><i class="dot"></i><b><bdi>%s</bdi></b>`, r.Node.Name)
	if d.s.BothConnections() {
		name += markupf(` <span class="tag">%s</span>`, d.translate(string(r.Node.Connection)))
	}
	if len(d.s.Vantages) > 1 {
		name += markupf(` <span class="tag">%s</span>`, d.translate("from %s", cmp.Or(r.Vantage, d.translate("an unnamed place"))))
	}
	return name + `</span>`
}

// rank returns the colour of a row: the best row, the reference, or any other. A separate colour for each row would not
// help many readers, and each name is beside its picture.
func (d *document) rank(i int) string {
	switch {
	case d.s.Leads(d.s.Rows[i]):
		return "best"
	case isReference(d.s, d.s.Rows[i]) && compared(d.s):
		return "ref"
	}
	return "any"
}

// joinUnits puts a no-break space between a number and its unit.
func joinUnits(sentence string) string {
	unit := regexp.MustCompile(`([0-9]) ((?:%|ms|s|×)[.,;:)]*(?: |$))`)
	return unit.ReplaceAllString(sentence, "$1\u00a0$2")
}
