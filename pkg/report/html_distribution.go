package report

import (
	"fmt"
	"math"
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
	note := "How the latencies of whole answers are spread, on one axis for all nodes. Each curve has its own height; " +
		"the strokes below it are single answers."
	if a.log {
		note += " The axis is logarithmic: equal steps are equal ratios."
	}
	ticks := a.ticks()
	d.chart(chart{
		id: "distribution", heading: "Distribution of latencies", note: note, height: curveHeight, axis: a, ticks: ticks,
		names:    msLabels(a, ticks),
		describe: func(r *bench.Row) (words, sentence string) { return answersWithin(r, a), describeSpread(r) },
		draw: func(r *bench.Row) {
			if r.Latency.HasPercentiles() {
				d.many(r, a)
			} else {
				d.few(r, a)
			}
		},
	})
}

func answersWithin(r *bench.Row, a axis) string {
	words := text.Count(r.OK, "answer")
	if past := len(r.Sorted) - firstAbove(r.Sorted, a.hi); past > 0 {
		words += fmt.Sprintf(", %d beyond the axis", past)
	}
	return words
}

// firstAbove is the index of the first value above a limit.
func firstAbove(sorted []float64, limit float64) int {
	return sort.Search(len(sorted), func(i int) bool { return sorted[i] > limit })
}

func describeSpread(r *bench.Row) string {
	answers := text.Count(r.OK, "answer")
	switch l := r.Latency; {
	case r.OK == 0:
		return "No answer."
	case !l.HasPercentiles():
		return fmt.Sprintf("%s, mean %s: too few for a distribution.", answers, text.Millis(l.Mean))
	default:
		return fmt.Sprintf("%s: half took at most %s, 95 in 100 at most %s; from %s to %s.",
			answers, text.Millis(l.P50), text.Millis(l.P95), text.Millis(l.Min), text.Millis(l.Max))
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
	why := "no answer"
	if len(r.Sorted) > 0 {
		why = "too few answers for a curve"
	}
	d.nothing((curveTop+curveGround)/2, why)
	d.put(`<line class="ground" x1="0" x2="100%%" y1="%d" y2="%d"/>`, curveGround, curveGround)
}

// bins is how fine a density is worked out, over the whole axis.
const bins = 320

// density is a Gaussian kernel estimate over the axis as it is drawn, scaled to a peak of 1. The values are counted into
// bins first, so that a million of them cost no more than a hundred. What lies beyond the axis is left out.
func density(sorted []float64, a axis) []float64 {
	counts := make([]float64, bins+1)
	for _, v := range sorted {
		if at := a.at(v); at >= 0 && at <= 1 {
			counts[int(math.Round(at*bins))]++
		}
	}
	width := bandwidth(sorted, a) * bins
	reach := int(math.Ceil(3 * width))
	kernel := make([]float64, reach+1)
	for i := range kernel {
		kernel[i] = math.Exp(-float64(i*i) / (2 * width * width))
	}
	heights, peak := make([]float64, bins+1), 0.0
	for i := range heights {
		for j := max(i-reach, 0); j <= min(i+reach, bins); j++ {
			heights[i] += counts[j] * kernel[max(i-j, j-i)]
		}
		peak = max(peak, heights[i])
	}
	for i := range heights {
		heights[i] /= max(peak, math.SmallestNonzeroFloat64)
	}
	return heights
}

// bandwidth is Silverman's rule with the more robust of the two spreads, a little narrower because two ways to a node give
// two peaks, and never so narrow that equal values would be a needle.
func bandwidth(sorted []float64, a axis) float64 {
	n := len(sorted)
	var sum, squares float64
	for _, v := range sorted {
		sum += a.at(v)
	}
	mean := sum / float64(n)
	for _, v := range sorted {
		squares += (a.at(v) - mean) * (a.at(v) - mean)
	}
	width := math.Sqrt(squares / float64(n))
	if quartiles := (a.at(sorted[n*3/4]) - a.at(sorted[n/4])) / 1.34; quartiles > 0 {
		width = min(width, quartiles)
	}
	return min(max(0.75*width*math.Pow(float64(n), -0.2), 0.004), 0.1)
}
