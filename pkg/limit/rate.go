package limit

import (
	"fmt"
	"time"

	"ferry/pkg/text"
)

// Rate is how many requests may go out in a time, and how many of them at once.
type Rate struct {
	// Events is how many may go out in Per, at least 1.
	Events int
	// Per is from a second to a day.
	Per time.Duration
	// Burst is how many may go at once after a pause, at least 1.
	Burst int
}

// MaxBurst is the largest burst.
const MaxBurst = 10_000

// Check refuses a rate that is out of bounds, which keep every sum of this package far inside 64 bits.
func (r Rate) Check() error {
	if r.Events < 1 || r.Events > text.MaxEvents || r.Per < time.Second || r.Per > 24*time.Hour || r.Burst < 1 || r.Burst > MaxBurst {
		return fmt.Errorf("a rate of %v with a burst of %d is out of bounds", r, r.Burst)
	}
	return nil
}

// String is the rate as text.ParseRate reads it; the burst is not in it.
func (r Rate) String() string { return text.Rate(r.Events, r.Per) }

// Needs is the least time between the first and the last of n requests when the bucket is full at the start.
func (r Rate) Needs(n int) time.Duration {
	late := time.Duration(n) - time.Duration(r.Burst)
	switch {
	case late <= 0:
		return 0
	case late > Forever/r.interval():
		return Forever
	}
	return late * r.interval()
}

// interval is the time that one request takes up. It is rounded up: a rate is never exceeded, not by a nanosecond.
func (r Rate) interval() time.Duration {
	n := time.Duration(r.Events)
	return (r.Per + n - 1) / n
}

// tolerance is how far ahead of its time a request may go out.
func (r Rate) tolerance() time.Duration { return time.Duration(r.Burst-1) * r.interval() }
