package report

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"ferry/pkg/bench"
)

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-9*max(1, math.Abs(a)) }

func TestTicks(t *testing.T) {
	for _, test := range []struct {
		axis axis
		want string
	}{
		{linear(3300), "[0 s 1 s 2 s 3 s]"},
		{linear(950), "[0 ms 200 ms 400 ms 600 ms 800 ms 1000 ms]"},
		{linear(0.43), "[0 ms 0.1 ms 0.2 ms 0.3 ms 0.4 ms]"},
		{linear(12000), "[0 s 2.5 s 5 s 7.5 s 10 s 12.5 s]"},
		{linear(5000), "[0 s 1 s 2 s 3 s 4 s 5 s]"},
		{axis{lo: 8, hi: 9000, log: true}, "[10 ms 30 ms 100 ms 300 ms 1 s 3 s]"},
		{axis{lo: 40, hi: 1500, log: true}, "[50 ms 100 ms 200 ms 500 ms 1 s]"},
	} {
		got := strings.ReplaceAll(fmt.Sprint(each(test.axis.ticks(), test.axis.label)), "\u00a0", " ")
		if got != test.want {
			t.Errorf("%+v has the ticks %s, not %s", test.axis, got, test.want)
		}
	}
}

// TestTicksAnyLength goes through ten powers of ten: the ticks are few, ascending and on the axis, and the axis ends at
// the value or just after it.
func TestTicksAnyLength(t *testing.T) {
	for high := 0.001; high < 1e7; high *= 1.07 {
		a := linear(high)
		ticks := a.ticks()
		if a.hi < high || a.hi > 1.25*high {
			t.Errorf("up to %g the axis ends at %g", high, a.hi)
		}
		if len(ticks) < 3 || len(ticks) > 8 || !slices.IsSorted(ticks) || ticks[0] != 0 || ticks[len(ticks)-1] > a.hi*1.001 {
			t.Errorf("up to %g the ticks are %v", high, ticks)
		}
		time, seconds, _ := timeAxis(started, high)
		if len(seconds) < 2 || len(seconds) > 8 || seconds[len(seconds)-1] > time.hi {
			t.Errorf("after %g s the ticks are %v", high, seconds)
		}
	}
}

// The ticks are at round times of the day, in UTC, whatever the local time zone.
func TestTimeAxis(t *testing.T) {
	for end, want := range map[float64]string{
		0.9: "[04:11:05.000 04:11:05.200 04:11:05.400 04:11:05.600 04:11:05.800]", 9: "[04:11:06 04:11:08 04:11:10 04:11:12 04:11:14]",
		100: "[04:11:30 04:12:00 04:12:30]", 340: "[04:12 04:14 04:16]", 6800: "[04:30 05:00 05:30 06:00]",
		40000: "[06:00 09:00 12:00 15:00]", 250_000: "[11-24 11-25 11-26]", 86400: "[06:00 12:00 18:00 11-24]",
		86400 * 100: "[01-12 03-03]",
	} {
		_, ticks, label := timeAxis(started.In(time.FixedZone("", 8*3600)), end)
		if got := fmt.Sprint(each(ticks, label)); got != want {
			t.Errorf("%g s: got %s, want %s", end, got, want)
		}
	}
}

func TestAxisAt(t *testing.T) {
	for _, test := range []struct {
		axis     axis
		v, share float64
		x        int
	}{
		{axis{hi: 4000}, 1000, 25, 500},
		{axis{hi: 4000}, 9000, 100, units},
		{axis{lo: 10, hi: 1000, log: true}, 100, 50, 1000},
		{axis{lo: 10, hi: 1000, log: true}, 0, 0, 0},
		{axis{lo: 10, hi: 1000, log: true}, 1e9, 100, units},
	} {
		if share, x := test.axis.share(test.v), test.axis.x(test.v); !near(share, test.share) || x != test.x {
			t.Errorf("%g lies at %g %% and %d of %+v, not at %g %% and %d", test.v, share, x, test.axis, test.share, test.x)
		}
	}
}

