package report

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"ferry/pkg/bench"
)

// lognormal makes a row as a network makes it: latencies with a mean and a share of failures, spread over the run.
func lognormal(n bench.Node, requests int, mean, success float64, seed uint64) *bench.Row {
	random := rand.New(rand.NewPCG(seed, 7))
	const sigma = 0.38
	mu := math.Log(mean) - sigma*sigma/2
	r := &bench.Row{Node: n, Requests: requests}
	failing := int(math.Round(float64(requests) * (1 - success)))
	for i := range requests {
		point := bench.Point{At: float64(i)*3.4 + random.Float64()*2, OK: true, Latency: math.Exp(mu + sigma*random.NormFloat64())}
		if (i*7+int(seed)*3)%requests < failing {
			point.OK, point.Latency = false, []float64{15000, 310, 1100}[i%3]*(0.9+0.2*random.Float64())
		} else {
			r.Sorted = append(r.Sorted, point.Latency)
		}
		r.Timeline = append(r.Timeline, point)
	}
	slices.Sort(r.Sorted)
	r.OK, r.FirstOK = len(r.Sorted), len(r.Sorted)
	r.Success, r.FirstSuccess = wilson(r.OK, requests), wilson(r.OK, requests)
	r.Latency = describe(r.Sorted)
	if r.OK > 0 {
		r.Phases = bench.PhaseMeans{DNS: mean / 250, Connect: mean / 15, TLS: mean / 14, Wait: mean * 0.82, Transfer: mean / 30}
	}
	if failing > 0 {
		r.Failures = []bench.Failure{failure("timeout", "node", (failing+1)/2, 15000, "no answer within 15s: i/o timeout")}
		if failing > 1 {
			r.Failures = append(r.Failures, failure("5xx", "origin", failing/2, 310, "HTTP 529 overloaded_error: the service is busy"))
		}
	}
	return r
}

func against(reference string, ratio float64, verdict bench.Verdict) *bench.Comparison {
	const base = 3000
	return &bench.Comparison{Reference: reference, Pairs: 78, Ratio: ratio, Low: ratio * 0.9, High: ratio * 1.12, P: 1.2e-13, Verdict: verdict,
		Saved: base * (1 - ratio), SavedLow: base * (1 - ratio*1.12), SavedHigh: base * (1 - ratio*0.9)}
}

// realistic is the comparison that ferry comes from, with latencies as a network spreads them.
func realistic() *bench.Summary {
	s := three()
	for i, was := range s.Rows {
		r := lognormal(was.Node, 100, []float64{3200, 800, 1200}[i], []float64{0.82, 0.98, 0.95}[i], uint64(i+1))
		s.Rows[i] = r
	}
	s.Rows[1].VsReference = against("direct", 0.25, bench.Faster)
	s.Rows[2].VsReference = against("direct", 0.375, bench.Faster)
	return s
}

// ten has ten nodes with as many points as a summary keeps, latencies far apart, long names and labels, one node without
// a success and one with two.
func ten() *bench.Summary {
	s := &bench.Summary{Header: header(), Runs: 1, Vantages: []string{""}, Elapsed: 6800, Model: "claude-haiku-5-5", Best: 1}
	for i := range 10 {
		n := node(fmt.Sprintf("node-%d", i), "")
		requests, success := 2000, 0.99-0.02*float64(i)
		switch i {
		case 0:
			n.Name = "direct"
		case 3:
			n.Label = "一个名字非常非常长的香港代理节点，经由新加坡与东京的反向代理转发到上游接口，仅供测试使用"
		case 4:
			n.Name = "a-node-whose-name-goes-on-and-on-without-any-space-in-it-until-nothing-has-room-for-it"
		case 5:
			success = 0
		case 6:
			requests, success = 4, 0.5
		}
		r := lognormal(n, requests, []float64{3200, 60, 90, 800, 1200, 1000, 700, 150, 2400, 6400}[i], success, uint64(i+1))
		switch {
		case i == 9:
			r.VsReference = against("direct", 2, bench.Slower)
		case i == 8:
			r.VsReference = against("direct", 0.98, bench.NoDifference)
		case i > 0 && r.OK > 2:
			r.VsReference = against("direct", r.Latency.Mean/3200, bench.Faster)
		}
		s.Rows = append(s.Rows, r)
		s.Header.Nodes = append(s.Header.Nodes, n)
	}
	return s
}

// alone is one node, without anything to compare it with.
func alone() *bench.Summary {
	n := node("hongkong", "香港代理节点")
	s := &bench.Summary{Header: header(n), Runs: 1, Elapsed: 81, Model: "claude-haiku-5-5", Rows: []*bench.Row{lognormal(n, 50, 800, 1, 3)}}
	s.Header.Reference = "hongkong"
	return s
}

// pages are all summaries that the HTML report is held to, looks those of them that a browser has to open.
func pages() map[string]*bench.Summary {
	all := looks()
	for name, make := range fixtures() {
		all[name] = make()
	}
	return all
}

func looks() map[string]*bench.Summary {
	return map[string]*bench.Summary{
		"realistic": realistic(), "ten": ten(), "alone": alone(), "poor": poor(), "merged": merged(), "hostile": hostile(), "nothing": nothing(),
	}
}
