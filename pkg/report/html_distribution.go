package report

import (
	"fmt"
	"math"
	"slices"
	"sort"

	"ferry/pkg/bench"
	"ferry/pkg/text"
)

// The picture of one row's latencies, in pixels from its top: the curve stands on ground, single answers lie below it.
const (
	curveHeight = 92
	curveTop    = 20
	curveGround = 78
	rugTop      = 82
	rugLength   = 7
)

func (d *document) distribution() {
	a := latencyAxis(d.s.Rows)
	note := d.say("How the latencies of whole answers are spread, on one axis for all nodes. Each curve has its own height; " +
		"the strokes below it are single answers.")
	if a.log {
		note += " " + d.say("The axis is logarithmic: equal steps are equal ratios.")
	}
	ticks := a.ticks()
	d.chart(chart{
		id: "distribution", heading: "Distribution of latencies", note: note, height: curveHeight, axis: a, ticks: ticks,
		names:    msLabels(a, ticks),
		describe: func(r *bench.Row) (words, sentence string) { return d.answersWithin(r, a), d.describeSpread(r) },
		draw: func(r *bench.Row) {
			if r.Latency.HasPercentiles() {
				d.many(r, a)
			} else {
				d.few(r, a)
			}
		},
	})
}

func (l language) answersWithin(r *bench.Row, a axis) string {
	words := l.count(r.OK, "answer")
	if past := len(r.Sorted) - firstAbove(r.Sorted, a.hi); past > 0 {
		words += l.say(", %d beyond the axis", past)
	}
	return words
}

// firstAbove is the index of the first value above a limit.
func firstAbove(sorted []float64, limit float64) int {
	return sort.Search(len(sorted), func(i int) bool { return sorted[i] > limit })
}

func (l language) describeSpread(r *bench.Row) string {
	answers := bench.Count{N: r.OK, Noun: "answer"}
	switch stats := r.Latency; {
	case r.OK == 0:
		return l.say("No answer.")
	case !stats.HasPercentiles():
		return l.say("%s, mean %s: too few for a distribution.", answers, took(stats.Mean))
	default:
		return l.say("%s: half took at most %s, 95 in 100 at most %s; from %s to %s.",
			answers, took(stats.P50), took(stats.P95), took(stats.Min), took(stats.Max))
	}
}

// many draws the density, the single answers and the marks.
func (d *document) many(r *bench.Row, a axis) {
	d.stretch(curveHeight)
	d.rug(r, a)
	d.curve(density(r.Sorted, a))
	d.put(`</svg>`)
	l := r.Latency
	d.mark("p95", a, l.P95, curveTop+24)
	d.mark("p50", a, l.P50, curveTop)
}

func (d *document) curve(heights []float64) {
	first, last := 0, len(heights)-1
	for first < last && heights[first+1] < 0.003 {
		first++
	}
	for last > first && heights[last-1] < 0.003 {
		last--
	}
	var path document
	for i := first; i <= last; i++ {
		path.polyline(i*units/(len(heights)-1), fmt.Sprintf("%.1f", curveGround-heights[i]*(curveGround-curveTop)))
	}
	d.put(`<path class="area" d="%sV%dH%dZ"/><path class="outline" d="%s"/>`,
		path.markup(), curveGround, first*units/(len(heights)-1), path.markup())
}

// rugLimit bounds the strokes of a rug: of more answers, as many are drawn, evenly chosen from the shortest to the longest.
const rugLimit = 400

func (d *document) rug(r *bench.Row, a axis) {
	d.put(`<path class="rug" d="`)
	n := len(r.Sorted)
	drawn := min(n, rugLimit)
	last := -1
	for i := range drawn {
		v := r.Sorted[i*(n-1)/max(drawn-1, 1)]
		if x := a.x(v); x != last && v <= a.hi {
			d.put("M%d %dv%d", x, rugTop, rugLength)
			last = x
		}
	}
	d.put(`"/>`)
}

// mark draws a percentile as a line with its name and value, for which latencyAxis leaves room.
func (d *document) mark(name string, a axis, v float64, top int) {
	d.line(name, a.at(v), a.at(v), top-15, curveGround)
	d.put(`<text class="%s" x="%.2f%%" dx="5" y="%d">%s %s</text>`, name, a.share(v), top-6, name, text.Millis(v))
}

// few draws what there is where a curve would be a guess.
func (d *document) few(r *bench.Row, a axis) {
	for _, v := range r.Sorted {
		d.put(`<circle class="single" cx="%.2f%%" cy="%d" r="5"/>`, a.share(v), curveGround-8)
	}
	why := d.say("no answer")
	if len(r.Sorted) > 0 {
		why = d.say("too few answers for a curve")
	}
	d.nothing((curveTop+curveGround)/2, why)
	d.put(`<line class="ground" x1="0" x2="100%%" y1="%d" y2="%d"/>`, curveGround, curveGround)
}

// bins is how fine a density is worked out, over the whole axis.
const bins = 320

// density is a Gaussian kernel estimate over the axis as it is drawn, scaled to a peak of 1. The values are counted into
// bins first, so that a million of them cost no more than a hundred. What lies beyond the axis is left out.
func density(sorted []float64, a axis) []float64 {
	counts, widths := make([]float64, bins+1), make([]float64, bins+1)
	local := bandwidths(sorted, a)
	for i, v := range sorted {
		if at := a.at(v); at >= 0 && at <= 1 {
			bin := int(math.Round(at * bins))
			counts[bin]++
			widths[bin] = local[i*(len(local)-1)/max(len(sorted)-1, 1)] * bins
		}
	}
	heights, peak := make([]float64, bins+1), 0.0
	for bin, count := range counts {
		if count == 0 {
			continue
		}
		width := widths[bin]
		reach := int(math.Ceil(3 * width))
		for i := max(bin-reach, 0); i <= min(bin+reach, bins); i++ {
			off := float64(i-bin) / width
			heights[i] += count / width * math.Exp(-off*off/2)
			peak = max(peak, heights[i])
		}
	}
	for i := range heights {
		heights[i] /= max(peak, math.SmallestNonzeroFloat64)
	}
	return heights
}

// bandwidths are those of evenly chosen values: Silverman's rule with a spread that is of the value's own hill. That is the
// width of the shortest interval around it with a quarter of all values, which of a normal distribution is 0.637 standard
// deviations. A spread of all values, such as the one between the quartiles, reaches from one hill to the next and smooths
// both into one. None is so narrow that equal values would be a needle, and none far wider than the narrowest, or a small hill
// would drown.
func bandwidths(sorted []float64, a axis) []float64 {
	values := make([]float64, min(len(sorted), rugLimit))
	for i := range values {
		values[i] = a.at(sorted[i*(len(sorted)-1)/max(len(values)-1, 1)])
	}
	quarter := max(len(values)/4, 2)
	widths := slices.Repeat([]float64{math.Inf(1)}, len(values))
	for from := range len(values) - quarter {
		for i := from; i <= from+quarter; i++ {
			widths[i] = min(widths[i], values[from+quarter]-values[from])
		}
	}
	const widest = 2.5
	narrowest := slices.Min(widths)
	rule := 0.9 / 0.637 * math.Pow(float64(len(sorted)), -0.2)
	for i, width := range widths {
		widths[i] = min(max(rule*min(width, widest*narrowest), 0.004), 0.1)
	}
	return widths
}
