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

// TestBatchWaits has the rate limit and the budget let items out later: they wait, no item fails, and the journal has none
// in flight while it waits.
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
	var limited, spent atomic.Int64
	begun, held := make(chan struct{}), make(chan struct{})
	b.ask = func(_ context.Context, prompt string) asked {
		switch {
		case prompt == "one":
			close(begun)
			<-held // until another one has been told that the budget is spoken for
		case prompt == "two" && limited.Add(1) <= 2:
			late := &limit.TooLongError{Wait: 6 * time.Second, Rate: limit.Rate{Events: 10, Per: time.Minute}}
			return asked{&Result{}, &Error{Class: Limited, Err: late}}
		case prompt == "three" && spent.Add(1) == 1:
			<-begun
			defer close(held)
			return asked{&Result{}, &limit.SpentError{Budget: 10, Held: 9}}
		}
		return whole(prompt)
	}
	_, tally, _, err := b.do()
	if err != nil || tally.Answered != 3 || tally.Failed != 0 || limited.Load() != 3 || spent.Load() != 2 {
		t.Errorf("%+v, %v, %d and %d asks, want 3 answered in 3 and 2 asks", tally, err, limited.Load(), spent.Load())
	}
}

// TestBatchSpent ends a run whose budget is used up, or held by others alone.
func TestBatchSpent(t *testing.T) {
	for _, spent := range []*limit.SpentError{{Budget: 10, Spent: 10}, {Budget: 10, Held: 9}} {
		b := newBatchTrial(t, "one\ntwo\n")
		b.ask = func(context.Context, string) asked { return asked{&Result{}, spent} }
		if _, tally, asked, err := b.do(); !errors.Is(err, spent) || tally.Failed != 1 || asked != "one" {
			t.Errorf("%+v, asked %q, %v, want %v after the first", tally, asked, err, spent)
		}
	}
}
