package bench

import "math"

// sums represents the sums of each value of a with each value of b, both in ascending order. A million values have
// 5·10¹¹ pair sums, so the sums are counted and selected, never stored.
//
// A bootstrap of 1000 resamples was tried instead of the pair sums. With 20 rounds of equal nodes it showed a
// difference in 7 to 9 % of the runs instead of 5 %. With 150 rounds and a retransmission in 5 % of the requests it
// found a difference of 5 % in 54 % of the runs instead of 91 %. It took ten times as long.
type sums struct {
	a, b []float64
	// pairs reports that a and b are the same values. Every pair of values then has one sum, not two.
	pairs bool
}

// pairSums returns the sums of every two values, including each value with itself. They are twice the Walsh averages,
// whose median is the Hodges–Lehmann estimate.
func pairSums(values []float64) sums { return sums{values, values, true} }

// crossSums returns the sums of the values of two samples. If the second sample is negated, their median is the
// Hodges–Lehmann estimate of the difference of the samples.
func crossSums(a, b []float64) sums { return sums{a, b, false} }

// size returns the number of sums.
func (s sums) size() int {
	if s.pairs {
		return len(s.a) * (len(s.a) + 1) / 2
	}
	return len(s.a) * len(s.b)
}

// split returns the number of sums that are at most t, the largest of them, and the smallest sum above t. Rounding of a
// sum does not matter: a rounded sum is monotonic in both values, has the correct sign, and is 0 only for a value and
// its negative.
func (s sums) split(t float64) (count int, upTo, beyond float64) {
	upTo, beyond = math.Inf(-1), math.Inf(1)
	j, first := len(s.b)-1, 0
	for i, v := range s.a {
		if s.pairs {
			first = i
		}
		for j >= first && v+s.b[j] > t {
			j--
		}
		if j < first {
			return count, upTo, min(beyond, v+s.b[first]) // the sums of all further rows are also above t
		}
		count += j - first + 1
		upTo = max(upTo, v+s.b[j])
		if j+1 < len(s.b) {
			beyond = min(beyond, v+s.b[j+1])
		}
	}
	return count, upTo, beyond
}

// kth returns the exact k-th smallest sum, counted from 1. Both ends of the bracket are always sums, so each step moves
// one of them, and the search ends when they meet. Every other step halves the bracket; the steps between interpolate
// as if the sums were spread evenly.
func (s sums) kth(k int) float64 {
	low, high := s.a[0]+s.b[0], s.a[len(s.a)-1]+s.b[len(s.b)-1]
	under, upTo := 0, s.size()
	for even := true; low < high; even = !even {
		share := 0.5
		if even {
			share = float64(k-under) / float64(upTo-under)
		}
		t := low + (high-low)*share
		if t >= high {
			t = low
		}
		count, last, next := s.split(t)
		if k <= count {
			high, upTo = last, count
		} else {
			low, under = next, count
		}
	}
	return low
}

func (s sums) median() float64 {
	half := (s.size() + 1) / 2
	low := s.kth(half)
	if count, _, next := s.split(low); s.size()%2 == 0 && count == half {
		return low/2 + next/2
	}
	return low
}

// negatives returns twice the number of negative sums, where a sum of 0 counts as half.
func (s sums) negatives() int {
	negative, _, _ := s.split(-math.SmallestNonzeroFloat64)
	upToZero, _, _ := s.split(0)
	return negative + upToZero
}
