package bench

import (
	"cmp"
	"math"
	"slices"
	"time"
)

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// row computes the results of a series, except the comparison. elapsed has the duration of each run.
func (c *nodeSeries) row(w *workspace, s *Summary, elapsed map[string]time.Duration) *Row {
	r := &Row{Node: c.node, Vantage: c.vantage, series: c}
	var took time.Duration
	for s := range c.all() {
		r.Requests++
		took += s.Latency
		if s.OK() {
			r.OK++
		}
		if s.OK() && s.Attempts() == 1 {
			r.FirstOK++
		}
		if s.Fresh() {
			r.Fresh++
		}
	}
	r.Success, r.FirstSuccess = wilson(r.OK, r.Requests), wilson(r.FirstOK, r.Requests)
	c.load(r, took, elapsed)
	latencies := c.values(w, "", latencyMS)
	r.Latency = describe(latencies)
	r.WithFailures, r.LatencyBuckets = r.Latency.withFailures(latencies, r.Requests-r.OK), buckets(latencies)
	r.Sorted = slices.Clone(latencies)
	if c.openLoop() {
		r.Uncorrected = c.describe(w, "", func(s partSample) float64 { return milliseconds(s.Latency) })
		r.Lag = c.describe(w, "", func(s partSample) float64 { return milliseconds(s.Lag()) })
	}
	firstTexts := c.values(w, "", func(s partSample) float64 { return positive(milliseconds(s.firstText())) })
	if len(firstTexts) > 0 {
		ttft := describe(firstTexts)
		all := ttft.withFailures(firstTexts, r.Requests-r.OK)
		r.TTFT, r.TTFTWithFailures, r.TTFTBuckets = &ttft, &all, buckets(firstTexts)
	}
	if bursts, long := c.bursts(); 2*bursts <= long { // otherwise what delayed these streams may have delayed the others too
		r.ITL = c.describe(w, "", interTokenLatency)
		r.DecodeRate = c.describe(w, "", func(s partSample) float64 { return 1000 / positive(interTokenLatency(s)) })
	}
	r.AnswerTokens = c.describe(w, "", func(s partSample) float64 { return positive(float64(s.Tokens())) })
	r.TokensPerSecond = c.describe(w, "", func(s partSample) float64 {
		return positive(float64(s.Tokens()) / positive(s.Latency.Seconds())) // it can be shorter than the clock's resolution
	})
	var phases Phases
	for _, p := range c.parts {
		phases.add(p.series.Phases)
		r.Unsent += p.series.Unsent
		r.Ended = cmp.Or(r.Ended, p.series.Ended)
	}
	mean := func(d time.Duration) float64 { return milliseconds(d) / float64(max(r.OK, 1)) }
	r.Phases = PhaseMeans{mean(phases.DNS), mean(phases.Connect), mean(phases.TLS), mean(phases.Wait), mean(phases.Transfer)}
	r.Failures = c.failures(w)
	r.Timeline = c.timeline(w)
	r.Hours = c.hours(w, s)
	return r
}

// buckets returns for each of Buckets how many of the ascending values are at most the bound.
func buckets(sorted []float64) []int {
	var counts []int
	for _, bound := range Buckets() {
		n, _ := slices.BinarySearch(sorted, math.Nextafter(bound, math.Inf(1)))
		counts = append(counts, n)
	}
	return counts
}

// load computes the requests per second and the mean number of requests in flight: took, the sum of all latencies,
// divided by the duration of the runs (Little's law). Sums of integer nanoseconds do not depend on the order of the
// samples.
func (c *nodeSeries) load(r *Row, took time.Duration, elapsed map[string]time.Duration) {
	var ran time.Duration
	for _, run := range c.runs() {
		ran += elapsed[run]
	}
	seconds := positive(ran.Seconds())
	r.PerSecond, r.InFlight = float64(r.Requests)/seconds, took.Seconds()/seconds
}

// values returns a figure of the samples of a class ("" for the successes). The figure is NaN for a sample that does
// not have it. The slice is valid until the next use of w.
func (c *nodeSeries) values(w *workspace, class string, figure func(partSample) float64) []float64 {
	values := reuse(&w.floats, c.size())
	for s := range c.all() {
		if s.class() != class {
			continue
		}
		if v := figure(s); !math.IsNaN(v) {
			values = append(values, v)
		}
	}
	return values
}

// describe returns the statistics of values, nil if no sample has the figure.
func (c *nodeSeries) describe(w *workspace, class string, figure func(partSample) float64) *Stats {
	stats := describe(c.values(w, class, figure))
	if stats.N == 0 {
		return nil
	}
	return &stats
}

// positive returns NaN for a value of 0, which means that it was not measured.
func positive(v float64) float64 {
	if v <= 0 {
		return math.NaN()
	}
	return v
}

const (
	// minTokens and minChunks are the smallest numbers for which the inter-token latency of a stream is computed.
	minTokens, minChunks = 10, 3
	// fastestToken is less time than any model needs for a token. Text that arrives faster was delayed on its way.
	fastestToken = 200 * time.Microsecond
)

// interTokenLatency returns the mean time between the tokens of a stream's text, in ms: the time from the first text to
// the end, divided by the number of tokens after the first event. All events are assumed to have the same number of
// tokens, often one. It returns NaN if the value is unknown: if reasoning is not counted separately, if there are few
// tokens, or if all of them arrived at once.
func interTokenLatency(s partSample) float64 {
	if s.textTokens() < minTokens || s.chunks() < minChunks || s.TTFT() <= 0 || s.burst() {
		return math.NaN()
	}
	tokens, chunks := float64(s.textTokens()), float64(s.chunks())
	return milliseconds(max(0, s.Latency-s.TTFT())) / (tokens - tokens/chunks)
}

