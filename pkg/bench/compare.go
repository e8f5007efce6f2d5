package bench

import (
	"iter"
	"math"
	"slices"
	"time"
)

// exactPairs is the largest number of pairs for which the exact distribution of the rank sum is computed. For more
// pairs the normal approximation is close.
const exactPairs = 50

// minPairs is the smallest number of pairs that can show a difference: with 5 pairs that all agree, p is 2/2⁵, above
// alpha.
const minPairs = 6

// logRatio returns the logarithm of latency/reference. Swapping the arguments gives exactly the negative, and equal
// ratios give equal results, so neither the test nor the estimate depends on which node is the reference.
func logRatio(latency, reference time.Duration) float64 {
	x, r := float64(max(latency, 1)), float64(max(reference, 1))
	if x < r {
		return -math.Log(r / x)
	}
	return math.Log(x / r)
}

// compare runs a signed-rank test at a level on the log ratios of pairs, which it sorts. Pairs that are equal to the
// nanosecond are left out, as in Wilcoxon's test. The interval contains the ratios that the test does not reject, and
// the verdict follows from the interval: it is Faster or Slower exactly when 1 lies outside, which is exactly when P is
// below the level.
func compare(ratios []float64, level float64) Comparison {
	c := Comparison{Pairs: len(ratios), Ratio: 1, High: math.Inf(1), P: 1, Level: level, Verdict: NoDifference}
	slices.Sort(ratios)
	ratios = slices.DeleteFunc(ratios, func(r float64) bool { return r == 0 })
	if len(ratios) > 0 {
		c.invert(pairSums(ratios), signedRank(ratios, level), ratioOf)
	} else if c.Pairs >= minPairs {
		c.Low, c.High = 1, 1
	}
	return c
}

// invert sets the ratio to the median of the sums, and the interval to the ratios that the test does not reject. The
// function ratio converts a sum to a ratio.
func (c *Comparison) invert(s sums, test rankTest, ratio func(sum float64) float64) {
	c.P = test.p
	c.Ratio = ratio(s.median())
	if test.critical < 0 {
		return
	}
	// A ratio is rejected if too few sums lie below it or above it. The interval ends at the first ratio that is not
	// rejected.
	k := test.critical/2 + 1
	c.Low, c.High = ratio(s.kth(k)), ratio(s.kth(s.size()+1-k))
	// If ties put an end of the interval on exactly 1, the test decides whether 1 belongs to the interval.
	switch {
	case test.minus <= test.critical:
		c.Verdict = Slower
		c.Low = max(c.Low, math.Nextafter(1, 2))
	case test.total-test.minus <= test.critical:
		c.Verdict = Faster
		c.High = min(c.High, math.Nextafter(1, 0))
	}
	c.Ratio = min(max(c.Ratio, c.Low), c.High)
}

// ratioOf returns the ratio whose logarithm is half of sum, a sum of two values. The result is on the correct side of
// 1, even if it is very close to 1.
func ratioOf(sum float64) float64 {
	r := math.Exp(sum / 2)
	switch {
	case sum > 0:
		return max(r, math.Nextafter(1, 2))
	case sum < 0:
		return min(r, math.Nextafter(1, 0))
	}
	return r
}

// rankTest is a two-sided Wilcoxon test: signed-rank for pairs, rank-sum for two samples. Its rank sums are doubled, so
// that the mean ranks of ties are integers.
type rankTest struct {
	// minus is the rank sum of the negative values, total the rank sum of all values. For two samples, minus counts the
	// negative differences.
	minus, total int
	p            float64
	// critical is the largest rank sum of one sign that is rejected, negative if there is none.
	critical int
}

// signedRank tests at a level whether values are symmetric about 0. The values are in ascending order, and none is 0.
func signedRank(sorted []float64, level float64) rankTest {
	n := len(sorted)
	// The rank of a value is the number of values of at most its magnitude: the number of sums whose sign it decides.
	// So the rank sum of the negative values is the number of negative sums plus half the number of zero sums.
	t := rankTest{minus: pairSums(sorted).negatives(), total: n * (n + 1)}
	if n > exactPairs {
		var tied float64
		for size := range ties(sorted) {
			s := float64(size)
			tied += s*s*s - s
		}
		n := float64(n)
		t.setNormal(2*math.Sqrt(n*(n+1)*(2*n+1)/24-tied/48), level)
		return t
	}
	// Count how often each rank sum occurs among the 2ⁿ ways to assign signs to the ranks. Ties only make ranks equal,
	// so they need no special case.
	ways := make([]float64, t.total+1)
	ways[0] = 1
	below := 0
	for size := range ties(sorted) {
		rank := 2*below + size + 1
		for range size {
			for s := t.total; s >= rank; s-- {
				ways[s] += ways[s-rank]
			}
		}
		below += size
	}
	t.setExact(ways, math.Ldexp(1, n), level)
	return t
}

// setExact sets p and critical from the distribution of the rank sum: ways[s] of all assignments give the rank sum s.
func (t *rankTest) setExact(ways []float64, all, level float64) {
	t.critical, t.p = -1, 1
	sum := 0.
	for s, w := range ways[:t.total/2+1] {
		sum += w
		p := min(1, 2*sum/all)
		if p < level {
			t.critical = s
		}
		if s == min(t.minus, t.total-t.minus) {
			t.p = p
		}
	}
}

// setNormal sets p and critical from a normal approximation with standard deviation sd. It applies a continuity
// correction, because rank sums are integers.
func (t *rankTest) setNormal(sd, level float64) {
	centre := float64(t.total) / 2
	const correction = 1 // of a doubled rank sum
	z := (math.Abs(float64(t.minus)-centre) - correction) / sd
	t.p = min(1, 2*normalAbove(max(0, z)))
	t.critical = int(math.Ceil(centre-correction-normalQuantile(1-level/2)*sd)) - 1
}

// ties yields the number of values of each magnitude, in ascending order of magnitude.
func ties(sorted []float64) iter.Seq[int] {
	return func(yield func(int) bool) {
		right, _ := slices.BinarySearch(sorted, 0)
		left := right - 1
		for left >= 0 || right < len(sorted) {
			size := math.Inf(1)
			if left >= 0 {
				size = -sorted[left]
			}
			if right < len(sorted) {
				size = min(size, sorted[right])
			}
			l, r := left, right
			for ; left >= 0 && -sorted[left] == size; left-- {
			}
			for ; right < len(sorted) && sorted[right] == size; right++ {
			}
			if !yield(l - left + right - r) {
				return
			}
		}
	}
}
