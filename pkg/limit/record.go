package limit

import (
	"fmt"
	"math/bits"
	"slices"
	"time"
)

// record is the state of a bucket, by the generic cell rate algorithm (ITU-T I.371): one time, the theoretical arrival
// time of the next request. It is kept as how far it lay ahead of the last change, so that it can be carried over from
// one clock to another.
type record struct {
	at    reading
	ahead time.Duration // never below 0: a bucket is never fuller than full
	rate  Rate
	next  int64 // the number of the next reservation
	gaps  []gap // reservations that were cancelled while others waited behind them
}

// gap is a cancelled reservation. The reservations that waited behind it, those with a number above its own and below
// before, go one interval earlier. The gap is of use until the last of them has gone.
type gap struct {
	number, before int64
	lasts          time.Duration // from record.at on
}

const (
	recordSize = 4096 // one page of memory, so that a killed process writes all of it or nothing
	// maxGaps bounds the record. A reservation that is cancelled when there are as many is not given back.
	maxGaps = 90
	// maxNumber leaves room for more reservations than a bucket can give out.
	maxNumber = 1 << 61
	// maxBehind is how many reservations can be behind a gap.
	maxBehind = 999_999_999
	// maxAhead bounds how far reservations may reach: no timeout is as long.
	maxAhead = 100 * 365 * 24 * time.Hour
)

// spent is the state after a whole burst at this moment. It stands for a state that cannot be read: whoever wrote it may
// have let that many go.
func spent(now reading, rate Rate) record {
	s := full(now, rate)
	s.ahead = rate.tolerance() + rate.interval()
	return s
}

// full is the state of a new bucket. Its numbers begin where an older file, which was removed, has not been.
func full(now reading, rate Rate) record {
	return record{at: now, rate: rate, next: max(0, now.wall/int64(time.Millisecond))}
}

// moved brings the state to now, and to the rate of the caller. A clock that was set back takes the state along and
// refills nothing. Under another rate the same number of requests is outstanding as before: a tenfold rate waits for
// them a tenth as long.
func (s record) moved(now reading, rate Rate) record {
	passed := now.since(s.at)
	ahead := max(0, s.ahead-passed)
	var gaps []gap
	for _, g := range s.gaps {
		if g.lasts -= passed; g.lasts > 0 {
			gaps = append(gaps, g)
		}
	}
	if before, after := s.rate.interval(), rate.interval(); before != after {
		ahead = scale(ahead, after, before)
	}
	return record{at: now, ahead: ahead, rate: rate, next: s.next, gaps: gaps}
}

// scale is d × by / over, rounded up and at most maxAhead.
func scale(d, by, over time.Duration) time.Duration {
	high, low := bits.Mul64(uint64(d), uint64(by))
	if high >= uint64(over) {
		return maxAhead
	}
	quotient, rest := bits.Div64(high, low, uint64(over))
	if quotient >= uint64(maxAhead) {
		return maxAhead
	}
	if rest > 0 {
		quotient++
	}
	return time.Duration(quotient)
}

// wait is how long the next request has to wait.
func (s record) wait() time.Duration { return max(0, s.ahead-s.rate.tolerance()) }

// turn is when a reservation that still waits may be sent, on the clock that counts. Those that wait are exactly one
// interval apart, so it follows from how many are behind it.
func (s record) turn(number int64) int64 {
	behind := s.next - number
	for _, g := range s.gaps {
		if g.number > number {
			behind--
		}
	}
	return s.at.instant() + int64(s.ahead) - int64(s.rate.tolerance()) - behind*int64(s.rate.interval())
}

// earlier is how many reservations were cancelled ahead of one while it waited.
func (s record) earlier(number int64) int {
	n := 0
	for _, g := range s.gaps {
		if g.number < number && number < g.before {
			n++
		}
	}
	return n
}

// cancelled is the state without a reservation that waits. Gaps at the end of the queue are none: their numbers are
// given out again.
func (s record) cancelled(number int64) record {
	s.ahead -= s.rate.interval()
	s.gaps = append(slices.Clip(s.gaps), gap{number: number, before: s.next, lasts: s.ahead})
	last := func(g gap) bool { return g.number == s.next-1 }
	for i := slices.IndexFunc(s.gaps, last); i >= 0; i = slices.IndexFunc(s.gaps, last) {
		s.gaps = slices.Delete(s.gaps, i, i+1)
		s.next--
	}
	for i := range s.gaps {
		s.gaps[i].before = min(s.gaps[i].before, s.next)
	}
	return s
}

func (s record) encode() []byte {
	line := appendReading(append(make([]byte, 0, recordSize), "ferry bucket"...), s.at)
	line = fmt.Appendf(line, " ahead %d rate %d %d %d next %d gaps %d",
		s.ahead, s.rate.Events, s.rate.Per, s.rate.Burst, s.next, len(s.gaps))
	for _, g := range s.gaps {
		line = fmt.Appendf(line, " %d %d %d", s.next-g.number, s.next-g.before, g.lasts)
	}
	return seal(recordSize, line)
}

// decode reads what encode wrote, and nothing else.
func decode(line []byte) (record, bool) {
	fields, ok := unseal(line)
	if !ok || len(line) != recordSize {
		return record{}, false
	}
	f := fieldReader{fields: fields}
	f.words("ferry", "bucket")
	s := record{at: f.reading()}
	f.words("ahead")
	s.ahead = time.Duration(f.number(0, int64(maxAhead)))
	f.words("rate")
	s.rate = Rate{
		Events: int(f.number(1, MaxEvents)),
		Per:    time.Duration(f.number(int64(minPer), int64(maxPer))),
		Burst:  int(f.number(1, MaxBurst)),
	}
	f.words("next")
	s.next = f.number(0, maxNumber)
	f.words("gaps")
	for range f.number(0, maxGaps) {
		s.gaps = append(s.gaps, gap{
			number: s.next - f.number(1, maxBehind),
			before: s.next - f.number(0, maxBehind),
			lasts:  time.Duration(f.number(1, int64(maxAhead))),
		})
	}
	return s, f.ok()
}
