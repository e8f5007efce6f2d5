package bench

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"time"
)

var nan = math.NaN()

// Bench is one run.
//
// Its requests come in rounds. In each round every node gets one request, launched together in an order shuffled anew.
// Up to Concurrency rounds are open at once, counted at the slowest node: the others wait for it, so that all nodes are
// measured in the same minutes and what the network does meanwhile meets them alike.
//
// At a fixed rate, an open loop, round i begins for every node at i/Rate, whatever has been answered; a node that has all
// its workers busy begins it late, and the lag is kept.
type Bench struct {
	plan   Plan
	queues []*queue
	run    *Run
	// origin is when the counted rounds began.
	origin time.Time

	mu sync.Mutex // guards run.Elapsed
}

// Begin gives a run its name and its start.
func (h *Header) Begin(now time.Time) {
	h.Schema, h.Started, h.ID = Schema, now, fmt.Sprintf("%016x", rand.Uint64())
}

// New prepares a run.
func New(p Plan) *Bench {
	b := &Bench{plan: p, run: &Run{Header: p.Header}}
	for i, node := range p.Header.Nodes {
		series := newSeries(node, p.Header.Vantage)
		b.run.Series = append(b.run.Series, series)
		b.queues = append(b.queues, newQueue(i, p.Targets[i], series))
	}
	return b
}

// Progress is how far each series has come. It may be called at any time, from any goroutine.
func (b *Bench) Progress() []Progress {
	out := make([]Progress, len(b.queues))
	for i, l := range b.queues {
		out[i] = l.progress()
		out[i].Total = b.plan.Rounds()
	}
	return out
}

// Run makes the requests. When ctx ends, requests in flight are broken off and not counted; see Plan.Stop for the gentler
// way. The error is of the saved run's file: the run itself is complete all the same.
func (b *Bench) Run(ctx context.Context) (*Run, error) {
	sending, stop := context.WithCancel(ctx)
	defer stop()
	if b.plan.Stop != nil {
		go func() {
			select {
			case <-b.plan.Stop:
				stop()
			case <-sending.Done():
			}
		}()
	}
	b.warmUp(ctx, sending)
	b.origin = b.plan.Clock.Now()
	b.measure(ctx, sending)
	b.settle(sending.Err() != nil)
	if b.plan.Saved == nil {
		return b.run, nil
	}
	return b.run, b.plan.Saved.end(b.run)
}

// job does a round of a queue.
type job func(ctx context.Context, l *queue, round int)

// warmUp makes the rounds that are not counted, over queues of their own. Only that a node refuses everything is kept.
func (b *Bench) warmUp(ctx, sending context.Context) {
	rounds := b.plan.Header.Warmup
	if rounds == 0 {
		return
	}
	var queues []*queue
	for i, l := range b.queues {
		queues = append(queues, newQueue(i, l.target, l.series))
	}
	more := func(int) bool { return !b.overTokens(queues) }
	b.dispatch(ctx, sending, queues, rounds, more, func(ctx context.Context, l *queue, round int) {
		o := b.ask(ctx, l, round-rounds)
		l.count(o, 0, false)
		if o.Final {
			b.keep(b.queues[l.index], 0, o)
		}
	})
	for i, l := range queues {
		b.queues[i].billed += l.billed
	}
}

// measure makes the rounds that count.
func (b *Bench) measure(ctx, sending context.Context) {
	rounds := b.plan.Rounds()
	if rounds == 0 {
		rounds = math.MaxInt
	}
	do := func(ctx context.Context, l *queue, round int) { b.keep(l, round, b.ask(ctx, l, round)) }
	if b.plan.Header.Rate > 0 {
		b.pace(ctx, sending, rounds, do)
		return
	}
	looked := 0
	b.dispatch(ctx, sending, b.queues, rounds, func(slowest int) bool {
		d := b.plan.Header.Duration
		switch {
		case d > 0 && b.plan.Clock.Now().Sub(b.origin) >= d, b.overTokens(b.queues):
			return false
		case b.plan.Header.Precision > 0 && slowest >= looked+max(leastTight, looked/10):
			looked = slowest
			return !b.isTight()
		}
		return true
	}, do)
}

// leastTight is the number of rounds before which no precision is looked at; then it is after each tenth more.
const leastTight = 10

