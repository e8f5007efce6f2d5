package bench

import (
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// draws returns random values of a kind: continuous, coarse with many ties, or coarse with ties and zeros.
func draws(random *rand.Rand, kind, n int) []float64 {
	values := make([]float64, n)
	shift := random.NormFloat64() / 2
	for i := range values {
		values[i] = random.NormFloat64() + shift
		switch kind {
		case 1:
			values[i] = math.Copysign(math.Ceil(math.Abs(values[i])*4), values[i])
		case 2:
			values[i] = math.Round(values[i] * 2)
		}
	}
	return values
}

// TestSums compares the sums of pairs and of two samples with a list of all sums.
func TestSums(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 3))
	for n := 1; n <= 30; n++ {
		for kind := range 3 {
			sample := func(n int) []float64 { return slices.Sorted(slices.Values(draws(random, kind, n))) }
			a := sample(n)
			for _, s := range []sums{pairSums(a), crossSums(a, sample(1+random.IntN(9)))} {
				var all []float64
				for i, x := range s.a {
					for j, y := range s.b {
						if !s.pairs || i <= j {
							all = append(all, x+y)
						}
					}
				}
				slices.Sort(all)
				for i, want := range all {
					if got := s.kth(i + 1); got != want {
						t.Fatalf("sum %d of %v: got %v, want %v", i+1, s, got, want)
					}
				}
				if got, want := s.median(), median(all); got != want || s.size() != len(all) {
					t.Errorf("%v: got the median %v of %d sums, want %v of %d", s, got, s.size(), want, len(all))
				}
			}
		}
	}
}

// midranks returns the ranks by magnitude. All values of a tie have the mean of its ranks.
func midranks(values []float64) []float64 {
	ranks := make([]float64, len(values))
	for i, v := range values {
		for _, w := range values {
			switch {
			case math.Abs(w) < math.Abs(v):
				ranks[i]++
			case math.Abs(w) == math.Abs(v):
				ranks[i] += 0.5
			}
		}
		ranks[i] += 0.5
	}
	return ranks
}

func negativeRanks(values, ranks []float64) float64 {
	sum := 0.
	for i, v := range values {
		if v < 0 {
			sum += ranks[i]
		}
	}
	return sum
}

// The exact test gives the same result as enumerating all 2ⁿ choices of signs, with or without ties.
func TestSignedRankExact(t *testing.T) {
	random := rand.New(rand.NewPCG(4, 4))
	for n := 1; n <= 12; n++ {
		for kind := range 2 {
			values := slices.Sorted(slices.Values(draws(random, kind, n)))
			ranks := midranks(values)
			minus := negativeRanks(values, ranks)
			total := float64(n*(n+1)) / 2
			sums := make([]float64, 1<<n)
			for signs := range sums {
				for rest := uint(signs); rest != 0; rest &= rest - 1 {
					sums[signs] += ranks[bits.TrailingZeros(rest)]
				}
			}
			share := func(most float64) float64 {
				count := 0
				for _, s := range sums {
					if s <= most {
						count++
					}
				}
				return min(1, 2*float64(count)/float64(len(sums)))
			}
			got := signedRank(values, alpha)
			if float64(got.minus) != 2*minus || float64(got.total) != 2*total {
				t.Errorf("%v: rank sums %d of %d, want %v of %v", values, got.minus, got.total, 2*minus, 2*total)
			}
			if want := share(min(minus, total-minus)); got.p != want {
				t.Errorf("%v: p is %v, want %v", values, got.p, want)
			}
			if got.critical >= 0 && share(float64(got.critical)/2) >= alpha || share(float64(got.critical+1)/2) < alpha {
				t.Errorf("%v: critical is %d", values, got.critical)
			}
		}
	}
}

