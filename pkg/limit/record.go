package limit

import (
	"fmt"
	"math/bits"
	"time"
)

// record is the state of a bucket, by the generic cell rate algorithm (ITU-T I.371): one time, the theoretical arrival
// time of the next request. It is kept as how far it lay ahead of the last change, so that it can be carried over from
// one clock to another.
type record struct {
	at    reading
	ahead time.Duration // never below 0: a bucket is never fuller than full
	rate  Rate
}

const (
	recordSize = 192
	// maxAhead bounds how far reservations may reach: no timeout is as long.
	maxAhead = 100 * 365 * 24 * time.Hour
)

// spent is the state after a whole burst at this moment. It stands for a state that cannot be read: whoever wrote it may
// have let that many go.
func spent(now reading, rate Rate) record {
	return record{at: now, ahead: rate.tolerance() + rate.interval(), rate: rate}
}

// moved brings the state to now, and to the rate of whoever asks. A clock that was set back takes the state along and
// refills nothing. Under another rate the same number of requests is outstanding as before: a tenfold rate waits for
// them a tenth as long.
func (s record) moved(now reading, rate Rate) record {
	ahead := max(0, s.ahead-now.since(s.at))
	if before, after := s.rate.interval(), rate.interval(); before != after {
		ahead = scale(ahead, after, before)
	}
	return record{at: now, ahead: ahead, rate: rate}
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

// arrival is the theoretical arrival time itself, on the clock that counts. Every reservation moves it on, so two states
// with the same one have nothing between them.
func (s record) arrival() int64 { return s.at.instant() + int64(s.ahead) }

func (s record) encode() []byte {
	line := appendReading(append(make([]byte, 0, recordSize), "ferry bucket"...), s.at)
	line = fmt.Appendf(line, " ahead %d rate %d %d %d", s.ahead, s.rate.Events, s.rate.Per, s.rate.Burst)
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
	return s, f.ok()
}
