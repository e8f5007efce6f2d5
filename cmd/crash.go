package cmd

import (
	"fmt"
	"runtime/debug"
)

// crashError is a panic of ferry's own.
type crashError struct {
	value any
	sent  bool
}

func (e *crashError) Error() string { return fmt.Sprintf("ferry crashed: %v", e.value) }

// Hint tells what may have happened.
func (e *crashError) Hint() string {
	if e.sent {
		return "the request may have been carried out and billed; the lines above show where ferry failed"
	}
	return "nothing was sent; the lines above show where ferry failed"
}

// crashed shows where a panic came from and makes an error of it.
func (a *app) crashed(value any) error {
	a.say(string(debug.Stack()))
	return &crashError{value, a.sent.Load()}
}

// sending notes that a request is about to leave.
func (a *app) sending() {
	if !a.sent.Swap(true) {
		a.catchQuit()
	}
}

func (a *app) catchQuit() {
	if a.CatchQuit != nil {
		a.CatchQuit(&a.sent)
	}
}

// abortOnCrash makes the process die of SIGABRT where the Go runtime gives up: after a panic in a library's goroutine,
// without memory or threads, or by a signal. Its own exit code is 2, which would say that nothing was sent. No core file is
// written, since it would hold keys.
func abortOnCrash() {
	debug.SetTraceback("crash")
	noCoreFile()
}
