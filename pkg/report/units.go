package report

import (
	"cmp"
	"math"
	"strconv"
	"time"

	"ferry/pkg/bench"
	"ferry/pkg/text"
)

// percent writes a share of 1 in percent: whole, or with one decimal where it is not. What is not all is never 100, and
// what is not nothing never 0: it has as many decimals as that takes.
func percent(share float64) string { return text.Percent(share, 1) }

// percentRange writes an interval of shares, without the sign: 73–88. What is not 0 or 100 is not written so.
func percentRange(r bench.Rate) string {
	if math.IsNaN(r.Low) || math.IsNaN(r.High) {
		return text.Missing
	}
	return text.Percent(r.Low, 0) + "–" + text.Percent(r.High, 0)
}

// ratio writes how many times something is.
func ratio(x float64) string { return digits(x, 3, 0.0995, 9.995) }

// bound writes the end of a ratio's interval. What is not 1 is not written so: on which side of 1 it is decides the verdict.
func bound(x float64) string {
	shown := ratio(x)
	for places := 3; shown == "1.00" && x != 1 && places < 9; places++ {
		if more := fixed(x, places); rounded(x, places) != 1 {
			shown = more
		}
	}
	return shown
}

// rate writes a number of things in a second.
func rate(x float64) string { return digits(x, 1, 9.95) }

// bare writes a time in ms or a rate in three or four digits: more would claim what no sample shows.
func bare(x float64) string { return digits(x, 2, 9.995, 99.95) }

// digits writes a number to so many places, and one less from each limit on.
func digits(x float64, places int, limits ...float64) string {
	for _, limit := range limits {
		if math.Abs(x) >= limit {
			places--
		}
	}
	return shown(x, places)
}

// took writes how long answers took. No answer takes no time: a 0 is what a clock gives that is too coarse.
func took(ms float64) string {
	if ms <= 0 {
		return tooShort
	}
	return text.Millis(ms)
}

const tooShort = "< 1 ms"

// wholeMillis writes a time without a space and in whole milliseconds, 800ms, but for what would come out as none.
func wholeMillis(ms float64) string {
	switch {
	case math.IsNaN(ms) || math.IsInf(ms, 0):
		return text.Missing
	case ms <= 0:
		return tooShort
	case ms < 0.95:
		return shown(ms, 1) + "ms"
	}
	return shown(math.Round(ms), 0) + "ms"
}

// shown is a number for people, fixed one for programs, "" for none.
func shown(x float64, places int) string { return cmp.Or(fixed(x, places), text.Missing) }

func fixed(x float64, places int) string { return decimal(x, 'f', places) }

func decimal(x float64, layout byte, places int) string {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return ""
	}
	return strconv.FormatFloat(x, layout, places, 64)
}

// span writes how long a run took.
func span(seconds float64) string { return text.Span(time.Duration(seconds * float64(time.Second))) }