func rowOf(latencies ...float64) *bench.Row {
	slices.Sort(latencies)
	return &bench.Row{Sorted: latencies, OK: len(latencies), Requests: len(latencies), Latency: describe(latencies)}
}

// TestLatencyAxis checks that one outlier does not compress the other values, that the axis is logarithmic only if
// necessary, and that there is room for the label of every p95.
func TestLatencyAxis(t *testing.T) {
	rows := func(latencies ...[]float64) (rows []*bench.Row) {
		for _, l := range latencies {
			rows = append(rows, rowOf(l...))
		}
		return rows
	}
	for _, test := range []struct {
		name      string
		rows      []*bench.Row
		low, high float64 // where the axis may end
		log       bool
	}{
		{"a stray answer", rows(append(slices.Repeat([]float64{100}, 300), 60_000)), 100, 200, false},
		{"39 times apart", rows([]float64{10, 10, 10}, []float64{390, 390, 390}), 390, 600, false},
		{"41 times apart", rows([]float64{10, 10, 10}, []float64{410, 410, 410}), 410, 1200, true},
		{"failures alone", []*bench.Row{{Requests: 1, Timeline: []bench.Point{{Latency: 700}}}}, 700, 1000, false},
		{"nothing", []*bench.Row{{}}, 1, 1, false},
	} {
		if a := latencyAxis(test.rows); a.hi < test.low || a.hi > test.high || a.log != test.log || a.lo > 10 {
			t.Errorf("%s: got %+v, want an end from %g to %g, logarithmic %v", test.name, a, test.low, test.high, test.log)
		}
	}
	for name, s := range pages() {
		a := latencyAxis(s.Rows)
		for _, r := range s.Rows {
			if p95 := r.Latency.P95; p95 > 0 && a.at(p95) > labelRoom+0.001 {
				t.Errorf("%s: %s has its p95 at %.2f of the axis", name, r.Node.Name, a.at(p95))
			}
		}
	}
}

// TestRatioTicks checks that the ticks include 1 and that the others are far enough from it on a narrow screen.
func TestRatioTicks(t *testing.T) {
	for _, a := range []axis{
		{lo: 0.9, hi: 1.1, log: true}, {lo: 0.2, hi: 1.1, log: true}, {lo: 0.015, hi: 2.5, log: true}, {lo: 0.0002, hi: 3000, log: true},
	} {
		ticks := a.ticks()
		if !slices.Contains(ticks, 1) || len(ticks) < 2 || len(ticks) > 8 {
			t.Errorf("%+v has the ticks %v", a, ticks)
		}
		for i, x := range ticks {
			for _, y := range ticks[:i] {
				if math.Abs(a.at(x)-a.at(y)) < 0.13 {
					t.Errorf("%+v: %g and %g stand too close", a, x, y)
				}
			}
		}
	}
	a := ratioAxis([]*bench.Row{{VsReference: &bench.Comparison{Ratio: 2900, Low: 0, High: math.Inf(1)}}})
	if a != (axis{lo: 0.9, hi: 1.1, log: true}) {
		t.Errorf("a ratio without an interval makes the axis %+v", a)
	}
}

// peaks returns the peaks of a density: places above a twentieth of its height, with valleys of at least that depth
// between them.
func peaks(heights []float64) (at []int) {
	const least = 0.05
	top, bottom, rising := 0, 0, true
	for i, h := range heights {
		switch {
		case rising && h > heights[top]:
			top = i
		case rising && heights[top] > least && h < heights[top]-least:
			at = append(at, top)
			rising, bottom = false, i
		case !rising && h < heights[bottom]:
			bottom = i
		case !rising && h > heights[bottom]+least:
			rising, top = true, i
		}
	}
	if rising && heights[top] > least {
		at = append(at, top)
	}
	return at
}

