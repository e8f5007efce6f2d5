package bench

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/mathext"
)

// alpha is the share of wrong alarms that every test and interval here allows: intervals are of 95 %.
const alpha = 0.05

// normalQuantile is the number of standard deviations below which a normal distribution has the share p.
func normalQuantile(p float64) float64 { return -math.Sqrt2 * math.Erfcinv(2*p) }

// normalAbove is the share of a normal distribution above so many standard deviations.
func normalAbove(z float64) float64 { return math.Erfc(z/math.Sqrt2) / 2 }

// studentQuantile is normalQuantile for Student's t with so many degrees of freedom, where p is above a half.
func studentQuantile(p, freedom float64) float64 {
	t := mathext.InvRegIncBeta(freedom/2, 0.5, 2*(1-p))
	return math.Sqrt(freedom * (1 - t) / t)
}

// wilson is the share of successes among n requests with its Wilson score interval of 95 %. Without a request the share
// is NaN and the interval is from 0 to 1.
func wilson(ok, n int) Rate { return wilsonAt(ok, n, normalQuantile(1-alpha/2)) }

// wilsonAt is wilson with an interval of z standard deviations of a normal distribution to either side.
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
	// At the ends the formula gives the end itself, but for rounding.
	if ok == 0 {
		r.Low = 0
	}
	if ok == n {
		r.High = 1
	}
	return r
}

// describe sorts the values, none of which may be NaN, and describes them. The percentiles are by nearest rank, so each
// is a value that was measured; SD is of a sample, over n-1. Nothing depends on the order in which the values come.
func describe(values []float64) Stats {
	n, none := len(values), math.NaN()
	s := Stats{N: n, Mean: none, SD: none, Min: none, P50: none, P90: none, P95: none, P99: none, Max: none}
	if n == 0 {
		return s
	}
	slices.Sort(values)
	s.Min, s.Max = values[0], values[n-1]
	s.Mean = mean(values)
	if n >= 2 {
		s.SD = deviation(values, s.Mean)
	}
	if n >= MinPercentile {
		s.rank(values)
	}
	return s
}

// mean of ascending values. The sum is a plain loop: a vectorised one, such as gonum's stat.Mean, adds in an
// order that depends on where in memory the values lie, and then a merged run would differ from the whole in a last bit.
func mean(sorted []float64) float64 {
	var sum float64
	for _, v := range sorted {
		sum += v
	}
	n := len(sorted)
	return min(max(sum/float64(n), sorted[0]), sorted[n-1]) // rounding alone can lead beyond the values
}

// deviation is the sample standard deviation. The second sum takes out what rounding left in the mean.
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

// rank takes the percentiles from N values, of which those that are not among the ascending ones lie beyond all others. A
// percentile is the smallest value that at least that many percent of the values do not exceed.
func (s *Stats) rank(sorted []float64) {
	for percent, to := range map[int]*float64{50: &s.P50, 90: &s.P90, 95: &s.P95, 99: &s.P99} {
		*to = math.Inf(1)
		if rank := (s.N*percent + 99) / 100; rank <= len(sorted) { // in whole numbers: 0.95 times a count can come out just above
			*to = sorted[rank-1]
		}
	}
}

// median of ascending values, between the two in the middle of an even number.
func median(sorted []float64) float64 {
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// withFailures adds failures to the ascending values that were described, as values beyond all others.
func (s Stats) withFailures(sorted []float64, failures int) Stats {
	if failures == 0 {
		return s
	}
	s.N += failures
	s.Max = math.Inf(1)
	s.rank(sorted)
	return s
}
