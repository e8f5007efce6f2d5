package report

import (
	"fmt"
	"math"
	"strings"

	"ferry/pkg/bench"
	"ferry/pkg/text"
)

// chart is a section with a picture for each row, all over one axis.
type chart struct {
	id, heading, note string
	// above and below stand over the pictures and under their axis.
	above, below markup
	height       int
	axis         axis
	ticks        []float64
	names        []string // of the ticks
	// describe gives the words beside a row's picture and a sentence in its place; without one the row has no picture.
	describe func(*bench.Row) (words, sentence string)
	draw     func(*bench.Row)
	// after writes what stands under a row's picture; nil writes nothing.
	after func(*bench.Row)
}

func (d *document) chart(c chart) {
	d.put(`<section id="%s"><h2>%s</h2>`+"\n"+`<figure class="chart"><figcaption>%s</figcaption>`+"\n%s",
		c.id, d.say(c.heading), c.note, c.above)
	for i, r := range d.s.Rows {
		words, sentence := c.describe(r)
		if sentence == "" {
			continue
		}
		id := fmt.Sprintf("%s-%d", c.id, i)
		d.put(`<div class="plot %s" data-row="%d" data-plot="%s"><div class="side">`, d.role(i), i, id)
		d.name(i)
		d.put(`<span class="words">%s</span></div><div class="canvas">`, words)
		d.put(`<svg height="%d" role="img" aria-labelledby="%s-t %s-d"><title id="%s-t">%s</title><desc id="%s-d">%s</desc>`,
			c.height, id, id, id, d.title(d.s, r), id, sentence)
		for _, t := range c.ticks {
			d.line("grid", c.axis.at(t), c.axis.at(t), "0", "100%")
		}
		c.draw(r)
		d.put("</svg>")
		if c.after != nil {
			c.after(r)
		}
		d.put("</div></div>\n")
	}
	d.put(`<div class="axis" aria-hidden="true">`)
	for i, t := range c.ticks {
		class := markup("") // the first and the last lean inwards, so that nothing stands out
		switch share := c.axis.share(t); {
		case share < 3:
			class = ` class="start"`
		case share > 95:
			class = ` class="end"`
		}
		d.put(`<span%s style="left:%.2f%%">%s</span>`, class, c.axis.share(t), c.names[i])
	}
	d.put("</div>\n%s</figure></section>\n", c.below)
}

// line draws a straight line between two places of an axis. y is in pixels or per cent.
func (d *document) line(class string, x1, x2 float64, y1, y2 any) {
	d.put(`<line class="%s" x1="%.2f%%" x2="%.2f%%" y1="%v" y2="%v"/>`, class, inside(x1)*100, inside(x2)*100, y1, y2)
}

// nothing says in the middle of a picture why it is empty.
func (d *document) nothing(y int, why string) {
	d.put(`<text class="nothing" x="50%%" y="%d" text-anchor="middle">%s</text>`, y, why)
}

// stretch opens the part of a picture whose width follows the page while its lines do not.
func (d *document) stretch(height int) {
	d.put(`<svg class="stretch" width="100%%" height="%d" viewBox="0 0 %d %d" preserveAspectRatio="none">`,
		height, units, height)
}

// polyline adds a point to a path. The first one begins it.
func (d *document) polyline(x int, y string) {
	verb := 'L'
	if d.b.Len() == 0 {
		verb = 'M'
	}
	d.put("%c%d %s", verb, x, y)
}

