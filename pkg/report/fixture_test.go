package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"ferry/pkg/bench"
)

// The fixtures are summaries as pkg/bench makes them, written by hand, so that a report does not depend on
// how it was computed.

var started = time.Date(2026, 11, 23, 4, 11, 5, 0, time.UTC)

func header(nodes ...bench.Node) bench.Header {
	return bench.Header{
		Schema: bench.Schema, ID: "5a1c", Started: started, PromptSHA256: "3f9a1c2e0b7d4455aa00112233445566778899aabbccddeeff00112233445566",
		MaxTokens: 100, Requests: 100, Concurrency: 4, Warmup: 1, Attempts: 1, Connections: "cold", Seed: 42,
		Program: "1.2.0", Reference: "direct", Nodes: nodes,
	}
}

func node(name, label string) bench.Node {
	return bench.Node{Name: name, Label: label, Host: name + ".example.com", API: "messages", Model: "claude-haiku-5-5", Connection: bench.Cold}
}

// only returns a best row that all others are told apart from.
func only(i int) []bench.Choice { return []bench.Choice{{Rows: []int{i}, Leader: i}} }

// spread returns n latencies around a middle, in ascending order, with a tail to the right.
func spread(n int, middle float64) []float64 {
	values := make([]float64, n)
	for i := range values {
		at := (float64(i) + 0.5) / float64(n)
		values[i] = middle * math.Exp(0.25*math.Log(at/(1-at))/1.7)
	}
	return values
}

// describe returns the statistics of ascending values, with percentiles by nearest rank.
func describe(sorted []float64) bench.Stats {
	nan := math.NaN()
	s := bench.Stats{N: len(sorted), Mean: nan, SD: nan, Min: nan, P50: nan, P90: nan, P95: nan, P99: nan, Max: nan}
	if s.N == 0 {
		return s
	}
	sum, squares := 0.0, 0.0
	for _, v := range sorted {
		sum += v
	}
	s.Mean, s.Min, s.Max = sum/float64(s.N), sorted[0], sorted[s.N-1]
	for _, v := range sorted {
		squares += (v - s.Mean) * (v - s.Mean)
	}
	if s.N > 1 {
		s.SD = math.Sqrt(squares / float64(s.N-1))
	}
	if s.N >= bench.MinPercentile {
		at := func(p float64) float64 { return sorted[int(math.Ceil(p*float64(s.N)))-1] }
		s.P50, s.P90, s.P95, s.P99 = at(0.5), at(0.9), at(0.95), at(0.99)
	}
	return s
}

func wilson(ok, n int) bench.Rate {
	if n == 0 {
		return bench.Rate{Value: math.NaN(), Low: math.NaN(), High: math.NaN()}
	}
	const z = 1.959964
	p, m := float64(ok)/float64(n), float64(n)
	middle := (p + z*z/(2*m)) / (1 + z*z/m)
	half := z / (1 + z*z/m) * math.Sqrt(p*(1-p)/m+z*z/(4*m*m))
	return bench.Rate{Value: p, Low: max(0, middle-half), High: min(1, middle+half)}
}

func row(n bench.Node, requests, ok int, middle float64) *bench.Row {
	sorted := spread(ok, middle)
	r := &bench.Row{
		Node: n, Requests: requests, OK: ok, FirstOK: ok, Success: wilson(ok, requests), FirstSuccess: wilson(ok, requests),
		Latency: describe(sorted), Sorted: sorted,
	}
	busy(r)
	for i := range requests { // the failures are spread evenly among the answers
		point, next := bench.Point{At: float64(i), Latency: []float64{15000, 310}[i%2]}, i*ok/requests
		if (i+1)*ok/requests > next {
			point.Latency, point.OK = sorted[next], true
		}
		r.Timeline = append(r.Timeline, point)
	}
	return r
}

func warning(code, node, format string, args ...any) bench.Warning {
	w := bench.Warning{Code: code, Node: node, Message: bench.Message{Format: format, Args: args}}
	w.Text = w.Message.String()
	if node != "" {
		w.Text = node + ": " + w.Text
	}
	return w
}

// busy sets the buckets and the load of a row.
func busy(r *bench.Row) {
	for _, bound := range bench.Buckets() {
		n, _ := slices.BinarySearch(r.Sorted, bound+1e-9)
		r.LatencyBuckets = append(r.LatencyBuckets, n)
	}
	r.TTFTBuckets = r.LatencyBuckets
	r.PerSecond, r.InFlight = float64(r.Requests)/100, float64(r.Requests)*r.Latency.Mean/100_000
}

