package bench

import (
	"iter"
	"math"
	"slices"
	"time"
)

// exactPairs is up to how many pairs the distribution of the rank sum is counted out; beyond, a normal one is close.
const exactPairs = 50

// leastPairs is the number of pairs below which not even unanimous ones can show a difference: 2/2⁵ is above alpha.
const leastPairs = 6

// logRatio is the logarithm of a latency over another's. Swapped, it is exactly the negative, and equal ratios are equal,
// so that neither the test nor the estimate depends on which node is called the reference.
func logRatio(latency, reference time.Duration) float64 {
	x, r := float64(max(latency, 1)), float64(max(reference, 1))
	if x < r {
		return -math.Log(r / x)
	}
	return math.Log(x / r)
}

// compare judges pairs at a level by their log ratios, which it sorts. Pairs that agree to the nanosecond say nothing and are left
// out, as Wilcoxon does. The interval holds the ratios that the test would not reject, and the verdict is that of the
// interval: it is Faster or Slower exactly when 1 lies outside, which is exactly when P is below the level.
func compare(ratios []float64, level float64) Comparison {
	c := Comparison{Pairs: len(ratios), Ratio: 1, High: math.Inf(1), P: 1, Level: level, Verdict: NoDifference}
	slices.Sort(ratios)
	ratios = slices.DeleteFunc(ratios, func(r float64) bool { return r == 0 })
	if len(ratios) > 0 {
		c.invert(pairSums(ratios), signedRank(ratios, level), ratioOf)
	} else if c.Pairs >= leastPairs {
		c.Low, c.High = 1, 1
	}
	return c
}

// invert takes what a test says of sums: the median for the ratio, and for the interval the ratios that the test would not
// reject. ratio makes a ratio of a sum.
func (c *Comparison) invert(s sums, test rankTest, ratio func(sum float64) float64) {
	c.P = test.p
	c.Ratio = ratio(s.median())
	if test.critical < 0 {
		return
	}
	// A ratio is rejected while too few sums lie below it, or above: the interval ends at the first one that is not.
	k := test.critical/2 + 1
	c.Low, c.High = ratio(s.kth(k)), ratio(s.kth(s.size()+1-k))
	// Where ties put the end on 1 itself, the test says whether 1 still belongs to the interval.
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

// ratioOf is the ratio of which a sum of two values is twice the logarithm. It is on the same side of 1, however close.
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

// rankTest is a two-sided Wilcoxon test: of signed ranks for pairs, of ranks for two samples. Its rank sums are doubled, so
// that the middle ranks of ties are whole numbers.
type rankTest struct {
	// minus is the rank sum of the negative values, total the rank sum of all. Of two samples it counts the negative differences.
	minus, total int
	p            float64
	// critical is the largest rank sum of one sign that is rejected, below 0 where there is none.
	critical int
}

// signedRank tests at a level whether ascending values, none of them 0, lie symmetrically about 0.
func signedRank(sorted []float64, level float64) rankTest {
	n := len(sorted)
	// A value's rank counts the values no larger than it in size: the sums that share its sign. So the rank sum of the
	// negative values is the number of negative sums, with half of those that are 0.
	t := rankTest{minus: pairSums(sorted).negatives(), total: n * (n + 1)}
	if n > exactPairs {
		var tied float64
		for size := range ties(sorted) {
			s := float64(size)
			tied += s*s*s - s
		}
		n := float64(n)
		t.nearNormal(2*math.Sqrt(n*(n+1)*(2*n+1)/24-tied/48), level)
		return t
	}
	// Over all 2ⁿ ways to give the ranks their signs, how often does each rank sum come? Ties are no exception: they only
	// make ranks equal.
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
	t.count(ways, math.Ldexp(1, n), level)
	return t
}

// count takes the distribution of the rank sum from how many of all ways lead to each.
func (t *rankTest) count(ways []float64, all, level float64) {
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

// nearNormal takes the distribution for normal, with a standard deviation and a correction because rank sums are whole
// numbers.
func (t *rankTest) nearNormal(sd, level float64) {
	centre := float64(t.total) / 2
	const correction = 1 // of a doubled rank sum
	z := (math.Abs(float64(t.minus)-centre) - correction) / sd
	t.p = min(1, 2*normalAbove(max(0, z)))
	t.critical = int(math.Ceil(centre-correction-normalQuantile(1-level/2)*sd)) - 1
}

// ties gives the number of values of each size, from the smallest size on: from 0 outwards on both sides.
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
