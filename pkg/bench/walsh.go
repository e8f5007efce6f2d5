package bench

import "math"

// walshSums are the sums of every two of some ascending values, each also with itself: twice their Walsh averages. A
// million values have half a million million of them, so they are counted and selected, never listed.
type walshSums []float64

// size is how many sums there are.
func (a walshSums) size() int { return len(a) * (len(a) + 1) / 2 }

// split counts the sums up to t, and finds the largest of those and the smallest beyond. Rounding of a sum does no harm:
// a rounded sum grows with either part, has the right sign, and is 0 only for a value and its negative.
func (a walshSums) split(t float64) (count int, upTo, beyond float64) {
	upTo, beyond = math.Inf(-1), math.Inf(1)
	j := len(a) - 1
	for i, v := range a {
		for j >= i && v+a[j] > t {
			j--
		}
		if j < i {
			return count, upTo, min(beyond, v+v) // and so are all further rows
		}
		count += j - i + 1
		upTo = max(upTo, v+a[j])
		if j+1 < len(a) {
			beyond = min(beyond, v+a[j+1])
		}
	}
	return count, upTo, beyond
}

// kth is the k-th smallest sum, counted from 1, exactly. Both ends of the bracket are always sums, so each step moves one
// of them, and the search ends when they meet. The steps go by turns a little below and a little above where the answer
// would lie if the sums were spread evenly, by what the spread may bend and scatter them: the less the narrower the
// bracket. Every third step halves the bracket, whatever the spread.
func (a walshSums) kth(k int) float64 {
	low, high := a[0]+a[0], a[len(a)-1]+a[len(a)-1]
	under, upTo := 0, a.size()
	whole := high - low
	for step := 0; low < high; step++ {
		share := 0.5
		if turn := step % 3; turn < 2 {
			margin := (high-low)/whole/16 + 1/math.Sqrt(float64(upTo-under))
			share = float64(k-under)/float64(upTo-under) + float64(2*turn-1)*margin
		}
		t := low + (high-low)*min(max(share, 0), 1)
		if t >= high {
			t = low
		}
		count, last, next := a.split(t)
		if k <= count {
			high, upTo = last, count
		} else {
			low, under = next, count
		}
	}
	return low
}

// median of the sums.
func (a walshSums) median() float64 {
	half := (a.size() + 1) / 2
	low := a.kth(half)
	if count, _, next := a.split(low); a.size()%2 == 0 && count == half {
		return low/2 + next/2
	}
	return low
}
