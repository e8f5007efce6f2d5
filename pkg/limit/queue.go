package limit

import (
	"math/bits"
	"slices"
	"time"
)

// queue is the state of a bucket, by the generic cell rate algorithm (ITU-T I.371): one time, the theoretical arrival
// time of the next request. It is kept as how far it lay ahead of the last change, so that it can be carried over from
// one clock to another.
type queue struct {
	At    reading       `json:"at"`
	Ahead time.Duration `json:"ahead"` // never below 0: a bucket is never fuller than full
	Rate  Rate          `json:"rate"`
	Next  int64         `json:"next"` // the number of the next reservation
	Gaps  []gap         `json:"gaps,omitempty"`
}

// gap is a reservation that was cancelled while others waited behind it. Those with a number above its own and below
// Before go one interval earlier. The gap is of use until the last of them has gone.
type gap struct {
	Number int64         `json:"n"`
	Before int64         `json:"b"`
	Lasts  time.Duration `json:"l"` // from queue.At on
}

const (
	// maxQueue is above the longest line of a queue. A killed process writes one of up to 4096 bytes whole or not at all, and
	// it takes numbers of years of waiting to make it longer.
	maxQueue = 8 << 10
	// maxGaps bounds the line. A reservation that is cancelled when there are as many is not given back.
	maxGaps = 90
	// maxNumber leaves room for more reservations than a bucket can give out.
	maxNumber = 1 << 61
	// maxAhead bounds how far reservations may reach: no timeout is as long.
	maxAhead = 100 * 365 * 24 * time.Hour
)

// emptied is the state after a whole burst at this moment. It stands for a file that cannot be read: the process that
// wrote it may have let that many go.
func emptied(now reading, rate Rate) queue {
	q := full(now, rate)
	q.Ahead = rate.tolerance() + rate.interval()
	return q
}

// full is the state of a new bucket. Its numbers begin where an older file, which was removed, has not been.
func full(now reading, rate Rate) queue {
	return queue{At: now, Rate: rate, Next: max(0, now.Wall/int64(time.Millisecond))}
}

// encodeQueue writes a queue as a line. The numbers of gaps are counted from the next one, which keeps them short.
func encodeQueue(q queue) []byte { return encode(q.shifted(-q.Next)) }

// shifted adds to the numbers of the gaps.
func (q queue) shifted(by int64) queue {
	q.Gaps = slices.Clone(q.Gaps)
	for i := range q.Gaps {
		q.Gaps[i].Number += by
		q.Gaps[i].Before += by
	}
	return q
}

// decodeQueue reads what encodeQueue wrote, and nothing else.
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

// moved brings the state to now, and to the rate of the caller. A clock that was set back takes the state along and
// refills nothing. Under another rate the same number of requests is outstanding as before: a tenfold rate waits for
// them a tenth as long.
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

// scale is d × by / over, rounded up and at most maxAhead.
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

// wait is how long the next request has to wait.
func (q queue) wait() time.Duration { return max(0, q.Ahead-q.Rate.tolerance()) }

// due is when a reservation that still waits may be sent, on the clock that counts. Those that wait are exactly one
// interval apart, so it follows from how many are behind it.
func (q queue) due(number int64) int64 {
	behind := q.Next - number
	for _, g := range q.Gaps {
		if g.Number > number {
			behind--
		}
	}
	return q.At.instant() + int64(q.Ahead) - int64(q.Rate.tolerance()) - behind*int64(q.Rate.interval())
}

// earlier is how many reservations were cancelled ahead of one while it waited.
func (q queue) earlier(number int64) int {
	n := 0
	for _, g := range q.Gaps {
		if g.Number < number && number < g.Before {
			n++
		}
	}
	return n
}

// cancelled is the state without a reservation that waits. Gaps at the end of the queue are removed: their numbers are
// given out again.
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
