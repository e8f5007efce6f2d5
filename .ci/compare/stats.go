package main

import (
	"math"
	"slices"
)

// quantile interpolates between order statistics; q is 0 to 1. It is NaN for an empty sample.
func quantile(sample []float64, q float64) float64 {
	if len(sample) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(sample))
	at := q * float64(len(sorted)-1)
	low := int(at)
	if low+1 == len(sorted) {
		return sorted[low]
	}
	return sorted[low] + (at-float64(low))*(sorted[low+1]-sorted[low])
}

func median(sample []float64) float64 { return quantile(sample, 0.5) }

// pairs returns a's time over b's for every round that holds both. A slow moment of the machine hits both halves of a
// pair, so these ratios spread less than the times do.
func pairs(a, b map[int]float64) []float64 {
	var ratios []float64
	for round, x := range a {
		if y, ok := b[round]; ok && y > 0 {
			ratios = append(ratios, x/y)
		}
	}
	return ratios
}

func values(byRound map[int]float64) []float64 {
	out := make([]float64, 0, len(byRound))
	for _, v := range byRound {
		out = append(out, v)
	}
	return out
}
