package client

import (
	"context"
	"errors"
	"time"

	"ferry/pkg/limit"
)

// limitStage waits for the rate limit before each attempt.
type limitStage struct {
	env  *Env
	next Doer
}

func (s *limitStage) Do(ctx context.Context, call *Call) (*Result, error) {
	waited, failed := s.env.waitForLimit(ctx, call)
	if failed != nil {
		return &Result{}, failed
	}
	result, err := s.next.Do(ctx, call)
	for _, attempt := range result.Attempts {
		attempt.Limited = waited
	}
	return result, err
}

// waitForLimit makes a reservation, waits for it, and returns how long it waited; 0 without a rate limit. It makes no
// reservation that is due after the deadline. If the wait is interrupted, it cancels the reservation.
func (e *Env) waitForLimit(ctx context.Context, call *Call) (time.Duration, *Error) {
	limiter := call.Endpoint.Limiter
	switch {
	case limiter == nil:
		return 0, nil
	case call.waitedAt == call.Endpoint && call.number == 1:
		return call.waited, nil
	}
	began := e.Clock.Now()
	maxWait := limit.Forever
	if !call.Deadline.IsZero() {
		if maxWait = call.Deadline.Sub(began) - 1; maxWait < 0 {
			return 0, &Error{Class: Timeout, Err: &DeadlineError{Timeout: call.Timeout}}
		}
	}
	reserved, err := limiter.Reserve(ctx, maxWait)
	var late *limit.TooLongError
	switch {
	case errors.As(err, &late):
		return 0, &Error{Class: Limited, Err: late}
	case err != nil:
		return 0, waitError(ctx, err)
	case reserved.Wait <= 0:
		return 0, nil
	}
	pause := Pause{
		Wait: reserved.Wait, Node: call.Endpoint.Name, Attempt: call.number, Attempts: call.Endpoint.Rule.Attempts,
		Limit: limiter.Rate().String(), Reserved: reserved,
	}
	if err := e.wait(ctx, pause); err != nil {
		reserved.Cancel()
		return 0, waitError(ctx, err)
	}
	return e.Clock.Now().Sub(began), nil
}
