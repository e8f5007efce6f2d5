package bench

import (
	"cmp"
	"math"
	"slices"
	"time"
)

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// row works out a series's results, but for the comparison. elapsed has how long each run took.
func (c *nodeSeries) row(w *workspace, s *Summary, elapsed map[string]time.Duration) *Row {
	r := &Row{Node: c.node, Vantage: c.vantage, series: c}
	for s := range c.all() {
		r.Requests++
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
	r.Sorted = make([]float64, 0, r.OK)
	for s := range c.all() {
		if s.OK() {
			r.Sorted = append(r.Sorted, milliseconds(s.latency()))
		}
	}
	r.Latency = describe(r.Sorted)
	r.LatencyBuckets = buckets(r.Sorted)
	c.load(r, elapsed)
	r.WithFailures = r.Latency.withFailures(r.Sorted, r.Requests-r.OK)
	if c.open() {
		r.Uncorrected = c.describe(w, "", func(s partSample) float64 { return milliseconds(s.Latency) })
		r.Lag = c.describe(w, "", func(s partSample) float64 { return milliseconds(s.Lag()) })
	}
	r.TTFT = c.describe(w, "", func(s partSample) float64 { return positive(milliseconds(s.firstText())) })
	if r.TTFT != nil {
		all := r.TTFT.withFailures(w.floats, r.Requests-r.OK) // describe has left them there, sorted
		r.TTFTWithFailures, r.TTFTBuckets = &all, buckets(w.floats)
	}
	if bursts, long := c.bursts(); 2*bursts <= long { // else what held these back may have held the others back too
		r.ITL = c.describe(w, "", interTokenLatency)
		r.DecodeRate = c.describe(w, "", func(s partSample) float64 { return 1000 / positive(interTokenLatency(s)) })
	}
	r.AnswerTokens = c.describe(w, "", func(s partSample) float64 { return positive(float64(s.Tokens())) })
	r.TokensPerSecond = c.describe(w, "", func(s partSample) float64 {
		if s.Latency <= 0 { // shorter than the clock could tell
			return math.NaN()
		}
		return positive(float64(s.Tokens()) / s.Latency.Seconds())
	})
	var phases Phases
	for _, p := range c.parts {
		phases.add(p.series.Phases)
		r.Unsent += p.series.Unsent
		if r.Ended == "" {
			r.Ended = p.series.Ended
		}
	}
	mean := func(d time.Duration) float64 { return milliseconds(d) / float64(max(r.OK, 1)) }
	r.Phases = PhaseMeans{mean(phases.DNS), mean(phases.Connect), mean(phases.TLS), mean(phases.Wait), mean(phases.Transfer)}
	r.Failures = c.failures(w)
	r.Timeline = c.timeline(w)
	r.Hours = c.hours(w, s)
	return r
}

// buckets count ascending values up to each of Buckets.
func buckets(sorted []float64) []int {
	var counts []int
	for _, bound := range Buckets() {
		n, _ := slices.BinarySearch(sorted, math.Nextafter(bound, math.Inf(1)))
		counts = append(counts, n)
	}
	return counts
}

// load works out how many requests ended in a second, and the mean number in flight: the sum of all latencies over the time
// of the runs (Little's law). Sums of whole nanoseconds do not depend on the order of the samples.
func (c *nodeSeries) load(r *Row, elapsed map[string]time.Duration) {
	var took, ran time.Duration
	for s := range c.all() {
		took += s.Latency
	}
	for _, run := range c.runs() {
		ran += elapsed[run]
	}
	r.PerSecond, r.InFlight = float64(r.Requests)/ran.Seconds(), took.Seconds()/ran.Seconds()
	if ran == 0 {
		r.PerSecond, r.InFlight = math.NaN(), math.NaN()
	}
}

// describe describes a figure of the samples of a class ("" for the successes), nil where none has it. NaN says that a
// sample has none.
func (c *nodeSeries) describe(w *workspace, class string, figure func(partSample) float64) *Stats {
	var values []float64
	for s := range c.all() {
		if s.class() != class {
			continue
		}
		if v := figure(s); !math.IsNaN(v) {
			if values == nil {
				values = w.values(c.size())
			}
			values = append(values, v)
		}
	}
	if values == nil {
		return nil
	}
	stats := describe(values)
	w.floats = values
	return &stats
}

// positive takes a 0 for a figure that was not measured.
func positive(v float64) float64 {
	if v <= 0 {
		return math.NaN()
	}
	return v
}

const (
	// leastTokens and leastChunks are what a stream needs for a time between its tokens.
	leastTokens, leastChunks = 10, 3
	// fastestToken is less than any model needs for a token: what comes faster was held back on its way.
	fastestToken = 200 * time.Microsecond
)

// interTokenLatency is the mean time between the tokens of a stream's text, in ms: the time from the first text to the end
// over the tokens behind the first event. An event is taken to hold as many tokens as the others, often one. It is NaN
// where it cannot be known: with reasoning that is not counted apart, for a few tokens, and where all came at once.
func interTokenLatency(s partSample) float64 {
	if s.textTokens() < leastTokens || s.chunks() < leastChunks || s.TTFT() <= 0 || s.burst() {
		return math.NaN()
	}
	tokens, chunks := float64(s.textTokens()), float64(s.chunks())
	return milliseconds(max(0, s.Latency-s.TTFT())) / (tokens - tokens/chunks)
}

// long reports whether the text of a stream is long enough to see that it came bit by bit.
func (s partSample) long() bool {
	return s.TTFT() > 0 && max(s.textTokens(), s.chunks()) >= leastTokens
}

// burst reports whether the whole text of a long stream came at once.
func (s partSample) burst() bool {
	quick := s.Latency-s.TTFT() < time.Duration(max(s.textTokens(), s.chunks()))*fastestToken
	return s.long() && (s.chunks() == 1 || quick)
}

// bursts counts the long streams that came whole, and how many of these came at once.
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

// failures counts the failures by class, the most frequent first. A series has the words of its own first failure of each
// class; the words of the earliest one of all parts are wanted.
func (c *nodeSeries) failures(w *workspace) []Failure {
	byClass := map[string]*Failure{}
	for s := range c.all() {
		if s.OK() {
			continue
		}
		class, end := s.class(), s.Start()+s.Latency
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

// The classes of whole answers that are no success: what they took says nothing of how fast a node answers.
const (
	Refused  = "refused"
	Empty    = "empty"
	Thinking = "thinking" // reasoning and no text
)

// blame says where a failure lies by the look of it: with the client (its request, its key, what became of its output),
// with the node and the way there, or with the origin behind the node, which is the model's provider. The whole table:
//
//	client  usage, plain_http, 4xx, output, cancelled, limited
//	origin  5xx, stopped, refused, empty, thinking
//	node    dns, connect, tls, timeout, reset, truncated, too_large, protocol, not_an_answer, redirect, 429, status
//
// A node without a proxy in it is its own origin: then both words mean the same.
func blame(class string) string {
	switch class {
	case "usage", "plain_http", "4xx", "output", "cancelled", "limited":
		return "client"
	case "5xx", "stopped", Refused, Empty, Thinking:
		return "origin"
	}
	return "node"
}

// word holds when a request began in a unit, its latency in microseconds, and whether it was a success. Words have an
// order of their own, so that it does not matter in which one the samples were kept, even for those that began together.
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

// began is when a request began, since the first run of all did.
func (s partSample) began() time.Duration { return s.offset + s.Start() }

// timeline chooses points evenly by their place in the order of starts, the first and the last among them. Its unit is
// as fine as the time that the runs lie apart allows.
func (c *nodeSeries) timeline(w *workspace) []Point {
	unit := startUnit
	for _, p := range c.parts {
		unit = max(unit, (p.offset+math.MaxUint32*startUnit)/math.MaxUint32)
	}
	words := w.keys(c.size())
	for s := range c.all() {
		words = append(words, s.word(s.began(), unit))
	}
	slices.Sort(words)
	points := make([]Point, min(len(words), timelinePoints))
	for i := range points {
		at := i
		if len(points) < len(words) {
			at = i * (len(words) - 1) / (len(points) - 1)
		}
		points[i] = pointOf(words[at], unit)
	}
	return points
}

// hours sorts requests by the hour of day. They are nil where the runs lie within a day.
func (c *nodeSeries) hours(w *workspace, s *Summary) []Hour {
	if s.LastStarted.Sub(s.Started) < 24*time.Hour {
		return nil
	}
	const inHour = 58 // bits of a word that are the figure in ns: nine years
	var hours [24]Hour
	words := w.keys(c.size())
	for sample := range c.all() {
		hour := s.Started.Add(sample.began()).Hour()
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
