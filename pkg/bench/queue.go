package bench

import (
	"context"
	"sync"
	"time"
)

// queue is the part of a run that belongs to one series: workers that take the rounds that have been released to it, in their order.
type queue struct {
	index  int
	target Target
	series *Series

	mu   sync.Mutex
	cond sync.Cond
	// next is the first round that no worker has taken, released the first that none may take yet.
	next, released int
	done           int
	closed         bool
	// over says that the node refuses everything.
	over   bool
	billed int64
	tally  Progress
}

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
	// Ended says why its part is over, "" while it goes on.
	Ended string
}

func newQueue(index int, target Target, series *Series) *queue {
	l := &queue{index: index, target: target, series: series, tally: Progress{Node: series.Node}}
	l.cond.L = &l.mu
	return l
}

// release lets workers take the rounds below n.
func (l *queue) release(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.over && n > l.released {
		l.released = n
		l.cond.Signal()
	}
}

// finish releases nothing more: what is released is still taken.
func (l *queue) finish() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.cond.Broadcast()
}

// drop takes back what no worker has taken, and says how much that was.
func (l *queue) drop() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	dropped := l.released - l.next
	l.released = l.next
	return dropped
}

// take waits for a round, and reports false when there will be none.
func (l *queue) take() (round int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.next >= l.released {
		if l.closed {
			return 0, false
		}
		l.cond.Wait()
	}
	l.next++
	if l.next < l.released {
		l.cond.Signal() // for the next worker: release signals one, however much it releases
	}
	return l.next - 1, true
}

// count adds an outcome to the tally.
func (l *queue) count(o Outcome, latency time.Duration, counted bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.billed += o.Billed
	if o.Final {
		l.over, l.released = true, l.next
		l.tally.Ended = o.Detail
	}
	l.done++
	if !counted {
		return
	}
	t := &l.tally
	t.Done++
	value := nan
	if o.Class == "" {
		t.OK++
		t.Mean += (latency - t.Mean) / time.Duration(t.OK)
		value = float64(latency) / float64(time.Millisecond)
	}
	if len(t.Recent) == recent {
		copy(t.Recent, t.Recent[1:])
		t.Recent = t.Recent[:recent-1]
	}
	t.Recent = append(t.Recent, value)
}

// queueState is what the dispatcher needs to know of a queue.
type queueState struct {
	// done and pending count rounds.
	done, pending int
	billed        int64
	over          bool
}

func (l *queue) state() queueState {
	l.mu.Lock()
	defer l.mu.Unlock()
	return queueState{l.done, l.released - l.done, l.billed, l.over}
}

func (l *queue) progress() Progress {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.tally
	p.Recent = append([]float64(nil), p.Recent...)
	return p
}

// work does one round after the other until there are no more.
func (l *queue) work(ctx context.Context, do job) {
	for {
		round, ok := l.take()
		if !ok {
			return
		}
		do(ctx, l, round)
	}
}