func (d *document) phases() {
	longest := 0.0
	for _, r := range d.s.Rows {
		longest = max(longest, total(r.Phases))
	}
	if longest == 0 {
		return
	}
	var legend document
	legend.put(`<p class="legend" aria-hidden="true">`)
	for _, part := range phasesOf(bench.PhaseMeans{}) {
		legend.put(`<span><i class="swatch %s"></i> %s</span>`, part.name, d.say(part.words))
	}
	legend.put("</p>\n")
	const height = 26
	a := linear(longest * 1.02)
	ticks := a.ticks()
	d.chart(chart{
		id: "phases", heading: "Where the time goes",
		note:  d.say("Mean phases of the attempt that brought the answer. What a kept connection saved is absent from its bar."),
		above: legend.markup(), height: height, axis: a, ticks: ticks, names: msLabels(a, ticks), describe: d.describePhases,
		draw: func(r *bench.Row) {
			from := 0.0
			for _, part := range taken(r) {
				d.put(`<rect class="%s" x="%.3f%%" y="3" width="%.3f%%" height="%d"/>`,
					part.name, a.share(from), a.share(from+part.ms)-a.share(from), height-6)
				from += part.ms
			}
			if from == 0 {
				d.nothing(height/2+4, d.say("no answer"))
			}
		},
		// Each phase in figures: the shortest are too thin to be seen, and colours alone are no words.
		after: func(r *bench.Row) {
			d.put(`<p class="values">`)
			for _, part := range taken(r) {
				d.put(`<span><i class="swatch %s"></i>%s %s</span> `, part.name, d.say(part.words), tied(text.Millis(part.ms)))
			}
			d.put(`</p>`)
		},
	})
}

// taken are the phases of a row that took time.
func taken(r *bench.Row) []phase {
	var parts []phase
	for _, part := range phasesOf(r.Phases) {
		if part.ms > 0 {
			parts = append(parts, part)
		}
	}
	return parts
}

func (l language) describePhases(r *bench.Row) (words, sentence string) {
	if !hasPhases(r) {
		return "", l.say("No answer.")
	}
	parts := each(taken(r), func(part phase) string { return l.say(part.words) + " " + text.Millis(part.ms) })
	return l.say("%s in all", text.Millis(total(r.Phases))), l.say("Mean phases: %s.", strings.Join(parts, l.say(", ")))
}

// comparison draws each row's ratio to the reference with its interval: one that does not touch 1 is a difference.
func (d *document) comparison() {
	if !compared(d.s) {
		return
	}
	d.ratios("comparison", "Against the reference", d.say("How many times the %s of the reference, pair by pair, with the 95 %% interval. "+
		"An interval that touches 1 shows no difference.", d.figure(d.s)), "← faster than the reference", d.describeRatio)
}

// ratios draws the ratio of each row that has one with its interval.
func (d *document) ratios(id, heading, note, faster string, describe func(*bench.Row) (words, sentence string)) {
	const height = 34
	a := ratioAxis(d.s.Rows)
	ticks := ratioTicks(a)
	var sides document
	sides.put(`<p class="sides" aria-hidden="true"><span>%s</span><span>%s</span></p>`+"\n", d.say(faster), d.say("slower →"))
	d.chart(chart{
		id: id, heading: heading, note: note, height: height, axis: a, ticks: ticks, describe: describe,
		names: each(ticks, func(t float64) string { return label(t, tied(d.say(" ×"))) }), below: sides.markup(),
		draw: func(r *bench.Row) {
			d.line("one", a.at(1), a.at(1), "0", "100%")
			c := r.VsReference
			if math.IsInf(c.High, 1) {
				d.put(`<text class="nothing" x="0" y="%d">%s</text>`, height/2+4, d.say("too few for an interval"))
				return
			}
			d.put(`<g class="%s">`, verdictClass(c.Verdict))
			d.line("whisker", a.at(c.Low), a.at(c.High), "50%", "50%")
			d.put(`<circle class="estimate" cx="%.2f%%" cy="50%%" r="5.5"/></g>`, a.share(c.Ratio))
		},
	})
}

func (d *document) describeRatio(r *bench.Row) (words, sentence string) {
	c := r.VsReference
	if c == nil {
		return "", ""
	}
	p := fmt.Sprintf("%.4f", c.P)
	if c.P < 0.0001 {
		p = "< 0.0001"
	}
	pairs := bench.Count{N: c.Pairs, Noun: "pair"}
	sentence = d.say("%s times the %s of %s, 95 %% interval: %s, over %s, p %s: %s.",
		ratio(c.Ratio), d.figure(d.s), c.Reference, d.ratioInterval(c), pairs, p, d.language.verdict(c.Verdict))
	if math.IsInf(c.High, 1) {
		return d.count(pairs.N, pairs.Noun), sentence
	}
	return tied(d.say("%s × of %s, %s", ratio(c.Ratio), c.Reference, d.language.verdict(c.Verdict))), sentence
}
