package bench

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// made is a run made by hand.
func made(h Header, records ...record) *Run {
	run := &Run{Header: h}
	for _, n := range h.Nodes {
		run.Series = append(run.Series, newSeries(n))
	}
	for _, r := range records {
		run.Series[r.Node].add(r)
	}
	return run
}

func nodesOf(names ...string) []Node {
	var nodes []Node
	for _, name := range names {
		nodes = append(nodes, Node{Name: name, Model: "m", Connection: Cold})
	}
	return nodes
}

// rounds are successes of a node in rounds 0 and on, 100 ms apart, with the given latencies in ms.
func rounds(node int, ms ...float64) []record {
	var records []record
	for i, v := range ms {
		records = append(records, record{
			Node: node, Round: i, Start: time.Duration(i) * 100 * time.Millisecond,
			Latency: time.Duration(v * float64(time.Millisecond)), Attempts: 1,
		})
	}
	return records
}

// around are n latencies near a middle, in ms, none twice.
func around(middle float64, n int) []float64 {
	var ms []float64
	for i := range n {
		ms = append(ms, middle*(1+0.01*float64(i%7-3)+1e-6*float64(i)))
	}
	return ms
}

// drawn is a random run: records end in their order.
func drawn(random *rand.Rand, h Header) (records []record) {
	classes := []string{"", "", "", "", "", "timeout", "429", "reset"}
	for round := range 60 {
		for node := range h.Nodes {
			r := record{
				Node: node, Round: round, Start: time.Duration(round/3) * time.Second, Attempts: 1 + random.IntN(2),
				Latency: time.Duration(len(records))*time.Millisecond + time.Duration(random.Int64N(1e6)),
				Class:   classes[random.IntN(len(classes))], Tokens: random.Int64N(50), Fresh: random.IntN(20) == 0,
				Phases: Phases{time.Duration(random.Int64N(1e6)), 2, 3, time.Duration(random.Int64N(1e9)), 5},
			}
			r.TTFT = (r.Latency / 3).Round(time.Microsecond)
			if h.Rate > 0 {
				r.Lag = time.Duration(random.IntN(5)) * time.Millisecond
			}
			if r.Class != "" {
				r.Detail = fmt.Sprintf("%s in round %d", r.Class, round)
			}
			records = append(records, r)
		}
	}
	return records
}

// completed gives a run what is known at its end.
func completed(run *Run) *Run {
	run.Elapsed, run.Stopped, run.SchedulingDelay, run.ClockJump = time.Minute, "interrupted", time.Second, -time.Hour
	run.Series[1].Ended, run.Series[1].Unsent = "status 401", 3
	return run
}

// dump is all of a summary as text, whatever its pointers point to. NaN is the same as NaN there.
func dump(s *Summary) string {
	summary := *s
	summary.Rows = nil
	text := fmt.Sprintf("%+v\n", summary)
	for _, r := range s.Rows {
		row := *r
		row.Uncorrected, row.Lag, row.TTFT, row.ITL, row.TokensPerSecond, row.VsReference = nil, nil, nil, nil, nil, nil
		text += fmt.Sprintf("%+v\n%+v %+v %+v %+v %+v %+v\n", row, r.Uncorrected, r.Lag, r.TTFT, r.ITL, r.TokensPerSecond, r.VsReference)
	}
	return text
}