func failure(class, blame string, n int, ms float64, detail string) bench.Failure {
	return bench.Failure{Class: class, Blame: blame, Count: n, Latency: describe(slices.Repeat([]float64{ms}, n)), Detail: detail}
}

// three compares three nodes: direct with failures, a faster node, and a node that shows no difference.
func three() *bench.Summary {
	direct, hongkong, singapore := node("direct", ""), node("hongkong", "香港代理节点"), node("singapore", "新加坡代理节点")
	a, b, c := row(direct, 100, 82, 3100), row(hongkong, 100, 98, 790), row(singapore, 40, 39, 3050)
	a.Phases = bench.PhaseMeans{DNS: 12.4, Connect: 201, TLS: 203.5, Wait: 2710, Transfer: 44}
	b.Phases = bench.PhaseMeans{DNS: 3.1, Connect: 48, TLS: 51, Wait: 702, Transfer: 21}
	c.Phases = bench.PhaseMeans{Connect: 61, TLS: 64, Wait: 2900, Transfer: 0.04}
	a.Failures = []bench.Failure{
		failure("5xx", "origin", 11, 1203, "HTTP 529 from direct: overloaded_error: the service is busy, try again in a while"),
		failure("timeout", "node", 7, 15000, "the connection timed out: i/o timeout"),
	}
	b.Failures = []bench.Failure{failure("429", "origin", 2, 88, "HTTP 429 from hongkong: rate_limit_error")}
	c.Failures = []bench.Failure{failure("reset", "node", 1, 431, "the connection was closed before an answer arrived: connection reset by peer")}
	b.VsReference = against(81, 0.2548, 0.1355, 0.3194, 3.2e-14, bench.Faster, b.Latency.P50, a.Latency.P50)
	c.VsReference = against(20, 1.003, 0.97, 1.04, 0.73, bench.NoDifference, c.Latency.P50, a.Latency.P50)
	h := header(direct, hongkong, singapore)
	h.Proxy = "http://127.0.0.1:3128"
	h.Vantage = "beijing"
	return &bench.Summary{Started: started, LastStarted: started, Figure: bench.LatencyFigure,
		Header: h, Runs: 1, Vantages: []string{"beijing"}, Elapsed: 143.2, Model: "claude-haiku-5-5", Rows: []*bench.Row{a, b, c}, Best: only(1),
		Warnings: []bench.Warning{
			warning("outliers", "direct", "%d of %s are outliers, far from the median of %s: they affect mean and sd",
				3, bench.Count{N: 82, Noun: "request"}, "3.09 s"),
			warning(bench.FewRounds, "singapore", "only %s: not reliable with fewer than 10", bench.Count{N: 9, Noun: "request"}),
		},
	}
}

// poor has a node without a success and one with too few for percentiles.
func poor() *bench.Summary {
	direct, gone, rare := node("direct", ""), node("gone", ""), node("rare", "")
	a, b, c := row(direct, 20, 20, 0.4), row(gone, 20, 0, 1), row(rare, 20, 2, 1200)
	b.Failures = []bench.Failure{failure("connect", "node", 20, 3.2, "cannot connect to 192.0.2.1:443: connection refused")}
	b.Ended = "refused"
	c.VsReference = against(2, 2900, 0, math.Inf(1), 0.5, bench.NoDifference, math.NaN(), a.Latency.P50)
	c.Failures = []bench.Failure{failure("tls", "node", 18, 88, "the certificate has expired")}
	h := header(direct, gone, rare)
	h.Requests, h.Duration, h.Attempts = 0, 90*time.Second, 3
	return &bench.Summary{Started: started, LastStarted: started, Figure: bench.LatencyFigure,
		Header: h, Runs: 1, Elapsed: 9.94, Model: "claude-haiku-5-5", Rows: []*bench.Row{a, b, c}, Best: only(0), Stopped: "interrupted",
		Warnings: []bench.Warning{warning(bench.NoSuccess, "gone", "no success in %s", bench.Count{N: 20, Noun: "request"})},
	}
}