func (b *Bench) isTight() bool {
	if !tight(b.run, b.plan.Header.Precision) {
		return false
	}
	b.run.Stopped = "precision"
	return true
}

// dispatch makes rounds as a closed loop, while there is more to do, and returns when all that was begun has ended.
func (b *Bench) dispatch(
	ctx, sending context.Context, queues []*queue, rounds int, more func(slowest int) bool, do job,
) {
	d := &dispatcher{
		sending: sending, queues: queues, rounds: rounds, window: b.plan.Header.Concurrency, more: more,
		order: rand.New(rand.NewPCG(b.plan.Header.Seed, 1)),
	}
	d.advance()
	defer context.AfterFunc(sending, d.advance)()
	b.start(ctx, queues, func(ctx context.Context, l *queue, round int) {
		do(ctx, l, round)
		d.advance()
	}).Wait()
}

func (b *Bench) start(ctx context.Context, queues []*queue, do job) *sync.WaitGroup {
	var workers sync.WaitGroup
	for _, l := range queues {
		for range b.plan.Header.Concurrency {
			workers.Go(func() { l.work(ctx, do) })
		}
	}
	return &workers
}

// overTokens reports whether one more round could pass the cap on tokens, if all that is in flight costs the most.
func (b *Bench) overTokens(queues []*queue) bool {
	if b.plan.MaxTokens <= 0 {
		return false
	}
	var billed, requests int64
	for _, l := range queues {
		s := l.state()
		billed += s.billed
		requests += int64(s.pending)
		if !s.over {
			requests++
		}
	}
	if billed+requests*b.plan.PerRequest <= b.plan.MaxTokens {
		return false
	}
	b.run.Stopped = "max tokens"
	return true
}

// pace opens the rounds at their times, whatever has been answered.
func (b *Bench) pace(ctx, sending context.Context, rounds int, do job) {
	workers := b.start(ctx, b.queues, do)
	order := rand.New(rand.NewPCG(b.plan.Header.Seed, 1))
	for round := range rounds {
		wait := b.plan.intended(round) - b.plan.Clock.Now().Sub(b.origin)
		if wait > 0 && b.plan.Clock.Sleep(sending, wait) != nil || sending.Err() != nil ||
			b.overTokens(b.queues) || b.allOver() {
			break
		}
		for _, i := range order.Perm(len(b.queues)) {
			b.queues[i].release(round + 1)
		}
	}
	for _, l := range b.queues {
		l.finish()
	}
	b.drain(sending, workers)
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
		for _, l := range b.queues {
			dropped := l.drop()
			if late {
				l.series.Unsent += dropped
			}
		}
	})
	workers.Wait()
	done()
	giveUp.Wait()
}

func (b *Bench) allOver() bool {
	for _, l := range b.queues {
		if !l.state().over {
			return false
		}
	}
	return true
}

func (b *Bench) ask(ctx context.Context, l *queue, round int) Outcome {
	return l.target(ctx, Request{Round: round, Nonce: b.plan.nonce(l.index, round)})
}

// keep counts a finished request and keeps it.
func (b *Bench) keep(l *queue, round int, o Outcome) {
	if o.Cancelled {
		if o.Final {
			l.series.end(o.Detail)
		}
		l.count(o, 0, false)
		return
	}
	r := record{
		Node: l.index, Round: round, Latency: max(0, o.Latency), TTFT: o.TTFT, Phases: o.Phases, Tokens: o.OutputTokens,
		Class: o.Class, Attempts: o.Attempts, Earlier: o.Earlier, Fresh: o.Fresh,
	}
	if r.Class != "" {
		r.Detail = o.Detail
	}
	if !b.origin.IsZero() { // else a warm-up that showed that the node refuses everything
		r.Start = o.Started.Sub(b.origin)
		if b.plan.Header.Rate > 0 {
			r.Lag = r.Start - b.plan.intended(round)
		}
	}
	r = r.rounded()
	l.series.add(r)
	if o.Final {
		l.series.end(o.Detail)
	}
	l.count(o, r.Latency+r.Lag, true)
	b.mu.Lock()
	b.run.Elapsed = max(b.run.Elapsed, r.Start+r.Latency)
	b.mu.Unlock()
	if b.plan.Saved != nil {
		_ = b.plan.Saved.request(r) // the writer keeps its error, and Run returns it
	}
}

// settle completes the run's own facts.
func (b *Bench) settle(interrupted bool) {
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
