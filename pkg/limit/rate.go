package limit

import (
	"fmt"
	"strconv"
	"strings"
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

// The bounds of a rate. They keep every sum of this package far inside 64 bits.
const (
	MaxEvents = text.MaxEvents
	MaxBurst  = 10_000

	minPer = time.Second
	maxPer = 24 * time.Hour
)

// ParseRate reads "50/min" as text.ParseRate does. The burst is 1; a caller with another sets it and calls Check.
func ParseRate(s string) (Rate, error) {
	events, per, ok := text.ParseRate(s)
	if !ok {
		return Rate{}, &Error{Text: fmt.Sprintf("%q is not a rate", s), HintText: "50/min, 2/s, 1000/day or 50/1m30s"}
	}
	return Rate{Events: events, Per: per, Burst: 1}, nil
}

// Check says what is out of bounds.
func (r Rate) Check() error {
	switch {
	case r.Events < 1 || r.Events > MaxEvents:
		return &Error{Text: fmt.Sprintf("a rate of %d requests: it must be from 1 to %d", r.Events, MaxEvents)}
	case r.Per < minPer || r.Per > maxPer:
		return &Error{Text: fmt.Sprintf("a rate per %v: it must be from a second to a day", r.Per)}
	case r.Burst < 1 || r.Burst > MaxBurst:
		return &Error{Text: fmt.Sprintf("a burst of %d requests: it must be from 1 to %d", r.Burst, MaxBurst)}
	}
	return nil
}

// String is the rate as ParseRate reads it; the burst is not in it.
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

type Budget int64

// maxTokens bounds a budget, and what one request is believed to have used.
const maxTokens = 1_000_000_000_000

// ParseBudget reads "200000 tokens/day".
func ParseBudget(text string) (Budget, error) {
	fields := strings.Fields(text)
	if len(fields) != 2 || fields[1] != "tokens/day" {
		return 0, badBudget(text, "a number and tokens/day are wanted")
	}
	n, err := strconv.ParseUint(fields[0], 10, 63)
	if err != nil || n < 1 || n > maxTokens {
		return 0, badBudget(text, fmt.Sprintf("the number has to be whole, from 1 to %d", int64(maxTokens)))
	}
	return Budget(n), nil
}

func badBudget(text, why string) error {
	return &Error{Text: fmt.Sprintf("%q is not a budget: %s", text, why), HintText: "200000 tokens/day"}
}

// String is the budget as ParseBudget reads it, "" for none.
func (b Budget) String() string {
	if b == 0 {
		return ""
	}
	return fmt.Sprintf("%d tokens/day", int64(b))
}
