package demo

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"net/http"
	"time"
)

// sigma is the spread of the log-normal delay: at 0.25 its p95 is about 1.46 times its mean, near what a busy proxy
// shows.
const sigma = 0.25

// tailFactor cuts the delay's far tail, where a client's timeouts would be tested by accident. At this sigma a draw
// beyond it comes once in a hundred million, so the mean is not moved.
const tailFactor = 4

// plan is what one request meets.
type plan struct {
	faults
	delay  time.Duration
	status int    // the answer's status: 200 is a normal answer
	fault  string // the fault's name, empty when none is met
	breaks string // the breaking fault that replaces or spoils a normal answer, empty when none
}

// plan decides what request k (from 0) of a query meets. It depends on nothing else, so that concurrent requests
// meet, as a set, exactly what sequential ones would.
func (f faults) plan(k, seed uint64, id queryID) plan {
	p := plan{faults: f, status: http.StatusOK, delay: drawDelay(f.latency, k, seed, id)}
	if !f.first.at(k) {
		p.faults = f.manner()
		return p
	}
	if len(f.statuses) > 0 {
		p.status = f.statuses[k%uint64(len(f.statuses))]
	}
	switch {
	case p.status != http.StatusOK:
		p.fault = "status"
	case fails(k, uint64(f.success)):
		p.status, p.fault = http.StatusServiceUnavailable, "success"
	}
	if p.fault != "" {
		p.faults = f.manner()
		return p
	}
	p.breaks = f.breaking(k)
	if p.fault = p.breaks; p.fault == "" {
		p.fault = f.spoiling()
	}
	return p
}

// manner returns only the settings that describe a node's way of answering, not its mishaps.
func (f faults) manner() faults {
	return faults{pace: f.pace, chunk: f.chunk, envelope: f.envelope, echoKey: f.echoKey, retryAfter: f.retryAfter}
}

// fails spreads failures evenly: over the first k requests floor(k × success) succeed, so that any 100 in a row hold
// a whole percentage exactly. success is in hundredths of a percent.
func fails(k, success uint64) bool {
	k %= 100_00 // the pattern's period; keeps the products far from overflow
	return (k+1)*success/100_00 == k*success/100_00
}

// breaking names the first breaking fault that request k meets.
func (f faults) breaking(k uint64) string {
	var truncates count
	if f.truncate != whole {
		truncates = always
	}
	for _, b := range []struct {
		name string
		n    count
	}{
		{"spend-cap", f.spendCap}, {"stall", f.stall}, {"reset", f.reset}, {"redirect", f.redirect}, {"html", f.html},
		{"empty", f.empty}, {"truncate", truncates}, {"error-event", f.errorEvent}, {"stall-mid", f.stallMid}, {"drip", f.drip},
	} {
		if b.n.at(k) {
			return b.name
		}
	}
	return ""
}

// spoiling names the fault that alters an otherwise normal answer.
func (f faults) spoiling() string {
	switch {
	case f.gzip != plain:
		return "gzip"
	case f.big != nil:
		return "big"
	case f.bigHeader > 0:
		return "big-header"
	default:
		return ""
	}
}

// drawDelay returns request k's delay: log-normal, with mu chosen so that the mean is exactly the one asked for.
func drawDelay(mean time.Duration, k, seed uint64, id queryID) time.Duration {
	if mean <= 0 {
		return 0
	}
	// The query is part of the seed: two nodes of one bench must not draw the same series.
	rng := rand.New(rand.NewPCG(seed^binary.BigEndian.Uint64(id[:8]), k*0x9e3779b97f4a7c15))
	factor := math.Exp(sigma*rng.NormFloat64() - sigma*sigma/2)
	factor = min(max(factor, 1.0/tailFactor), tailFactor)
	return time.Duration(float64(mean) * factor)
}
