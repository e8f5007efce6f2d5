package bench

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// simulate makes runs of two nodes whose latencies are log-normal with sigma 0.1, the second slower by the given ratio,
// and counts the runs in which the comparison tells a difference. In each round both share what the network does, which
// is log-normal too.
func simulate(seed uint64, runs, rounds int, ratio, network float64) (told int) {
	random := rand.New(rand.NewPCG(seed, 1))
	for range runs {
		var ratios []float64
		for range rounds {
			shared := math.Exp(network * random.NormFloat64())
			a := 800 * shared * math.Exp(0.1*random.NormFloat64())
			b := 800 * shared * ratio * math.Exp(0.1*random.NormFloat64())
			ratios = append(ratios, logRatio(
				time.Duration(b*float64(time.Millisecond)), time.Duration(a*float64(time.Millisecond))))
		}
		if compare(ratios).Verdict != NoDifference {
			told++
		}
	}
	return told
}

// Equal nodes are called different in about 5 of 100 runs and no more, and a difference of 5 % is found.
func TestSimulatedRuns(t *testing.T) {
	if testing.Short() {
		t.Skip("long: thousands of simulated runs")
	}
	const runs = 1000
	for _, c := range []struct {
		name           string
		rounds         int
		ratio, network float64
		low, high      int // of the runs that tell a difference
	}{
		{"equal, 150 rounds", 150, 1, 0, 30, 70},
		{"equal, 20 rounds", 20, 1, 0, 30, 70},
		{"equal, 20 rounds, a restless network", 20, 1, 0.5, 30, 70},
		{"5 % slower, 150 rounds", 150, 1.05, 0, 950, 1000},
		{"5 % slower, 150 rounds, a restless network", 150, 1.05, 0.5, 950, 1000},
		{"20 % slower, 20 rounds", 20, 1.2, 0, 950, 1000},
	} {
		told := simulate(20, runs, c.rounds, c.ratio, c.network)
		t.Logf("%s: told apart in %.1f %%", c.name, float64(told)*100/runs)
		if told < c.low || told > c.high {
			t.Errorf("%s: told apart in %d of %d runs, want %d to %d", c.name, told, runs, c.low, c.high)
		}
	}
}
