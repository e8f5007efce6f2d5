package text

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"
)

// Missing is shown in place of a missing number.
const Missing = "–"

// Latency formats a measured time: 0.4 ms, 12 ms, 3.21 s, 125 s.
func Latency(d time.Duration) string { return Millis(float64(d) / float64(time.Millisecond)) }

// Millis is Latency for a number of milliseconds. NaN and infinity give Missing. The rounded value selects the unit, so
// 999.7 ms is 1.00 s.
func Millis(ms float64) string {
	size := math.Abs(ms)
	switch {
	case math.IsNaN(ms) || math.IsInf(ms, 0):
		return Missing
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

// Span formats how long something took: 1.2 s, 45 s, 3 min 12 s, 2 h 5 min.
func Span(d time.Duration) string {
	switch seconds := d.Seconds(); {
	case seconds < 10:
		return fmt.Sprintf("%.1f s", seconds)
	case seconds < 119.5:
		return fmt.Sprintf("%.0f s", seconds)
	case seconds < 7170:
		d = d.Round(time.Second)
		if d%time.Minute == 0 {
			return fmt.Sprintf("%d min", d/time.Minute)
		}
		return fmt.Sprintf("%d min %d s", d/time.Minute, d%time.Minute/time.Second)
	}
	d = d.Round(time.Minute)
	return fmt.Sprintf("%d h %d min", d/time.Hour, d%time.Hour/time.Minute)
}

// Seconds formats a wait: 2 s, 1.5 s.
func Seconds(d time.Duration) string {
	return strings.TrimSuffix(fmt.Sprintf("%.1f", d.Seconds()), ".0") + " s"
}

// Brief formats a duration for a flag or the configuration: 2h, 1m30s.
func Brief(d time.Duration) string {
	return strings.NewReplacer("h0m0s", "h", "m0s", "m").Replace(d.String())
}

// Percent formats a share from 0 to 1 as a percentage without the sign, with no decimals or with this number of
// decimals. Only 1 gives 100 and only 0 gives 0: other values get more decimals if needed. NaN gives Missing.
func Percent(share float64, decimals int) string {
	value := share * 100
	whole := math.Round(value)
	switch {
	case math.IsNaN(share):
		return Missing
	case math.Abs(value-whole) < 1e-9:
		return strconv.FormatFloat(whole, 'f', 0, 64)
	}
	for ; ; decimals++ {
		shown := strconv.FormatFloat(value, 'f', decimals, 64)
		if rounded, _ := strconv.ParseFloat(shown, 64); rounded > 0 && rounded < 100 {
			return shown
		}
	}
}

// Size formats a limit in bytes: 8 MiB, 64 KiB, 1000 bytes.
func Size(bytes int64) string {
	switch {
	case bytes >= 1<<20 && bytes%(1<<20) == 0:
		return fmt.Sprintf("%d MiB", bytes>>20)
	case bytes >= 1<<10 && bytes%(1<<10) == 0:
		return fmt.Sprintf("%d KiB", bytes>>10)
	}
	return Count(int(bytes), "byte")
}

// Count formats a number with its noun in the singular or the plural.
func Count(n int, noun string) string {
	switch {
	case n == 1:
		return "1 " + noun
	case strings.HasSuffix(noun, "s"):
		noun += "e"
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// Width returns the display width of a line in columns. Escape sequences have no width.
func Width(line string) int { return ansi.StringWidth(line) }

// Cut shortens a line to at most columns columns. A shortened line ends with an ellipsis.
func Cut(line string, columns int) string { return ansi.Truncate(line, columns, "…") }
