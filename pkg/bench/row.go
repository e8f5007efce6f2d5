package bench

import (
	"math"
	"time"
)

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// row works out a series's results, but for the comparison.
func (c *nodeSeries) row(w *workspace) *Row {
	r := &Row{Node: c.node, Vantage: c.vantage}
	for s := range c.all() {
		r.Requests++
		if s.OK() {
			r.OK++
		}
		if s.OK() && s.Attempts == 1 {
			r.FirstOK++
		}
		if s.Fresh {
			r.Fresh++
		}
	}
	r.Success, r.FirstSuccess = wilson(r.OK, r.Requests), wilson(r.FirstOK, r.Requests)
	r.Sorted = make([]float64, 0, r.OK)
	for s := range c.all() {
		if s.OK() {
			r.Sorted = append(r.Sorted, milliseconds(s.latency()))
		}
	}
	r.Latency = describe(r.Sorted)
	if c.open() {
		r.Uncorrected = c.describe(w, func(s place) float64 { return milliseconds(s.Latency) })
		r.Lag = c.describe(w, func(s place) float64 { return milliseconds(s.Lag()) })
	}
	r.TTFT = c.describe(w, func(s place) float64 { return positive(milliseconds(s.TTFT())) })
	r.ITL = c.describe(w, interTokenLatency)
	r.TokensPerSecond = c.describe(w, func(s place) float64 {
		return positive(float64(s.Tokens) / max(s.Latency, 1).Seconds())
	})
	r.Phases = c.phases()
	for _, p := range c.parts {
		r.Unsent += p.series.Unsent
		if r.Ended == "" {
			r.Ended = p.series.Ended
		}
	}
	r.Failures = c.failures(w)
	r.Timeline = c.timeline(w)
	return r
}

// describe describes a figure of the successes that have it, nil where none has. NaN says that a sample has none.
func (c *nodeSeries) describe(w *workspace, figure func(place) float64) *Stats {
	n := 0
	for s := range c.all() {
		if s.OK() && !math.IsNaN(figure(s)) {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	values := w.values(n)
	for s := range c.all() {
		if v := figure(s); s.OK() && !math.IsNaN(v) {
			values = append(values, v)
		}
	}
	stats := describe(values)
	return &stats
}

// positive takes a 0 for a figure that was not measured.
func positive(v float64) float64 {
	if v <= 0 {
		return math.NaN()
	}
	return v
}

// interTokenLatency is the mean time between the tokens of one stream, in ms.
func interTokenLatency(s place) float64 {
	if s.Tokens < 2 || s.TTFT() <= 0 {
		return math.NaN()
	}
	return milliseconds(max(0, s.Latency-s.TTFT())) / float64(s.Tokens-1)
}

func (c *nodeSeries) phases() PhaseMeans {
	var n int
	var sum Phases
	for _, p := range c.parts {
		q := p.series.Phases
		n += q.N
		sum.DNS += q.DNS
		sum.Connect += q.Connect
		sum.TLS += q.TLS
		sum.Wait += q.Wait
		sum.Transfer += q.Transfer
	}
	mean := func(d time.Duration) float64 { return milliseconds(d) / float64(max(n, 1)) }
	return PhaseMeans{mean(sum.DNS), mean(sum.Connect), mean(sum.TLS), mean(sum.Wait), mean(sum.Transfer)}
}
