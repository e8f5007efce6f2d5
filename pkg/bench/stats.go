package bench

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/mathext"
)

// alpha is the false positive rate of every test and interval here: intervals are 95 % intervals.
const alpha = 0.05

// normalQuantile returns the number of standard deviations below which a normal distribution has the share p.
func normalQuantile(p float64) float64 { return -math.Sqrt2 * math.Erfcinv(2*p) }

// normalAbove returns the share of a normal distribution above z standard deviations.
func normalAbove(z float64) float64 { return math.Erfc(z/math.Sqrt2) / 2 }

// studentQuantile is normalQuantile for Student's t with the given degrees of freedom, for p above 0.5.
func studentQuantile(p, freedom float64) float64 {
	t := mathext.InvRegIncBeta(freedom/2, 0.5, 2*(1-p))
	return math.Sqrt(freedom * (1 - t) / t)
}

// wilson returns the share of successes among n requests with its 95 % Wilson score interval. Without requests the
// share is NaN and the interval is from 0 to 1.
func wilson(ok, n int) Rate { return wilsonAt(ok, n, normalQuantile(1-alpha/2)) }

// wilsonAt is wilson with an interval of z standard deviations of a normal distribution on each side.
func wilsonAt(ok, n int, z float64) Rate {
	if n <= 0 {
		return Rate{math.NaN(), 0, 1}
	}
	count := float64(n)
	p := float64(ok) / count
	scale := 1 + z*z/count
	centre := (p + z*z/(2*count)) / scale
	half := z / scale * math.Sqrt(p*(1-p)/count+z*z/(4*count*count))
	r := Rate{p, max(0, centre-half), min(1, centre+half)}
	// For 0 or n successes the formula gives an end of exactly 0 or 1, except for rounding.
	if ok == 0 {
		r.Low = 0
	}
	if ok == n {
		r.High = 1
	}
	return r
}

// describe sorts the values, none of which may be NaN, and returns their statistics. Percentiles use the nearest rank,
// so each is a measured value. SD is the sample standard deviation, over n-1. The result does not depend on the order
// of the values.
func describe(values []float64) Stats {
	n, none := len(values), math.NaN()
	s := Stats{N: n, Mean: none, SD: none, Min: none, P50: none, P90: none, P95: none, P99: none, Max: none}
	if n == 0 {
		return s
	}
	slices.Sort(values)
	s.Min, s.Max = values[0], values[n-1]
	s.Mean = mean(values)
	s.SD = deviation(values, s.Mean)
	s.setPercentiles(values)
	return s
}

// mean returns the mean of ascending values. It adds them in a plain loop. A vectorised sum, such as gonum's stat.Mean,
// adds in an order that depends on the memory address of the values, so a merged run could differ from the complete run
// in the last bit.
func mean(sorted []float64) float64 {
	var sum float64
	for _, v := range sorted {
		sum += v
	}
	n := len(sorted)
	return min(max(sum/float64(n), sorted[0]), sorted[n-1]) // rounding can give a result outside the values
}

// deviation returns the sample standard deviation, NaN for one value, which is 0/0. The second sum removes the rounding
// error of the mean.
func deviation(values []float64, mean float64) float64 {
	var squares, rest float64
	for _, v := range values {
		d := v - mean
		squares += d * d
		rest += d
	}
	n := float64(len(values))
	return math.Sqrt(max(0, (squares-rest*rest/n)/(n-1)))
}

// setPercentiles sets the percentiles of N values, if they are enough. The values that are not in sorted, which is in
// ascending order, lie above all others. A percentile is the smallest value such that at least that percentage of the
// values do not exceed it.
func (s *Stats) setPercentiles(sorted []float64) {
	if s.N < MinPercentile {
		return
	}
	for percent, to := range map[int]*float64{50: &s.P50, 90: &s.P90, 95: &s.P95, 99: &s.P99} {
		*to = math.Inf(1)
		if rank := (s.N*percent + 99) / 100; rank <= len(sorted) { // in integers: 0.95 times a count can round up
			*to = sorted[rank-1]
		}
	}
}

// median returns the median of ascending values: the mean of the two middle values if their number is even.
func median(sorted []float64) float64 {
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// withFailures adds failures to s as values above all others. sorted has the values that s describes, in ascending
// order.
func (s Stats) withFailures(sorted []float64, failures int) Stats {
	if failures == 0 {
		return s
	}
	s.N += failures
	s.Max = math.Inf(1)
	s.setPercentiles(sorted)
	return s
}