// The normal approximation is the textbook's: the variance is a quarter of the sum of the squared ranks.
func TestSignedRankNormal(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 5))
	for n := exactPairs + 1; n < 300; n += 13 {
		for kind := range 2 {
			values := slices.Sorted(slices.Values(draws(random, kind, n)))
			ranks := midranks(values)
			variance := 0.
			for _, r := range ranks {
				variance += r * r / 4
			}
			off := math.Abs(negativeRanks(values, ranks) - float64(n*(n+1))/4)
			want := math.Erfc(max(0, off-0.5) / math.Sqrt(2*variance))
			if got := signedRank(values, alpha); !near(got.p, want, 1e-12) {
				t.Errorf("%d values of kind %d: p is %v, want %v", n, kind, got.p, want)
			}
		}
	}
}

// Other statistics packages give the expected results for Hollander and Wolfe's patients on a tranquilliser and for
// Darwin's maize.
func TestCompareKnown(t *testing.T) {
	c := compare([]float64{0.952, -0.147, 1.022, 0.430, 0.620, 0.590, 0.490, -0.080, 0.010}, alpha)
	if got := fmt.Sprintf("%d pairs, p %.5f, %.3f (%.3f to %.3f), %s", c.Pairs, c.P, math.Log(c.Ratio), math.Log(c.Low),
		math.Log(c.High), c.Verdict); got != "9 pairs, p 0.03906, 0.460 (0.010 to 0.786), slower" {
		t.Errorf("Hamilton scale: got %s, want p 0.0391 and 0.46 (0.010 to 0.786)", got)
	}
	maize := []float64{.49, -.67, .08, .16, .06, .23, .28, .41, .14, .29, .56, .24, .75, .60, -.48}
	if c := compare(maize, alpha); !near(c.P, 0.04126, 5e-6) || c.Verdict != Slower {
		t.Errorf("maize: got %+v, want p 0.04126", c)
	}
}

func TestCompareEdges(t *testing.T) {
	repeat := func(v float64, n int) []float64 { return slices.Repeat([]float64{v}, n) }
	ln2 := math.Ln2
	for _, c := range []struct {
		name             string
		ratios           []float64
		ratio, low, high float64
		verdict          Verdict
	}{
		{"one pair", repeat(ln2, 1), 2, 0, math.Inf(1), NoDifference},
		{"five agree, which chance does too", repeat(ln2, 5), 2, 0, math.Inf(1), NoDifference},
		{"six agree", repeat(ln2, 6), 2, 2, 2, Slower},
		{"six agree the other way", repeat(-ln2, 6), 0.5, 0.5, 0.5, Faster},
		{"sixty agree", repeat(ln2, 60), 2, 2, 2, Slower},
		{"all equal", repeat(0, 60), 1, 1, 1, NoDifference},
		{"five equal", repeat(0, 5), 1, 0, math.Inf(1), NoDifference},
		{"equal but for six", append(repeat(0, 60), repeat(ln2, 6)...), 2, 2, 2, Slower},
		{"equal but for five", append(repeat(0, 60), repeat(ln2, 5)...), 2, 0, math.Inf(1), NoDifference},
		{"half and half: half of all averages are 0", append(repeat(-ln2, 50), repeat(ln2, 50)...), 1, 1, 1, NoDifference},
	} {
		pairs := len(c.ratios)
		got := compare(c.ratios, alpha)
		if got.Pairs != pairs || !near(got.Ratio, c.ratio, 1e-12) || !near(got.Low, c.low, 1e-12) ||
			got.High != c.high && !near(got.High, c.high, 1e-12) || got.Verdict != c.verdict {
			t.Errorf("%s: %+v, want %v (%v to %v), %s", c.name, got, c.ratio, c.low, c.high, c.verdict)
		}
	}
}

