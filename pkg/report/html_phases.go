package report

import (
	"fmt"
	"math"
	"strings"

	"ferry/pkg/bench"
)

const (
	barHeight    = 26
	forestHeight = 34
)

// phase is one part of a request, in the order in which they follow each other.
type phase struct {
	name, words string
	ms          float64
}

func phasesOf(m bench.PhaseMeans) []phase {
	return []phase{
		{"dns", "DNS", m.DNS}, {"connect", "connect", m.Connect}, {"tls", "TLS", m.TLS},
		{"wait", "wait", m.Wait}, {"transfer", "transfer", m.Transfer},
	}
}

func total(m bench.PhaseMeans) float64 {
	sum := 0.0
	for _, part := range phasesOf(m) {
		if part.ms > 0 { // not NaN either
			sum += part.ms
		}
	}
	return sum
}

func (d *document) phases() {
	longest := 0.0
	for _, r := range d.s.Rows {
		longest = max(longest, total(r.Phases))
	}
	if longest == 0 {
		return
	}
	d.figure("phases", "Where the time goes",
		"Mean phases of the attempt that brought the answer. What a kept connection saved is absent from its bar.")
	d.put(`<p class="legend" aria-hidden="true">`)
	for _, part := range phasesOf(bench.PhaseMeans{}) {
		d.put(`<span><i class="swatch %s"></i> %s</span>`, part.name, part.words)
	}
	d.put("</p>\n")
	a := linear(longest * 1.02)
	ticks := a.ticks()
	for i, r := range d.s.Rows {
		d.plotRow("phases", i, barHeight, phasesWords(r), phasesText(r))
		d.grid(a, ticks)
		d.bar(r, a)
		d.put(`</svg>`)
		d.phaseValues(r)
		d.put("</div></div>\n")
	}
	d.axisLine(a, ticks, msLabels(a, ticks))
	d.put("</figure></section>\n")
}

func phasesWords(r *bench.Row) string {
	if !hasPhases(r) {
		return ""
	}
	return spell(total(r.Phases)) + " in all"
}

// bar puts the phases end to end.
func (d *document) bar(r *bench.Row, a axis) {
	from := 0.0
	for _, part := range phasesOf(r.Phases) {
		if !(part.ms > 0) {
			continue
		}
		d.put(`<rect class="%s" x="%.3f%%" y="3" width="%.3f%%" height="%d"/>`, part.name, a.share(from), a.share(from+part.ms)-a.share(from), barHeight-6)
		from += part.ms
	}
	if from == 0 {
		d.put(`<text class="nothing" x="50%%" y="%d" text-anchor="middle">no answer</text>`, barHeight/2+4)
	}
}

// phaseValues says each phase in figures: the shortest are too thin to be seen, and colours alone are no words.
func (d *document) phaseValues(r *bench.Row) {
	d.put(`<p class="values">`)
	for _, part := range phasesOf(r.Phases) {
		if part.ms > 0 {
			d.put(`<span><i class="swatch %s"></i>%s %s</span> `, part.name, part.words, bare(part.ms))
		}
	}
	d.put(`</p>`)
}

func phasesText(r *bench.Row) string {
	var words []string
	for _, part := range phasesOf(r.Phases) {
		if part.ms > 0 {
			words = append(words, part.words+" "+spell(part.ms))
		}
	}
	if len(words) == 0 {
		return "No answer."
	}
	return "Mean phases: " + strings.Join(words, ", ") + "."
}

// comparison draws each row's ratio to the reference with its interval: one that does not touch 1 is a difference.
func (d *document) comparison() {
	if !compared(d.s) {
		return
	}
	a := ratioAxis(d.s.Rows)
	d.figure("comparison", "Against the reference",
		"How many times the reference’s latency, pair by pair, with the 95 % interval. An interval that touches 1 shows no difference.")
	ticks := ratioTicks(a)
	for i, r := range d.s.Rows {
		if r.VsReference != nil {
			d.ratioRow(i, r.VsReference, a, ticks)
		}
	}
	d.axisLine(a, ticks, labels(ticks, 1, "\u00a0×"))
	d.put(`<p class="sides" aria-hidden="true"><span>← faster than the reference</span><span>slower →</span></p>` + "\n")
	d.put("</figure></section>\n")
}

// ratioRow draws one comparison, and says so where there were too few pairs to draw any.
func (d *document) ratioRow(i int, c *bench.Comparison, a axis, ticks []float64) {
	words := fmt.Sprintf("%s × of %s, %s", ratio(c.Ratio), c.Reference, c.Verdict)
	if math.IsInf(c.High, 1) {
		words = count(c.Pairs, "pair", "pairs")
	}
	text := fmt.Sprintf("%s times the latency of %s, 95 %% interval: %s, over %s, p %s: %s.",
		ratio(c.Ratio), c.Reference, intervalText(c), count(c.Pairs, "pair", "pairs"), pValue(c.P), c.Verdict)
	d.plotRow("comparison", i, forestHeight, tied(words), text)
	d.grid(a, ticks)
	d.put(`<line class="one" x1="%.2f%%" x2="%.2f%%" y1="0" y2="100%%"/>`, a.share(1), a.share(1))
	if math.IsInf(c.High, 1) {
		d.put(`<text class="nothing" x="0" y="%d">too few pairs for an interval</text>`, forestHeight/2+4)
		d.endPlotRow()
		return
	}
	d.put(`<g class="%s"><line class="whisker" x1="%.2f%%" x2="%.2f%%" y1="50%%" y2="50%%"/>`, verdictClass(c.Verdict), a.share(c.Low), a.share(c.High))
	d.put(`<circle class="estimate" cx="%.2f%%" cy="50%%" r="5.5"/></g>`, a.share(c.Ratio))
	d.endPlotRow()
}

func pValue(p float64) string {
	if p < 0.0001 {
		return "below 0.0001"
	}
	return fmt.Sprintf("%.4f", p)
}

// ratioAxis is logarithmic, so that half and double lie equally far from 1, and has 1 in it.
func ratioAxis(rows []*bench.Row) axis {
	a := axis{lo: 0.9, hi: 1.1, log: true}
	for _, r := range rows {
		if c := r.VsReference; c != nil && c.Low > 0 && !math.IsInf(c.High, 1) {
			a.lo, a.hi = min(a.lo, c.Low/1.1), max(a.hi, c.High*1.1)
		}
	}
	return a
}

// ratioTicks takes from round ratios those that stand far enough apart on a narrow screen, 1 first.
func ratioTicks(a axis) []float64 {
	ticks := []float64{1}
	for _, list := range [][]float64{
		{0.0001, 0.001, 0.01, 0.1, 10, 100, 1000, 10000}, {0.02, 0.05, 0.2, 0.5, 2, 5, 20, 50}, {0.3, 0.7, 1.5, 3}, {0.4, 0.6, 0.8, 0.9, 0.95, 1.05, 1.1, 1.2, 4},
	} {
		for _, v := range list {
			free := v >= a.lo && v <= a.hi
			for _, t := range ticks {
				free = free && math.Abs(a.at(t)-a.at(v)) >= 0.13
			}
			if free {
				ticks = append(ticks, v)
			}
		}
	}
	return ticks
}
