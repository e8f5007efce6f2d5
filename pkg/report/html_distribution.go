package report

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"ferry/pkg/bench"
	"ferry/pkg/text"
)

// The picture of one row's latencies, in pixels from its top: the curve begins at curveGround, single answers are below
// it.
const (
	curveHeight = 92
	curveTop    = 20
	curveGround = 78
	rugTop      = 82
	rugLength   = 7
)

func (d *document) distribution() {
	a := latencyAxis(d.s.Rows)
	note := d.translate("Latency of complete answers. All nodes share the same axis. Each curve is scaled to the same height; " +
		"each stroke below it is one answer.")
	if a.log {
		note += " " + d.translate("The axis is logarithmic: equal distances are equal ratios.")
	}
	d.chart(chart{
		id: "distribution", heading: "Latency distribution", note: note, height: curveHeight, axis: a, ticks: a.ticks(), label: a.label,
		describe: func(r *bench.Row) (words, sentence string) {
			words = d.count(r.OK, "answer")
			if first := slices.IndexFunc(r.Sorted, func(v float64) bool { return v > a.hi }); first >= 0 {
				words += d.translate(", %d beyond the axis", len(r.Sorted)-first)
			}
			return words, d.describeSpread(r)
		},
		draw: func(r *bench.Row) {
			if r.Latency.HasPercentiles() {
				d.drawDensity(r, a)
			} else {
				d.drawAnswers(r, a)
			}
		},
	})
}

func (l language) describeSpread(r *bench.Row) string {
	answers := bench.Count{N: r.OK, Noun: "answer"}
	switch stats := r.Latency; {
	case r.OK == 0:
		return l.translate("No answer.")
	case !stats.HasPercentiles():
		return l.translate("%s, mean %s: too few for a distribution.", answers, latencyText(stats.Mean))
	default:
		return l.translate("%s: p50 %s, p95 %s, min %s, max %s.",
			answers, latencyText(stats.P50), latencyText(stats.P95), latencyText(stats.Min), latencyText(stats.Max))
	}
}

// drawDensity draws the density, the single answers and the percentiles.
func (d *document) drawDensity(r *bench.Row, a axis) {
	d.stretch(curveHeight)
	d.rug(r, a)
	d.curve(density(r.Sorted, a))
	d.writef(`</svg>`)
	d.mark("p95", a, r.Latency.P95, curveTop+24)
	d.mark("p50", a, r.Latency.P50, curveTop)
}

func (d *document) curve(heights []float64) {
	const seen = 0.003
	first, last := 0, len(heights)-1
	for first < last && heights[first+1] < seen {
		first++
	}
	for last > first && heights[last-1] < seen {
		last--
	}
	x := func(i int) int { return i * units / (len(heights) - 1) }
	var points []string
	for i := first; i <= last; i++ {
		points = append(points, fmt.Sprintf("%d %.1f", x(i), curveGround-heights[i]*(curveGround-curveTop)))
	}
	line := "M" + strings.Join(points, "L")
	d.writef(`<path class="area" d="%sV%dH%dZ"/><path class="outline" d="%s"/>`, line, curveGround, x(first), line)
}

// selected returns at most 400 of the latencies, evenly selected from the shortest to the longest, so that a million
// of them cost no more than a few hundred.
func selected(sorted []float64) []float64 {
	values := make([]float64, min(len(sorted), 400))
	for i := range values {
		values[i] = sorted[i*(len(sorted)-1)/max(len(values)-1, 1)]
	}
	return values
}

func (d *document) rug(r *bench.Row, a axis) {
	d.writef(`<path class="rug" d="`)
	last := -1
	for _, v := range selected(r.Sorted) {
		if x := a.x(v); x != last && v <= a.hi {
			d.writef("M%d %dv%d", x, rugTop, rugLength)
			last = x
		}
	}
	d.writef(`"/>`)
}

// mark draws a percentile as a line with its name and value. latencyAxis leaves room for them.
func (d *document) mark(name string, a axis, v float64, top int) {
	d.line(name, a.at(v), a.at(v), top-15, curveGround)
	d.writef(`<text class="%s" x="%.2f%%" dx="5" y="%d">%s %s</text>`, name, a.share(v), top-6, name, text.Millis(v))
}

// drawAnswers draws single answers if there are too few for a curve.
func (d *document) drawAnswers(r *bench.Row, a axis) {
	for _, v := range r.Sorted {
		d.writef(`<circle class="single" cx="%.2f%%" cy="%d" r="5"/>`, a.share(v), curveGround-8)
	}
	why := d.translate("no answer")
	if len(r.Sorted) > 0 {
		why = d.translate("too few answers for a curve")
	}
	d.emptyNote((curveTop+curveGround)/2, why)
	d.writef(`<line class="ground" x1="0" x2="100%%" y1="%d" y2="%d"/>`, curveGround, curveGround)
}

// bins is the number of steps of a density over the complete axis.
const bins = 320

// density returns a Gaussian kernel density estimate along the drawn axis, scaled to a peak of 1. Values beyond the
// axis are left out.
func density(sorted []float64, a axis) []float64 {
	values := each(selected(sorted), a.at)
	widths := bandwidths(values, len(sorted))
	heights, peak := make([]float64, bins+1), math.SmallestNonzeroFloat64
	for i := range heights {
		for k, v := range values {
			if v >= 0 && v <= 1 {
				off := (float64(i)/bins - v) / widths[k]
				heights[i] += math.Exp(-off*off/2) / widths[k]
			}
		}
		peak = max(peak, heights[i])
	}
	for i := range heights {
		heights[i] /= peak
	}
	return heights
}

// bandwidths returns a bandwidth for each of the ascending values, which were selected from a sample of size of. It
// uses Silverman's rule with a local spread: the width of the shortest interval around the value that contains a
// quarter of all values. For a normal distribution this is 0.637 standard deviations. A spread of all values, such as
// the interquartile range, reaches from one peak to the next and merges them. A minimum width keeps equal values from
// becoming a spike. A maximum relative to the narrowest width keeps a small peak visible.
func bandwidths(values []float64, of int) []float64 {
	quarter := max(len(values)/4, 2)
	widths := slices.Repeat([]float64{math.Inf(1)}, len(values))
	for from := range len(values) - quarter {
		for i := from; i <= from+quarter; i++ {
			widths[i] = min(widths[i], values[from+quarter]-values[from])
		}
	}
	const widest = 2.5
	narrowest := slices.Min(widths)
	rule := 0.9 / 0.637 * math.Pow(float64(of), -0.2)
	return each(widths, func(width float64) float64 {
		return min(max(rule*min(width, widest*narrowest), 0.004), 0.1)
	})
}
