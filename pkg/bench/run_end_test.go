package bench

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// A node that cannot keep up does not hold the run for ever, and what was not sent is said.
func TestOpenLoopGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{takes: always(10 * time.Second)}
		began := time.Now()
		run := runPlan(t, planOf(Header{Rate: 10, Duration: 20 * time.Second, Concurrency: 1}, f))
		if took := time.Since(began); took > 70*time.Second {
			t.Errorf("took %s", took)
		}
		s := run.Series[0]
		if s.Len()+s.Unsent != 200 || s.Unsent == 0 {
			t.Errorf("%d sent, %d unsent", s.Len(), s.Unsent)
		}
	})
}

func TestFinalEndsOneNode(t *testing.T) {
	for _, warmup := range []int{0, 1} {
		synctest.Test(t, func(t *testing.T) {
			refuses := &fake{takes: always(time.Millisecond), class: func(int) string { return "4xx" }}
			works := &fake{takes: always(time.Millisecond)}
			run := runPlan(t, planOf(Header{Requests: 20, Warmup: warmup, Concurrency: 1}, refuses, works))
			if n := len(refuses.rounds); n != 1 || run.Series[0].Len() != 1 {
				t.Errorf("the node that refuses was asked %d times, %d counted", n, run.Series[0].Len())
			}
			if n := run.Series[1].Len(); n != 20 {
				t.Errorf("the other has %d requests", n)
			}
		})
	}
}

// What was never sent ends the node's part and is no request of it, not even a failed one.
func TestUnsentEndsOneNode(t *testing.T) {
	for _, warmup := range []int{0, 1, 5} {
		synctest.Test(t, func(t *testing.T) {
			asked := 0
			ends := &fake{takes: always(time.Millisecond), class: func(int) string {
				if asked++; asked > 4 {
					return "unsent"
				}
				return ""
			}}
			works := &fake{takes: always(time.Millisecond)}
			run := runPlan(t, planOf(Header{Requests: 20, Warmup: warmup, Concurrency: 1}, ends, works))
			if s := run.Series[0]; len(ends.rounds) != 5 || s.Len() != max(0, 4-warmup) || s.Ended != "unsent" {
				t.Errorf("asked %d times, %d counted, ended %q", len(ends.rounds), s.Len(), s.Ended)
			}
			if n := run.Series[1].Len(); n != 20 {
				t.Errorf("the other has %d requests", n)
			}
		})
	}
}

func TestStopDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sending, stop := context.WithTimeout(t.Context(), 2500*time.Millisecond)
		defer stop()
		f := &fake{takes: always(time.Second)}
		run, err := New(planOf(Header{Requests: 100, Concurrency: 2}, f)).Run(t.Context(), sending)
		if err != nil || run.Stopped != "interrupted" || run.Series[0].Len() != 6 || run.Elapsed != 3*time.Second {
			t.Errorf("stopped %q with %d requests after %s, %v", run.Stopped, run.Series[0].Len(), run.Elapsed, err)
		}
	})
}

func TestAbortCountsNothingInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
		defer cancel()
		f := &fake{takes: always(time.Second)}
		run, err := New(planOf(Header{Requests: 100, Concurrency: 2}, f)).Run(ctx, ctx)
		if err != nil || run.Series[0].Len() != 4 || run.Stopped != "interrupted" {
			t.Errorf("%d requests, stopped %q, %v", run.Series[0].Len(), run.Stopped, err)
		}
	})
}

// However the answers turn out, the cap on tokens holds even if all in flight cost the most.
func TestTokenCap(t *testing.T) {
	for _, c := range []int{1, 5} {
		synctest.Test(t, func(t *testing.T) {
			a, b := &fake{takes: always(time.Second)}, &fake{takes: always(time.Millisecond)}
			p := planOf(Header{Requests: 1000, Warmup: 1, Concurrency: c}, a, b)
			p.MaxTokens, p.PerRequest = 500, 16
			run := runPlan(t, p)
			spent := 10 * (len(a.rounds) + len(b.rounds))
			if spent > 500 || spent < 500-2*c*16-2*16 || run.Stopped != "max tokens" {
				t.Errorf("c %d: %d tokens spent of 500, stopped %q", c, spent, run.Stopped)
			}
		})
	}
}

func TestPrecisionStopsEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Success within ±5 points takes some 70 successes in a row.
		f := &fake{takes: func(round int) time.Duration { return time.Duration(1000+round%7) * time.Millisecond }}
		p := planOf(Header{Requests: 5000, Concurrency: 1}, f)
		p.Header.Precision = 0.05
		run := runPlan(t, p)
		if n := run.Series[0].Len(); run.Stopped != "precision" || n < 30 || n > 200 {
			t.Errorf("stopped %q after %d requests", run.Stopped, n)
		}
		wild := &fake{takes: func(round int) time.Duration { return time.Duration(1+round%97*10) * time.Millisecond }}
		p = planOf(Header{Requests: 100, Concurrency: 1}, wild)
		p.Header.Precision = 0.01
		if run := runPlan(t, p); run.Stopped != "" || run.Series[0].Len() != 100 {
			t.Errorf("stopped %q after %d requests", run.Stopped, run.Series[0].Len())
		}
	})
}
