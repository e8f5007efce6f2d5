package client

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ferry/pkg/limit"
)

// TestBatchWaits checks that items wait for the rate limit and the budget, that none of them fails, and that an item
// that waits is not in flight in the journal.
func TestBatchWaits(t *testing.T) {
	b := newBatchTrial(t, "one\ntwo\nthree\n")
	clock := b.request.Clock.(*fakeClock)
	b.run.Workers, b.run.MaxFailures, b.request.Timeout = 3, 1, time.Minute
	inFlight := func() int {
		journal := b.read(b.out + ".journal")
		return strings.Count(journal, "\ns ") - strings.Count(journal, "\nf ")
	}
	b.run.Wait = func(ctx context.Context, p Pause) error {
		if n := inFlight(); n > 2 || p.Wait != 6*time.Second || p.Limit != "10/min" {
			t.Errorf("%d in flight while an item waits %v for %q, want at most 2, 6 s and 10/min", n, p.Wait, p.Limit)
		}
		return clock.Sleep(ctx, p.Wait)
	}
	limiter := &slowLimiter{t: t}
	b.request.Endpoint.Limiter = limiter
	var spent atomic.Int64
	begun, held := make(chan struct{}), make(chan struct{})
	b.ask = func(_ context.Context, prompt string) asked {
		switch {
		case prompt == "one":
			close(begun)
			<-held // until another item was refused because the budget is reserved
		case prompt == "three" && spent.Add(1) == 1:
			<-begun
			defer close(held)
			return asked{&Result{}, &limit.SpentError{Budget: 10, Reserved: 9}}
		}
		return whole(prompt)
	}
	_, tally, _, err := b.do()
	if err != nil || tally.Answered != 3 || tally.Failed != 0 || limiter.taken.Load() != 3 || spent.Load() != 2 {
		t.Errorf("%+v, %v, %d turns and %d asks of the third, want 3 answered in 3 turns, and 2 asks", tally, err, limiter.taken.Load(), spent.Load())
	}
	// The first attempt has already waited. The second needs its own reservation.
	e := b.request.Endpoint
	env := Env{Clock: clock, Wait: func(context.Context, Pause) error { return nil }}
	for number := 1; number <= 2; number++ {
		waited, failed := env.waitForLimit(t.Context(), &Call{Endpoint: e, number: number, waitedAt: e, waited: time.Second})
		if want := int64(2 + number); failed != nil || limiter.taken.Load() != want || number == 1 && waited != time.Second {
			t.Errorf("attempt %d: waited %v, %v, %d turns, want %d", number, waited, failed, limiter.taken.Load(), want)
		}
	}
}

// TestBatchSpent checks that a run ends if its budget is used up or reserved only by other processes.
func TestBatchSpent(t *testing.T) {
	for _, spent := range []*limit.SpentError{{Budget: 10, Spent: 10}, {Budget: 10, Reserved: 9}} {
		b := newBatchTrial(t, "one\ntwo\n")
		b.ask = func(context.Context, string) asked { return asked{&Result{}, spent} }
		if _, tally, asked, err := b.do(); !errors.Is(err, spent) || tally.Failed != 1 || asked != "one" {
			t.Errorf("%+v, asked %q, %v, want %v after the first", tally, asked, err, spent)
		}
	}
}

// slowLimiter makes each request wait 6 s.
type slowLimiter struct {
	t     *testing.T
	taken atomic.Int64
}

func (s *slowLimiter) Rate() limit.Rate { return limit.Rate{Events: 10, Per: time.Minute} }

func (s *slowLimiter) Reserve(_ context.Context, maxWait time.Duration) (*limit.Reservation, error) {
	if s.taken.Add(1); maxWait != limit.Forever {
		s.t.Errorf("the wait may be %v, want no bound", maxWait)
	}
	return &limit.Reservation{Wait: 6 * time.Second}, nil
}
