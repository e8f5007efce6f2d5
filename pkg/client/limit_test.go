package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"ferry/pkg/limit"
)

// wallClock adapts a test's clock to a bucket. It uses wall time, which jumps with each wait.
type wallClock struct{ *fakeClock }

func (wallClock) Boottime() (time.Duration, string) { return 0, "" }

// newLimited returns a trial with its own bucket of at most 6 requests per minute.
func newLimited(t *testing.T, burst int, replies ...reply) (*trial, *server, *limit.Bucket) {
	t.Helper()
	tr, s := newServed(t, replies...)
	tr.clock.stop()
	rate := limit.Rate{Events: 6, Per: time.Minute, Burst: burst}
	b := must(limit.NewBucket(t.TempDir(), s.URL.String(), rate, wallClock{tr.clock}))(t)
	tr.Limiter = b
	return tr, s, b
}

// roughly rounds waits to a tenth of a second.
func roughly(waits []time.Duration) []time.Duration {
	var all []time.Duration
	for _, w := range waits {
		all = append(all, w.Round(100*time.Millisecond))
	}
	return all
}

// TestTurns checks that every attempt, also a retry, first waits for the rate limit, and that no latency includes it.
func TestTurns(t *testing.T) {
	tr, _, _ := newLimited(t, 1, status(503), status(503), answer)
	result := tr.answered(t)
	second := time.Second
	if got, want := roughly(tr.clock.waits), []time.Duration{second, 9 * second, 2 * second, 8 * second}; !slices.Equal(got, want) {
		t.Errorf("waited %v, want %v", got, want)
	}
	for i, at := range result.Attempts {
		want := []time.Duration{0, 9 * second, 8 * second}[i]
		if at.Limited.Round(second) != want || at.Latency > 5*second {
			t.Errorf("attempt %d: waited %v for its turn, want %v; latency %v", i+1, at.Limited, want, at.Latency)
		}
	}
	before := result.Latency
	result = tr.answered(t)
	if before.Round(second) != 20*second || result.Latency > 5*second || result.Attempts[0].Limited.Round(second) != 10*second {
		t.Errorf("in all %v, then %v after %v", before, result.Latency, result.Attempts[0].Limited)
	}
}

// TestTurnsInABurst checks that the requests of a burst do not wait.
func TestTurnsInABurst(t *testing.T) {
	tr, _, _ := newLimited(t, 2, status(503), answer)
	tr.answered(t)
	if got := roughly(tr.clock.waits); !slices.Equal(got, []time.Duration{time.Second}) {
		t.Errorf("waited %v", got)
	}
}

// TestTurnTooLate checks that a call does not wait for a reservation after its deadline, and leaves it to others.
func TestTurnTooLate(t *testing.T) {
	tr, s, b := newLimited(t, 1, answer)
	tr.Timeout = 9 * time.Second
	tr.answered(t)
	for range 2 {
		result, failed := tr.ask(t)
		if failed == nil || failed.Class != Limited || !errors.As(failed, new(*limit.TooLongError)) || failed.Hint() == "" || failed.GaveUp {
			t.Fatalf("got %v", failed)
		}
		if len(result.Attempts) != 0 || s.count() != 1 || len(tr.clock.waits) != 0 || result.Latency != 0 {
			t.Errorf("%d attempts, %d requests, waited %v", len(result.Attempts), s.count(), tr.clock.waits)
		}
	}
	tr.Timeout = 0
	if _, failed := tr.ask(t); failed != nil || roughly(tr.clock.waits)[0] != 10*time.Second {
		t.Errorf("%v, waited %v", failed, tr.clock.waits)
	}
	if err := b.Degraded(); err != nil {
		t.Error(err)
	}
}

// TestTurnAfterTheDeadline checks that a deadline before the call gives a timeout, not a limit error.
func TestTurnAfterTheDeadline(t *testing.T) {
	tr, s, _ := newLimited(t, 1, answer)
	tr.Timeout, tr.Since = time.Second, tr.clock.Now().Add(-time.Minute)
	if _, failed := tr.ask(t); failed == nil || failed.Class != Timeout || s.count() != 0 {
		t.Errorf("got %v, %d requests", failed, s.count())
	}
}

// TestTurnTooLateForARetry checks that the record of the first attempt is kept if the retry's reservation is too late.
func TestTurnTooLateForARetry(t *testing.T) {
	tr, s, _ := newLimited(t, 1, status(503), answer)
	tr.Timeout = 9 * time.Second
	result, failed := tr.ask(t)
	if failed == nil || failed.Class != Limited || failed.Attempts != 1 || len(result.Attempts) != 1 || s.count() != 1 {
		t.Errorf("got %+v, %d attempts, %d requests", failed, len(result.Attempts), s.count())
	}
}

// TestTurnStopped checks that an interrupted wait sends nothing and cancels its reservation.
func TestTurnStopped(t *testing.T) {
	tr, s, b := newLimited(t, 1, answer)
	tr.answered(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	var pause Pause
	tr.Wait = func(ctx context.Context, p Pause) error { // it ends before the clock jumps
		pause = p
		cancel(errors.New("enough"))
		return context.Cause(ctx)
	}
	_, failed := tr.askIn(t, ctx, AsAnswer)
	errorIf(t, failed == nil || failed.Class != Cancelled || s.count() != 1, "got %v, %d requests", failed, s.count())
	if pause.Node != "n" || pause.Limit != "6/min" || pause.Attempt != 1 || pause.Wait.Round(time.Second) != 10*time.Second {
		t.Errorf("the pause was %+v", pause)
	}
	if next, err := b.Reserve(t.Context(), limit.Forever); err != nil || next.Wait > 10*time.Second {
		t.Errorf("the next turn: %+v, %v", next, err)
	}
	// The same if ctx has ended before the wait.
	_, failed = tr.askIn(t, ctx, AsAnswer)
	errorIf(t, failed == nil || failed.Class != Cancelled, "got %v", failed)
}

// TestProbeTakesATurn checks that a probe uses the rate limit too.
func TestProbeTakesATurn(t *testing.T) {
	tr, s, _ := newLimited(t, 1, body(`{"data":[]}`))
	for i := range 2 {
		probe, err := tr.probe(t.Context())
		if err != nil || fmt.Sprint(probe.Attempt.Limited.Round(time.Second)) != []string{"0s", "10s"}[i] {
			t.Errorf("probe %d: %v, waited %v", i, err, probe.Attempt.Limited)
		}
	}
	tr.Timeout = time.Second
	probe, err := tr.probe(t.Context())
	if failed, ok := errors.AsType[*Error](err); !ok || failed.Class != Limited || probe.Attempt == nil || s.count() != 2 {
		t.Errorf("got %v, %d requests", err, s.count())
	}
}
