package bench

import (
	"iter"
	"math"
	"slices"
	"time"
)

// Sample is one stored request. It has 32 bytes, so a million samples need little memory. Times that do not need
// nanoseconds are stored in microseconds, at most 71 minutes; longer times are stored as the maximum.
type Sample struct {
	// Latency is as in Outcome. In an open loop the latency from the intended start is Latency + Lag.
	Latency time.Duration
	// start is when the first attempt began, in units of startUnit since the run's start.
	start uint32
	// Round pairs samples of different series.
	Round uint32
	ttft  uint32 // µs
	lag   uint32 // µs
	// packed has several small numbers. Each is read by the method with its name.
	packed uint64
}

// The bits of Sample.packed, from the lowest on.
const (
	tokensBits, textBits, chunksBits, attemptsBits = 18, 15, 15, 7

	textAt     = tokensBits
	chunksAt   = textAt + textBits
	attemptsAt = chunksAt + chunksBits
	freshAt    = attemptsAt + attemptsBits
	classAt    = freshAt + 1
)

func (s Sample) bits(at, n int) int { return int(s.packed >> at & (1<<n - 1)) }

// Tokens returns the number of tokens of the answer, at most 262,143.
func (s Sample) Tokens() int { return s.bits(0, tokensBits) }

// textTokens returns the number of tokens of the text without reasoning, chunks the number of events with text. Both
// are 0 if either is above 32,767.
func (s Sample) textTokens() int { return s.bits(textAt, textBits) }
func (s Sample) chunks() int     { return s.bits(chunksAt, chunksBits) }

// Attempts returns the number of attempts, at most 127.
func (s Sample) Attempts() int { return s.bits(attemptsAt, attemptsBits) }

// Fresh reports whether a request meant for a kept connection used a new one.
func (s Sample) Fresh() bool { return s.bits(freshAt, 1) == 1 }

// classIndex returns an index into the classes of the series, 0 for a success.
func (s Sample) classIndex() int { return int(s.packed >> classAt) }

const startUnit = 100 * time.Microsecond

// TTFT returns the time to the first text, 0 if there is none.
func (s Sample) TTFT() time.Duration { return time.Duration(s.ttft) * time.Microsecond }

// Lag returns how much later than intended the request began, at a fixed rate.
func (s Sample) Lag() time.Duration { return time.Duration(s.lag) * time.Microsecond }

// Start returns when the request began, relative to the start of the run.
func (s Sample) Start() time.Duration { return time.Duration(s.start) * startUnit }

// OK reports whether the request was a success.
func (s Sample) OK() bool { return s.classIndex() == 0 }

// Series has the samples of one node over one kind of connection.
type Series struct {
	Node Node
	// Phases are sums over the successes, so that merged runs have exact means.
	Phases Phases
	// Details has the text of the first failure of each class.
	Details map[string]string
	// Ended is why the node's part ended before the run did, "" if it did not.
	Ended string
	// Unsent counts requests of an open loop that could not begin in time.
	Unsent int

	classes []string // classes[0] is "", for a success
	samples samples
}

// sample returns the outcome as a sample, without its class.
func (o Outcome) sample() Sample {
	fit := func(n int64, bits int) uint64 { return uint64(min(max(n, 0), 1<<bits-1)) }
	text, chunks := o.TextTokens, o.Chunks
	if max(text, chunks) >= 1<<textBits {
		text, chunks = 0, 0
	}
	s := Sample{
		Latency: o.Latency,
		start:   uint32(fit(int64(o.Start/startUnit), 32)),
		Round:   uint32(o.Round),
		ttft:    uint32(fit(o.TTFT.Microseconds(), 32)),
		lag:     uint32(fit(o.Lag.Microseconds(), 32)),
		packed: fit(o.OutputTokens, tokensBits) | fit(text, textBits)<<textAt | fit(chunks, chunksBits)<<chunksAt |
			fit(int64(max(o.Attempts, 1)), attemptsBits)<<attemptsAt,
	}
	if o.Fresh {
		s.packed |= 1 << freshAt
	}
	return s
}

// add stores a finished request. Its durations are already rounded as a sample rounds them.
func (s *Series) add(o Outcome) {
	sample := o.sample()
	sample.packed |= uint64(s.classIndex(o.Class, o.Detail)) << classAt
	s.samples.add(sample)
	if o.Class == "" {
		s.Phases.add(o.Phases)
	}
}

// classIndex returns the index of a class, and stores the text of its first failure. There are about two dozen classes.
// From the 255th on, all share the index of the 254th.
func (s *Series) classIndex(class, detail string) uint8 {
	if i := slices.Index(s.classes, class); i >= 0 {
		return uint8(i)
	}
	if len(s.classes) == math.MaxUint8 {
		return math.MaxUint8 - 1
	}
	s.classes = append(s.classes, class)
	s.Details[class] = detail
	return uint8(len(s.classes) - 1)
}

func newSeries(n Node) *Series {
	return &Series{Node: n, classes: []string{""}, Details: map[string]string{}}
}

// Class returns the kind of failure of a sample, "" for a success.
func (s *Series) Class(sample Sample) string { return s.classes[sample.classIndex()] }

// samples are stored in chunks, because a single slice would need twice the memory while it grows. Every chunk except
// the last is full.
type samples [][]Sample

// chunk is the number of samples that are allocated at once.
const chunk = 2048

func (c *samples) add(s Sample) {
	if len(*c) == 0 || len((*c)[len(*c)-1]) == chunk {
		*c = append(*c, make([]Sample, 0, chunk))
	}
	last := &(*c)[len(*c)-1]
	*last = append(*last, s)
}

func (c samples) len() int {
	if len(c) == 0 {
		return 0
	}
	return (len(c)-1)*chunk + len(c[len(c)-1])
}

func (c samples) at(i int) Sample { return c[i/chunk][i%chunk] }

// all iterates over the samples in the order in which they ended.
func (c samples) all() iter.Seq[Sample] {
	return func(yield func(Sample) bool) {
		for _, part := range c {
			for _, s := range part {
				if !yield(s) {
					return
				}
			}
		}
	}
}
