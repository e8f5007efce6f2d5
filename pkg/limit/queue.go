package limit

import (
	"math/bits"
	"slices"
	"time"
)

// queue is the state of a bucket, by the generic cell rate algorithm (ITU-T I.371). The algorithm keeps one time: the
// theoretical arrival time of the next request. It is stored relative to the last change, so that it can be moved from
// one clock to another.
type queue struct {
	At    reading       `json:"at"`
	Ahead time.Duration `json:"ahead"` // never below 0: a bucket cannot be more than full
	Rate  Rate          `json:"rate"`
	Next  int64         `json:"next"` // the number of the next reservation
	Gaps  []gap         `json:"gaps,omitempty"`
}

// gap is a reservation that was cancelled while others waited behind it. Reservations with a number above Number and
// below Before are due one interval earlier. The gap is needed until the last of them is due.
type gap struct {
	Number int64         `json:"n"`
	Before int64         `json:"b"`
	Lasts  time.Duration `json:"l"` // from queue.At on
}

const (
	// maxQueue is longer than any line of a queue. A killed process writes a line of up to 4096 bytes completely or not
	// at all. Only the numbers of a wait of years make a line longer than that.
	maxQueue = 8 << 10
	// maxGaps limits the line. Once there are that many gaps, only the last reservation can be cancelled.
	maxGaps = 90
	// maxNumber is larger than the number of reservations that a bucket can hand out.
	maxNumber = 1 << 61
	// maxAhead limits how far ahead reservations reach. Every timeout is shorter.
	maxAhead = 100 * 365 * 24 * time.Hour
)

// emptied returns the state after a full burst at this moment. It replaces a file that cannot be read: the process
// that wrote the file may have sent a full burst.
func emptied(now reading, rate Rate) queue {
	q := full(now, rate)
	q.Ahead = rate.tolerance() + rate.interval()
	return q
}

// full returns the state of a new bucket. Its numbers start above the numbers of an older file that was removed.
func full(now reading, rate Rate) queue {
	return queue{At: now, Rate: rate, Next: max(0, now.Wall/int64(time.Millisecond))}
}

// encodeQueue encodes a queue as a line. The numbers of gaps are relative to the next number, which keeps them short.
func encodeQueue(q queue) []byte { return encode(q.shifted(-q.Next)) }

// shifted returns q with by added to the numbers of its gaps.
func (q queue) shifted(by int64) queue {
	q.Gaps = slices.Clone(q.Gaps)
	for i := range q.Gaps {
		q.Gaps[i].Number += by
		q.Gaps[i].Before += by
	}
	return q
}

// decodeQueue decodes a line that encodeQueue wrote, and refuses anything else.
func decodeQueue(data []byte) (queue, bool) {
	var q queue
	ok := decode(data, &q) && q.At.valid() && q.Ahead >= 0 && q.Ahead <= maxAhead && q.Rate.Check() == nil &&
		q.Next >= 0 && q.Next <= maxNumber && len(q.Gaps) <= maxGaps
	q = q.shifted(q.Next)
	for _, g := range q.Gaps {
		ok = ok && g.Number >= 0 && g.Number < q.Next && g.Before >= 0 && g.Before <= q.Next && g.Lasts > 0 && g.Lasts <= maxAhead
	}
	return q, ok
}

// moved advances the state to now and converts it to the caller's rate. If the clock was set back, nothing is
// refilled. The number of outstanding requests stays the same under another rate: at ten times the rate, they take a
// tenth of the time.
func (q queue) moved(now reading, rate Rate) queue {
	passed := now.since(q.At)
	ahead := max(0, q.Ahead-passed)
	var gaps []gap
	for _, g := range q.Gaps {
		if g.Lasts -= passed; g.Lasts > 0 {
			gaps = append(gaps, g)
		}
	}
	if before, after := q.Rate.interval(), rate.interval(); before != after {
		ahead = scale(ahead, after, before)
	}
	return queue{At: now, Ahead: ahead, Rate: rate, Next: q.Next, Gaps: gaps}
}

// scale returns d × by / over, rounded up and at most maxAhead.
func scale(d, by, over time.Duration) time.Duration {
	high, low := bits.Mul64(uint64(d), uint64(by))
	if high >= uint64(over) {
		return maxAhead
	}
	quotient, rest := bits.Div64(high, low, uint64(over))
	if rest > 0 && quotient < uint64(maxAhead) {
		quotient++
	}
	return time.Duration(min(quotient, uint64(maxAhead)))
}

// wait returns how long the next request has to wait.
func (q queue) wait() time.Duration { return max(0, q.Ahead-q.Rate.tolerance()) }

// due returns when a waiting reservation may be sent, as reading.instant. Waiting reservations are exactly one
// interval apart, so this follows from how many are behind it.
func (q queue) due(number int64) int64 {
	behind := q.Next - number
	for _, g := range q.Gaps {
		if g.Number > number {
			behind--
		}
	}
	return q.At.instant() + int64(q.Ahead) - int64(q.Rate.tolerance()) - behind*int64(q.Rate.interval())
}

// earlier returns how many reservations ahead of number were cancelled while it waited.
func (q queue) earlier(number int64) int {
	n := 0
	for _, g := range q.Gaps {
		if g.Number < number && number < g.Before {
			n++
		}
	}
	return n
}

// cancelled returns the state without a waiting reservation. Gaps at the end of the queue are removed: their numbers
// are handed out again.
func (q queue) cancelled(number int64) queue {
	q.Ahead -= q.Rate.interval()
	q.Gaps = append(slices.Clip(q.Gaps), gap{Number: number, Before: q.Next, Lasts: q.Ahead})
	last := func(g gap) bool { return g.Number == q.Next-1 }
	for i := slices.IndexFunc(q.Gaps, last); i >= 0; i = slices.IndexFunc(q.Gaps, last) {
		q.Gaps = slices.Delete(q.Gaps, i, i+1)
		q.Next--
	}
	for i := range q.Gaps {
		q.Gaps[i].Before = min(q.Gaps[i].Before, q.Next)
	}
	return q
}
