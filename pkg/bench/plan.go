package bench

import (
	"cmp"
	"fmt"
	"time"

	"ferry/pkg/text"
)

// Plan is what a run is to do.
type Plan struct {
	// Header says how; it has begun.
	Header Header
	// Targets has one for each of Header.Nodes.
	Targets []Target
	Clock   Clock
	// MaxTokens ends the sending before the tokens billed could pass it, 0 for no bound; PerRequest is the most that one
	// request can be billed.
	MaxTokens, PerRequest int64
	// Waiting is told which series have requests in flight a second after the last was sent, and how long these are waited
	// for at most. It may be nil.
	Waiting func(waits []Progress, most time.Duration)
	// Saved gets each request as it ends. It may be nil.
	Saved *Writer
	// SchedulingDelay measures how late the process runs what is ready to run, over the whole run. It may be nil.
	SchedulingDelay func() time.Duration
}

// Rounds is the number of counted rounds, 0 where only the time bounds them.
func (p *Plan) Rounds() int {
	h := p.Header
	if h.Rate <= 0 || h.Duration <= 0 {
		return h.Requests
	}
	fit := max(1, int(h.Rate*h.Duration.Seconds()))
	return min(cmp.Or(h.Requests, fit), fit)
}

// Estimate says what the run will send, before it does: input and output are the tokens that one request is sent and may
// be answered.
func (p *Plan) Estimate(input, output int64) string {
	h, nodes := p.Header, len(p.Header.Nodes)
	each := fmt.Sprintf("about %d tokens in and at most %d out each", input, output)
	if h.Attempts > 1 {
		each += fmt.Sprintf(", up to %d attempts", h.Attempts)
	}
	to := text.Count(nodes, "node")
	if h.Connections == "both" {
		to = text.Count(nodes/2, "node") + " over cold and reused connections"
	}
	if p.Rounds() == 0 {
		return fmt.Sprintf("requests to %s for %s, up to %d at once: %s", to, h.Duration, nodes*h.Concurrency, each)
	}
	requests := nodes * (p.Rounds() + h.Warmup)
	most := int64(requests) * p.PerRequest
	if p.MaxTokens > 0 {
		most = min(most, p.MaxTokens)
	}
	return fmt.Sprintf("%s to %s, %d of them to warm up: %s, at most about %d tokens in all",
		text.Count(requests, "request"), to, nodes*h.Warmup, each, most)
}

// intended is when a round of an open loop should begin, since the start of the run.
func (p *Plan) intended(round int) time.Duration {
	return time.Duration(float64(round) / p.Header.Rate * float64(time.Second))
}

// drainTime is until when an open loop sends what it could not send in time: a node that cannot keep up would hold it for
// ever.
func (p *Plan) drainTime() time.Duration { return p.intended(p.Rounds()) + 30*time.Second }

// nonce is of one length and differs between all requests of a run: splitmix64 maps its counter one to one.
func (p *Plan) nonce(series, round int) string {
	counter := uint64(round+p.Header.Warmup)*uint64(len(p.Targets)) + uint64(series)
	x := p.Header.Seed + (counter+1)*0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return fmt.Sprintf("%016x", x^x>>31)
}