// Verdict, p and interval agree: there is a difference exactly when p is below 0.05, and exactly when 1 is outside the
// interval. Neither the order of the pairs nor the choice of the reference matters.
func TestCompareAgreesWithItself(t *testing.T) {
	random := rand.New(rand.NewPCG(6, 6))
	told := map[Verdict]int{}
	for round := range 1000 {
		values := draws(random, round%3, 1+random.IntN(120))
		c := compare(slices.Clone(values), alpha)
		want := NoDifference
		switch {
		case c.Low > 1:
			want = Slower
		case c.High < 1:
			want = Faster
		}
		if c.Verdict != want || (c.P < alpha) != (want != NoDifference) || !(c.Low <= c.Ratio && c.Ratio <= c.High) {
			t.Fatalf("%v: got %+v, want the verdict %s", values, c, want)
		}
		told[want]++
		random.Shuffle(len(values), func(i, j int) { values[i], values[j] = values[j], values[i] })
		if again := compare(slices.Clone(values), alpha); again != c {
			t.Fatalf("in another order: got %+v, want %+v", again, c)
		}
		for i := range values {
			values[i] = -values[i]
		}
		swapped := compare(values, alpha)
		opposite := map[Verdict]Verdict{Faster: Slower, Slower: Faster, NoDifference: NoDifference}[want]
		if swapped.P != c.P || swapped.Verdict != opposite || !near(swapped.Ratio*c.Ratio, 1, 1e-9) {
			t.Fatalf("the other way about: got %+v, after %+v", swapped, c)
		}
	}
	if told[NoDifference] < 200 || told[NoDifference] > 800 {
		t.Errorf("got %v, want each outcome often", told)
	}
}

// The interval contains exactly the shifts that the test does not reject.
func TestCompareInvertsTheTest(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 7))
	for _, n := range []int{6, 7, 10, 20, 50, 51, 200} {
		values := draws(random, 0, n)
		c := compare(slices.Clone(values), alpha)
		for _, at := range []struct {
			shift    float64
			rejected bool
		}{
			{math.Log(c.Low) - 1e-9, true}, {math.Log(c.Low) + 1e-9, false},
			{math.Log(c.High) - 1e-9, false}, {math.Log(c.High) + 1e-9, true}, {math.Log(c.Ratio), false},
		} {
			shifted := make([]float64, n)
			for i, v := range values {
				shifted[i] = v - at.shift
			}
			if got := compare(shifted, alpha); (got.P < alpha) != at.rejected {
				t.Errorf("%d values shifted by %v: p %v, rejected should be %v", n, at.shift, got.P, at.rejected)
			}
		}
	}
}

func TestLogRatio(t *testing.T) {
	for _, c := range []struct {
		latency, reference time.Duration
		want               float64
	}{
		{2 * time.Second, time.Second, math.Ln2}, {time.Second, 2 * time.Second, -math.Ln2}, {5, 5, 0},
		{0, 0, 0}, {-time.Hour, 1, 0}, {2, 0, math.Ln2}, {0, 2, -math.Ln2},
	} {
		if got := logRatio(c.latency, c.reference); got != c.want {
			t.Errorf("%v over %v: %v, want %v", c.latency, c.reference, got, c.want)
		}
	}
	random := rand.New(rand.NewPCG(8, 8))
	for range 1000 {
		a, b := time.Duration(random.Int64N(1e10)), time.Duration(random.Int64N(1e10))
		if logRatio(a, b) != -logRatio(b, a) {
			t.Fatalf("%d over %d is not the opposite of the inverse", a, b)
		}
	}
}

// A million pairs have 5·10¹¹ averages: they are never stored.
func TestCompareMillion(t *testing.T) {
	if raceEnabled {
		t.Skip("one goroutine, and memory that is counted without the race detector")
	}
	const n = 1_000_000
	values := drawMany(rand.New(rand.NewPCG(9, 9)), n, func(r *rand.Rand) float64 { return r.NormFloat64()*0.14 + 0.005 })
	var c Comparison
	if allocated := allocatedBy(func() { c = compare(values, alpha) }); allocated > 1<<20 {
		t.Errorf("got %d bytes allocated, want at most 1 MiB", allocated)
	}
	half := 1.96 * 0.14 / math.Sqrt(float64(n)) * 1.0233 // the estimate is 95.5 % as efficient as the mean
	if c.Pairs != n || !near(c.Ratio, math.Exp(0.005), 3*half) || !near((c.High-c.Low)/2, half, half/20) || c.Verdict != Slower {
		t.Errorf("got %+v, want 1.005 ± %v", c, half)
	}
}

