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

// logTicks takes the finest set of multiples that stays readable.
func (a axis) logTicks() []float64 {
	var ticks []float64
	for _, multiples := range [][]float64{{1, 2, 5}, {1, 3}, {1}} {
		ticks = ticks[:0]
		for power := math.Floor(math.Log10(a.lo)); power <= math.Ceil(math.Log10(a.hi)); power++ {
			for _, m := range multiples {
				if v := m * math.Pow(10, power); v >= a.lo && v <= a.hi {
					ticks = append(ticks, v)
				}
			}
		}
		if len(ticks) <= 7 {
			return ticks
		}
	}
	return ticks
}

// msLabels names an axis' ticks in one unit, ms, or seconds where the largest is 2 s or more. A logarithmic axis reaches
// too far for one.
func msLabels(a axis, ticks []float64) []string {
	inSeconds := !a.log && len(ticks) > 0 && slices.Max(ticks) >= 2000
	return each(ticks, func(t float64) string {
		if inSeconds || a.log && t >= 1000 {
			return label(t/1000, "\u00a0s")
		}
		return label(t, "\u00a0ms")
	})
}

func label(value float64, unit string) string {
	return strconv.FormatFloat(value, 'g', 6, 64) + unit
}

// timeSteps are the seconds between ticks that a clock and a calendar have.
func timeSteps() []float64 {
	const minute, hour, day = 60, 3600, 86400
	return []float64{0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, minute, 2 * minute, 5 * minute, 10 * minute,
		15 * minute, 30 * minute, hour, 2 * hour, 3 * hour, 6 * hour, 12 * hour, day, 2 * day, 5 * day, 10 * day, 20 * day, 50 * day, 100 * day}
}

// timeAxis runs over seconds since a start, with ticks at round times of the day, in UTC.
func timeAxis(start time.Time, end float64) (axis, []float64, []string) {
	a := axis{hi: max(end, 0.001) * 1.01}
	by, layout := step(a.hi, 5), "2006-01-02"
	for _, seconds := range timeSteps() {
		if seconds*5 >= a.hi {
			by = seconds
			break
		}
	}
	switch {
	case by < 1:
		layout = "15:04:05.000"
	case by < 60:
		layout = "15:04:05"
	case by < 86400:
		layout = "15:04"
	}
	start = start.UTC()
	midnight := start.Truncate(24 * time.Hour)
	since := start.Sub(midnight).Seconds()
	var ticks []float64
	for i := math.Ceil(since / by); i*by-since <= a.hi; i++ {
		ticks = append(ticks, i*by-since)
	}
	return a, ticks, each(ticks, func(t float64) string {
		at := midnight.Add(time.Duration(math.Round((since+t)*1e6)) * time.Microsecond)
		if by >= 60 && at.Equal(at.Truncate(24*time.Hour)) {
			return at.Format("01-02")
		}
		return at.Format(layout)
	})
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
		{0.0001, 0.001, 0.01, 0.1, 10, 100, 1000, 10000}, {0.02, 0.05, 0.2, 0.5, 2, 5, 20, 50}, {0.3, 0.7, 1.5, 3},
		{0.4, 0.6, 0.8, 0.9, 0.95, 1.05, 1.1, 1.2, 4},
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
