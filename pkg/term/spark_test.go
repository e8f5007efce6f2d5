package term

import (
	"math"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestPlots(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	many := append(make([]float64, 1000), 5)
	for i, test := range []struct{ got, want string }{
		{Spark([]float64{1, 2, 3, 4, 5, 6, 7, 8}, 8), "▁▂▃▄▅▆▇█"},
		{Spark([]float64{8, 1}, 8), "█▁"},
		{Spark([]float64{-1000, 1, 2, 3, 4, 5, 6, 7, 8}, 8), "▁▂▃▄▅▆▇█"}, // the scale covers only the values shown
		{Spark([]float64{0, 100, 50}, 2), "█▁"},
		{Spark([]float64{800, 805, 3200}, 9), "▁▁█"},
		{Spark([]float64{7, 7, 7}, 9), "▄▄▄"},
		{Spark([]float64{7}, 1), "▄"},
		{Spark([]float64{1, nan, 2, nan}, 9), "▁ █ "},
		{Spark([]float64{nan, nan}, 9), "  "},
		{Spark([]float64{nan, 3}, 9), " ▄"},
		{Spark([]float64{1, inf, 2, -inf}, 9), "▁██▁"},
		{Spark([]float64{-math.MaxFloat64, 0, math.MaxFloat64}, 9), "▁▅█"},
		{Spark([]float64{1, 2}, 0), ""},
		{Spark([]float64{1, 2}, -1), ""},
		{Spark(nil, 9), ""},
		{Histogram([]float64{0, 1, 1, 2, 2, 2, 2, 3, 9}, 0, 10, 10), "▂▄█▂.....▂"},
		{Histogram([]float64{0, 10}, 0, 10, 5), "█...█"}, // the end of the axis belongs to the last cell
		{Histogram([]float64{2, 4}, 0, 10, 5), ".██.."},  // and a border to the cell that begins at it
		{Histogram(many, 0, 10, 4), "█.▁."},
		{Histogram([]float64{-5, 5, 50, 60}, 0, 10, 4), "▄.▄█"},
		{Histogram([]float64{math.Inf(-1), 1, math.NaN(), math.Inf(1)}, 0, 10, 4), "█..▄"},
		{Histogram([]float64{3, 3}, 3, 3, 5), "..█.."},
		{Histogram([]float64{3}, 9, 3, 1), "█"},
		{Histogram([]float64{3}, math.NaN(), 3, 2), ".█"},
		{Histogram([]float64{-math.MaxFloat64, 0, math.MaxFloat64}, -math.MaxFloat64, math.MaxFloat64, 3), "███"},
		{Histogram(nil, 0, 10, 4), "...."},
		{Histogram([]float64{1}, 0, 10, 0), ""},
		{Histogram([]float64{1}, 0, 10, -1), ""},
		{Bar(0, 10, 10), "──────────"},
		{Bar(3, 10, 10), "━━━───────"},
		{Bar(7, 20, 10), "━━━╾──────"},
		{Bar(10, 10, 10), "━━━━━━━━━━"},
		{Bar(99, 100, 10), "━━━━━━━━━╾"},
		{Bar(math.MaxInt-1, math.MaxInt, 3), "━━╾"},
		{Bar(1, 2, 1), "╾"},
		{Bar(11, 10, 4), "━━━━"},
		{Bar(-1, 10, 4), "────"},
		{Bar(0, 0, 4), "────"},
		{Bar(1, 0, 4), "────"},
		{Bar(1, 2, 0), ""},
		{Bar(1, 2, -3), ""},
	} {
		if test.got != test.want {
			t.Errorf("plot %d: got %q, want %q", i, test.got, test.want)
		}
	}
}

// FuzzPlots checks that every plot fits its columns for any values, and that a histogram shows every cell that is not
// empty and one full cell.
func FuzzPlots(f *testing.F) {
	f.Add(1.0, 2.0, 3.0, 0.0, 4.0, 8)
	f.Add(2e-323, 2.5e-323, 1.5e-323, 5e-324, 1.5e-323, 70)
	f.Add(math.NaN(), math.Inf(1), math.Inf(-1), -math.MaxFloat64, math.MaxFloat64, 2)
	f.Fuzz(func(t *testing.T, a, b, c, low, high float64, columns int) {
		columns = min(columns, 500)
		values := []float64{a, b, c}
		if got, want := utf8.RuneCountInString(Spark(values, columns)), min(3, max(0, columns)); got != want {
			t.Errorf("a sparkline of %d columns, want %d", got, want)
		}
		plot := Histogram(values, low, high, columns)
		if got := utf8.RuneCountInString(plot); got != max(0, columns) {
			t.Errorf("a histogram of %d columns, want %d", got, columns)
		}
		some := a == a || b == b || c == c
		if columns > 0 && strings.ContainsRune(plot, '█') != some {
			t.Errorf("%v is %q", values, plot)
		}
		if got := utf8.RuneCountInString(Bar(int(int64(a)), int(int64(b)), columns)); got != max(0, columns) {
			t.Errorf("a bar of %d columns, want %d", got, columns)
		}
	})
}