// merged has two vantages, both kinds of connection, streams and a fixed rate at once.
func merged() *bench.Summary {
	s := &bench.Summary{Started: started, LastStarted: started, Figure: bench.TTFTFigure, Runs: 2, Vantages: []string{"beijing", "shanghai"}, Elapsed: 1260, Model: "claude-haiku-5-5"}
	s.Best = []bench.Choice{{Vantage: "beijing", Rows: []int{2}, Leader: 2}, {Vantage: "shanghai", Rows: []int{4, 6}, Leader: 6}}
	direct, hongkong := node("direct", ""), node("hongkong", "香港代理节点")
	kept, keptHongkong := direct, hongkong
	kept.Connection, keptHongkong.Connection = bench.Reused, bench.Reused
	s.Header = header(direct, kept, hongkong, keptHongkong)
	s.Header.Connections, s.Header.Stream, s.Header.Rate, s.Header.Attempts = "both", true, 2.5, 2
	for v, place := range s.Vantages {
		for i, n := range s.Header.Nodes {
			r := row(n, 50, 50-i-v, []float64{3100, 2700, 820, 560}[i]*(1+0.1*float64(v)))
			r.Vantage = place
			r.FirstOK--
			r.FirstSuccess = wilson(r.FirstOK, r.Requests)
			stats := func(middle float64) *bench.Stats { d := describe(spread(r.OK, middle)); return &d }
			r.TTFT, r.ITL, r.TokensPerSecond = stats(r.Latency.P50/3), stats(14.2), stats(61)
			r.DecodeRate, r.AnswerTokens = stats(70.4), stats(98)
			r.Uncorrected, r.Lag = stats(r.Latency.P50*0.9), stats(r.Latency.P50*0.1)
			r.Phases = bench.PhaseMeans{Wait: 300, Transfer: 200}
			if n.Connection == bench.Cold {
				r.Phases.Connect, r.Phases.TLS = 50, 52
			}
			if n.Name == "hongkong" {
				r.VsReference = against(48, 0.26, 0.22, 0.31, 1e-9, bench.Faster, r.TTFT.P50, 1033)
			}
			if f := 50 - r.OK; f > 0 {
				r.Failures = []bench.Failure{failure("truncated", "node", f, 700, "cut after 12 events")}
			}
			s.Rows = append(s.Rows, r)
		}
	}
	s.Rows[0].Unsent = 3
	return s
}

// strangers has two nodes with different models: nothing is compared.
func strangers() *bench.Summary {
	a, b := node("direct", ""), node("qwen", "通义千问")
	b.Model, b.API = "qwen-plus", "chat"
	return &bench.Summary{Started: started, LastStarted: started, Figure: bench.LatencyFigure,
		Header: header(a, b), Runs: 1, Elapsed: 61, Rows: []*bench.Row{row(a, 30, 30, 900), row(b, 30, 29, 650)},
		Warnings: []bench.Warning{warning(bench.DifferentModels, "",
			"the nodes use different models: latencies are shown but not compared")},
	}
}

// evil is text that must not reach a report unescaped: escapes, markup, formulas, line ends, bidi controls.
const evil = "=a\x1b[31m|\"<b>&'`\n# x\u202e\u0085\xff\\,☺️☺️☺️☺️☺️☺️☺️☺️☺️☺️☺️☺️"

// hostile is a saved run from an untrusted source.
func hostile() *bench.Summary {
	a, b := node("direct", ""), node(evil, evil)
	b.Host, b.API, b.Connection, a.Model, b.Model = evil, evil, evil, evil, evil
	s := &bench.Summary{Started: started, LastStarted: started, Figure: bench.LatencyFigure, Runs: 2, Vantages: []string{evil, "x"}, Elapsed: 3, Model: evil, Best: only(1), Stopped: evil}
	s.Header = header(a, b)
	h := &s.Header
	h.Proxy, h.Program, h.PromptSHA256, h.Connections, h.Vantage = evil, evil, evil, evil, evil
	s.Rows = []*bench.Row{row(a, 9, 9, 40), row(b, 9, 8, 40)}
	s.Rows[1].Vantage, s.Rows[1].Ended = evil, evil
	s.Rows[1].Failures = []bench.Failure{failure(evil, evil, 1, 4, evil)}
	s.Rows[1].VsReference = &bench.Comparison{Reference: evil, Pairs: 8, Ratio: 1, Low: 0.9, High: 1.1, P: 1, Verdict: evil}
	s.Warnings = []bench.Warning{{Code: evil, Node: evil, Text: evil}}
	return s
}

