package bench

import (
	"iter"
	"math"
	"slices"
	"time"
)

// Sample is one request as it is kept: 32 bytes, so that a million of them is no burden. Times that need no nanoseconds
// are kept in microseconds, up to 71 minutes, and more counts as that.
type Sample struct {
	// Latency is as in Outcome. Over an open loop the latency from the intended start is Latency + Lag.
	Latency time.Duration
	// start is when the first attempt began, in units of startUnit since the run's start.
	start uint32
	// Round pairs samples of different series.
	Round uint32
	ttft  uint32 // µs
	lag   uint32 // µs
	// packed are several numbers of a few bits, of which each is read by a method of its name.
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

// Tokens are the answer's, 262,143 for more.
func (s Sample) Tokens() int { return s.bits(0, tokensBits) }

// textTokens are those of its text alone, chunks the events that had it: both are 0 where one is above 32,767.
func (s Sample) textTokens() int { return s.bits(textAt, textBits) }
func (s Sample) chunks() int     { return s.bits(chunksAt, chunksBits) }

// Attempts is how many were made, 127 for more.
func (s Sample) Attempts() int { return s.bits(attemptsAt, attemptsBits) }

// Fresh says that a request meant for a kept connection went over a new one.
func (s Sample) Fresh() bool { return s.bits(freshAt, 1) == 1 }

// classIndex is an index into the series' classes, 0 for a success.
func (s Sample) classIndex() int { return int(s.packed >> classAt) }

const startUnit = 100 * time.Microsecond

// TTFT is the time to the first text, 0 without one.
func (s Sample) TTFT() time.Duration { return time.Duration(s.ttft) * time.Microsecond }

// Lag is how much later than intended the request began, at a fixed rate.
func (s Sample) Lag() time.Duration { return time.Duration(s.lag) * time.Microsecond }

// Start is when the request began, since the start of the run.
func (s Sample) Start() time.Duration { return time.Duration(s.start) * startUnit }

// OK reports whether it was a success.
func (s Sample) OK() bool { return s.classIndex() == 0 }

// Series are the samples of one node over one kind of connection.
type Series struct {
	Node Node
	// Phases are summed over the successes, so that merging stays exact.
	Phases Phases
	// Details has the words of the first failure of each class.
	Details map[string]string
	// Ended says why the node's part ended before the run did, "" where it did not.
	Ended string
	// Unsent counts requests of an open loop that could not begin in time.
	Unsent int

	classes []string // classes[0] is "", a success
	samples samples
}

// sample is the outcome as it is kept, but for its class.
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

// add keeps a finished request, whose durations are rounded as a sample rounds them.
func (s *Series) add(o Outcome) {
	sample := o.sample()
	sample.packed |= uint64(s.classIndex(o.Class, o.Detail)) << classAt
	s.samples.add(sample)
	if o.Class == "" {
		s.Phases.add(o.Phases)
	}
}

// classIndex finds a class, and keeps the words of its first failure. Past 254 classes, of which there are two dozen, all
// further ones are one.
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

// Class is a sample's kind of failure, "" for a success.
func (s *Series) Class(sample Sample) string { return s.classes[sample.classIndex()] }

// samples are kept in chunks, because growing one slice would hold two of them at times. Every chunk but the last is full.
type samples [][]Sample

// chunk is how many samples are allocated at once.
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

// all goes over the samples in the order in which they ended.
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
