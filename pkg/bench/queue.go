package bench

import (
	"slices"
	"sync"
	"time"
)

// queue is one node's part of a run: the rounds that are released to it, which its workers take in their order. The mutex
// of the Bench guards it.
type queue struct {
	index  int
	target Target
	series *Series
	// ready says that a round can be taken, or that there will be none.
	ready sync.Cond
	// next is the first round that no worker has taken. It and those after it that are released have the turns due.
	next   int
	due    []int
	done   int
	closed bool
	// over says that the node refuses everything.
	over     bool
	billed   int64
	progress Progress
	// began has when each request in flight began, by its round.
	began map[int]time.Time
}

// A node is not waited for while a request takes this long, and this many times its mean.
const (
	stallAtLeast = 10 * time.Second
	stallFactor  = 4
)

// recent is how many latencies a Progress has for a sparkline.
const recent = 40

// Progress is how far a series has come.
type Progress struct {
	Node Node
	// Done requests of Total (0 where only the time bounds the run), OK of them successes, with their mean latency.
	Done, Total, OK int
	Mean            time.Duration
	// Recent are the latest latencies in ms, NaN for a failure, the newest last.
	Recent []float64
	// InFlight is how many requests are waited for, the Oldest of them for so long.
	InFlight int
	Oldest   time.Duration
	// Ended says why its part is over, "" while it goes on.
	Ended string
}

// reset makes a queue ready for another row of rounds.
func (q *queue) reset() { q.next, q.due, q.done, q.closed = 0, nil, 0, false }

// release lets workers take one more round in its turn.
func (q *queue) release(turn int) {
	if !q.over {
		q.due = append(q.due, turn)
	}
}

// close releases nothing more: what is released is still taken.
func (q *queue) close() {
	q.closed = true
	q.tellEnd()
}

// drop takes back what no worker has taken, and says how much that was.
func (q *queue) drop() int {
	dropped := len(q.due)
	q.due = nil
	q.tellEnd()
	return dropped
}

// ended reports whether there is no round to take any more, also later.
func (q *queue) ended() bool { return q.closed && len(q.due) == 0 }

// tellEnd lets all workers go where there is no round to take any more.
func (q *queue) tellEnd() {
	if q.ended() {
		q.ready.Broadcast()
	}
}

// take begins a round.
func (q *queue) take(now time.Time) (round int) {
	round = q.next
	q.next++
	q.due = q.due[1:]
	q.began[round] = now
	q.tellEnd()
	return round
}

// finish counts a round as done, failed or not.
func (q *queue) finish(o Outcome) {
	q.done++
	q.billed += o.Billed
	if o.Final {
		q.over = true
		q.drop()
		q.series.Ended = o.Detail
	}
}

// stalled reports whether its oldest request in flight takes far longer than its answers do.
func (q *queue) stalled(now time.Time) bool {
	most := max(stallAtLeast, stallFactor*q.progress.Mean)
	for _, began := range q.began {
		if now.Sub(began) >= most {
			return true
		}
	}
	return false
}

// show adds a counted request to the progress.
func (q *queue) show(ok bool, latency time.Duration) {
	p := &q.progress
	p.Done++
	value := nan
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