// hill returns n latencies with a normal distribution around a middle.
func hill(n int, middle, sd float64) []float64 {
	random := rand.New(rand.NewPCG(uint64(n), uint64(middle)))
	values := make([]float64, n)
	for i := range values {
		values[i] = middle + sd*random.NormFloat64()
	}
	return values
}

func TestDensity(t *testing.T) {
	a := axis{hi: 1000}
	one := spread(200, 500)
	two := slices.Sorted(slices.Values(append(spread(100, 300), spread(100, 700)...)))
	same := slices.Repeat([]float64{250}, 50)
	// Peaks that a spread over all values would merge into one, and a small peak beside a large one.
	both := func(a, b []float64) []float64 { return slices.Sorted(slices.Values(append(a, b...))) }
	near, small, twenty := both(hill(40, 400, 30), hill(40, 520, 30)), both(hill(90, 200, 20), hill(10, 600, 20)), both(hill(10, 200, 30), hill(10, 400, 30))
	for name, test := range map[string]struct {
		values []float64
		at     []float64
	}{
		"one": {one, []float64{0.5}}, "two": {two, []float64{0.3, 0.7}}, "same": {same, []float64{0.25}},
		"near": {near, []float64{0.4, 0.52}}, "small": {small, []float64{0.2, 0.6}}, "ten each": {twenty, []float64{0.2, 0.4}},
		"one hill of few": {slices.Sorted(slices.Values(hill(20, 500, 60))), []float64{0.5}}, "one of many": {slices.Sorted(slices.Values(hill(5000, 500, 60))), []float64{0.5}},
		"beyond": {append(slices.Clone(same), slices.Repeat([]float64{5000}, 20)...), []float64{0.25}},
	} {
		heights := density(test.values, a)
		at := peaks(heights)
		if len(at) != len(test.at) || slices.Max(heights) != 1 {
			t.Errorf("%s: got the peaks %v of %d, the highest %g, want %v", name, at, bins, slices.Max(heights), test.at)
			continue
		}
		for i, want := range test.at {
			if got := float64(at[i]) / bins; math.Abs(got-want) > 0.05 {
				t.Errorf("%s: a peak at %.2f, not at %.2f", name, got, want)
			}
		}
	}
}

// TestMarks: answers are dots and failures are vertical strokes, each at its place, and marks that coincide are drawn
// once.
func TestMarks(t *testing.T) {
	time, a := axis{hi: 100}, axis{hi: 1000}
	points := []bench.Point{{At: 0, Latency: 0, OK: true}, {At: 25, Latency: 500}, {At: 50, Latency: 1000, OK: true},
		{At: 50, Latency: 1000, OK: true}, {At: 75, Latency: 9000}, {At: 100, Latency: 250, OK: true}}
	for ok, want := range map[bool]string{true: "m0 90h0m1000 -80h0m1000 60h0", false: "m500 44v12m1000 -52v12"} {
		if got := marks(points, ok, time, a); got != want {
			t.Errorf("ok %v: got %s, want %s", ok, got, want)
		}
	}
}

// TestMedians: there is no line through a few answers, failures are ignored, and an outlier does not move the line.
func TestMedians(t *testing.T) {
	time, a := axis{hi: 15}, axis{hi: 1000}
	var points []bench.Point
	for i := range 15 {
		points = append(points, bench.Point{At: float64(i), Latency: 500, OK: true}, bench.Point{At: float64(i), Latency: 1})
	}
	points[0].Latency = 1000
	if got := medians(points, time, a); got != "M267 50L933 50L1600 50" {
		t.Errorf("the line is %s", got)
	}
	if got := medians(points[:20], time, a); got != "" {
		t.Errorf("ten answers have the line %s", got)
	}
	for _, p := range slices.Clone(points) { // three days later, with shorter latencies
		points = append(points, bench.Point{At: 3*86400 + p.At, Latency: p.Latency / 2, OK: p.OK})
	}
	if got := medians(points, axis{hi: 4 * 86400}, a); got != "M0 50L0 50L0 50M1500 70L1500 70L1500 70" {
		t.Errorf("over a gap of days the line is %s", got)
	}
}
