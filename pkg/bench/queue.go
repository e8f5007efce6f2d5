package bench

import (
	"math"
	"slices"
	"sync"
	"time"
)

// queue is one node's part of a run: the rounds that are released to it, which its workers take in order. The mutex of
// the Bench guards it.
type queue struct {
	index  int
	target Target
	series *Series
	// ready signals that a round can be taken, or that there will be no more.
	ready sync.Cond
	// next is the first round that no worker has taken. pending has the numbers of the released requests from next on.
	next    int
	pending []int
	// refused reports that the node refuses every request.
	refused  bool
	billed   int64
	progress Progress
	// inFlight has the start time of each request in flight, by round.
	inFlight map[int]time.Time
}

// The run does not wait for a node while one of its requests takes at least minStall and at least stallFactor times
// the node's mean latency.
const (
	minStall    = 10 * time.Second
	stallFactor = 4
)

// recent is the number of latencies that a Progress has for a sparkline.
const recent = 40

// Progress is the progress of one series.
type Progress struct {
	Node Node
	// Done is the number of finished requests of Total (0 if only the duration limits the run). OK of them are
	// successes, with their mean latency.
	Done, Total, OK int
	Mean            time.Duration
	// Recent are the latest latencies in ms, the newest last, NaN for a failure.
	Recent []float64
	// InFlight is the number of requests in flight, Oldest the time since the oldest of them began.
	InFlight int
	Oldest   time.Duration
	// Ended is why this node's part of the run is over, "" if it continues.
	Ended string
}

// done returns the number of rounds that have ended, counted from round 0: it is negative during the warm-up.
func (q *queue) done() int { return q.next - len(q.inFlight) }

// stalled reports whether a request in flight takes far longer than the node's answers do.
func (q *queue) stalled(now time.Time) bool {
	most := max(minStall, stallFactor*q.progress.Mean)
	for _, began := range q.inFlight {
		if now.Sub(began) >= most {
			return true
		}
	}
	return false
}

// addProgress adds a counted request to the progress.
func (q *queue) addProgress(ok bool, latency time.Duration) {
	p := &q.progress
	p.Done++
	value := math.NaN()
	if ok {
		p.OK++
		p.Mean += (latency - p.Mean) / time.Duration(p.OK)
		value = milliseconds(latency)
	}
	if len(p.Recent) == recent {
		p.Recent = slices.Delete(p.Recent, 0, 1)
	}
	p.Recent = append(p.Recent, value)
}
