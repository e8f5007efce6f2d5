package bench

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

var nan = math.NaN()

// Bench is one run.
//
// Its requests come in rounds. In each round every node gets one request: they start one right after the other, in an order
// shuffled anew.
// Up to Concurrency rounds are open at once, counted at the slowest node: the others wait for it, so that all nodes are
// measured in the same minutes and what the network does meanwhile meets them alike. They do not wait for a request that
// stalls.
//
// At a fixed rate, an open loop, round i begins for every node at i/Rate, whatever has been answered; a node that has all
// its workers busy begins it late, and the lag is kept.
type Bench struct {
	plan Plan
	// origin is when the counted rounds began.
	origin time.Time
	// first is the number of the round that is released first: below 0 for those that are not counted.
	first int
	// leaves says that a node is not waited for while a request of it stalls: there are others, and no request waits for a
	// rate limit.
	leaves bool

	mu     sync.Mutex // guards the fields below
	queues []*queue
	// turns is how many requests have been released: each has its number as its turn.
	turns int
	run   *Run
}

// Begin gives a run its name and its start.
func (h *Header) Begin(now time.Time) {
	h.Schema, h.Started, h.ID = Schema, now, fmt.Sprintf("%016x", rand.Uint64())
}

// New prepares a run.
func New(p Plan) *Bench {
	limited := slices.ContainsFunc(p.Header.Nodes, func(n Node) bool { return n.Limit != "" })
	b := &Bench{plan: p, run: &Run{Header: p.Header}, leaves: len(p.Header.Nodes) > 1 && !limited}
	for i, node := range p.Header.Nodes {
		series := newSeries(node)
		b.run.Series = append(b.run.Series, series)
		b.queues = append(b.queues, &queue{
			index: i, target: p.Targets[i], series: series, ready: sync.Cond{L: &b.mu},
			progress: Progress{Node: node, Total: p.Rounds()}, began: map[int]time.Time{},
		})
	}
	return b
}

// Progress is how far each series has come. It may be called at any time, from any goroutine.
func (b *Bench) Progress() []Progress {
	b.mu.Lock()
	defer b.mu.Unlock()
	out, now := make([]Progress, len(b.queues)), b.plan.Clock.Now()
	for i, q := range b.queues {
		out[i] = q.progress
		out[i].Recent = slices.Clone(q.progress.Recent)
		out[i].InFlight, out[i].Ended = len(q.began), q.series.Ended
		for _, began := range q.began {
			out[i].Oldest = max(out[i].Oldest, now.Sub(began))
		}
	}
	return out
}

// stopTime is how long requests in flight are waited for after sending has ended.
const stopTime = 5 * time.Second

// Run makes the requests. When sending ends, which is a child of ctx, no more are sent, and those in flight are waited for
// and counted, 5 s at most. When ctx ends, those in flight are broken off and not counted. The error is of the saved run's
// file: the run itself is complete all the same.
func (b *Bench) Run(ctx, sending context.Context) (*Run, error) {
	ctx, abort := context.WithCancel(ctx)
	defer abort()
	defer context.AfterFunc(sending, func() { b.endIn(ctx, stopTime, abort) })()
	b.warmUp(ctx, sending)
	b.origin = b.plan.Clock.Now()
	b.measure(ctx, sending, abort)
	b.complete(sending.Err() != nil)
	if b.plan.Saved == nil {
		return b.run, nil
	}
	return b.run, b.plan.Saved.end(b.run)
}

