package bench

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// Bench is one run.
//
// Its requests are sent in rounds. In each round every node gets one request. They start one right after the other, in
// an order that is shuffled for each round. Up to Concurrency rounds are open at once, counted at the slowest node. The
// other nodes wait for it, so that all nodes are measured in the same minutes and changes in the network affect them
// equally. They do not wait for a request that stalls.
//
// At a fixed rate (an open loop), round i begins for every node at i/Rate, whether or not earlier requests have ended.
// If all workers of a node are busy, its request begins late, and the lag is recorded.
type Bench struct {
	plan Plan
	// origin is when the warm-up began, and then when the counted rounds began.
	origin time.Time
	// skipsStalled reports whether the run does not wait for a node with a stalled request. This needs at least two
	// nodes and no rate limit.
	skipsStalled bool

	mu     sync.Mutex // guards the fields below
	queues []*queue
	// closed reports that no more rounds are released. Rounds that are already released are still taken.
	closed bool
	// order is the generator of the random order. The same seed gives the same order.
	order *rand.Rand
	// released is the number of requests that have been released. Each request is numbered with it.
	released int
	run      *Run
}

// Begin sets the schema, the ID and the start of a run.
func (h *Header) Begin(now time.Time) {
	h.Schema, h.Started, h.ID = Schema, now, fmt.Sprintf("%016x", rand.Uint64())
}

// New prepares a run.
func New(p Plan) *Bench {
	limited := slices.ContainsFunc(p.Header.Nodes, func(n Node) bool { return n.Limit != "" })
	b := &Bench{plan: p, run: &Run{Header: p.Header}, skipsStalled: len(p.Header.Nodes) > 1 && !limited}
	for i, node := range p.Header.Nodes {
		series := newSeries(node)
		b.run.Series = append(b.run.Series, series)
		b.queues = append(b.queues, &queue{
			index: i, target: p.Targets[i], series: series, ready: sync.Cond{L: &b.mu},
			progress: Progress{Node: node, Total: p.Rounds()}, inFlight: map[int]time.Time{},
		})
	}
	return b
}

// Progress returns the progress of each series. It may be called at any time, from any goroutine.
func (b *Bench) Progress() []Progress {
	b.mu.Lock()
	defer b.mu.Unlock()
	out, now := make([]Progress, len(b.queues)), b.plan.Clock.Now()
	for i, q := range b.queues {
		out[i] = q.progress
		out[i].Recent = slices.Clone(q.progress.Recent)
		out[i].InFlight, out[i].Ended = len(q.inFlight), q.series.Ended
		for _, began := range q.inFlight {
			out[i].Oldest = max(out[i].Oldest, now.Sub(began))
		}
	}
	return out
}

// stopTime is how long the run waits for requests in flight after sending has ended.
const stopTime = 5 * time.Second

// Run makes the requests. The context sending is a child of ctx. When it ends, Run sends no more requests, waits at
// most 5 s for the requests in flight, and counts them. When ctx ends, the requests in flight are cancelled and not
// counted. The error is about the file of the saved run; the returned run is complete in any case.
func (b *Bench) Run(ctx, sending context.Context) (*Run, error) {
	ctx, abort := context.WithCancel(ctx)
	defer abort()
	defer context.AfterFunc(sending, func() { b.cancelAfter(ctx, stopTime, abort) })()
	// The rounds of the warm-up have negative numbers.
	b.closedLoop(ctx, sending, -b.plan.Header.Warmup, 0, func(int) bool { return !b.overTokens() })
	b.measure(ctx, sending, abort)
	b.complete(sending.Err() != nil)
	if b.plan.Saved == nil {
		return b.run, nil
	}
	return b.run, b.plan.Saved.end(b.run)
}

// cancelAfter cancels the requests that are still in flight after the time most, unless ctx ends first. After one
// second it reports what the run is waiting for.
func (b *Bench) cancelAfter(ctx context.Context, most time.Duration, abort func()) {
	const reportAfter = time.Second
	report := time.AfterFunc(reportAfter, func() {
		waits := slices.DeleteFunc(b.Progress(), func(p Progress) bool { return p.InFlight == 0 })
		if b.plan.Waiting != nil && len(waits) > 0 {
			b.plan.Waiting(waits, most-reportAfter)
		}
	})
	end := time.AfterFunc(most, abort)
	context.AfterFunc(ctx, func() {
		report.Stop()
		end.Stop()
	})
}

