package bench

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

func near(a, b, tolerance float64) bool { return math.Abs(a-b) <= tolerance }

func TestWilson(t *testing.T) {
	for _, c := range []struct {
		ok, n     int
		low, high float64
	}{
		{19, 20, 0.7639, 0.9911}, // so "95 %" of 20 requests is imprecise
		{0, 10, 0, 0.2775},
		{10, 10, 0.7225, 1},
		{1, 1, 0.2065, 1},
		{50, 100, 0.4038, 0.5962},
		{81, 263, 0.2553, 0.3662}, // Newcombe's example
		{15, 148, 0.0624, 0.1605}, // and his second
	} {
		r := wilson(c.ok, c.n)
		if r.Value != float64(c.ok)/float64(c.n) || !near(r.Low, c.low, 5e-5) || !near(r.High, c.high, 5e-5) {
			t.Errorf("%d of %d: got %+v, want %v to %v", c.ok, c.n, r, c.low, c.high)
		}
	}
	equal(t, "nothing asked", wilson(0, 0), Rate{math.NaN(), 0, 1})
	for n := 1; n < 200; n++ {
		equal(t, "the ends of the interval", []float64{wilson(0, n).Low, wilson(n, n).High}, []float64{0, 1})
	}
}

// The coverage of wilson's interval is the exact binomial sum, which is not always 95 %.
func TestWilsonCoverage(t *testing.T) {
	for _, c := range []struct {
		n           int
		p, coverage float64
	}{
		{20, 0.95, 0.9245}, {100, 0.99, 0.9206}, {150, 0.98, 0.9680}, {50, 0.82, 0.9597}, {10, 0.5, 0.9785}, {1000, 0.95, 0.9504},
	} {
		b := distuv.Binomial{N: float64(c.n), P: c.p}
		exact := 0.
		for ok := range c.n + 1 {
			if r := wilson(ok, c.n); r.Low <= c.p && c.p <= r.High {
				exact += b.Prob(float64(ok))
			}
		}
		if !near(exact, c.coverage, 5e-5) {
			t.Errorf("n=%d p=%v: got a coverage of %.4f, want %.4f", c.n, c.p, exact, c.coverage)
		}
	}
}

// Failures are values above all others, and count towards MinPercentile.
func TestDescribe(t *testing.T) {
	hundred := make([]float64, 100)
	for i := range hundred {
		hundred[i] = float64(100 - i)
	}
	for _, c := range []struct {
		values   []float64
		failures int
		want     string
	}{
		{nil, 0, "{0 NaN NaN NaN NaN NaN NaN NaN NaN}"},
		{[]float64{7}, 0, "{1 7 NaN 7 NaN NaN NaN NaN 7}"},
		{[]float64{9, 7}, 0, "{2 8 1.4142135623730951 7 NaN NaN NaN NaN 9}"},
		{[]float64{1, 2, 3}, 0, "{3 2 1 1 2 3 3 3 3}"},
		{[]float64{5, 1, 4, 2, 3}, 0, fmt.Sprint(Stats{5, 3, math.Sqrt(2.5), 1, 3, 5, 5, 5, 5})},
		{hundred, 0, "{100 50.5 29.011491975882016 1 50 90 95 99 100}"},
		{[]float64{7}, 1, "{2 7 NaN 7 NaN NaN NaN NaN +Inf}"},
		{nil, 2, "{2 NaN NaN NaN NaN NaN NaN NaN +Inf}"},
		{[]float64{7}, 2, "{3 7 NaN 7 +Inf +Inf +Inf +Inf +Inf}"},
		{[]float64{7, 9}, 1, "{3 8 1.4142135623730951 7 9 +Inf +Inf +Inf +Inf}"},
	} {
		got := describe(c.values).withFailures(c.values, c.failures)
		equal(t, fmt.Sprint(c.values, " and failures: ", c.failures), got, c.want)
		equal(t, "percentiles are known", got.HasPercentiles(), got.N >= MinPercentile)
	}
}

// The results equal gonum's, and are the same bit for bit whatever the order of the values and their memory address.
func TestDescribeOrder(t *testing.T) {
	random := rand.New(rand.NewPCG(2, 2))
	for n := 2; n < 400; n += 1 + n/20 {
		values := make([]float64, n)
		for i := range values {
			values[i] = math.Exp(random.NormFloat64()) * 1000
		}
		first := describe(slices.Clone(values))
		sorted := slices.Sorted(slices.Values(values))
		mean, sd := stat.MeanStdDev(sorted, nil)
		if !near(first.Mean, mean, 1e-9) || !near(first.SD, sd, 1e-9) || first.Min != sorted[0] || first.Max != sorted[n-1] {
			t.Fatalf("%d values: %+v, want mean %v and sd %v", n, first, mean, sd)
		}
		for percent, got := range map[int]float64{50: first.P50, 90: first.P90, 95: first.P95, 99: first.P99} {
			if want := stat.Quantile(float64(percent)/100, stat.Empirical, sorted, nil); n >= MinPercentile && got != want {
				t.Errorf("p%d of %d values is %v, want %v", percent, n, got, want)
			}
		}
		for shift := range 3 {
			random.Shuffle(n, func(i, j int) { values[i], values[j] = values[j], values[i] })
			again := append(make([]float64, shift, n+shift), values...)[shift:]
			if got := describe(again); fmt.Sprint(got) != fmt.Sprint(first) {
				t.Errorf("%d values in another order: %+v, want %+v", n, got, first)
			}
		}
	}
}

// The mean of equal values is exactly that value, and their deviation is 0.
func TestDescribeEqual(t *testing.T) {
	for n := 1; n < 100; n++ {
		s := describe(slices.Repeat([]float64{0.1}, n))
		if s.Mean != 0.1 || n > 1 && s.SD != 0 {
			t.Errorf("%d times 0.1: got %+v, want the mean 0.1 and no deviation", n, s)
		}
	}
}

// TestDistributions compares the quantiles and tails with gonum's.
func TestDistributions(t *testing.T) {
	same := func(what string, got, want float64) {
		if !near(got, want, 1e-9*math.Abs(want)) {
			t.Errorf("%s: got %v, want %v", what, got, want)
		}
	}
	for _, p := range []float64{0.001, 0.025, 0.3, 0.6, 0.9, 0.975, 0.9999} {
		same(fmt.Sprintf("normal quantile of %v", p), normalQuantile(p), distuv.UnitNormal.Quantile(p))
		z := normalQuantile(p)
		same(fmt.Sprintf("normal above %v", z), normalAbove(z), distuv.UnitNormal.Survival(z))
	}
	for _, freedom := range []float64{1, 2, 9, 30, 1000} {
		for _, p := range []float64{0.6, 0.9, 0.975, 0.999} {
			same(fmt.Sprintf("quantile of %v with %v degrees of freedom", p, freedom), studentQuantile(p, freedom),
				distuv.StudentsT{Sigma: 1, Nu: freedom}.Quantile(p))
		}
	}
}
