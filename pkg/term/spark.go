package term

import (
	"math"
	"strings"
)

// bars are the possible heights of one cell.
var bars = [...]rune{'▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'}

// Spark draws the last values as bars, at most columns of them, the newest at the right. The lowest bar is the smallest
// shown value and the highest bar the largest. If all values are the same, the bars have half the height. NaN, a
// missing value, becomes a space.
func Spark(values []float64, columns int) string {
	values = values[len(values)-max(0, min(columns, len(values))):]
	low, high := math.Inf(1), math.Inf(-1)
	for _, v := range values {
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			low, high = min(low, v), max(high, v)
		}
	}
	var b strings.Builder
	for _, v := range values {
		switch {
		case math.IsNaN(v):
			b.WriteRune(' ')
		case low == high:
			b.WriteRune(bars[len(bars)/2-1])
		default:
			b.WriteRune(bars[int(math.Round(share(v, low, high)*float64(len(bars)-1)))])
		}
	}
	return b.String()
}

// share returns the position of v between low and high, from 0 to 1.
func share(v, low, high float64) float64 {
	switch {
	case v <= low:
		return 0
	case v >= high:
		return 1
	}
	if whole := high - low; !math.IsInf(whole, 0) {
		return (v - low) / whole
	}
	return (v/2 - low/2) / (high/2 - low/2)
}

// emptyCell is the baseline of a histogram: it shows the extent of the axis, and looks different from the lowest bar.
const emptyCell = '.'

// Histogram draws the distribution of a sorted sample over the axis from low to high, in columns cells of equal width.
// The highest cell is a full block, and a cell with any value has at least the lowest bar. Values outside the axis
// count at its ends. If low equals high, all values are in the middle.
func Histogram(sorted []float64, low, high float64, columns int) string {
	if columns <= 0 {
		return ""
	}
	counts := make([]int, columns)
	highest := 0
	for _, v := range sorted {
		if math.IsNaN(v) {
			continue
		}
		cell := columns / 2
		if high > low {
			cell = min(int(share(v, low, high)*float64(columns)), columns-1)
		}
		counts[cell]++
		highest = max(highest, counts[cell])
	}
	var b strings.Builder
	for _, n := range counts {
		if n == 0 {
			b.WriteRune(emptyCell)
			continue
		}
		// Rounded up, so that one value is still visible next to a thousand.
		b.WriteRune(bars[(n*len(bars)+highest-1)/highest-1])
	}
	return b.String()
}

// Bar draws the progress done of total, to half a column. It is full only if everything is done; a total of 0 draws an
// empty bar.
func Bar(done, total, columns int) string {
	const heavy, half, light = "━", "╾", "─"
	columns = max(0, columns)
	halves := 0
	switch {
	case total <= 0 || done <= 0:
	case done >= total:
		halves = 2 * columns
	default:
		halves = min(int(float64(done)/float64(total)*float64(2*columns)), max(0, 2*columns-1))
	}
	bar := strings.Repeat(heavy, halves/2) + strings.Repeat(half, halves%2)
	return bar + strings.Repeat(light, columns-halves/2-halves%2)
}
