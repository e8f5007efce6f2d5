package report

import (
	"fmt"
	"math"
	"strconv"

	"ferry/pkg/bench"
)

// missing stands where there is no number.
const missing = "–"

// spell writes milliseconds as people read latencies: 0.4 ms, 12 ms, 3.21 s, 125 s. It goes by what is left after
// rounding, so that no 1000 ms stands beside 1.00 s.
func spell(ms float64) string {
	size := math.Abs(ms)
	switch {
	case math.IsNaN(ms) || math.IsInf(ms, 0):
		return missing
	case size < 0.05:
		return "0 ms"
	case size < 9.95:
		return fmt.Sprintf("%.1f ms", ms)
	case size < 999.5:
		return fmt.Sprintf("%.0f ms", ms)
	case size < 99995:
		return fmt.Sprintf("%.2f s", ms/1000)
	}
	return fmt.Sprintf("%.0f s", ms/1000)
}

// spellRange writes two times with one unit where they share it: 2.11–2.68 s.
func spellRange(low, high float64) string {
	from, to := spell(low), spell(high)
	number, unit, ok := cutUnit(from)
	if _, other, has := cutUnit(to); ok && has && unit == other {
		from = number
	}
	if low < 0 {
		return from + " to " + to // a dash after a minus reads badly
	}
	return from + "–" + to
}

func cutUnit(spelled string) (number, unit string, ok bool) {
	for i := range spelled {
		if spelled[i] == ' ' {
			return spelled[:i], spelled[i+1:], true
		}
	}
	return "", "", false
}

// percent writes a share of 1 in percent: whole, or with one decimal where it is not. What is not all is never 100, and
// what is not nothing never 0.
func percent(share float64) string {
	if math.IsNaN(share) {
		return missing
	}
	value := share * 100
	if whole := math.Round(value); math.Abs(value-whole) < 1e-9 {
		return strconv.FormatFloat(whole, 'f', 0, 64)
	}
	return strconv.FormatFloat(min(max(value, 0.1), 99.9), 'f', 1, 64)
}

// percentRange writes an interval of shares in whole percent, without the sign: 73–88.
func percentRange(r bench.Rate) string {
	if math.IsNaN(r.Low) || math.IsNaN(r.High) {
		return missing
	}
	return fmt.Sprintf("%.0f–%.0f", r.Low*100, r.High*100)
}

// success writes a rate with its interval: 82 % (73–88 %).
func success(r bench.Rate) string {
	return percent(r.Value) + " % (" + percentRange(r) + " %)"
}

// ratio writes how many times something is, in three digits or so.
func ratio(x float64) string {
	switch {
	case math.IsNaN(x) || math.IsInf(x, 0):
		return missing
	case x < 0.0995:
		return fmt.Sprintf("%.3f", x)
	case x < 9.995:
		return fmt.Sprintf("%.2f", x)
	}
	return fmt.Sprintf("%.1f", x)
}

// rate writes a number of things in a second.
func rate(x float64) string {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return missing
	}
	if x < 9.95 {
		return strconv.FormatFloat(x, 'f', 1, 64)
	}
	return strconv.FormatFloat(x, 'f', 0, 64)
}

// count writes a number with its noun in the singular or the plural.
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

// span writes how long a run took, in seconds up to two minutes, in minutes up to two hours.
func span(seconds float64) string {
	switch {
	case seconds < 10:
		return fmt.Sprintf("%.1f s", seconds)
	case seconds < 119.5:
		return fmt.Sprintf("%.0f s", seconds)
	case seconds < 7170:
		whole := int(math.Round(seconds))
		if whole%60 == 0 {
			return fmt.Sprintf("%d min", whole/60)
		}
		return fmt.Sprintf("%d min %d s", whole/60, whole%60)
	}
	minutes := int(math.Round(seconds / 60))
	return fmt.Sprintf("%d h %d min", minutes/60, minutes%60)
}

// present reports whether there is anything in an optional column of numbers.
func present(s *bench.Stats) bool { return s != nil && s.N > 0 }
