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
	MaxEvents = 1_000_000
	MaxBurst  = 10_000

	minPer = time.Second
	maxPer = 24 * time.Hour
)

// ParseRate reads "50/min": a whole number, a slash, and s, m, h or d, a longer name of one (sec, second, min, minute,
// hour, day), or a time with units as in "50/1m30s". The burst is 1; a caller with another sets it and calls Check.
func ParseRate(text string) (Rate, error) {
	count, unit, found := strings.Cut(text, "/")
	if !found {
		return Rate{}, badRate(text, "has no slash")
	}
	events, err := strconv.ParseUint(strings.TrimSpace(count), 10, 32)
	if err != nil || events > MaxEvents {
		return Rate{}, badRate(text, fmt.Sprintf("needs a whole number from 1 to %d before the slash", MaxEvents))
	}
	per, ok := parsePer(strings.TrimSpace(unit))
	if !ok {
		return Rate{}, badRate(text, "names no time after the slash")
	}
	r := Rate{Events: int(events), Per: per, Burst: 1}
	if err := r.Check(); err != nil {
		return Rate{}, err
	}
	return r, nil
}

func parsePer(unit string) (time.Duration, bool) {
	switch unit {
	case "s", "sec", "second":
		return time.Second, true
	case "m", "min", "minute":
		return time.Minute, true
	case "h", "hour":
		return time.Hour, true
	case "d", "day":
		return maxPer, true
	}
	if unit == "" || unit[0] < '0' || unit[0] > '9' { // time.ParseDuration takes signs
		return 0, false
	}
	per, err := time.ParseDuration(unit)
	return per, err == nil
}

func badRate(text, why string) error {
	return &Error{Text: fmt.Sprintf("%q is not a rate: it %s", text, why), HintText: "50/min, 2/s, 1000/day or 50/1m30s"}
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
func (r Rate) String() string {
	unit := ""
	switch r.Per {
	case time.Second:
		unit = "s"
	case time.Minute:
		unit = "min"
	case time.Hour:
		unit = "hour"
	case maxPer:
		unit = "day"
	default:
		unit = text.Brief(r.Per)
	}
	return strconv.Itoa(r.Events) + "/" + unit
}

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
