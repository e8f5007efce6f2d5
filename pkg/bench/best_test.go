package bench

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// series returns records of a node: successes with latencies in ms, then failures of a class.
func series(node, failures int, class string, ms ...float64) []Outcome {
	records := rounds(node, append(slices.Clone(ms), make([]float64, failures)...)...)
	for i := range failures {
		records[len(ms)+i].Class = class
	}
	return records
}

func TestChoose(t *testing.T) {
	refusing := func(run *Run) { run.Series[1].Ended = "HTTP 401" }
	for _, c := range []struct {
		name    string
		records []Outcome
		change  func(*Run)
		want    string // the leader, and all rows that are not told apart from it
	}{
		{"nothing", nil, nil, "none"},
		{"no success", series(0, 10, "timeout"), nil, "none"},
		{"asked once", rounds(0, 5), nil, "none"},
		{"one node", rounds(0, 5, 5), nil, "a of a"},
		{"proven faster", append(rounds(0, around(100, 20)...), rounds(1, around(80, 20)...)...), nil, "b of b"},
		{"not told apart", append(rounds(0, 10, 12, 11, 13, 10, 12, 11, 13), rounds(1, 11, 11, 12, 11, 9, 13, 10, 12)...), nil, "b of a b"},
		{"too few to tell", append(rounds(0, 10, 10), rounds(1, 5, 5)...), nil, "b of a b"},
		{"no round in common", append(rounds(0, 10, 10), series(1, 0, "", 5, 5)...), func(run *Run) {
			for i := range 2 {
				run.Series[1].samples[0][i].Round += 2
			}
		}, "b of a b"},
		{"70 % are no choice beside 100 %", append(rounds(0, around(100, 10)...), series(1, 3, "5xx", around(10, 7)...)...), nil, "a of a"},
		{"80 % of five tell nothing", append(rounds(0, around(100, 5)...), series(1, 1, "5xx", around(10, 4)...)...), nil, "b of a b"},
		{"a node that refuses", append(rounds(0, around(100, 20)...), series(1, 1, "4xx", around(10, 30)...)...), refusing, "a of a"},
		{"a node that may be sent no more", append(rounds(0, around(100, 20)...), rounds(1, around(10, 30)...)...), refusing, "b of b"},
		{"a node that says nothing", append(rounds(0, around(100, 20)...), series(1, 20, Empty)...), nil, "a of a"},
		{"typically faster, with the higher p50", append(rounds(0, slices.Repeat([]float64{102}, 100)...),
			rounds(1, append(slices.Repeat([]float64{100, 1000}, 49), 100, 100)...)...), nil, "a of a"},
		{"streams, by their first text", append(streamed(0, 50*time.Millisecond, 0, 0, 0, around(100, 20)...),
			streamed(1, 60*time.Millisecond, 0, 0, 0, around(80, 20)...)...), nil, "a of a"},
		{"a kept connection does not compete", append(rounds(0, around(100, 20)...), rounds(1, around(10, 20)...)...), func(run *Run) {
			run.Series[1].Node.Connection = Reused
		}, "a of a"},
	} {
		run := newRun(Header{ID: "x", Reference: "a", Nodes: nodesOf("a", "b")}, c.records...)
		if c.change != nil {
			c.change(run)
		}
		got := "none"
		s := Summarise([]*Run{run})
		for _, choice := range s.Best {
			var names []string
			for _, i := range choice.Rows {
				names = append(names, s.Rows[i].Node.Name)
			}
			got = s.Rows[choice.Leader].Node.Name + " of " + strings.Join(names, " ")
		}
		equal(t, c.name, got, c.want)
	}
}

// A reference without a success is replaced by the first node that answered, and a warning says so.
func TestReferenceReplaced(t *testing.T) {
	records := slices.Concat(series(0, 20, "connect"), rounds(1, around(100, 20)...), rounds(2, around(80, 20)...))
	s := summary("a b c", records...)
	equal(t, "comparisons", []string{inShort(s.Rows[0].VsReference), inShort(s.Rows[1].VsReference), inShort(s.Rows[2].VsReference)},
		[]string{"", "", "20 pairs, 0.80 of b, faster"})
	const replaced = "reference_replaced a: a: the reference had no success: the others are compared with b instead"
	if got := warned(s); !slices.Contains(strings.Split(got, "\n"), replaced) {
		t.Errorf("got the warnings %s, want that the reference was replaced", got)
	}
	records = append(rounds(0, around(100, 20)...), records[20:]...)
	s = summary("a b c", records...)
	equal(t, "a reference that answers", inShort(s.Rows[2].VsReference), "20 pairs, 0.80 of a, faster")
}

func TestHolm(t *testing.T) {
	for _, c := range []struct{ ps, want []float64 }{
		{nil, []float64{}},
		{[]float64{0.04}, []float64{0.05}},
		{[]float64{0.03, 0.001}, []float64{0.05, 0.025}},
		{[]float64{0.03, 0.04}, []float64{0.025, 0.025}},
		{[]float64{0.02, 0.5, 0.001, 0.03}, []float64{alpha / 3, alpha / 3, alpha / 4, alpha / 3}},
	} {
		equal(t, fmt.Sprint(c.ps), holm(c.ps), c.want)
	}
}

// lognormal and bimodal draw a latency in ms.
func lognormal(r *rand.Rand) float64 { return 100 * math.Exp(0.5*r.NormFloat64()) }

func bimodal(r *rand.Rand) float64 {
	return float64([]int{100, 1000}[r.IntN(2)]) * math.Exp(0.05*r.NormFloat64())
}

// About 5 % of the reports on equal nodes have a false verdict, however many nodes there are.
func TestFalseVerdicts(t *testing.T) {
	skipIfShort(t, "thousands of reports")
	for _, c := range []struct {
		name            string
		nodes, requests int
		dead            bool
		draw            func(*rand.Rand) float64
	}{
		{"2 nodes", 2, 30, false, lognormal}, {"12 nodes", 12, 30, false, lognormal},
		{"12 nodes with two kinds of answers", 12, 30, false, bimodal}, {"a dead reference and 5 other nodes", 6, 30, true, lognormal},
	} {
		falsePositives(t, c.name, 1000, func(random *rand.Rand) bool {
			names, records := make([]string, c.nodes), []Outcome(nil)
			for node := range names {
				names[node] = fmt.Sprint("n", node)
				records = append(records, rounds(node, drawMany(random, c.requests, c.draw)...)...)
			}
			for i := range c.requests {
				if c.dead {
					records[i].Class = "connect"
				}
			}
			s := Summarise([]*Run{newRun(Header{ID: "x", Reference: "n0", Nodes: nodesOf(names...)}, records...)})
			return slices.ContainsFunc(s.Rows, func(r *Row) bool {
				return r.VsReference != nil && r.VsReference.Verdict != NoDifference || s.Leads(r)
			})
		})
	}
}
