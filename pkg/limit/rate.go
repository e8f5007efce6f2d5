package limit

import (
	"fmt"
	"time"

	"ferry/pkg/text"
)

// Rate is the maximum number of requests in a period, and the maximum at once.
type Rate struct {
	// Events is the maximum number of requests in Per, at least 1.
	Events int
	// Per is from one second to one day.
	Per time.Duration
	// Burst is the maximum number of requests at once after a pause, at least 1.
	Burst int
}

// MaxBurst is the largest valid Burst.
const MaxBurst = 10_000

// Check returns an error if the rate is out of bounds. The bounds keep every sum of this package far below 64 bits.
func (r Rate) Check() error {
	if r.Events < 1 || r.Events > text.MaxEvents || r.Per < time.Second || r.Per > 24*time.Hour || r.Burst < 1 || r.Burst > MaxBurst {
		return fmt.Errorf("a rate of %v with a burst of %d is out of bounds", r, r.Burst)
	}
	return nil
}

// String returns the rate as text.ParseRate reads it, without the burst.
func (r Rate) String() string { return text.Rate(r.Events, r.Per) }

// MinDuration returns the minimum time between the first and the last of n requests if the bucket is full at the start.
func (r Rate) MinDuration(n int) time.Duration {
	late := time.Duration(n) - time.Duration(r.Burst)
	switch {
	case late <= 0:
		return 0
	case late > Forever/r.interval():
		return Forever
	}
	return late * r.interval()
}

// interval returns the time that one request takes up. It is rounded up, so that the rate is never exceeded.
func (r Rate) interval() time.Duration {
	n := time.Duration(r.Events)
	return (r.Per + n - 1) / n
}

// tolerance returns how much earlier than its time a request may be sent.
func (r Rate) tolerance() time.Duration { return time.Duration(r.Burst-1) * r.interval() }