// warmUp makes the rounds that are not counted. Only that a node refuses everything is kept. They come before the run's time,
// and none begins after as long a time of their own.
func (b *Bench) warmUp(ctx, sending context.Context) {
	rounds := b.plan.Header.Warmup
	if rounds == 0 {
		return
	}
	b.first = -rounds
	began, most := b.plan.Clock.Now(), b.plan.Header.Duration
	more := func(int) bool {
		return (most == 0 || b.plan.Clock.Now().Sub(began) < most) && !b.overTokens()
	}
	b.closedLoop(ctx, sending, rounds, more, func(q *queue, _ int, o Outcome) {
		if o.Final {
			b.keep(q, 0, o)
			return
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		q.finish(o)
	})
	b.first = 0
	for _, q := range b.queues {
		q.reset()
	}
}

// endIn breaks off what is still in flight after a time, unless ctx ends before. What is waited for is said after a second.
func (b *Bench) endIn(ctx context.Context, most time.Duration, abort func()) {
	const patience = time.Second
	tell := time.AfterFunc(patience, func() {
		waits := slices.DeleteFunc(b.Progress(), func(p Progress) bool { return p.InFlight == 0 })
		if b.plan.Waiting != nil && len(waits) > 0 {
			b.plan.Waiting(waits, most-patience)
		}
	})
	end := time.AfterFunc(most, abort)
	context.AfterFunc(ctx, func() {
		tell.Stop()
		end.Stop()
	})
}

// measure makes the rounds that count. After the run's time a request has its own timeout to end.
func (b *Bench) measure(ctx, sending context.Context, abort func()) {
	h, rounds := b.plan.Header, b.plan.Rounds()
	if rounds == 0 {
		rounds = math.MaxInt
	}
	over, ended := context.WithCancel(ctx)
	defer ended()
	if h.Duration > 0 && h.Timeout > 0 {
		end := time.AfterFunc(h.Duration, func() { b.endIn(over, h.Timeout+time.Second, abort) })
		defer end.Stop()
	}
	looked := 0
	more := func(slowest int) bool {
		switch {
		case b.overTokens():
			return false
		case h.Precision > 0 && slowest >= looked+max(leastPrecise, looked/10):
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
		return
	}
	b.closedLoop(ctx, sending, rounds, func(slowest int) bool {
		late := h.Duration > 0 && b.plan.Clock.Now().Sub(b.origin) >= h.Duration
		return !late && more(slowest)
	}, b.keep)
}

// leastPrecise is the number of rounds before which no precision is looked at; then it is after each tenth more.
const leastPrecise = 10

// start lets as many workers as the plan has of each queue make one request after the other, until there are no more, and
// take the outcome.
func (b *Bench) start(ctx context.Context, take func(q *queue, round int, o Outcome)) *sync.WaitGroup {
	var workers sync.WaitGroup
	for _, q := range b.queues {
		for range b.plan.Header.Concurrency {
			workers.Go(func() {
				for {
					round, ok := b.take(q)
					if !ok {
						return
					}
					at := round + b.first
					o := q.target(ctx, Request{Round: at, Nonce: b.plan.nonce(q.index, at)})
					b.mu.Lock()
					delete(q.began, round)
					b.mu.Unlock()
					take(q, round, o)
				}
			})
		}
	}
	return &workers
}

// take waits until a queue may begin a round, which then is in flight, and reports false when there will be none.
func (b *Bench) take(q *queue) (round int, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.wake()
	for b.upNext() != q {
		if q.ended() {
			return 0, false
		}
		b.wake() // what was to be next may have been dropped
		q.ready.Wait()
	}
	return q.take(b.plan.Clock.Now()), true
}

// upNext is the queue whose request starts next, nil while there is none: the one with the earliest turn. A node that has all
// its workers busy holds up no other.
func (b *Bench) upNext() *queue {
	var next *queue
	for _, q := range b.queues {
		free := len(q.began) < b.plan.Header.Concurrency
		if free && len(q.due) > 0 && (next == nil || q.due[0] < next.due[0]) {
			next = q
		}
	}
	return next
}

// wake lets a worker look whether it can begin a round. One that is not waiting looks by itself.
func (b *Bench) wake() {
	if q := b.upNext(); q != nil {
		q.ready.Signal()
	}
}

// closedLoop does rounds while there is more to do, and returns when all that was begun has ended. The worker that ends a
// request opens the rounds that may be opened, and goes on with one of them where it is its turn: that costs no switch
// between goroutines.
func (b *Bench) closedLoop(
	ctx, sending context.Context, rounds int, more func(slowest int) bool, take func(q *queue, round int, o Outcome),
) {
	order, opened, closed := b.order(), 0, false
	advance := func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		for !closed {
			slowest := b.slowest()
			over := opened == rounds || slowest == math.MaxInt || sending.Err() != nil
			switch {
			case !over && opened >= slowest+b.plan.Header.Concurrency:
				return
			case over || !more(slowest):
				closed = true
				b.close()
				if opened < rounds {
					b.dropBacklog()
				}
			default:
				opened++
				b.release(order)
			}
		}
	}
	advance()
	defer context.AfterFunc(sending, advance)()
	looking, ended := context.WithCancel(ctx)
	defer ended()
	if b.leaves {
		go func() { // where all the others wait for a request that stalls, none that ends opens a round
			ticks := time.NewTicker(time.Second)
			defer ticks.Stop()
			for {
				select {
				case <-ticks.C:
					advance()
				case <-looking.Done():
					return
				}
			}
		}()
	}
	b.start(ctx, func(q *queue, round int, o Outcome) {
		take(q, round, o)
		advance()
	}).Wait()
}

// openLoop opens the rounds at their times while there is more to do, however many of them have been answered.
func (b *Bench) openLoop(ctx, sending context.Context, rounds int, more func(slowest int) bool) {
	workers, order := b.start(ctx, b.keep), b.order()
	for round := range rounds {
		wait := b.plan.intended(round) - b.plan.Clock.Now().Sub(b.origin)
		if wait > 0 && b.plan.Clock.Sleep(sending, wait) != nil || sending.Err() != nil || !b.open(order, more) {
			break
		}
	}
	b.mu.Lock()
	b.close()
	b.mu.Unlock()
	b.drain(sending, workers)
}

// open releases a round of an open loop, unless the run has to end.
func (b *Bench) open(order *rand.Rand, more func(slowest int) bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if slowest := b.slowest(); slowest == math.MaxInt || !more(slowest) {
		return false
	}
	b.release(order)
	return true
}

// order is by chance, and the same for the same seed.
func (b *Bench) order() *rand.Rand { return rand.New(rand.NewPCG(b.plan.Header.Seed, 1)) }

// release lets all nodes begin one more round.
func (b *Bench) release(order *rand.Rand) {
	for _, i := range order.Perm(len(b.queues)) {
		b.turns++
		b.queues[i].release(b.turns)
	}
	b.wake()
}

func (b *Bench) close() {
	for _, q := range b.queues {
		q.close()
	}
}

// dropBacklog takes back the rounds that came together while a node stalled.
func (b *Bench) dropBacklog() {
	for _, q := range b.queues {
		if q.stalled(b.plan.Clock.Now()) || len(q.due) > b.plan.Header.Concurrency {
			q.drop()
		}
	}
}

// slowest is the number of rounds that the slowest node has done. Nodes that stall are left out, unless all do; with a limit,
// or of one node alone, none is left out. It is math.MaxInt when every node refuses everything.
func (b *Bench) slowest() int {
	now := b.plan.Clock.Now()
	least, moving := math.MaxInt, math.MaxInt
	for _, q := range b.queues {
		if q.over {
			continue
		}
		least = min(least, q.done)
		if !b.leaves || !q.stalled(now) {
			moving = min(moving, q.done)
		}
	}
	if moving < math.MaxInt {
		return moving
	}
	return least
}

// overTokens reports whether one more round could pass the cap on tokens, if all that is in flight costs the most.
func (b *Bench) overTokens() bool {
	if b.plan.MaxTokens <= 0 {
		return false
	}
	var billed, requests int64
	for _, q := range b.queues {
		billed += q.billed
		requests += int64(q.next + len(q.due) - q.done)
		if !q.over {
			requests++
		}
	}
	if billed+requests*b.plan.PerRequest <= b.plan.MaxTokens {
		return false
	}
	b.run.Stopped = "max tokens"
	return true
}

// drain waits for what was released, as long as there is drainTime, and drops the rest.
func (b *Bench) drain(sending context.Context, workers *sync.WaitGroup) {
	draining, done := context.WithCancel(sending)
	var giveUp sync.WaitGroup
	giveUp.Go(func() {
		left := b.plan.drainTime() - b.plan.Clock.Now().Sub(b.origin)
		late := b.plan.Clock.Sleep(draining, left) == nil && b.plan.Clock.Now().Sub(b.origin) >= b.plan.drainTime()
		if !late && sending.Err() == nil {
			return // all was sent
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, q := range b.queues {
			dropped := q.drop()
			if late {
				q.series.Unsent += dropped
			}
		}
	})
	workers.Wait()
	done()
	giveUp.Wait()
}

// keep counts a finished request and keeps it.
func (b *Bench) keep(q *queue, round int, o Outcome) {
	b.mu.Lock()
	q.finish(o)
	if o.Cancelled {
		b.mu.Unlock()
		return
	}
	o.Node, o.Round = q.index, round
	if o.Class == "" {
		o.Detail = ""
	}
	if !b.origin.IsZero() { // else a warm-up that showed that the node refuses everything
		o.Start = o.Started.Sub(b.origin)
		if b.plan.Header.Rate > 0 {
			o.Lag = o.Start - b.plan.intended(round)
		}
	}
	o = o.rounded()
	q.series.add(o)
	q.show(o.Class == "", o.Latency+o.Lag)
	b.run.Elapsed = max(b.run.Elapsed, o.Start+o.Latency)
	b.mu.Unlock()
	if b.plan.Saved != nil {
		_ = b.plan.Saved.request(o) // the writer keeps its error, and Run returns it
	}
}

// complete adds the run's own facts.
func (b *Bench) complete(interrupted bool) {
	if interrupted {
		b.run.Stopped = "interrupted"
	}
	if b.plan.SchedulingDelay != nil {
		b.run.SchedulingDelay = b.plan.SchedulingDelay()
	}
	now := b.plan.Clock.Now()
	// Without its monotonic reading a time is the wall clock's.
	b.run.ClockJump = now.Round(0).Sub(b.origin.Round(0)) - now.Sub(b.origin)
}
