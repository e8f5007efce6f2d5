package report

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"ferry/pkg/bench"
)

// The picture of one row over time, in pixels: the axis runs from timelineBottom up to timelineTop.
const (
	timelineHeight = 96
	timelineTop    = 10
	timelineBottom = 90
)

func (d *document) timeline() {
	end, over := 0.0, false
	a := latencyAxis(d.s.Rows)
	for _, r := range d.s.Rows {
		for _, point := range r.Timeline {
			end = max(end, point.At)
			over = over || point.Latency > a.hi
		}
	}
	if end == 0 {
		return
	}
	note := d.translate("Each mark is one request at its start time (UTC). The line connects the medians of consecutive groups of answers. " +
		"All nodes share the same latency axis.")
	if over {
		note += " " + d.translate("Requests beyond the axis are drawn at its top.")
	}
	time, ticks, label := timeAxis(d.s.Started, end)
	levels := a.ticks()
	for len(levels) > 4 { // the pictures are too low for more
		for i := range (len(levels) + 1) / 2 {
			levels[i] = levels[2*i]
		}
		levels = levels[:(len(levels)+1)/2]
	}
	d.chart(chart{
		id: "timeline", heading: "Latency over time", note: note, height: timelineHeight, axis: time, ticks: ticks, label: label,
		above: markupf(`<p class="legend" aria-hidden="true"><span><svg width="12" height="12"><circle class="ok" cx="6" cy="6" r="3.5"/></svg> %s</span>`+
			`<span><svg width="12" height="12"><path class="failed" d="M6 0v12"/></svg> %s</span></p>`+"\n", d.translate("succeeded"), d.translate("failed")),
		describe: d.describeTimeline,
		draw: func(r *bench.Row) {
			for _, level := range levels {
				d.writef(`<line class="grid" x1="0" x2="100%%" y1="%d" y2="%d"/>`, timelineY(a, level), timelineY(a, level))
			}
			d.requests(r, time, a)
			for _, level := range levels {
				d.writef(`<text class="level" x="0" dx="-6" y="%d" text-anchor="end">%s</text>`, timelineY(a, level)+4, a.label(level))
			}
			if len(r.Timeline) == 0 {
				d.emptyNote((timelineTop+timelineBottom)/2, d.translate("no request"))
			}
		},
	})
}

func timelineY(a axis, v float64) int {
	return timelineBottom - int(math.Round(clamp(a.at(v))*(timelineBottom-timelineTop)))
}

func (l language) describeTimeline(r *bench.Row) (words, sentence string) {
	failed := r.Requests - r.OK
	requests := bench.Count{N: r.Requests, Noun: "request"}
	words = l.count(requests.N, requests.Noun)
	if failed > 0 {
		words = l.translate("%d of %d failed", failed, r.Requests)
	}
	sentence = l.translate("%s over time, %d failed.", requests, failed)
	if len(r.Timeline) < r.Requests {
		sentence += " " + l.translate("%d of them are shown, evenly sampled.", len(r.Timeline))
	}
	if r.Ended != "" {
		sentence += " " + l.translate("Stopped early: %s.", r.Ended)
	}
	return words, sentence
}

// requests draws the requests of a row. Answers are one path of strokes without length; their round caps stay round
// whatever the width of the picture. Failures are one path of vertical strokes.
func (d *document) requests(r *bench.Row, time, a axis) {
	size := "few"
	switch n := len(r.Timeline); {
	case n > 800:
		size = "many"
	case n > 250:
		size = "some"
	}
	d.stretch(timelineHeight)
	d.writef(`<path class="ok %s" d="%s"/><path class="median" d="%s"/>`, size, marks(r.Timeline, true, time, a), medians(r.Timeline, time, a))
	if failed := marks(r.Timeline, false, time, a); failed != "" {
		d.writef(`<path class="failed %s" d="%s"/>`, size, failed)
	}
	d.writef(`</svg>`)
}

// failedLength is the height of the stroke of a failure.
const failedLength = 12

// marks returns the path of the answers or of the failures.
func marks(points []bench.Point, ok bool, time, a axis) string {
	stroke, length := "h0", 0
	if !ok {
		stroke, length = fmt.Sprintf("v%d", failedLength), failedLength
	}
	var path strings.Builder
	x, y := 0, 0 // the current point: the end of the last mark
	for _, point := range points {
		toX, toY := time.x(point.At), timelineY(a, point.Latency)-length/2
		if point.OK == ok && (path.Len() == 0 || toX != x || toY+length != y) {
			fmt.Fprintf(&path, "m%d %d%s", toX-x, toY-y, stroke)
			x, y = toX, toY+length
		}
	}
	return path.String()
}

// The line of medians has about medianParts parts, of at least medianFew answers each. It is interrupted at every gap
// that is longer than the share medianGap of the total time, because runs may be days apart.
const (
	medianParts = 24
	medianFew   = 5
	medianGap   = 0.1
)

// medians returns the line of medians: the answers in order, divided into parts of equal number.
func medians(points []bench.Point, time, a axis) string {
	answered := slices.DeleteFunc(slices.Clone(points), func(p bench.Point) bool { return !p.OK })
	path := ""
	for from, i := 0, 1; i <= len(answered); i++ {
		if i < len(answered) && answered[i].At-answered[i-1].At <= medianGap*(time.hi-time.lo) {
			continue
		}
		stretch := answered[from:i]
		from = i
		parts := min(max(medianParts*len(stretch)/len(answered), 3), len(stretch)/medianFew)
		if parts < 3 {
			continue
		}
		var line []string
		for k := range parts {
			part := stretch[k*len(stretch)/parts : (k+1)*len(stretch)/parts]
			latencies := slices.Sorted(slices.Values(each(part, func(p bench.Point) float64 { return p.Latency })))
			line = append(line, fmt.Sprint(time.x(part[len(part)/2].At), timelineY(a, latencies[len(latencies)/2])))
		}
		path += "M" + strings.Join(line, "L")
	}
	return path
}