// days has runs over three days, with requests in the hours from 4 to 23 in the time zone of Shanghai.
func days() *bench.Summary {
	a, b := node("direct", ""), node("hongkong", "香港代理节点")
	s := &bench.Summary{Figure: bench.LatencyFigure, Header: header(a, b), Runs: 60, Elapsed: 3600, Model: "claude-haiku-5-5",
		FasterWaited: true, Rows: []*bench.Row{row(a, 1200, 1150, 3000), row(b, 1200, 1196, 800)}, Best: only(1)}
	s.Started = started.In(time.FixedZone("", 8*3600))
	s.LastStarted = s.Started.Add(70 * time.Hour)
	s.Rows[1].VsReference = against(1150, 0.27, 0.26, 0.28, 1e-30, bench.Faster, s.Rows[1].Latency.P50, s.Rows[0].Latency.P50)
	for i, r := range s.Rows {
		for j := range r.Timeline {
			r.Timeline[j].At = 70 * 3600 * float64(j) / float64(len(r.Timeline))
		}
		for hour := 4; hour < 24; hour++ {
			load := math.Sin(float64(hour-4) / 20 * math.Pi)
			r.Hours = append(r.Hours, bench.Hour{Hour: hour, Requests: 60, OK: 60 - int(3*load)*(2-i), P50: r.Latency.P50 * (0.8 + 0.5*load)})
		}
	}
	return s
}

// nothing is a run that ended before any request.
func nothing() *bench.Summary {
	return &bench.Summary{Started: started, LastStarted: started, Figure: bench.LatencyFigure, Header: header()}
}

func fixtures() map[string]*bench.Summary {
	return map[string]*bench.Summary{
		"three": three(), "poor": poor(), "merged": merged(), "strangers": strangers(), "days": days(), "hostile": hostile(), "nothing": nothing(),
	}
}

func against(pairs int, ratio, low, high, p float64, verdict bench.Verdict, p50, reference float64) *bench.Comparison {
	return &bench.Comparison{Reference: "direct", Pairs: pairs, Ratio: ratio, Low: low, High: high, P: p, Verdict: verdict,
		P50: p50, ReferenceP50: reference}
}

// ten has ten nodes with as many points as a summary keeps, very different latencies, long names and labels, one node
// without a success and one with two.
func ten() *bench.Summary {
	s := &bench.Summary{Started: started, LastStarted: started, Figure: bench.LatencyFigure, Header: header(), Runs: 1, Vantages: []string{""}, Elapsed: 6800, Model: "claude-haiku-5-5", Best: only(1)}
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
		r := row(n, requests, int(float64(requests)*success), []float64{3200, 60, 90, 800, 1200, 1000, 700, 150, 2400, 6400}[i])
		r.Phases = bench.PhaseMeans{DNS: 12, Connect: 50, TLS: 55, Wait: 10 * float64(i), Transfer: 3}
		r.Failures = []bench.Failure{failure("timeout", "node", requests-r.OK, 15000, "no answer within 15s: i/o timeout")}
		if ratio := r.Latency.Mean / 3200; i > 0 && r.OK > 2 {
			verdict := map[int]bench.Verdict{8: bench.NoDifference, 9: bench.Slower}[i]
			r.VsReference = against(78, ratio, ratio*0.9, ratio*1.12, 1.2e-13, cmp.Or(verdict, bench.Faster), 3000*ratio, 3000)
		}
		s.Rows = append(s.Rows, r)
		s.Header.Nodes = append(s.Header.Nodes, n)
	}
	return s
}

// alone has one node, and nothing to compare it with.
func alone() *bench.Summary {
	n := node("hongkong", "香港代理节点")
	s := &bench.Summary{Started: started, LastStarted: started, Figure: bench.LatencyFigure, Header: header(n), Runs: 1, Elapsed: 81, Model: "claude-haiku-5-5", Best: only(0), Rows: []*bench.Row{row(n, 50, 50, 800)}}
	s.Header.Reference, s.Rows[0].Phases = "hongkong", bench.PhaseMeans{DNS: 3, Connect: 53, TLS: 57, Wait: 656, Transfer: 27}
	return s
}

// pages returns all summaries that the tests of the HTML report use.
func pages() map[string]*bench.Summary {
	all := fixtures()
	all["ten"], all["alone"] = ten(), alone()
	return all
}
