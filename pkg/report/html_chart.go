package report

import (
	"fmt"
	"math"
	"strings"

	"ferry/pkg/bench"
	"ferry/pkg/text"
)

// chart is a section with a picture for each row, all with one axis.
type chart struct {
	id, heading, note string
	// above is written above the pictures, below under their axis.
	above, below markup
	height       int
	axis         axis
	ticks        []float64
	label        func(tick float64) string
	// describe returns the text beside a row's picture and a sentence that describes the picture. If the sentence is
	// empty, the row has no picture.
	describe func(*bench.Row) (words, sentence string)
	draw     func(*bench.Row)
	// after writes what is below a row's picture; nil writes nothing.
	after func(*bench.Row)
}

func (d *document) chart(c chart) {
	d.open(c.id, c.heading)
	d.writef(`<figure class="chart"><figcaption>%s</figcaption>`+"\n%s", c.note, c.above)
	for i, r := range d.s.Rows {
		words, sentence := c.describe(r)
		if sentence == "" {
			continue
		}
		id := fmt.Sprintf("%s-%d", c.id, i)
		d.writef(`<div class="plot %s" data-row="%d" data-plot="%s"><div class="side">%s`, d.rowClass(i), i, id, d.name(i))
		d.writef(`<span class="words">%s</span></div><div class="canvas">`, words)
		d.writef(`<svg height="%d" role="img" aria-labelledby="%s-t %s-d"><title id="%s-t">%s</title><desc id="%s-d">%s</desc>`,
			c.height, id, id, id, d.title(d.s, r), id, sentence)
		for _, t := range c.ticks {
			d.line("grid", c.axis.at(t), c.axis.at(t), "0", "100%")
		}
		c.draw(r)
		d.writef("</svg>")
		if c.after != nil {
			c.after(r)
		}
		d.writef("</div></div>\n")
	}
	d.writef(`<div class="axis" aria-hidden="true">`)
	for _, t := range c.ticks {
		class := markup("") // the first and the last label are aligned inwards, so that they stay inside the chart
		switch share := c.axis.share(t); {
		case share < 3:
			class = ` class="start"`
		case share > 95:
			class = ` class="end"`
		}
		d.writef(`<span%s style="left:%.2f%%">%s</span>`, class, c.axis.share(t), c.label(t))
	}
	d.writef("</div>\n%s</figure></section>\n", c.below)
}

// line draws a straight line between two positions on an axis. y is in pixels or percent.
func (d *document) line(class string, x1, x2 float64, y1, y2 any) {
	d.writef(`<line class="%s" x1="%.2f%%" x2="%.2f%%" y1="%v" y2="%v"/>`, class, clamp(x1)*100, clamp(x2)*100, y1, y2)
}

// emptyNote writes in the middle of a picture why it is empty.
func (d *document) emptyNote(y int, why string) {
	d.writef(`<text class="nothing" x="50%%" y="%d" text-anchor="middle">%s</text>`, y, why)
}

// stretch opens the part of a picture whose width follows the page, while the widths of its lines do not.
func (d *document) stretch(height int) {
	d.writef(`<svg class="stretch" width="100%%" height="%d" viewBox="0 0 %d %d" preserveAspectRatio="none">`,
		height, units, height)
}

