package report

import (
	"cmp"
	"math"
	"strconv"
	"time"

	"ferry/pkg/bench"
	"ferry/pkg/text"
)

// percent formats a share as a percentage: as an integer, or with one decimal. Only 1 is shown as 100 and only 0 as 0:
// other shares get as many decimals as this takes.
func percent(share float64) string { return text.Percent(share, 1) }

// percentRange formats an interval of shares, without the sign: 73–88. Only 0 and 1 are shown as 0 and 100.
func percentRange(r bench.Rate) string {
	if math.IsNaN(r.Low) || math.IsNaN(r.High) {
		return text.Missing
	}
	return text.Percent(r.Low, 0) + "–" + text.Percent(r.High, 0)
}

// ratio formats a ratio.
func ratio(x float64) string { return digits(x, 3, 0.0995, 9.995) }

// bound formats an end of a ratio's interval. Only 1 is shown as 1.00, because the verdict depends on the side of 1
// that it is on.
func bound(x float64) string {
	shown := ratio(x)
	for places := 3; shown == "1.00" && x != 1 && places < 9; places++ {
		if more := fixed(x, places); rounded(x, places) != 1 {
			shown = more
		}
	}
	return shown
}

// rate formats a number of things per second.
func rate(x float64) string { return digits(x, 1, 9.95) }

// rateUnit converts a number of things per second. A rate below 0.05/s, which would be shown as 0.0, is per minute or
// per hour.
func rateUnit(perSecond float64) (n float64, unit string) {
	switch {
	case !(perSecond > 0 && perSecond < 0.05):
		return perSecond, "s"
	case perSecond*60 >= 1:
		return perSecond * 60, "min"
	}
	return perSecond * 3600, "hour"
}

// requestRate formats a number of requests per second, with the unit if that is not a second.
func requestRate(perSecond float64) string {
	n, unit := rateUnit(perSecond)
	if unit == "s" {
		return shortNumber(n)
	}
	return rate(n) + "/" + unit
}

// shortNumber formats a time in ms or a rate with three or four digits. More digits would claim a precision that no
// sample has.
func shortNumber(x float64) string { return digits(x, 2, 9.995, 99.95) }

// digits formats a number with the given number of decimals, and one decimal less for each limit that it reaches.
func digits(x float64, places int, limits ...float64) string {
	for _, limit := range limits {
		if math.Abs(x) >= limit {
			places--
		}
	}
	return fixedOrMissing(x, places)
}

// latencyText formats how long answers took. Every answer takes some time, so 0 means that the clock is too coarse.
func latencyText(ms float64) string {
	if ms <= 0 {
		return tooShort
	}
	return text.Millis(ms)
}

const tooShort = "< 1 ms"

// wholeMillis formats a time in whole milliseconds without a space, such as 800ms. A time below 0.95 ms keeps a
// decimal.
func wholeMillis(ms float64) string {
	switch {
	case math.IsNaN(ms) || math.IsInf(ms, 0):
		return text.Missing
	case ms <= 0:
		return tooShort
	case ms < 0.95:
		return fixedOrMissing(ms, 1) + "ms"
	}
	return fixedOrMissing(math.Round(ms), 0) + "ms"
}

// fixedOrMissing formats a number for people, fixed for programs. fixed returns "" if there is no number.
func fixedOrMissing(x float64, places int) string { return cmp.Or(fixed(x, places), text.Missing) }

func fixed(x float64, places int) string { return decimal(x, 'f', places) }

func decimal(x float64, layout byte, places int) string {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return ""
	}
	return strconv.FormatFloat(x, layout, places, 64)
}

// span formats the duration of a run.
func span(seconds float64) string { return text.Span(time.Duration(seconds * float64(time.Second))) }
