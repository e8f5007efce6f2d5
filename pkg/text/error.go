// Package text owns what every layer needs to talk to people: errors with a hint, text that is safe on a terminal or in
// JSON, durations, sizes and counts as text, and the width of a text on a terminal. It refuses to write anything and to
// know what a text is about.
package text

import (
	"errors"
	"fmt"
)

// Advice is what to do about an error. Embedded in an error type, it gives the type its method Hint.
type Advice string

// Hint is the advice, "" for none.
func (a Advice) Hint() string { return string(a) }

// advised is an error with a hint.
type advised struct {
	error
	Advice
}

func (e *advised) Unwrap() error { return e.error }

// Errorf is fmt.Errorf with a hint.
func Errorf(hint, format string, args ...any) error {
	return WithHint(fmt.Errorf(format, args...), hint)
}

// WithHint gives an error a hint. Hints that err has already are no longer found.
func WithHint(err error, hint string) error { return &advised{err, Advice(hint)} }

// Hint is what an error, or the first in its chain that has a hint, says to do about it; "" for nothing.
func Hint(err error) string {
	var hinted interface{ Hint() string }
	if errors.As(err, &hinted) {
		return hinted.Hint()
	}
	return ""
}

// LimitError says that something is larger than ferry takes.
type LimitError struct {
	// What is too large, such as "a line of the stream".
	What string
	// Limit is in bytes.
	Limit int64
}

func (e *LimitError) Error() string { return e.What + " is over " + Size(e.Limit) }
