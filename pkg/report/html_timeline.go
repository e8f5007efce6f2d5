package report

import (
	"math"
	"slices"
	"strconv"

	"ferry/pkg/bench"
)

// The picture of one row over time, in pixels: the axis runs from bottom up to top.
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
	note := d.say("Each request stands at the time (UTC) when it began; the line is the median of the answers around it. " +
		"Latencies have one axis for all nodes.")
	if over {
		note += " " + d.say("What took longer than it reaches stands on its upper edge.")
	}
	var legend document
	legend.put(`<p class="legend" aria-hidden="true"><span><svg width="12" height="12"><circle class="ok" cx="6" cy="6" r="3.5"/></svg> %s</span>`+
		`<span><svg width="12" height="12"><path class="failed" d="M6 0v12"/></svg> %s</span></p>`+"\n", d.say("answered"), d.say("failed"))
	time, ticks, names := timeAxis(d.s.Started, end)
	levels := yTicks(a)
	d.chart(chart{
		id: "timeline", heading: "Latency over time", note: note, height: timelineHeight, axis: time, ticks: ticks, names: names,
		above:    legend.markup(),
		describe: d.describeTimeline,
		draw: func(r *bench.Row) {
			for _, level := range levels {
				d.put(`<line class="grid" x1="0" x2="100%%" y1="%d" y2="%d"/>`, timelineY(a, level), timelineY(a, level))
			}
			d.requests(r, time, a)
			for i, name := range msLabels(a, levels) {
				d.put(`<text class="level" x="0" dx="-6" y="%d" text-anchor="end">%s</text>`, timelineY(a, levels[i])+4, name)
			}
			if len(r.Timeline) == 0 {
				d.nothing((timelineTop+timelineBottom)/2, d.say("no request"))
			}
		},
	})
}

// yTicks are at most four of an axis' ticks: the pictures are low.
func yTicks(a axis) []float64 {
	ticks := a.ticks()
	for len(ticks) > 4 {
		var half []float64
		for i := 0; i < len(ticks); i += 2 {
			half = append(half, ticks[i])
		}
		ticks = half
	}
	return ticks
}

func timelineY(a axis, v float64) int {
	return timelineBottom - int(math.Round(inside(a.at(v))*(timelineBottom-timelineTop)))
}

func (l language) describeTimeline(r *bench.Row) (words, sentence string) {
	failed := r.Requests - r.OK
	requests := bench.Count{N: r.Requests, Noun: "request"}
	words = l.count(requests.N, requests.Noun)
	if failed > 0 {
		words = l.say("%d failed of %d", failed, r.Requests)
	}
	sentence = l.say("%s over time, %d of them failed.", requests, failed)
	if len(r.Timeline) < r.Requests {
		sentence += " " + l.say("%d of them are drawn, evenly chosen.", len(r.Timeline))
	}
	if r.Ended != "" {
		sentence += " " + l.say("Its part ended early: %s.", r.Ended)
	}
	return words, sentence
}

// requests draws the requests of a row. Answers are one path of strokes without length, whose round caps stay round
// however wide the picture is; failures are one of upright strokes.
func (d *document) requests(r *bench.Row, time, a axis) {
	var answered, failed document
	answered.marks(r.Timeline, true, time, a)
	failed.marks(r.Timeline, false, time, a)
	size := "few"
	switch n := len(r.Timeline); {
	case n > 800:
		size = "many"
	case n > 250:
		size = "some"
	}
	d.stretch(timelineHeight)
	d.put(`<path class="ok %s" d="%s"/>`, size, answered.markup())
	d.put(`<path class="median" d="%s"/>`, markup(medians(r.Timeline, time, a)))
	if path := failed.markup(); path != "" {
		d.put(`<path class="failed %s" d="%s"/>`, size, path)
	}
	d.put(`</svg>`)
}

// failedLength is how tall the stroke of a failure is.
const failedLength = 12

func (d *document) marks(points []bench.Point, ok bool, time, a axis) {
	x, y, top := 0, 0, 0 // where the pen is, and how high the last mark began
	for _, point := range points {
		toX, toY := time.x(point.At), timelineY(a, point.Latency)
		if !ok {
			toY -= failedLength / 2
		}
		switch {
		case point.OK != ok || d.b.Len() > 0 && toX == x && toY == top:
		case ok:
			d.put("m%d %dh0", toX-x, toY-y)
			x, y, top = toX, toY, toY
		default:
			d.put("m%d %dv%d", toX-x, toY-y, failedLength)
			x, y, top = toX, toY+failedLength, toY
		}
	}
}

// medianParts is into how many parts a row's time is cut for the line, and medianFew how many answers a part needs.
const (
	medianParts = 24
	medianFew   = 5
)

// medians is the line of medians: the answers in order, cut into parts of equal number.
func medians(points []bench.Point, time, a axis) string {
	var answered []bench.Point
	for _, point := range points {
		if point.OK {
			answered = append(answered, point)
		}
	}
	parts := min(medianParts, len(answered)/medianFew)
	if parts < 3 {
		return ""
	}
	var path document
	for i := range parts {
		part := answered[i*len(answered)/parts : (i+1)*len(answered)/parts]
		latencies := make([]float64, len(part))
		for j, point := range part {
			latencies[j] = point.Latency
		}
		slices.Sort(latencies)
		path.polyline(time.x(part[len(part)/2].At), strconv.Itoa(timelineY(a, latencies[len(latencies)/2])))
	}
	return path.b.String()
}