// measure makes the counted rounds. Requests that are in flight when the run's duration is over still have their own
// timeout.
func (b *Bench) measure(ctx, sending context.Context, abort func()) {
	h, rounds := b.plan.Header, cmp.Or(b.plan.Rounds(), math.MaxInt)
	over, ended := context.WithCancel(ctx)
	defer ended()
	if h.Duration > 0 && h.Timeout > 0 {
		most := h.Timeout + time.Second
		if h.Rate > 0 {
			most += lateLimit // a late request has the same timeout
		}
		end := time.AfterFunc(h.Duration, func() { b.cancelAfter(over, most, abort) })
		defer end.Stop()
	}
	looked := 0
	more := func(slowest int) bool {
		switch {
		case b.overTokens():
			return false
		case h.Precision > 0 && slowest >= looked+max(minPrecise, looked/10):
			looked = slowest
			if precise([]*Run{b.run}, h.Precision) {
				b.run.Stopped = "precision"
				return false
			}
		}
		return true
	}
	if h.Rate > 0 {
		b.openLoop(ctx, sending, rounds, more)
	} else {
		b.closedLoop(ctx, sending, 0, rounds, more)
	}
}

// minPrecise is the number of rounds before the first check of the precision. The next checks are each after a tenth
// more rounds, at least minPrecise.
const minPrecise = 10

// begin prepares for rounds from first on, which begin now.
func (b *Bench) begin(first int) {
	b.origin, b.closed = b.plan.Clock.Now(), false
	b.order = rand.New(rand.NewPCG(b.plan.Header.Seed, 1))
	for _, q := range b.queues {
		q.next = first
	}
}

// start starts the planned number of workers for each queue. Each worker makes one request after the other until there
// are no more, and calls after for each.
func (b *Bench) start(ctx context.Context, after func()) *sync.WaitGroup {
	var workers sync.WaitGroup
	for _, q := range b.queues {
		for range b.plan.Header.Concurrency {
			workers.Go(func() {
				for {
					round, ok := b.awaitRound(q)
					if !ok {
						return
					}
					b.record(q, round, q.target(ctx, Request{Round: round, Nonce: b.plan.nonce(q.index, round)}))
					after()
				}
			})
		}
	}
	return &workers
}

// awaitRound waits until a queue may begin a round, and marks the round as in flight. It returns false if there will be
// no more rounds.
func (b *Bench) awaitRound(q *queue) (round int, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.wake()
	for b.upNext() != q {
		if b.ended(q) {
			return 0, false
		}
		b.wake() // the round that was next may have been dropped
		q.ready.Wait()
	}
	round = q.next
	q.next++
	q.pending = q.pending[1:]
	q.inFlight[round] = b.plan.Clock.Now()
	return round, true
}

// ended reports whether a queue has no round left to take, now or later.
func (b *Bench) ended(q *queue) bool { return b.closed && len(q.pending) == 0 }

// upNext returns the queue whose request starts next: the one with the lowest number, nil if there is none. A node
// whose workers are all busy does not delay the others.
func (b *Bench) upNext() *queue {
	var next *queue
	for _, q := range b.queues {
		free := len(q.inFlight) < b.plan.Header.Concurrency
		if free && len(q.pending) > 0 && (next == nil || q.pending[0] < next.pending[0]) {
			next = q
		}
	}
	return next
}

// wake signals a worker that may begin a round, and all workers of a queue that has no round left. Workers that are not
// waiting check by themselves.
func (b *Bench) wake() {
	next := b.upNext()
	for _, q := range b.queues {
		if q == next {
			q.ready.Signal()
		} else if b.ended(q) {
			q.ready.Broadcast()
		}
	}
}

// closedLoop makes the rounds from first to end while more returns true, and returns when all requests that began have
// ended. No round begins after the run's duration; the warm-up is not part of it, but has the same limit. The worker
// that ends a request opens the rounds that may be opened. If its queue is next, it continues with one of them, which
// avoids a switch between goroutines.
func (b *Bench) closedLoop(ctx, sending context.Context, first, end int, more func(slowest int) bool) {
	b.begin(first)
	h, opened := b.plan.Header, first
	closed := false // also stops an advance that runs after this loop has ended
	advance := func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		for !closed {
			slowest := b.slowest()
			over := opened == end || slowest == math.MaxInt || sending.Err() != nil
			switch {
			case !over && opened >= slowest+h.Concurrency:
				return
			case over || h.Duration > 0 && b.plan.Clock.Now().Sub(b.origin) >= h.Duration || !more(slowest):
				closed = true
				if opened < end {
					b.dropBacklog()
				}
				b.close()
			default:
				opened++
				b.release()
			}
		}
	}
	advance()
	defer context.AfterFunc(sending, advance)()
	if b.skipsStalled {
		looking, ended := context.WithCancel(ctx)
		defer ended()
		go func() { // if all other nodes wait for a stalled request, no request ends that could open a round
			for {
				select {
				case <-time.After(time.Second):
					advance()
				case <-looking.Done():
					return
				}
			}
		}()
	}
	b.start(ctx, advance).Wait()
}

// openLoop opens the rounds at their times while more returns true, regardless of how many have ended.
func (b *Bench) openLoop(ctx, sending context.Context, rounds int, more func(slowest int) bool) {
	b.begin(0)
	workers := b.start(ctx, func() {})
	for round := range rounds {
		wait := b.plan.intended(round) - b.plan.Clock.Now().Sub(b.origin)
		if wait > 0 && b.plan.Clock.Sleep(sending, wait) != nil || sending.Err() != nil || !b.tryRelease(more) {
			break
		}
	}
	b.mu.Lock()
	b.close()
	b.mu.Unlock()
	b.drain(sending, workers)
}

