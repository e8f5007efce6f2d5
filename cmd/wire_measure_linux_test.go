package cmd_test

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// wireLinks are the two links that the wire's choices are measured over, side by side: one that loses nothing, and one
// that loses a twentieth of the packets each way.
var wireLinks = []struct {
	name   string
	number byte
	loss   float64
}{{"0 % loss", 8, 0}, {"5 % loss each way", 9, 0.05}}

// onWireLinks runs a measurement on both links at once, in workers that each do so many rounds, and gives what each made
// of it. Within a round everything that is compared comes one after the other.
func onWireLinks[R any](t *testing.T, workers, rounds int, begin func(link *slowLink) func() (R, error)) [][]R {
	t.Helper()
	var all sync.WaitGroup
	results := make([][]R, len(wireLinks))
	for i, of := range wireLinks {
		link := newSlowLink(t, of.number, linkDelay, of.loss)
		var mu sync.Mutex
		for range workers {
			round := begin(link)
			all.Go(func() {
				for range rounds {
					r, err := round()
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					results[i] = append(results[i], r)
					mu.Unlock()
				}
			})
		}
	}
	all.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return results
}

// spread shows a median, the quartiles, the 95th percentile and the worst, in milliseconds.
func spread(all []time.Duration) string {
	all = slices.Sorted(slices.Values(all))
	at := func(share float64) int64 { return all[min(int(share*float64(len(all))), len(all)-1)].Milliseconds() }
	return fmt.Sprintf("%6d %6d %6d %6d %6d", at(0.5), at(0.25), at(0.75), at(0.95), at(1))
}

const spreadHead = "median    25%    75%    95%  worst"

// gain is the median of what one way took more than the other in the same round, and the interval that holds it in 19 of
// 20 measurements, from the ranks of the binomial distribution.
type gain struct{ low, middle, high time.Duration }

func gainOf(slow, fast []time.Duration) gain {
	all := make([]time.Duration, len(slow))
	for i := range slow {
		all[i] = slow[i] - fast[i]
	}
	slices.Sort(all)
	n := len(all)
	wide := int(math.Ceil(0.98 * math.Sqrt(float64(n))))
	return gain{all[max(n/2-wide, 0)], all[n/2], all[min(n/2+wide, n-1)]}
}

func (g gain) String() string {
	return fmt.Sprintf("%d ms (%d to %d)", g.middle.Milliseconds(), g.low.Milliseconds(), g.high.Milliseconds())
}

// column takes one figure out of each round.
func column[R any](rounds []R, take func(R) time.Duration) (all []time.Duration) {
	for _, r := range rounds {
		all = append(all, take(r))
	}
	return all
}

// soaks reports whether this is make soak, for which alone such a measurement is.
func soaks() bool { return os.Getenv("FERRY_SOAK") != "" }

// indented is a table as it stands in a log.
func indented(b *strings.Builder) string { return "\n" + b.String() }