func (d *document) phases() {
	longest := 0.0
	for _, r := range d.s.Rows {
		longest = max(longest, total(r))
	}
	if longest == 0 {
		return
	}
	legend := each(phasesOf(&bench.Row{}), func(part phase) markup {
		return markupf(`<span><i class="swatch %s"></i> %s</span>`, part.name, d.translate(part.words))
	})
	const height = 26
	a := linear(longest * 1.02)
	d.chart(chart{
		id: "phases", heading: "Time per phase",
		note:  d.translate("Mean time in each phase of the successful attempt. Phases that a reused connection skips are not shown."),
		above: markupf(`<p class="legend" aria-hidden="true">%s</p>`+"\n", legend), height: height, axis: a, ticks: a.ticks(), label: a.label, describe: d.describePhases,
		draw: func(r *bench.Row) {
			from := 0.0
			for _, part := range nonzeroPhases(r) {
				d.writef(`<rect class="%s" x="%.3f%%" y="3" width="%.3f%%" height="%d"/>`,
					part.name, a.share(from), a.share(from+part.ms)-a.share(from), height-6)
				from += part.ms
			}
			if from == 0 {
				d.emptyNote(height/2+4, d.translate("no answer"))
			}
		},
		// The figures of each phase: the shortest phases are too thin to see, and colours do not name a phase.
		after: func(r *bench.Row) {
			d.writef(`<p class="values">%s</p>`, each(nonzeroPhases(r), func(part phase) markup {
				return markupf(`<span><i class="swatch %s"></i>%s %s</span> `, part.name, d.translate(part.words), joinUnits(text.Millis(part.ms)))
			}))
		},
	})
}

func (l language) describePhases(r *bench.Row) (words, sentence string) {
	if !hasPhases(r) {
		return "", l.translate("No answer.")
	}
	parts := each(nonzeroPhases(r), func(part phase) string { return l.translate(part.words) + " " + text.Millis(part.ms) })
	return l.translate("%s in total", text.Millis(total(r))), l.translate("Mean time per phase: %s.", strings.Join(parts, l.translate(", ")))
}

// comparison draws the ratio of each row to the reference with its interval. An interval that does not touch 1 shows a
// difference.
func (d *document) comparison() {
	if compared(d.s) {
		d.ratios("Compared with the reference", d.translate("Ratio of the %s to the reference, paired by round, with 95 %% CI. "+
			"An interval that contains 1 shows no difference.", d.figure(d.s)), "← faster than the reference", d.describeRatio)
	}
}

// ratios draws the ratio and the interval of each row that has them.
func (d *document) ratios(heading, note, faster string, describe func(*bench.Row) (words, sentence string)) {
	const height = 34
	a := ratioAxis(d.s.Rows)
	d.chart(chart{
		id: "comparison", heading: heading, note: note, height: height, axis: a, ticks: a.ticks(),
		label: func(t float64) string { return label(t, joinUnits(d.translate(" ×"))) },
		below: markupf(`<p class="sides" aria-hidden="true"><span>%s</span><span>%s</span></p>`+"\n", d.translate(faster), d.translate("slower →")),
		describe: func(r *bench.Row) (words, sentence string) {
			if r.VsReference == nil {
				return "", ""
			}
			return describe(r)
		},
		draw: func(r *bench.Row) {
			d.line("one", a.at(1), a.at(1), "0", "100%")
			c := r.VsReference
			if math.IsInf(c.High, 1) {
				d.writef(`<text class="nothing" x="0" y="%d">%s</text>`, height/2+4, d.translate("too few samples"))
				return
			}
			d.writef(`<g class="%s">`, directionOf(c.Verdict))
			d.line("whisker", a.at(c.Low), a.at(c.High), "50%", "50%")
			d.writef(`<circle class="estimate" cx="%.2f%%" cy="50%%" r="5.5"/></g>`, a.share(c.Ratio))
		},
	})
}

func (d *document) describeRatio(r *bench.Row) (words, sentence string) {
	c := r.VsReference
	p := fmt.Sprintf("%.4f", c.P)
	if c.P < 0.0001 {
		p = "< 0.0001"
	}
	pairs := bench.Count{N: c.Pairs, Noun: "pair"}
	sentence = d.translate("%s times the %s of %s, 95 %% CI: %s, %s, p %s: %s.",
		ratio(c.Ratio), d.figure(d.s), c.Reference, d.ratioInterval(c), pairs, p, d.language.verdict(verdictOf(c)))
	if math.IsInf(c.High, 1) {
		return d.count(pairs.N, pairs.Noun), sentence
	}
	return joinUnits(d.translate("%s × %s, %s", ratio(c.Ratio), c.Reference, d.language.verdict(c.Verdict))), sentence
}
