package report

import (
	"math"
	"slices"
	"strconv"
	"time"

	"ferry/pkg/bench"
)

// units is the width of a picture's own coordinates. The browser stretches them to the width there is; lines and dots keep
// theirs. Whole numbers of them are finer than any screen, and short.
const units = 2000

// axis maps values onto 0 to 1.
type axis struct {
	lo, hi float64
	log    bool
}

// at is where a value lies; below 0 and above 1 where the axis does not reach.
func (a axis) at(v float64) float64 {
	if a.log {
		return math.Log(max(v, a.lo/1e6)/a.lo) / math.Log(a.hi/a.lo)
	}
	return (v - a.lo) / (a.hi - a.lo)
}

// inside keeps a place on the axis.
func inside(at float64) float64 { return min(max(at, 0), 1) }

// x is where a value lies in units, kept on the axis.
func (a axis) x(v float64) int { return int(math.Round(inside(a.at(v)) * units)) }

// share is the same in per cent of the width.
func (a axis) share(v float64) float64 { return inside(a.at(v)) * 100 }

// tooSpread is how many times the slowest of the usual latencies is the fastest, from which on only a logarithmic axis
// shows both.
const tooSpread = 40

// labelRoom is the share of the width that every p95 keeps within, so that its label fits to the right of it.
const labelRoom = 0.8

// latencyAxis is common to all rows, or they could not be compared by eye. It ends after the largest p99: one stray answer
// must not press all others against the edge.
func latencyAxis(rows []*bench.Row) axis {
	low, p95, p99 := math.Inf(1), 0.0, 0.0
	for _, r := range rows {
		if n := len(r.Sorted); n > 0 {
			low = min(low, r.Sorted[n/20])
			p95 = max(p95, r.Sorted[min(n*95/100, n-1)])
			p99 = max(p99, r.Sorted[min(n*99/100, n-1)])
		}
	}
	if p99 == 0 { // no node answered: what there is are times until failures
		for _, r := range rows {
			for _, point := range r.Timeline {
				p99 = max(p99, point.Latency)
			}
		}
	}
	switch {
	case p99 <= 0:
		return axis{hi: 1}
	case low > 0 && !math.IsInf(low, 1) && p99/low > tooSpread:
		low /= 1.5
		return axis{lo: low, hi: max(p99*1.2, low*math.Pow(p95/low, 1/labelRoom)), log: true}
	}
	return linear(max(p99*1.04, p95/labelRoom))
}

// linear is an axis from 0 that ends at a tick or half-way between two.
func linear(high float64) axis {
	half := step(high, 5) / 2
	return axis{hi: math.Ceil(high/half) * half}
}

// step is the 1, 2, 2.5 or 5 times a power of ten that cuts a length into about so many parts.
func step(length float64, parts int) float64 {
	raw := length / float64(parts)
	power := math.Pow(10, math.Floor(math.Log10(raw)))
	for _, m := range []float64{1, 2, 2.5, 5} {
		if raw <= m*power*1.0001 {
			return m * power
		}
	}
	return 10 * power
}

// ticks are round values on the axis, at most about eight.
func (a axis) ticks() []float64 {
	if a.log {
		return a.logTicks()
	}
	var ticks []float64
	by := step(a.hi-a.lo, 5)
	for i := math.Ceil(a.lo / by); i*by <= a.hi*1.0001; i++ {
		ticks = append(ticks, i*by)
	}
	return ticks
}

// logTicks are round values that stand far enough apart on a narrow screen, 1 first and then the roundest.
func (a axis) logTicks() []float64 {
	const apart, enough = 0.13, 6
	var ticks []float64
	add := func(v float64) {
		tooNear := func(t float64) bool { return math.Abs(a.at(t)-a.at(v)) < apart }
		if v >= a.lo && v <= a.hi && !slices.ContainsFunc(ticks, tooNear) {
			ticks = append(ticks, v)
		}
	}
	add(1)
	for _, multiple := range []float64{1, 2, 3, 5, 7, 1.5, 4, 6, 8, 9, 9.5, 1.05, 1.1, 1.2} {
		for power := math.Floor(math.Log10(a.lo)); power <= math.Log10(a.hi) && (len(ticks) < enough || multiple == 1); power++ {
			add(multiple * math.Pow(10, power))
		}
	}
	slices.Sort(ticks)
	return ticks
}

// label names a tick in ms, or in seconds where the axis reaches 2 s. A logarithmic axis reaches too far for one unit.
func (a axis) label(tick float64) string {
	if !a.log && a.hi >= 2000 || a.log && tick >= 1000 {
		return label(tick/1000, "\u00a0s")
	}
	return label(tick, "\u00a0ms")
}

func label(value float64, unit string) string {
	return strconv.FormatFloat(value, 'g', 6, 64) + unit
}

// timeAxis runs over seconds since a start, with ticks at round times of a clock and a calendar, in UTC.
func timeAxis(start time.Time, end float64) (a axis, ticks []float64, label func(float64) string) {
	a.hi = max(end, 0.001) * 1.01
	by, layout := step(a.hi, 5), "2006-01-02"
	const minute, hour, day = 60, 3600, 86400
	steps := []float64{0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, minute, 2 * minute, 5 * minute, 10 * minute,
		15 * minute, 30 * minute, hour, 2 * hour, 3 * hour, 6 * hour, 12 * hour, day, 2 * day, 5 * day, 10 * day, 20 * day, 50 * day, 100 * day}
	if i := slices.IndexFunc(steps, func(seconds float64) bool { return seconds*5 >= a.hi }); i >= 0 {
		by = steps[i]
	}
	switch {
	case by < 1:
		layout = "15:04:05.000"
	case by < minute:
		layout = "15:04:05"
	case by < day:
		layout = "15:04"
	}
	start = start.UTC()
	midnight := start.Truncate(24 * time.Hour)
	since := start.Sub(midnight).Seconds()
	for i := math.Ceil(since / by); i*by-since <= a.hi; i++ {
		ticks = append(ticks, i*by-since)
	}
	return a, ticks, func(t float64) string {
		at := midnight.Add(time.Duration(math.Round((since+t)*1e6)) * time.Microsecond)
		if by >= minute && at.Equal(at.Truncate(24*time.Hour)) {
			return at.Format("01-02")
		}
		return at.Format(layout)
	}
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
