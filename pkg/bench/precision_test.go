package bench

import (
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"
)

func TestPrecise(t *testing.T) {
	wild := func(n int) []float64 {
		values := make([]float64, n)
		for i := range values {
			values[i] = 100 + 900*float64(i%2)
		}
		return values
	}
	refused := rounds(2, 5)
	refused[0].Class = "4xx"
	half := rounds(1, around(100, 400)...)
	for i := range half {
		if i%2 == 0 {
			half[i].Class = "timeout"
		}
	}
	// b answers in rounds in which a fails, but for a few.
	apart := rounds(1, around(100, 400)...)
	for i := range apart {
		apart[i].Round += 395
	}
	for _, c := range []struct {
		name      string
		records   []record
		ended     []int
		precision float64
		want      bool
	}{
		{"nothing", nil, nil, 0.5, false},
		{"nine", slices.Concat(rounds(0, around(100, 9)...), rounds(1, around(100, 9)...)), []int{2}, 0.5, false},
		{"ten", slices.Concat(rounds(0, around(100, 10)...), rounds(1, around(100, 10)...)), []int{2}, 0.5, true},
		{"the success rate is not known to 5 % yet", slices.Concat(rounds(0, around(100, 34)...), rounds(1, around(100, 34)...)), []int{2}, 0.05, false},
		{"now it is", slices.Concat(rounds(0, around(100, 35)...), rounds(1, around(100, 35)...)), []int{2}, 0.05, true},
		{"a node without a success that goes on", slices.Concat(rounds(0, around(100, 50)...), rounds(1, around(100, 50)...), refused), nil, 0.05, false},
		{"a node that was refused", slices.Concat(rounds(0, around(100, 50)...), rounds(1, around(100, 50)...), refused), []int{2}, 0.05, true},
		{"all were refused", refused, []int{0, 1, 2}, 0.05, false},
		{"the reference was refused", rounds(1, around(100, 50)...), []int{0, 2}, 0.05, true},
		{"a mean that is not settled", slices.Concat(rounds(0, around(100, 100)...), rounds(1, wild(100)...)), []int{2}, 0.1, false},
		{"half of it fails, and 400 show to 5 % that it is half", slices.Concat(rounds(0, around(100, 400)...), half), []int{2}, 0.05, true},
		{"half of it fails, and 400 do not show it to 2 %", slices.Concat(rounds(0, around(100, 400)...), half), []int{2}, 0.02, false},
		{"five pairs only", slices.Concat(rounds(0, around(100, 400)...), apart), []int{2}, 0.05, false},
	} {
		run := made(Header{ID: "x", Reference: "a", Nodes: nodesOf("a", "b", "c")}, c.records...)
		for _, i := range c.ended {
			run.Series[i].Ended = "status 401"
		}
		if got := precise(run, c.precision); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// The ratio may be wider than either mean: then it is what decides.
func TestPreciseRatio(t *testing.T) {
	random := rand.New(rand.NewPCG(12, 12))
	var values, other []float64
	for range 400 {
		factor := math.Exp(0.2 * random.NormFloat64())
		values, other = append(values, 100*factor), append(other, 100/factor) // slow where the other is fast
	}
	run := made(Header{ID: "x", Reference: "a", Nodes: nodesOf("a", "b")}, append(rounds(0, values...), rounds(1, other...)...)...)
	if precise(run, 0.03) {
		t.Error("the ratio's interval is wider than 3 %")
	}
	run.Header.Nodes[1].Model, run.Series[1].Node.Model = "other", "other"
	if !precise(run, 0.03) {
		t.Error("nodes of different models are not compared")
	}
}

// Others may add samples meanwhile: for the race detector.
func TestPreciseWhileAdding(t *testing.T) {
	run := made(Header{ID: "x", Reference: "a", Nodes: nodesOf("a", "b")})
	var adding sync.WaitGroup
	for node, s := range run.Series {
		adding.Go(func() {
			for round := range 3 * chunk {
				s.add(record{Node: node, Round: round, Latency: time.Second, Attempts: 1})
			}
		})
	}
	for range 20 {
		precise(run, 0.05)
	}
	adding.Wait()
	if !precise(run, 0.05) {
		t.Error("all is the same, and not precise")
	}
}