// long reports whether the text of a stream is long enough to show whether it arrived incrementally.
func (s partSample) long() bool {
	return s.TTFT() > 0 && max(s.textTokens(), s.chunks()) >= minTokens
}

// burst reports whether all text of a long stream arrived at once.
func (s partSample) burst() bool {
	quick := s.Latency-s.TTFT() < time.Duration(max(s.textTokens(), s.chunks()))*fastestToken
	return s.long() && (s.chunks() == 1 || quick)
}

// bursts returns the number of long streams that succeeded, and how many of them arrived at once.
func (c *nodeSeries) bursts() (bursts, long int) {
	for s := range c.all() {
		if s.OK() && s.long() {
			long++
			if s.burst() {
				bursts++
			}
		}
	}
	return bursts, long
}

// failures counts the failures by class, the most frequent first. Each series has the text of its own first failure of
// a class; the result has the text of the earliest one of all parts.
func (c *nodeSeries) failures(w *workspace) []Failure {
	byClass := map[string]*Failure{}
	for s := range c.all() {
		if s.OK() {
			continue
		}
		class, end := s.class(), s.mergedStart()+s.Latency
		f := byClass[class]
		if f == nil {
			f = &Failure{Class: class, Blame: blame(class), firstEnd: math.MaxInt64}
			byClass[class] = f
		}
		if end < f.firstEnd {
			f.firstEnd, f.Detail = end, s.series.Details[class]
		}
		f.Count++
	}
	failures := make([]Failure, 0, len(byClass))
	for _, f := range byClass {
		f.Latency = *c.describe(w, f.Class, latencyMS)
		failures = append(failures, *f)
	}
	slices.SortFunc(failures, func(a, b Failure) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Class, b.Class))
	})
	return failures
}

// The classes of complete answers that are not successes: their duration says nothing about how fast a node answers.
const (
	Refused  = "refused"
	Empty    = "empty"
	Thinking = "thinking" // reasoning without text
)

// blame returns where a failure probably lies: with the client (its request, its key, its output), with the node and
// the path to it, or with the origin behind the node, which is the model's provider. The complete table:
//
//	client  usage, plain_http, 4xx, output, cancelled, limited
//	origin  5xx, stopped, refused, empty, thinking
//	node    dns, connect, tls, timeout, reset, truncated, too_large, protocol, not_an_answer, redirect, 429, status
//
// If the node is not a proxy, it is its own origin, and both words mean the same.
func blame(class string) string {
	switch class {
	case "usage", "plain_http", "4xx", "output", "cancelled", "limited":
		return "client"
	case "5xx", "stopped", Refused, Empty, Thinking:
		return "origin"
	}
	return "node"
}

// word packs when a request began, in a unit, its latency in microseconds, and whether it was a success. Sorted words
// have the same order whatever the order of the samples, even for requests that began at the same time.
func (s partSample) word(began, unit time.Duration) uint64 {
	word := uint64(min(max(began/unit, 0), math.MaxUint32))<<32 | uint64(min(max(s.latency().Microseconds(), 0), math.MaxInt32))<<1
	if s.OK() {
		word |= 1
	}
	return word
}

func pointOf(word uint64, unit time.Duration) Point {
	return Point{
		At:      (time.Duration(word>>32) * unit).Seconds(),
		Latency: float64(word&math.MaxUint32>>1) / 1000,
		OK:      word&1 == 1,
	}
}

// mergedStart returns when a request began, relative to the start of the first run.
func (s partSample) mergedStart() time.Duration { return s.offset + s.Start() }

// timeline selects points evenly from the requests in the order of their start, including the first and the last. Its
// time unit is as fine as the time between the runs allows.
func (c *nodeSeries) timeline(w *workspace) []Point {
	unit := startUnit
	for _, p := range c.parts {
		unit = max(unit, (p.offset+math.MaxUint32*startUnit)/math.MaxUint32)
	}
	words := reuse(&w.words, c.size())
	for s := range c.all() {
		words = append(words, s.word(s.mergedStart(), unit))
	}
	slices.Sort(words)
	points := make([]Point, min(len(words), timelinePoints))
	for i := range points {
		points[i] = pointOf(words[i*(len(words)-1)/max(1, len(points)-1)], unit)
	}
	return points
}

// hours groups the requests by hour of day. It returns nil if all runs began within 24 hours.
func (c *nodeSeries) hours(w *workspace, s *Summary) []Hour {
	if s.LastStarted.Sub(s.Started) < 24*time.Hour {
		return nil
	}
	const inHour = 58 // bits of a word for the figure in ns: nine years
	var hours [24]Hour
	words := reuse(&w.words, c.size())
	for sample := range c.all() {
		hour := s.Started.Add(sample.mergedStart()).Hour()
		hours[hour].Requests++
		if figure := figures[s.Figure](sample); sample.OK() {
			hours[hour].OK++
			if figure >= 0 {
				words = append(words, uint64(hour)<<inHour|uint64(min(figure, 1<<inHour-1)))
			}
		}
	}
	slices.Sort(words)
	var some []Hour
	for i, h := range hours {
		n := 0
		for n < len(words) && words[n]>>inHour == uint64(i) {
			n++
		}
		h.Hour, h.P50 = i, math.NaN()
		if n >= MinPercentile {
			h.P50 = milliseconds(time.Duration(words[(n*50+99)/100-1] & (1<<inHour - 1)))
		}
		if words = words[n:]; h.Requests > 0 {
			some = append(some, h)
		}
	}
	return some
}