// tryRelease releases a round of an open loop. It returns false if the run has to end.
func (b *Bench) tryRelease(more func(slowest int) bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if slowest := b.slowest(); slowest == math.MaxInt || !more(slowest) {
		return false
	}
	b.release()
	return true
}

// release lets all nodes begin one more round.
func (b *Bench) release() {
	for _, i := range b.order.Perm(len(b.queues)) {
		b.released++
		if q := b.queues[i]; !q.refused {
			q.pending = append(q.pending, b.released)
		}
	}
	b.wake()
}

func (b *Bench) close() {
	b.closed = true
	b.wake()
}

// dropBacklog drops the rounds that accumulated while a node stalled.
func (b *Bench) dropBacklog() {
	for _, q := range b.queues {
		if q.stalled(b.plan.Clock.Now()) || len(q.pending) > b.plan.Header.Concurrency {
			q.pending = nil
		}
	}
}

// slowest returns the number of rounds that the slowest node has done. Stalled nodes are left out, unless all are
// stalled. With a rate limit or a single node, no node is left out. The result is math.MaxInt if every node refuses
// everything.
func (b *Bench) slowest() int {
	now := b.plan.Clock.Now()
	least, moving := math.MaxInt, math.MaxInt
	for _, q := range b.queues {
		if q.refused {
			continue
		}
		least = min(least, q.done())
		if !b.skipsStalled || !q.stalled(now) {
			moving = min(moving, q.done())
		}
	}
	if moving < math.MaxInt {
		return moving
	}
	return least
}

// overTokens reports whether one more round could exceed the token limit if every request in flight costs the maximum.
func (b *Bench) overTokens() bool {
	if b.plan.MaxTokens <= 0 {
		return false
	}
	var billed, requests int64
	for _, q := range b.queues {
		billed += q.billed
		requests += int64(len(q.inFlight) + len(q.pending))
		if !q.refused {
			requests++
		}
	}
	if billed+requests*b.plan.PerRequest <= b.plan.MaxTokens {
		return false
	}
	b.run.Stopped = "max tokens"
	return true
}

// lateLimit is how long after the end of the plan released requests are still sent. Without this limit a node that
// cannot keep up would keep the run going forever.
const lateLimit = 30 * time.Second

// drain waits for the released requests, sends them until lateLimit after the end of the plan, and drops the rest.
func (b *Bench) drain(sending context.Context, workers *sync.WaitGroup) {
	draining, done := context.WithCancel(sending)
	var giveUp sync.WaitGroup
	giveUp.Go(func() {
		left := b.plan.intended(b.plan.Rounds()) + lateLimit - b.plan.Clock.Now().Sub(b.origin)
		late := b.plan.Clock.Sleep(draining, left) == nil // otherwise sending ended, or all requests were sent
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, q := range b.queues {
			if late {
				q.series.Unsent += len(q.pending)
			}
			q.pending = nil
		}
		b.wake()
	})
	workers.Wait()
	done()
	giveUp.Wait()
}

// record counts and stores a finished request. Of the warm-up it stores only that a node refuses everything.
func (b *Bench) record(q *queue, round int, o Outcome) {
	b.mu.Lock()
	delete(q.inFlight, round)
	q.billed += o.Billed
	if o.Final {
		q.refused, q.pending, q.series.Ended = true, nil, o.Detail
	}
	warmUp := round < 0
	if o.Cancelled || warmUp && !o.Final {
		b.mu.Unlock()
		return
	}
	o.Node, o.Round = q.index, max(round, 0)
	if o.Class == "" {
		o.Detail = ""
	}
	if !warmUp {
		o.Start = o.Started.Sub(b.origin)
		if b.plan.Header.Rate > 0 {
			o.Lag = o.Start - b.plan.intended(round)
		}
	}
	o = o.rounded()
	q.series.add(o)
	q.addProgress(o.Class == "", o.Latency+o.Lag)
	b.run.Elapsed = max(b.run.Elapsed, o.Start+o.Latency)
	b.mu.Unlock()
	if b.plan.Saved != nil {
		b.plan.Saved.request(o)
	}
}

// complete sets the facts that are known at the end of a run.
func (b *Bench) complete(interrupted bool) {
	if interrupted {
		b.run.Stopped = "interrupted"
		if b.plan.Header.Rate > 0 { // the time to the end of the last request would show a higher rate
			b.run.Elapsed = max(b.run.Elapsed, b.plan.Clock.Now().Sub(b.origin))
		}
	}
	if b.plan.SchedulingDelay != nil {
		b.run.SchedulingDelay = b.plan.SchedulingDelay()
	}
	now := b.plan.Clock.Now()
	// Round(0) removes the monotonic reading, so this compares the wall clock with the monotonic clock.
	b.run.ClockJump = now.Round(0).Sub(b.origin.Round(0)) - now.Sub(b.origin)
}
