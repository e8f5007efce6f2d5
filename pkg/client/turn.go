package client

import (
	"context"
	"errors"
	"time"

	"ferry/pkg/limit"
)

// Limiter gives out the turns to send; *limit.Bucket is one.
type Limiter interface {
	Rate() limit.Rate
	// Reserve takes the next turn, unless its wait is above most.
	Reserve(ctx context.Context, most time.Duration) (*limit.Reservation, error)
}

// turn takes the turn to send and waits for it, and returns how long it waited. A turn that comes too late for the
// deadline is not taken, and one whose wait was stopped is given back.
func (c *Client) turn(ctx context.Context, node string, number int, deadline time.Time) (time.Duration, *Error) {
	if c.Limit == nil {
		return 0, nil
	}
	began := c.Clock.Now()
	most := limit.Forever
	if !deadline.IsZero() {
		if most = deadline.Sub(began) - 1; most < 0 {
			return 0, &Error{Class: Timeout, Err: &DeadlineError{Timeout: c.Timeout}}
		}
	}
	reserved, err := c.Limit.Reserve(ctx, most)
	var late *limit.TooLongError
	switch {
	case errors.As(err, &late):
		return 0, &Error{Class: Limited, Err: late}
	case err != nil:
		return 0, stopped(ctx, err)
	case reserved.Wait <= 0:
		return 0, nil
	}
	pause := Pause{Wait: reserved.Wait, Node: node, Attempt: number, Attempts: c.Rule.Attempts,
		Limit: c.Limit.Rate().String(), Turn: reserved}
	if err := c.wait(ctx, pause); err != nil {
		reserved.Cancel()
		return 0, stopped(ctx, err)
	}
	return c.Clock.Now().Sub(began), nil
}

// stopped is the error of a wait that was ended. Whoever waits may have been stopped by a context of its own.
func stopped(ctx context.Context, err error) *Error {
	class := Cancelled
	if ctx.Err() != nil {
		class, err = classify(ctx, err)
	}
	return &Error{Class: class, Err: err}
}

// deadline is when a call that began at started has to be over; the zero time is never.
func (c *Client) deadline(started time.Time) time.Time {
	switch {
	case c.Timeout <= 0:
		return time.Time{}
	case !c.Since.IsZero():
		return c.Since.Add(c.Timeout)
	}
	return started.Add(c.Timeout)
}
