// Package text owns what every layer needs for messages: errors with a hint, text that is safe on a terminal or in
// JSON, durations, sizes and counts as text, and the display width of text. It refuses to write output and to know what
// a text is about.
package text

import (
	"errors"
	"fmt"
)

// Advice says what to do about an error. An error type that embeds it has a Hint method.
type Advice string

// Hint returns the advice, "" if there is none.
func (a Advice) Hint() string { return string(a) }

// hintedError is an error with a hint.
type hintedError struct {
	error
	Advice
}

func (e *hintedError) Unwrap() error { return e.error }

// Errorf is fmt.Errorf with a hint.
func Errorf(hint, format string, args ...any) error {
	return WithHint(fmt.Errorf(format, args...), hint)
}

// WithHint adds a hint to an error. Hints that err already has are no longer found.
func WithHint(err error, hint string) error { return &hintedError{err, Advice(hint)} }

// Hint returns the hint of the first error in the chain that has one, "" if none has.
func Hint(err error) string {
	var hinted interface{ Hint() string }
	if errors.As(err, &hinted) {
		return hinted.Hint()
	}
	return ""
}

// LimitError says that something is larger than ferry accepts.
type LimitError struct {
	// What is too large, such as "a line of the stream".
	What string
	// Limit is in bytes.
	Limit int64
}

func (e *LimitError) Error() string { return e.What + " is over " + Size(e.Limit) }
