package report

import (
	"math"
	"slices"
	"strconv"
	"time"

	"ferry/pkg/bench"
)

// units is the width of a picture in its own coordinates. The browser stretches them to the available width; the widths
// of lines and the sizes of dots do not change. Integer coordinates are finer than any screen, and short.
const units = 2000

// axis maps values to 0 to 1.
type axis struct {
	lo, hi float64
	log    bool
}

// at returns the position of a value: below 0 or above 1 if the value is outside the axis.
func (a axis) at(v float64) float64 {
	if a.log {
		return math.Log(max(v, a.lo/1e6)/a.lo) / math.Log(a.hi/a.lo)
	}
	return (v - a.lo) / (a.hi - a.lo)
}

// clamp limits a position to the axis.
func clamp(at float64) float64 { return min(max(at, 0), 1) }

// x returns the position of a value in units, limited to the axis.
func (a axis) x(v float64) int { return int(math.Round(clamp(a.at(v)) * units)) }

// share returns the same position in percent of the width.
func (a axis) share(v float64) float64 { return clamp(a.at(v)) * 100 }

// tooSpread is the ratio of the largest p99 to the lowest p5 above which only a logarithmic axis shows both.
const tooSpread = 40

// labelRoom is the share of the width that contains every p95, so that its label fits to the right of it.
const labelRoom = 0.8

// latencyAxis returns one axis for all rows, so that they can be compared by eye. It ends after the largest p99:
// otherwise one outlier would compress all other values.
func latencyAxis(rows []*bench.Row) axis {
	low, p95, p99 := math.Inf(1), 0.0, 0.0
	for _, r := range rows {
		if n := len(r.Sorted); n > 0 {
			low = min(low, r.Sorted[n/20])
			p95 = max(p95, r.Sorted[min(n*95/100, n-1)])
			p99 = max(p99, r.Sorted[min(n*99/100, n-1)])
		}
	}
	if p99 == 0 { // no node answered: use the times until failures
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

// linear returns an axis from 0 that ends at a tick or halfway between two.
func linear(high float64) axis {
	half := step(high, 5) / 2
	return axis{hi: math.Ceil(high/half) * half}
}

// step returns 1, 2, 2.5 or 5 times a power of ten, which divides the length into about the given number of parts.
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

// ticks returns round values on the axis, at most about eight.
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

// logTicks returns round values that are far enough apart on a narrow screen. It adds 1 first and then the roundest
// values.
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

// label formats a tick in ms, or in seconds if the axis reaches 2 s. A logarithmic axis covers too much for one unit,
// so its ticks from 1 s on are in seconds.
func (a axis) label(tick float64) string {
	if !a.log && a.hi >= 2000 || a.log && tick >= 1000 {
		return label(tick/1000, "\u00a0s")
	}
	return label(tick, "\u00a0ms")
}

func label(value float64, unit string) string {
	return strconv.FormatFloat(value, 'g', 6, 64) + unit
}

// timeAxis returns an axis of seconds since a start, with ticks at round times of a clock and a calendar, in UTC.
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

// ratioAxis returns a logarithmic axis that contains 1. On it, half and double are equally far from 1.
func ratioAxis(rows []*bench.Row) axis {
	a := axis{lo: 0.9, hi: 1.1, log: true}
	for _, r := range rows {
		if c := r.VsReference; c != nil && c.Low > 0 && !math.IsInf(c.High, 1) {
			a.lo, a.hi = min(a.lo, c.Low/1.1), max(a.hi, c.High*1.1)
		}
	}
	return a
}