// The critical values are from printed tables, for 5 %, two-sided.
func TestSignedRankTable(t *testing.T) {
	for n, want := range map[int]int{
		5: -1, 6: 0, 7: 2, 8: 3, 9: 5, 10: 8, 11: 10, 12: 13, 13: 17, 14: 21, 15: 25, 20: 52, 25: 89, 30: 137, 40: 264, 50: 434,
	} {
		values := make([]float64, n)
		for i := range values {
			values[i] = float64(i + 1)
		}
		got := signedRank(values, alpha).critical
		if want < 0 && got >= 0 || want >= 0 && got/2 != want { // doubled; without ties an odd value is like the even value below it
			t.Errorf("%d pairs: critical is %d / 2, want %d", n, got, want)
		}
	}
}

// simulate makes runs of two nodes with log-normal latencies, sigma 0.1, the second node slower by the given ratio. It
// returns in how many runs the comparison shows a difference, and in how many of them it calls the slower node faster.
// In each round both nodes share the effect of the network, which is log-normal too. tail is the share of the requests
// that are delayed by a time without a mean: Pareto with exponent 1, from 200 ms on.
func simulate(seed uint64, runs, rounds int, ratio, network, tail float64) (told, wrong int) {
	random := rand.New(rand.NewPCG(seed, 1))
	held := func() float64 {
		if random.Float64() >= tail {
			return 0
		}
		return 200 / (1 - random.Float64())
	}
	for range runs {
		var ratios []float64
		for range rounds {
			shared := math.Exp(network * random.NormFloat64())
			a := 800*shared*math.Exp(0.1*random.NormFloat64()) + held()
			b := 800*shared*ratio*math.Exp(0.1*random.NormFloat64()) + held()
			ratios = append(ratios, logRatio(
				time.Duration(b*float64(time.Millisecond)), time.Duration(a*float64(time.Millisecond))))
		}
		switch compare(ratios, alpha).Verdict {
		case Slower:
			told++
		case Faster:
			told, wrong = told+1, wrong+1
		}
	}
	return told, wrong
}

// Equal nodes are called different in about 5 of 100 runs and no more. A difference of 5 % is found, also with a heavy
// tail.
func TestSimulatedRuns(t *testing.T) {
	skipIfShort(t, "thousands of simulated runs")
	const runs = 1000
	for _, c := range []struct {
		name                 string
		rounds               int
		ratio, network, tail float64
		low, high            int // the range of the number of runs that show a difference
	}{
		{"equal, 150 rounds", 150, 1, 0, 0, 30, 70},
		{"equal, 20 rounds", 20, 1, 0, 0, 30, 70},
		{"equal, 20 rounds, a restless network", 20, 1, 0.5, 0, 30, 70},
		{"equal, 150 rounds, a heavy tail", 150, 1, 0, 0.05, 30, 70},
		{"5 % slower, 150 rounds", 150, 1.05, 0, 0, 950, 1000},
		{"5 % slower, 150 rounds, a restless network", 150, 1.05, 0.5, 0, 950, 1000},
		{"5 % slower, 150 rounds, a heavy tail", 150, 1.05, 0, 0.05, 900, 1000},
		{"20 % slower, 20 rounds", 20, 1.2, 0, 0, 950, 1000},
	} {
		told, wrong := simulate(20, runs, c.rounds, c.ratio, c.network, c.tail)
		t.Logf("%s: told apart in %.1f %%, %.1f %% the wrong way", c.name, float64(told)*100/runs, float64(wrong)*100/runs)
		if told < c.low || told > c.high {
			t.Errorf("%s: told apart in %d of %d runs, want %d to %d", c.name, told, runs, c.low, c.high)
		}
		if c.ratio > 1 && wrong > 0 {
			t.Errorf("%s: called faster in %d of %d runs, want none", c.name, wrong, runs)
		}
	}
}
