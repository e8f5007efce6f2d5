package bench

import (
	"cmp"
	"fmt"
	"time"

	"ferry/pkg/text"
)

// Plan describes what a run does.
type Plan struct {
	// Header describes the run. Its Begin was called.
	Header Header
	// Targets has one for each of Header.Nodes.
	Targets []Target
	Clock   Clock
	// MaxTokens stops sending before the billed tokens could exceed it; 0 means no limit. PerRequest is the maximum
	// number of tokens billed for one request.
	MaxTokens, PerRequest int64
	// Waiting is called one second after sending has ended if requests are still in flight. It gets their series and
	// the maximum time that the run still waits for them. It may be nil.
	Waiting func(waits []Progress, most time.Duration)
	// Saved gets each request when it ends. It may be nil.
	Saved *Writer
	// SchedulingDelay returns how late the process ran what was ready to run, measured over the complete run. It may be
	// nil.
	SchedulingDelay func() time.Duration
}

// Rounds returns the number of counted rounds, 0 if only the duration limits the run.
func (p *Plan) Rounds() int {
	h := p.Header
	if h.Rate <= 0 || h.Duration <= 0 {
		return h.Requests
	}
	fit := max(1, int(h.Rate*h.Duration.Seconds()+1e-9)) // 0.29 times 100 is slightly less than 29
	return min(cmp.Or(h.Requests, fit), fit)
}

// Estimate describes what the run will send. input is the number of tokens sent in one request, output the maximum
// number of tokens in its answer.
func (p *Plan) Estimate(input, output int64) string {
	h, nodes := p.Header, len(p.Header.Nodes)
	each := fmt.Sprintf("about %d input and at most %d output tokens each", input, output)
	if h.Attempts > 1 {
		each += fmt.Sprintf(", up to %d attempts", h.Attempts)
	}
	to := text.Count(nodes, "node")
	if h.Connections == "both" {
		to = text.Count(nodes/2, "node") + " over cold and reused connections"
	}
	if p.Rounds() == 0 {
		return fmt.Sprintf("requests to %s for %s, at most %d in flight: %s", to, h.Duration, nodes*h.Concurrency, each)
	}
	requests := nodes * (p.Rounds() + h.Warmup)
	most := int64(requests) * p.PerRequest
	if p.MaxTokens > 0 {
		most = min(most, p.MaxTokens)
	}
	plan := fmt.Sprintf("%s to %s, including %d for warm-up: %s, at most about %d tokens in total",
		text.Count(requests, "request"), to, nodes*h.Warmup, each, most)
	if h.Rate > 0 && p.Rounds() > 1 {
		plan += "; at this rate the run takes about " + text.Span(p.intended(p.Rounds()-1))
	}
	return plan
}

// intended returns when a round of an open loop should begin, relative to the start of the run.
func (p *Plan) intended(round int) time.Duration {
	return time.Duration(float64(round) / p.Header.Rate * float64(time.Second))
}

// nonce returns a string of fixed length that is different for every request of a run: splitmix64 maps its counter one
// to one.
func (p *Plan) nonce(series, round int) string {
	counter := uint64(round+p.Header.Warmup)*uint64(len(p.Targets)) + uint64(series)
	x := p.Header.Seed + (counter+1)*0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return fmt.Sprintf("%016x", x^x>>31)
}
